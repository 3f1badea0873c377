"""Until when L1 may answer by itself: told to, and not while switched off."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.stores.l1.gate import Gate

steps = st.lists(st.booleans() | st.floats(0.1, 1e6) | st.just(-math.inf), max_size=20)


def test_alone_it_is_open_without_end() -> None:
    """Where nobody else writes, nothing ever closes it but the switch."""
    assert Gate().until == Gate.OPEN == math.inf


def test_with_a_shared_tier_it_begins_closed() -> None:
    """Not before it is told does L1 answer."""
    gate = Gate(0.0)
    assert gate.until == 0.0
    gate.open_until(5.0)
    assert gate.until == 5.0


def test_off_it_stays_off_whatever_is_heard() -> None:
    """Heartbeats do not open it while it is switched off; switched on, it is where the last of them put it."""
    gate = Gate(0.0)
    gate.switch(on=False)
    gate.open_until(5.0)
    assert gate.until == 0.0
    gate.switch(on=True)
    assert gate.until == 5.0


@given(st.sampled_from([0.0, Gate.OPEN]), steps)
def test_it_is_what_was_last_told_unless_off(first: float, told: list[bool | float]) -> None:
    """After any switching and telling: 0 while off, else the moment that was told last."""
    gate, is_on, moment = Gate(first), True, first
    for one in told:
        if isinstance(one, bool):
            is_on = one
            gate.switch(on=one)
        else:
            moment = one
            gate.open_until(one)
        assert gate.until == (moment if is_on else 0.0)
