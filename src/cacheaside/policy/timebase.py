"""The clock of a shared server, as far as one process knows it: an offset from the process's own, between two bounds
(docs/protocol.md, R30 and R31).

A reading of the server's clock that was asked for at `sent` and came back at `received` was made in between, so the
offset lies between reading - received and reading - sent. Both bounds hold whatever the network did; readings narrow
them, and time widens them again by what two clocks may drift apart (Marzullo's intersection, for one server).

Rule 1: a value never counts as younger than it is. Loads are stamped with the earliest moment they can have begun at
by the server's clock, and ages are taken to the latest moment that it can be.
Rule 2: a reading that contradicts the bounds means that the clock was set. Set forward, everything looks older, but
what others stored by it before this process knew looked younger, and must not be held. Set back, what is stored looks
younger than it is: small steps are covered for good by `slack_s`, for larger ones whatever is stored must be
forgotten; `set_back_s` is for what is served all the same, though it is known to be out of date.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

__all__ = ["DRIFT", "STEP_COVERED_S", "Reading", "Sampled", "Timebase", "sampled"]

DRIFT: Final = 1e-3
"""Seconds per second that two clocks may drift apart: ten times what a clock under NTP does."""
STEP_COVERED_S: Final = 0.25
"""Steps back that add up to no more than this are covered by `slack_s`; servers of one service differ by less."""


class Reading(NamedTuple):
    """The server's clock said `server_s`; asked for at `sent`, received at `received` by this process's clock."""

    sent: float
    received: float
    server_s: float


class Timebase(msgspec.Struct, frozen=True):
    """At `at`, the server's clock was ahead of this process's by `low_s` to `high_s`; it has been set back by no more
    than `slack_s` since the oldest entry that may be stored, and by `set_back_s` in larger steps, ever."""

    at: float
    low_s: float
    high_s: float
    slack_s: float = 0.0
    set_back_s: float = 0.0

    def earliest_s(self, now: float) -> float:
        """The earliest that the server's clock can have said at `now`."""
        return now + self.low_s - DRIFT * abs(now - self.at)

    def lag_s(self, now: float) -> float:
        """What to take off a moment of the server's clock for the earliest it can have been on this process's."""
        return self.high_s + DRIFT * abs(now - self.at) + self.slack_s

    def lag_of_old_s(self, now: float) -> float:
        """As `lag_s`, for what may have been stored before any of the steps back."""
        return self.lag_s(now) + self.set_back_s


class Sampled(NamedTuple):
    """A new timebase; by how much more than is covered the clock was set back, in seconds; whether it was set
    forward."""

    base: Timebase
    set_back_s: float = 0.0
    set_forward: bool = False


def sampled(base: Timebase | None, reading: Reading) -> Sampled:
    """What is known after one more reading."""
    # While the reading was under way the clocks drifted apart too.
    within = DRIFT * (reading.received - reading.sent)
    low, high = reading.server_s - reading.received - within, reading.server_s - reading.sent + within
    if base is None:
        return Sampled(Timebase(reading.received, low, high))
    wider = DRIFT * abs(reading.received - base.at)
    old_low, old_high = base.low_s - wider, base.high_s + wider
    kept = base.slack_s, base.set_back_s
    if low <= old_high and old_low <= high:
        return Sampled(Timebase(reading.received, max(low, old_low), min(high, old_high), *kept))
    if low > old_high:
        return Sampled(Timebase(reading.received, low, high, *kept), set_forward=True)
    step_s = old_high - low
    if base.slack_s + step_s <= STEP_COVERED_S:
        slack_s = base.slack_s + step_s
        return Sampled(Timebase(reading.received, low, high, slack_s, base.set_back_s))
    return Sampled(
        Timebase(reading.received, low, high, base.slack_s, base.set_back_s + step_s), base.slack_s + step_s
    )
