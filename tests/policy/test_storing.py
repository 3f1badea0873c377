"""May a loaded value be stored? All combinations of reasons, and the one that is named."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from msgspec import structs

from cacheaside import Contract, NotStored
from cacheaside.policy.storing import Loaded, may_store

TERMS = Contract(60, absent_ttl=5, max_bytes=100).terms
GOOD = Loaded(size_bytes=100, tags=5, tags_max=5)

# From what makes a value unsafe for others to what is only the contract's wish; the first that applies is named.
REASONS: list[tuple[dict[str, Any], dict[str, Any], NotStored]] = [
    ({"unstorable": True}, {}, NotStored.UNSTORABLE),
    ({"writer": True}, {}, NotStored.WRITER),
    ({"moved": True}, {}, NotStored.MOVED),
    ({"held_still": False}, {}, NotStored.VALUE_TAGS),
    ({}, {"store": False}, NotStored.CONTRACT),
    ({"accepted": False}, {}, NotStored.CONTRACT),
    ({"absent": True}, {"absent_ttl_s": 0.0}, NotStored.CONTRACT),
    ({"tags": 6}, {}, NotStored.TOO_MANY_TAGS),
    ({"size_bytes": 101}, {}, NotStored.TOO_LARGE),
]


def test_what_nothing_speaks_against_is_stored() -> None:
    """At the limits of size and tags, and an absent row with a ttl of its own, a value is stored."""
    assert may_store(GOOD, TERMS) is None
    assert may_store(structs.replace(GOOD, absent=True), TERMS) is None
    assert may_store(structs.replace(GOOD, size_bytes=10**9), replace(TERMS, max_bytes=None)) is None


@pytest.mark.parametrize("number", range(len(REASONS)))
def test_each_reason_alone_is_enough(number: int) -> None:
    """One thing against it, and the value is returned only, under that name."""
    loaded, terms, reason = REASONS[number]
    assert may_store(structs.replace(GOOD, **loaded), replace(TERMS, **terms)) is reason


def test_of_several_reasons_the_first_is_named() -> None:
    """All 512 combinations: stored only without any reason; what is unsafe is said before what is unwanted."""
    for chosen in product((False, True), repeat=len(REASONS)):
        against = [reason for reason, is_chosen in zip(REASONS, chosen, strict=True) if is_chosen]
        loaded, terms = GOOD, TERMS
        for changed_loaded, changed_terms, _ in against:
            loaded, terms = structs.replace(loaded, **changed_loaded), replace(terms, **changed_terms)
        expected = against[0][2] if against else None
        assert may_store(loaded, terms) is expected, against


def test_every_reason_has_a_case() -> None:
    """A reason without a case here is one that nobody has shown to be given; that the tier is away nothing here
    knows."""
    assert {reason for _, _, reason in REASONS} == set(NotStored) - {NotStored.AWAY}
