"""`cacheaside doctor`: findings with their fix, and an exit code that says whether something does not work."""

from __future__ import annotations

from pathlib import Path

import pytest

from cacheaside.testing.servers import Server
from tests.cli.runs import cacheaside

APP = ("--app", "tests.cli.shopping:cache")
SERVICE = "import os\nfrom cacheaside import Cache\ncache = Cache(os.environ['SHOP_URL'], namespace='shop')\n"


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A folder with a service's module."""
    (tmp_path / "service.py").write_text(SERVICE)
    return tmp_path


def test_an_error_ends_with_1_and_its_fix_is_shown(service: Path) -> None:
    """A server with a policy that loses marks is an error: the line, the fix, exit code 1, and the same in JSON."""
    with Server(maxmemory="64mb", config={"maxmemory-policy": "volatile-ttl"}) as server:
        ran = cacheaside("doctor", "--app", "service", cwd=service, SHOP_URL=server.url)
        as_json = cacheaside("doctor", "--app", "service", "--json", cwd=service, SHOP_URL=server.url)
    assert (ran.code, ran.err) == (1, "")
    assert "maxmemory-policy volatile-ttl" in ran.out
    assert "CONFIG SET maxmemory-policy allkeys-lru" in ran.out
    assert as_json.code == 1
    assert [one["check"] for one in as_json.data["findings"] if one["severity"] == "error"] == ["policy"]
    assert as_json.data["servers"][0]["policy"] == "volatile-ttl"


def test_warnings_and_notes_end_with_0(service: Path) -> None:
    """What works ends with 0, whatever there is to say."""
    with Server() as server:
        ran = cacheaside("doctor", "--app", "service", cwd=service, SHOP_URL=server.url)
    assert ran.code == 0
    assert "warning" in ran.out
    assert "has no maxmemory" in ran.out


def test_a_server_that_is_away_is_said_and_the_rest_checked(service: Path) -> None:
    """With the server dead the command ends with 1, says so, and what it found without it."""
    with Server() as server:
        url = server.url
        server.kill()
        ran = cacheaside("doctor", "--app", "service", cwd=service, SHOP_URL=url)
    assert ran.code == 1
    words = " ".join(ran.out.split())
    assert "no answer" in words
    assert "no endpoint is declared" in words


@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits_the_terminal(columns: int) -> None:
    """No line is wider than the terminal."""
    ran = cacheaside("doctor", *APP, "--processes", "3", "--capacity", "shop-db=20", columns=columns)
    assert ran.code == 1
    assert "limit=6 in each process" in ran.out
    assert max(map(len, ran.out.splitlines())) <= columns


def test_a_capacity_that_is_no_number_is_refused() -> None:
    """`--capacity` takes a source and a whole number."""
    ran = cacheaside("doctor", *APP, "--capacity", "shop-db")
    assert (ran.code, ran.out) == (2, "")
    assert "write SOURCE=LOADS" in ran.err


def test_a_capacity_of_no_source_is_refused() -> None:
    """A misspelt source would be checked against nothing: the line names those that there are."""
    ran = cacheaside("doctor", *APP, "--capacity", "shopdb=6")
    assert (ran.code, ran.out) == (2, "")
    assert "there is no source shopdb; there are shop-db" in ran.err
