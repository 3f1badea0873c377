"""Contracts: a bound is required, and what contradicts itself is refused when it is written."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from datetime import timedelta
from typing import Any

import pytest

from cacheaside import Contract, DeclarationError


async def asynchronous(value: object) -> bool:
    return True


class NotFound(Exception):
    pass


REFUSED: list[tuple[str, Any, str]] = [
    ("no ttl", lambda: Contract(), r'needs a ttl: Contract\(ttl="60s"\)'),
    ("ttl None", lambda: Contract(None), r"needs a ttl"),
    ("ttl zero", lambda: Contract(0), r"never_stale\(\), or store=False"),
    ("ttl negative", lambda: Contract(-1), r"ttl=-1"),
    ("ttl bool", lambda: Contract(True), r"ttl=True is not a duration"),
    ("ttl in words", lambda: Contract("a minute"), r'"90s", "1h30m"'),
    ("grace negative", lambda: Contract(1, grace=-1), r"grace=-1"),
    ("grace bool", lambda: Contract(1, grace=True), r"grace=True"),
    ("absent_ttl", lambda: Contract(1, absent_ttl="?"), r"absent_ttl='\?'"),
    ("stale_after_invalidation", lambda: Contract(1, stale_after_invalidation=None), r"stale_after_invalidation"),
    ("consistency", lambda: Contract(1, consistency="eventual"), r"one of bounded, strong"),
    ("consistency of a list", lambda: Contract(1, consistency=[]), r"one of bounded, strong"),
    ("jitter above one", lambda: Contract(1, jitter=1.1), r"jitter=1.1 must be a number from 0 to 1"),
    ("jitter negative", lambda: Contract(1, jitter=-0.1), r"jitter=-0.1"),
    ("jitter bool", lambda: Contract(1, jitter=True), r"jitter=True"),
    ("jitter nan", lambda: Contract(1, jitter=float("nan")), r"jitter=nan"),
    ("early_refresh text", lambda: Contract(1, early_refresh="1"), r"early_refresh='1'"),
    ("max_bytes zero", lambda: Contract(1, max_bytes=0), r"max_bytes=0 is not a size"),
    ("store of a name", lambda: Contract(1, store="always"), r"a function of the value"),
    ("store of a coroutine", lambda: Contract(1, store=asynchronous), r"a coroutine counts as True"),
    ("error_ttl of a list", lambda: Contract(1, error_ttl=[NotFound]), r"error_ttl={NotFound: "),
    ("error_ttl of a name", lambda: Contract(1, error_ttl={"NotFound": 1}), r"'NotFound' is not an Exception class"),
    ("error_ttl of everything", lambda: Contract(1, error_ttl={BaseException: 1}), r"is not an Exception class"),
    ("error_ttl of no time", lambda: Contract(1, error_ttl={NotFound: "soon"}), r"error_ttl='soon'"),
    # Contradictions.
    ("strong with grace", lambda: Contract(1, grace=1, consistency="strong"), r"grace .* contradict"),
    ("strong and stale", lambda: Contract(1, stale_after_invalidation=1, consistency="strong"), r"contradict"),
    ("unstored with grace", lambda: Contract(1, grace=1, store=False), r"keeps nothing.*contradict"),
    ("staler when invalidated", lambda: Contract(1, grace=1, stale_after_invalidation=3), r"longer than ttl \+ grace"),
    # Changes.
    ("unknown option", lambda: Contract(1).using(gracious=1), r"no option gracious; it has .*grace"),
    ("a private option", lambda: Contract(1).using(terms=None), r"no option terms"),
    ("a change that contradicts", lambda: Contract(1, grace=1).using(consistency="strong"), r"contradict"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "says"), [pytest.param(m, s, id=name) for name, m, s in REFUSED])
def test_a_contract_that_cannot_hold_is_refused(make: Any, says: str) -> None:
    """Each is an error where it is written, and the message names the option and what to do."""
    with pytest.raises(DeclarationError, match=says):
        make()


def test_only_ttl_goes_without_its_name() -> None:
    """`Contract("60s", "5m")` would leave a reader to guess what five minutes are for."""
    with pytest.raises(TypeError):
        Contract("60s", "5m")  # type: ignore[call-arg]


def test_terms_are_plain_numbers() -> None:
    """A contract is resolved once, to seconds and bytes."""
    contract = Contract(
        "1m",
        grace=timedelta(minutes=5),
        absent_ttl=2.5,
        stale_after_invalidation="10s",
        jitter=0,
        early_refresh=2,
        max_bytes="64KiB",
        error_ttl={NotFound: "1s"},
    )
    terms = contract.terms
    assert terms is contract.terms
    assert (terms.ttl_s, terms.grace_s, terms.absent_ttl_s) == (60, 300, 2.5)
    assert (terms.stale_after_invalidation_s, terms.jitter, terms.early_refresh) == (10, 0, 2)
    assert (terms.max_bytes, terms.error_ttls_s, terms.bound_s) == (65536, ((NotFound, 1.0),), 360)
    assert (terms.store, terms.accepts, terms.strong) == (True, None, False)


def test_store_is_a_switch_or_a_function() -> None:
    """store= is resolved to whether to store at all, and what decides by value."""

    def decide(value: object) -> bool:
        return bool(value)

    assert Contract(1, store=False).terms.store is False
    terms = Contract(1, store=decide).terms
    assert (terms.store, terms.accepts) == (True, decide)


def test_the_bound_is_the_greatest_age_that_may_be_served() -> None:
    """Whatever the options, no age beyond ttl + grace is allowed."""
    for contract in (
        Contract(60),
        Contract(60, grace=30),
        Contract(60, grace=30, stale_after_invalidation=90),
    ):
        assert contract.terms.bound_s == contract.terms.ttl_s + contract.terms.grace_s


def test_a_contract_is_a_value() -> None:
    """Frozen, equal by its options, hashable, copied and pickled."""
    a, b = Contract("60s", grace="5m"), Contract("60s", grace="5m")
    assert a == b
    assert hash(a) == hash(b)
    assert a != a.using(grace=0)
    assert {a: 1}[b] == 1
    for other in (copy.copy(a), copy.deepcopy(a), pickle.loads(pickle.dumps(a))):
        assert (other, other.terms) == (a, a.terms)
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.ttl = 1  # type: ignore[misc]
    assert "grace='5m'" in repr(a)


def test_using_changes_what_is_named_and_nothing_else() -> None:
    """The rest of the contract stays, and so does the original."""
    contract = Contract("60s", grace="5m", jitter=0)
    changed = contract.using(grace=0)
    assert (changed.terms.ttl_s, changed.terms.grace_s, changed.terms.jitter) == (60, 0, 0)
    assert contract.terms.grace_s == 300


def test_presets() -> None:
    """Each preset is the contract that its sentence says."""
    fresh = Contract.fresh_first("60s").terms
    assert (fresh.ttl_s, fresh.grace_s, fresh.strong, fresh.store) == (60, 0, False, True)
    available = Contract.available_first("60s", grace="1h").terms
    assert (available.ttl_s, available.grace_s, available.early_refresh) == (60, 3600, 1.0)
    never = Contract.never_stale().terms
    assert (never.strong, never.store, never.grace_s) == (True, False, 0)
