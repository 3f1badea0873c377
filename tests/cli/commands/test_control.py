"""`cacheaside control`, as an operator types it, and a process of the service that follows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cacheaside import Cache, Contract, Forward
from cacheaside.testing.servers import Server
from tests.cli.runs import Ran, cacheaside
from tests.control.conftest import until

SECRET = "0123456789abcdef0123456789abcdef"
APP = """
from cacheaside import Cache, Contract
cache = Cache.from_env()

@cache.read("product", Contract("60s", grace="5m"))
def product(number: int) -> int:
    return number

@cache.read("stock", Contract("60s"))
def stock(number: int) -> int:
    return number
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def control(server: Server, tmp_path: Path) -> Callable[..., Ran]:
    (tmp_path / "shop.py").write_text(APP)

    def run(*arguments: str, **environ: str) -> Ran:
        said = {"CACHEASIDE_URL": server.url, "CACHEASIDE_NAMESPACE": "shop", "CACHEASIDE_SECRETS": SECRET}
        return cacheaside("control", *arguments, "--app", "shop:cache", cwd=tmp_path, **{**said, **environ})

    return run


@pytest.fixture
def product(server: Server) -> Iterator[Any]:
    """An endpoint in a process that runs."""
    cache = Cache(server.url, namespace="shop", secrets=[SECRET.encode()], deadline="5s")

    @cache.read("product", Contract("60s", grace="5m"))
    def product(number: int) -> int:
        return number

    product(1)
    yield product
    cache.close()


def test_an_operator_changes_the_fleet(control: Callable[..., Ran], product: Any) -> None:
    """Kill, ramp, override, shadow and reset reach a running process; `show` says what is in force."""
    assert "told nothing" in control("show").out
    ran = control("kill", "product")
    assert (ran.code, "KILLED" in ran.out) == (0, True), ran
    until(lambda: product.lookup(1).forward is Forward.BYPASS)
    assert control("ramp", "product", "25%").code == 0
    assert control("override", "product", "ttl=5s", "grace=0", "--for", "10m").code == 0
    assert control("shadow", "product", "1").code == 0
    until(lambda: product.endpoint.shadow is not None)
    assert (product.endpoint.terms.ttl_s, product.endpoint.terms.grace_s) == (5.0, 0.0)
    found = control("show", "product", "--json").data
    one = found["endpoints"]["product"]
    assert list(found["endpoints"]) == ["product"]
    assert (one["killed"], one["ramp"], one["shadow"], one["override"]) == (
        True,
        25.0,
        1.0,
        {"ttl": "5s", "grace": 0},
    )
    assert set(one["said_by"].values()) == {"fleet"}
    assert control("reset", "product", "kill").code == 0
    assert control("ramp", "--all", "50").code == 0
    assert control("show", "--json").data["endpoints"]["stock"]["ramp"] == 50.0
    assert control("show", "--json").data["endpoints"]["product"]["ramp"] == 25.0
    assert control("reset", "--all").code == 0
    until(lambda: product.endpoint.changed is None and product.endpoint.terms.ttl_s == 60.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["kill"], "--all"),
        (["kill", "produkt"], "there are product, stock"),
        (["kill", "product", "now"], "nothing else"),
        (["ramp", "product"], "one percentage"),
        (["ramp", "product", "lots"], "one percentage"),
        (["ramp", "product", "200"], "0 to 100"),
        (["override", "product", "ttl=5s"], "--for 10m"),
        (
            ["override", "product", "ttl=5s", "--for", "10"],
            "--for 10: that is no duration: write numbers with units",
        ),
        (["kill", "product", "--for", "40d"], "'40d': it lasts longer than nothing, and 30 days at most"),
        (["override", "product", "ttl", "--for", "10m"], "ttl=5s"),
        (["override", "product", "stale_after_invalidation=1h", "--for", "10m"], "longer than ttl + grace"),
        (["reset", "product", "speed"], "no lever"),
        (["show", "produkt"], "known are product, stock"),
    ],
)
def test_what_was_asked_wrongly_says_what_to_write(
    control: Callable[..., Ran], arguments: list[str], words: str
) -> None:
    """One line, exit code 2, and nothing is changed."""
    ran = control(*arguments)
    assert ran.code == 2, ran
    assert words in " ".join(ran.err.split())
    assert "Traceback" not in ran.err


def test_a_state_of_other_secrets_is_not_shown_as_none(control: Callable[..., Ran], product: Any) -> None:
    """Who asks with secrets that are not the service's is told so, not that nothing was said."""
    assert control("kill", "product").code == 0
    until(lambda: product.lookup(1).forward is Forward.BYPASS)
    ran = control("show", CACHEASIDE_SECRETS=SECRET[::-1])
    assert ran.code == 1
    assert "told nothing" not in ran.out
    assert "unknown_key: it is signed with a secret" in " ".join(ran.out.split())


@pytest.mark.parametrize("arguments", [("ramp", "stock", "50"), ("reset", "--all")])
def test_with_other_secrets_nothing_is_claimed_and_nothing_erased(
    control: Callable[..., Ran], arguments: tuple[str, ...]
) -> None:
    """Who speaks with secrets that are not the service's is told what to do, and what was said stands; `--force` is for
    secrets that were replaced."""
    assert control("kill", "product").code == 0
    ran = control(*arguments, CACHEASIDE_SECRETS=SECRET[::-1])
    words = " ".join(ran.err.split())
    assert (ran.code, ran.out) == (2, "")
    assert "nothing was written (unknown_key: " in words
    assert "--force" in words
    assert control("show", "--json").data["endpoints"]["product"]["killed"] is True
    assert control(*arguments, "--force", CACHEASIDE_SECRETS=SECRET[::-1]).code == 0
    assert "unknown_key" in control("show").out


def test_explain_shows_what_the_fleet_is_told(
    server: Server, control: Callable[..., Ran], tmp_path: Path
) -> None:
    """A look from a shell is by what is in force in the service: the kill switch, an override; and says when it
    read that."""

    def explained(**environ: str) -> tuple[Ran, Any]:
        said = {
            "CACHEASIDE_URL": server.url,
            "CACHEASIDE_NAMESPACE": "shop",
            "CACHEASIDE_SECRETS": SECRET,
            **environ,
        }
        words = ("explain", "product", "42", "--app", "shop:cache")
        ran = cacheaside(*words, cwd=tmp_path, columns=300, **said)
        return ran, cacheaside(*words, "--json", cwd=tmp_path, **said).data

    ran, found = explained()
    assert (found["next_read"]["forward"], found["levers"], found["levers_unread"]) == ("absent", None, None)
    assert "levers" not in ran.out
    assert control("override", "product", "ttl=5s", "--for", "10m").code == 0
    assert explained()[1]["ttl_s"] == 5.0
    assert control("kill", "product", "--for", "10m").code == 0
    ran, found = explained()
    assert found["next_read"]["forward"] == "bypass"
    assert "KILLED" in ran.out
    assert found["levers"].startswith("KILLED, ttl='5s' (by the fleet, ends in ")
    assert "not among CACHEASIDE_SECRETS" in explained(CACHEASIDE_SECRETS=SECRET[::-1])[1]["levers_unread"]
    server.kill()
    began = time.monotonic()
    ran, found = explained()
    print(f"two looks without a server took {time.monotonic() - began:.1f} s")
    assert ran.code == 0
    assert "what the fleet is told could not be read" in ran.out


def test_a_fleet_that_cannot_be_told_is_a_failure(control: Callable[..., Ran], server: Server) -> None:
    """Without the server it ends with 1, and says what else there is; without secrets with 2."""
    server.kill()
    ran = control("kill", "product")
    assert ran.code == 1
    assert "control file" in " ".join(ran.err.split())
    server.start()
    ran = control("kill", "product", CACHEASIDE_SECRETS=SECRET)
    assert ran.code == 0
