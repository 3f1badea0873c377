"""Which keys a ramp lets in."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.policy.ramping import is_in, place_of

KEYS = [f"shop:product:1~k3f9:i{number}" for number in range(20_000)]


@given(st.text(max_size=40), st.floats(0, 100), st.floats(0, 100))
def test_a_key_that_is_in_stays_in_at_a_higher_percentage(key: str, one: float, other: float) -> None:
    """Raising the ramp takes no key out."""
    lower, higher = sorted((one, other))
    assert not is_in(key, lower) or is_in(key, higher)


@given(st.text(max_size=40))
def test_none_is_in_at_nought_and_all_at_a_hundred(key: str) -> None:
    """0 % is no key at all, and 100 % leaves none out."""
    assert not is_in(key, 0.0)
    assert is_in(key, 100.0)


def test_the_share_of_keys_is_the_percentage() -> None:
    """Over many keys the share that is in is what was asked for, within what chance allows (5 σ)."""
    for percent in (1.0, 10.0, 25.0, 50.0, 90.0):
        share = percent / 100
        found = sum(is_in(key, percent) for key in KEYS)
        sigma = (len(KEYS) * share * (1 - share)) ** 0.5
        assert abs(found - len(KEYS) * share) < 5 * sigma, percent


def test_every_process_lets_in_the_same_keys() -> None:
    """Two interpreters with other hash seeds agree, and these places are for ever: a deploy must not move the ramp."""
    code = (
        "from cacheaside.policy.ramping import place_of; print([place_of(f'shop:p:{n}') for n in range(50)])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {f"{[place_of(f'shop:p:{n}') for n in range(50)]}\n"}
    assert round(place_of("shop:product:1~k3f9:i42"), 6) == PLACE_OF_42


PLACE_OF_42 = 84.139584
