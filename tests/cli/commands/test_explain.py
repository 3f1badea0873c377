"""`cacheaside explain`: another process's view of one key, and arguments read off words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest

from cacheaside import Cache, Contract, UsageError
from cacheaside.cli.arguments import called, varied
from cacheaside.endpoint.endpoint import Endpoint
from cacheaside.testing.servers import Server
from tests.cli.runs import cacheaside

APP = ("--app", "tests.cli.shopping:cache")
SERVICE = """
import os
from cacheaside import Cache, Contract

cache = Cache(os.environ["SHOP_URL"], namespace="shop", deadline="2s")
products, boards = cache.tag("products", int), cache.tag("boards", str)


@cache.read(
    "product", Contract(ttl="60s", grace="5m"), tags=lambda product_id: [products(product_id), boards("JFK")]
)
def product(product_id: int) -> dict[str, int]:
    return {"id": product_id, "cents": 1900}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A folder with a service's module."""
    (tmp_path / "service.py").write_text(SERVICE)
    return tmp_path


def test_from_another_process_the_shared_tier_is_seen(server: Server, service: Path, tmp_path: Path) -> None:
    """What a service stored is found by the command, which tag moved is named, L1 is said not to be seen, and the value
    is printed only when it is asked for."""
    environ = {"SHOP_URL": server.url}
    scope: dict[str, Any] = {"__name__": "running"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOP_URL", server.url)
        exec(compile(SERVICE, "service.py", "exec"), scope)
    with scope["cache"] as cache:
        scope["product"](42)
        ran = cacheaside("explain", "product", "42", "--app", "service", cwd=service, **environ)
        assert (ran.code, ran.err) == (0, "")
        assert "is served from the shared tier (L2): within its ttl" in ran.out
        assert "not looked at" in ran.out
        assert "1900" not in ran.out
        shown = cacheaside("explain", "product", "42", "--app", "service", "--value", cwd=service, **environ)
        assert "'cents': 1900" in shown.out
        cache.blocking.invalidate(scope["boards"]("JFK"))
        ran = cacheaside("explain", "product", "product_id=42", "-a", "service:cache", cwd=service, **environ)
        assert "by boards('JFK'): invalidated" in " ".join(ran.out.split())
        data = cacheaside(
            "explain", "product", "42", "--app", "service", "--json", cwd=service, **environ
        ).data
        assert data["next_read"]["does"] == "load"
        assert data["next_read"]["forward"] == "invalidated"
        assert [tag["name"] for tag in data["tags"] if tag["state"] == "moved"] == ["boards('JFK')"]
        assert data["l1"]["looked"] is False
        assert "value" not in data


def test_a_server_that_is_away_is_said(service: Path) -> None:
    """Without a server the command ends well, and says what does not answer."""
    with Server() as gone:
        url = gone.url
        gone.kill()
        ran = cacheaside("explain", "product", "42", "--app", "service", cwd=service, SHOP_URL=url)
    words = " ".join(ran.out.split())
    assert ran.code == 0
    assert "the shared tier does not answer" in words
    assert re.search(r"server 127\.0\.0\.1:\d+, away: ", words)


def test_without_a_server_it_still_says_the_key_and_the_contract() -> None:
    """A cache in one process shows its contract, its key and what varies it."""
    ran = cacheaside("explain", "board", "JFK", "2020-01-01", "--vary", "tenant=acme", *APP)
    assert ran.code == 0
    assert "shop:board:" in ran.out
    assert "origin='JFK', day=datetime.date(2020, 1, 1)" in ran.out
    assert "sacme" in ran.out


@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits_the_terminal(columns: int) -> None:
    """No line is wider than the terminal."""
    ran = cacheaside("explain", "product", "42", "locale=de", *APP, columns=columns)
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= columns


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["produkt", "42"], "no endpoint 'produkt'; known are board, product, stock"),
        (["product"], "product(product_id: int, locale: Locale) needs product_id"),
        (["product", "x"], "parameter 'product_id' is int, which the word given for it is not"),
        (
            ["product", "42", "fr"],
            "parameter 'locale' is Locale, which the word given for it is not. It is one of en, de",
        ),
        (["product", "1", "en", "2"], "there is no place for another"),
        (["product", "1", "--json-args", "[1]"], "as words or by --json-args, not both"),
        (["product", "--json-args", '{"produkt_id": 1}'], "has no parameter 'produkt_id'"),
        (
            ["product", "--json-args", '["1"]'],
            "parameter 'product_id' is int, which the str in --json-args is not",
        ),
        (["product", "id=1"], "has no parameter 'id'"),
        (["product", "1", "en", "local=en"], "has no parameter 'local'"),
        (["board", "JFK", "--vary", "tenent=x"], "--vary tenent: board varies by tenant"),
        (["board", "JFK", "--vary", "tenant"], "write NAME=TEXT"),
        (["product", "1", "--vary", "tenant=x"], "leave --vary out"),
    ],
)
def test_wrong_arguments_name_the_parameter(arguments: list[str], words: str) -> None:
    """What does not fit ends with 2, and the line names the parameter and its type, never the word that was given."""
    ran = cacheaside("explain", *arguments, *APP)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert ran.err.count("\n") == 1


class Size(Enum):
    """An enum whose values are no text."""

    SMALL = 1
    LARGE = 2


class Level(IntEnum):
    """An enum of numbers."""

    LOW = 10


def endpoint_of(annotation: Any) -> Endpoint:
    """An endpoint whose one parameter is annotated so."""

    def load(it: Any) -> int:
        return 1

    load.__annotations__ = {"it": annotation, "return": int}
    made: Any = Cache(namespace="words").read("e", Contract("60s"))(load)
    found: Endpoint = made.endpoint
    return found


UUID_TEXT = "b3569938-b1c4-48b7-981c-d2359e54609a"


@pytest.mark.parametrize(
    ("annotation", "word", "value"),
    [
        (int, "42", 42),
        (int, "-5", -5),
        (str, "42", "42"),
        (bool, "true", True),
        (bytes, "ab", b"ab"),
        (float, "1.5", 1.5),
        (UUID, UUID_TEXT, UUID(UUID_TEXT)),
        (date, "2020-01-02", date(2020, 1, 2)),
        (datetime, "2020-01-02T03:04:05", datetime(2020, 1, 2, 3, 4, 5)),  # noqa: DTZ001 - as it is written
        (Size, "1", Size.SMALL),
        (Size, "LARGE", Size.LARGE),
        (Level, "10", Level.LOW),
        (Literal["a", 3], "3", 3),
        (int | None, "None", None),
        (int | None, "7", 7),
        (tuple[int, ...], "[1, 2]", (1, 2)),
        (Any, "42", 42),
        (Any, "x", "x"),
    ],
)
def test_a_word_is_read_by_the_type_of_its_parameter(annotation: Any, word: str, value: Any) -> None:
    """The value has the class that the key needs: `42` is a number where int is declared, text where str is."""
    (got,), _ = called(endpoint_of(annotation), [word], None)
    assert (got, type(got)) == (value, type(value))
    assert called(endpoint_of(annotation), [f"it={word}"], None)[1] == {"it": value}


@pytest.mark.parametrize(
    ("annotation", "word"), [(int | str, "42"), (str | None, "None"), (UUID | str, UUID_TEXT)]
)
def test_a_word_of_several_types_is_not_guessed_at(annotation: Any, word: str) -> None:
    """Where a word fits two types, which are keys apart, JSON has to say which is meant; and it can."""
    with pytest.raises(UsageError, match="--json-args"):
        called(endpoint_of(annotation), [word], None)
    assert called(endpoint_of(int | str), [], "[42]")[0] == (42,)
    assert called(endpoint_of(int | str), [], '["42"]')[0] == ("42",)


def test_several_and_named_arguments() -> None:
    """`*args` take what is left, and `**kwargs` are given by JSON."""

    def load(first: int, *rest: int, last: str = "x") -> int:
        return first

    made: Any = Cache(namespace="words").read("e", Contract("60s"))(load)
    assert called(made.endpoint, ["1", "2", "3", "last=y"], None) == ((1, 2, 3), {"last": "y"})


def test_what_is_varied_is_as_before_after_it() -> None:
    """A context variable is set for the look alone."""
    from tests.cli import shopping

    with varied(shopping.board.endpoint, ["tenant=acme"]):  # type: ignore[attr-defined]
        assert shopping.tenant.get() == "acme"
    assert shopping.tenant.get(None) is None


METHODS = """
from cacheaside import Cache, Contract

cache = Cache(namespace="methods")


class Service:
    @cache.read("of-tenant", Contract("60s"), vary=lambda self: self.tenant)
    def of_tenant(self, number: int) -> int:
        return number

    @cache.read("of-all", Contract("60s"), ignore=["self"])
    def of_all(self, number: int) -> int:
        return number
"""


def test_a_method_whose_key_needs_no_instance_is_explained(tmp_path: Path) -> None:
    """A method that ignores its instance has a key from anywhere; one that varies by it is refused in a line."""
    (tmp_path / "methods.py").write_text(METHODS)
    ran = cacheaside("explain", "of-all", "1", "--app", "methods", cwd=tmp_path)
    assert (ran.code, "methods:of-all:" in ran.out) == (0, True)
    ran = cacheaside("explain", "of-tenant", "1", "--app", "methods", cwd=tmp_path)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "it is a method, and there is no instance here" in ran.err
