"""`cacheaside contracts` shows every declaration, the same way each time."""

from __future__ import annotations

import pytest

from tests.cli.runs import cacheaside

APP = ("--app", "tests.cli.shopping:cache")


def test_every_endpoint_and_its_window_is_listed() -> None:
    """One line for each endpoint: ttl, grace, the bound that follows, and whether outdated values may be served."""
    ran = cacheaside("contracts", *APP)
    assert ran.code == 0
    rows = {line.split()[0]: line.split() for line in ran.out.splitlines() if line.strip()}
    assert rows["product"][1:5] == ["1m", "5m", "6m", "never"]
    assert rows["board"][1:5] == ["10s", "–", "10s", "8s"]
    assert rows["stock"][1:5] == ["strong", "–", "0s", "never"]
    assert "products, categories (value)" in ran.out
    assert "shop-db (16)" in ran.out


def test_json_is_stable_and_whole() -> None:
    """JSON has every option of every endpoint, and two processes (with other hash seeds) write the same bytes."""
    first = cacheaside("contracts", "--json", *APP, PYTHONHASHSEED="1")
    assert first.out == cacheaside("contracts", "--json", *APP, PYTHONHASHSEED="2").out
    assert [one["name"] for one in first.data["endpoints"]] == ["board", "product", "stock"]
    _, product, stock = first.data["endpoints"]
    assert product == {
        "name": "product", "ttl_s": 60.0, "grace_s": 300.0, "bound_s": 360.0, "consistency": "bounded",
        "stale_after_invalidation_s": 0.0, "absent_ttl_s": 5.0, "error_ttls_s": {"KeyError": 2.0}, "jitter": 0.1,
        "early_refresh": 0.0, "max_bytes": 65536, "store": "always", "tags": ["products"],
        "value_tags": ["categories"], "max_tags": 64, "key": {"product_id": "int", "locale": "Locale"},
        "ignored": [], "vary": [], "version": 1, "returns": "dict[str, int] | None", "source": "shop-db",
        "source_limit": 16, "load_timeout_s": 30.0, "batch_keys_max": None, "priority": product["priority"],
        "further": product["further"],
    }  # fmt: skip
    assert stock["ignored"] == ["trace"]
    assert (stock["consistency"], stock["bound_s"], stock["store"]) == ("strong", 0.0, "never")


def test_one_endpoint_is_told_in_full() -> None:
    """By name an endpoint says what it is called with, what its key is made of, and every window in words."""
    ran = cacheaside("contracts", "product", "board", *APP)
    assert ran.code == 0
    for words in (
        "product(product_id: int, locale: Locale) -> dict[str, int] | None",
        "no read returns anything older than 6m",
        "KeyError for 2s",
        "always, up to 64KiB",
        "may be served up to the age of 8s",
        "origin, day, user, vary tenant",
    ):
        assert words in ran.out


@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits_the_terminal(columns: int) -> None:
    """No line is longer than the terminal is wide, and no number is cut."""
    ran = cacheaside("contracts", *APP, columns=columns)
    assert max(map(len, ran.out.splitlines())) <= columns
    assert "…" not in ran.out


def test_an_unknown_endpoint_is_answered_with_those_there_are() -> None:
    """A misspelt name ends with 2, and the line lists the names."""
    ran = cacheaside("contracts", "produkt", *APP)
    assert (ran.code, ran.out) == (2, "")
    assert "No endpoint is called produkt; known are board, product, stock." in ran.err
