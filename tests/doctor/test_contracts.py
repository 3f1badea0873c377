"""Each check of declarations, where it fires and where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cacheaside import Admission, Cache, Contract
from cacheaside.doctor import Finding, Severity, examine


@contextmanager
def session() -> Iterator[None]:
    """A database that is not there."""
    yield


def of(check: str, cache: Cache, **options: Any) -> list[tuple[Severity, str]]:
    """How grave what `check` found is, and about what."""
    found: list[Finding] = examine(cache, **options)
    return [(one.severity, one.about) for one in found if one.check == check]


def declared(contract: Contract, **options: Any) -> Cache:
    """A cache with one endpoint under `contract`."""
    cache = Cache(namespace="declared")

    @cache.read("one", contract, **options)
    def one(number: int) -> int:
        return number

    return cache


def test_a_cache_without_endpoints() -> None:
    """Nothing declared is a warning: the modules were not imported."""
    assert of("no_endpoints", Cache(namespace="declared")) == [(Severity.WARNING, "declared")]
    assert of("no_endpoints", declared(Contract("60s"))) == []


def test_a_tag_that_no_endpoint_names() -> None:
    """A family that is declared and in no endpoint's functions is found; one in tags= or value_tags= is not."""
    cache = Cache(namespace="declared")
    used, valued, unused = (cache.tag(name, int) for name in ("used", "valued", "unused"))
    assert unused(1)

    @cache.read(
        "one", Contract("60s"), tags=lambda number: [used(number)], value_tags=lambda value: [valued(value)]
    )
    def one(number: int) -> int:
        return number

    assert of("unused_families", cache) == [(Severity.WARNING, "tag unused")]


@pytest.mark.parametrize(("outer_ttl", "fires"), [("10s", True), ("60s", False), ("5m", False)])
def test_what_is_read_inside_lives_longer(outer_ttl: str, fires: bool) -> None:
    """An endpoint that reads another inside its load, which is fresh for longer than itself, is found."""
    cache = Cache(namespace="declared")

    @cache.read("inner", Contract("60s"))
    def inner(number: int) -> int:
        return number

    @cache.read("outer", Contract(outer_ttl))
    def outer(number: int) -> int:
        return inner(number)

    assert of("nested_longer", cache) == ([(Severity.WARNING, "outer")] if fires else [])


@pytest.mark.parametrize(
    ("contract", "severities"),
    [
        (Contract("60s", absent_ttl="30s"), []),
        (Contract("60s", absent_ttl="5m"), [Severity.WARNING]),
        (Contract("60s", grace="5m", absent_ttl="30s"), [Severity.NOTE]),
        (Contract("60s", error_ttl={KeyError: "30s"}), []),
        (Contract("60s", error_ttl={KeyError: "2m"}), [Severity.WARNING]),
    ],
)
def test_absences_and_errors_that_outlive_values(contract: Contract, severities: list[Severity]) -> None:
    """ "No such row", or an error, remembered longer than a value is found; an absence without a tag is a note."""
    assert [severity for severity, _ in of("absent_longer", declared(contract))] == severities


@pytest.mark.parametrize(
    ("contract", "severities"),
    [
        (Contract("1s", early_refresh=1.0), [Severity.WARNING]),
        (Contract("60s", early_refresh=1.0), []),
        (Contract("60s", early_refresh=1.0, jitter=0), [Severity.NOTE]),
        (Contract("1s"), []),
    ],
)
def test_early_refresh_of_what_is_hardly_fresh(contract: Contract, severities: list[Severity]) -> None:
    """Early refresh with a tiny ttl is a warning, without jitter and grace a note."""
    assert [severity for severity, _ in of("early_and_tiny", declared(contract))] == severities


def test_options_of_a_strong_endpoint() -> None:
    """What does nothing where every read loads is found."""
    assert of("strong_and_more", declared(Contract("60s", consistency="strong", early_refresh=1.0)))
    assert of("strong_and_more", declared(Contract.never_stale())) == []


@pytest.mark.parametrize(("timeout", "fires"), [("30s", True), ("5s", False)])
def test_a_load_that_may_outlast_its_value(timeout: str, fires: bool) -> None:
    """A source whose timeout is longer than the bound of an endpoint is a note."""
    cache = Cache(namespace="declared")
    db = cache.source("db", open=session, timeout=timeout)

    @cache.read("one", Contract("10s"), source=db)
    def one(db: None, number: int) -> int:
        return number

    assert of("slow_loads", cache) == ([(Severity.NOTE, "one")] if fires else [])


def test_a_value_that_l1_cannot_take() -> None:
    """max_bytes above all of L1 is a note."""
    assert of("too_large", declared(Contract("60s", max_bytes="1GiB"))) == [(Severity.NOTE, "one")]
    assert of("too_large", declared(Contract("60s", max_bytes="1MiB"))) == []


@pytest.mark.parametrize(
    ("processes", "capacity", "fires"),
    [(4, 40, True), (2, 40, False), (None, 40, False), (None, 10, True), (4, None, False)],
)
def test_limits_that_add_up_to_more_than_a_source_bears(
    processes: int | None, capacity: int | None, fires: bool
) -> None:
    """The limit of all processes together, or of one, above what the source bears is an error."""
    cache = Cache(namespace="declared")
    cache.source("db", open=session, limit=16)
    capacities = {} if capacity is None else {"db": capacity}
    found = of("limits", cache, processes=processes, capacities=capacities)
    assert found == ([(Severity.ERROR, "source db")] if fires else [])


@pytest.mark.parametrize(
    ("admission", "processes", "severities"),
    [
        (Admission(16, shared_limit=40, safe_share=10), 4, [Severity.WARNING]),
        (Admission(16, shared_limit=40), 4, [Severity.WARNING, Severity.WARNING]),
        (Admission(16, shared_limit=40, safe_share=12), 4, [Severity.WARNING, Severity.ERROR]),
    ],
)
def test_a_limit_that_processes_share(
    admission: Admission, processes: int, severities: list[Severity]
) -> None:
    """A shared_limit wants a tier to share it by; what each process takes before it knows its share must fit it."""
    cache = Cache(namespace="declared")
    cache.source("db", open=session, limit=admission)
    assert sorted(severity for severity, _ in of("limits", cache, processes=processes)) == sorted(severities)


def test_loads_without_a_source_are_noted() -> None:
    """An endpoint without a source shares a large limit with all such."""
    assert of("limits", declared(Contract("60s"))) == [(Severity.NOTE, "endpoint one")]
