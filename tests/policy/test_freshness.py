"""How old is too old: every combination against the sentence of the contract, written again by hand."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside import Contract
from cacheaside.contract import Terms
from cacheaside.policy.freshness import Freshness, Held, early_refresh_at, fresh_for_s, jittered_s, judge

LOADED_AT = 1000.0


def terms_of(
    ttl: float = 10, grace: float = 0, stale: float = 0, jitter: float = 0, early_refresh: float = 0
) -> Terms:
    return Contract(
        ttl, grace=grace, stale_after_invalidation=stale, jitter=jitter, early_refresh=early_refresh
    ).terms


def held_of(ttl: float = 10, grace: bool = True, invalidated: bool = False, salt: int = 7) -> Held:
    return Held(LOADED_AT, ttl, grace, invalidated, salt)


def test_nothing_held_is_absent() -> None:
    """Without an entry there is nothing to judge, whatever the terms."""
    for grace, stale in product((0, 5), (0, 5)):
        assert judge(None, terms_of(grace=grace, stale=stale), LOADED_AT) is Freshness.ABSENT


AGES = (0.0, 4.999, 5.0, 9.999, 10.0, 14.999, 15.0, 19.999, 20.0, 1e9)


@pytest.mark.parametrize("own_ttl", [10.0, 5.0])
@pytest.mark.parametrize("has_grace", [True, False], ids=["value", "absent row or error"])
@pytest.mark.parametrize("invalidated", [True, False], ids=["invalidated", "valid"])
def test_every_age_under_every_window(own_ttl: float, has_grace: bool, invalidated: bool) -> None:
    """Fresh below ttl; then grace; after an invalidation what the contract allows; the last two for values only."""
    for grace, stale, age in product((0.0, 5.0, 10.0), (0.0, 5.0, 10.0), AGES):
        terms = terms_of(10, grace, stale)
        got = judge(held_of(own_ttl, has_grace, invalidated), terms, LOADED_AT + age)
        if invalidated:
            expected = Freshness.OUTDATED if has_grace and age < stale else Freshness.INVALIDATED
        elif age < own_ttl:
            expected = Freshness.FRESH
        elif has_grace and age < own_ttl + grace:
            expected = Freshness.STALE
        else:
            expected = Freshness.EXPIRED
        assert got is expected, (grace, stale, age)


@given(
    ttl=st.floats(0.001, 1e6),
    grace=st.floats(0, 1e6),
    share=st.floats(0, 1),
    jitter=st.floats(0, 1),
    age=st.floats(0, 3e6),
    invalidated=st.booleans(),
    salt=st.integers(-(2**63), 2**63 - 1),
)
def test_nothing_beyond_the_bound_is_ever_served(
    ttl: float, grace: float, share: float, jitter: float, age: float, invalidated: bool, salt: int
) -> None:
    """Whatever the terms and the entry, no state that is served has an age at or beyond ttl + grace (G3)."""
    terms = terms_of(ttl, grace, share * (ttl + grace), jitter)
    got = judge(Held(0.0, ttl, True, invalidated, salt), terms, age)
    if got in (Freshness.FRESH, Freshness.STALE, Freshness.OUTDATED):
        assert age < terms.bound_s
    if got is Freshness.FRESH:
        assert age < ttl
        assert not invalidated


@pytest.mark.parametrize("jitter", [0.0, 1.0])
@pytest.mark.parametrize("age", [0.0, 30.0, 59.0, 61.0])
def test_what_is_uncertain_is_past_its_ttl(age: float, jitter: float) -> None:
    """What a server vouches for that may have gone back to old data is never fresh, at whatever age: it is served
    within grace, and where the contract has no grace it is not served."""
    held = Held(0.0, 60.0, True, False, 7, uncertain=True)
    assert judge(held, terms_of(60, 0, jitter=jitter), age) is Freshness.EXPIRED
    assert judge(held, terms_of(60, 10, jitter=jitter), age) is Freshness.STALE


@given(st.floats(0.001, 1e6), st.floats(0, 1), st.integers(-(2**63), 2**63 - 1))
def test_jitter_only_shortens(ttl: float, jitter: float, salt: int) -> None:
    """A jittered ttl lies between ttl less that share and ttl, and is the same each time it is asked for."""
    got = jittered_s(ttl, jitter, salt)
    assert ttl * (1 - jitter) <= got <= ttl
    assert got == jittered_s(ttl, jitter, salt)


def test_jitter_spreads_evenly_over_keys_and_over_times(seed: int) -> None:
    """Neighbouring keys filled together, and one key filled again and again, get ttls spread over the whole share."""
    at = int(LOADED_AT * 1e9)
    by_key = [jittered_s(100, 1.0, hash(key) * 31 + at) for key in range(4000)]
    by_time = [jittered_s(100, 1.0, hash(seed) * 31 + at + step * 1_000_000) for step in range(4000)]
    for spread in (by_key, by_time):
        tenths = [sum(10 * n <= one < 10 * (n + 1) for one in spread) for n in range(10)]
        assert min(tenths) > 300, tenths


def test_without_early_refresh_nothing_is_early() -> None:
    """β of 0 never refreshes before ttl."""
    assert early_refresh_at(held_of(), terms_of(), load_s=5.0) == math.inf


@given(
    load_s=st.floats(0, 100),
    beta=st.floats(0.01, 100),
    salt=st.integers(0, 2**63 - 1),
    jitter=st.floats(0, 1),
)
def test_an_early_refresh_is_within_the_life_of_the_entry(
    load_s: float, beta: float, salt: int, jitter: float
) -> None:
    """It is due no earlier than the load and no later than the moment the entry becomes stale."""
    terms = terms_of(60, jitter=jitter, early_refresh=beta)
    held = held_of(60, salt=salt)
    at = early_refresh_at(held, terms, load_s)
    assert LOADED_AT <= at <= LOADED_AT + fresh_for_s(held, terms)


def test_a_slow_load_is_refreshed_earlier() -> None:
    """The lead grows with the load's time and with β, by a mean of three load times at β = 1."""
    terms = terms_of(1000, early_refresh=1.0)
    leads = [
        LOADED_AT + 1000 - early_refresh_at(held_of(1000, salt=hash(key)), terms, 10.0) for key in range(4000)
    ]
    assert 29 < sum(leads) / len(leads) < 31
    one = held_of(1000, salt=3)
    by_load = [early_refresh_at(one, terms, load_s) for load_s in (0, 1, 10, 100)]
    by_beta = [early_refresh_at(one, terms_of(1000, early_refresh=beta), 1.0) for beta in (0.5, 1, 2, 4)]
    assert by_load == sorted(by_load, reverse=True)
    assert by_beta == sorted(by_beta, reverse=True)
    assert by_load[0] == LOADED_AT + 1000
