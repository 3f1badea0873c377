"""What the status of a flight was at which moment, from its planned and its real times. Pure.

The rows say what happened, not what was announced. So: a flight that left 15 minutes late or more (the FAA's
own measure of a delay) is announced as delayed at its scheduled time; one that never left is cancelled then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Change", "Hold", "Movement", "Sky", "Status", "changes", "holds", "state_at"]

Status = Literal["scheduled", "delayed", "held", "departed", "arrived", "cancelled"]

DELAY_S: Final = 15 * 60
HOLD_EVERY_S: Final = 3 * 3600
FIRST_HOLD_AFTER_S: Final = 3600
HOLD_S: Final = 3600
HOLD_AHEAD_S: Final = 2 * 3600


@dataclass(frozen=True, slots=True)
class Movement:
    """The times of one flight. Instants are Unix time in seconds; None: it did not happen."""

    flight_id: int
    sched_dep: int
    sched_arr: int
    departed_at: int | None
    arrived_at: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """From `at` on, the flight has this status and these expected times."""

    at: int
    flight_id: int
    status: Status
    expected_dep: int
    expected_arr: int | None


@dataclass(frozen=True, slots=True)
class Hold:
    """At `at`, departures from `origin` expected in the next `HOLD_AHEAD_S` are put off by `HOLD_S`."""

    at: int
    origin: str


@dataclass(frozen=True, slots=True)
class Sky:
    """The weather at an airport in the hour that begins at `hour`."""

    origin: str
    hour: int
    visibility_miles: float
    wind_mph: float


def changes(movement: Movement) -> tuple[Change, ...]:
    """Every change of a flight after it was scheduled, in order."""
    m = movement
    if m.departed_at is None:
        return (Change(m.sched_dep, m.flight_id, "cancelled", m.sched_dep, None),)
    arrival = m.arrived_at or m.sched_arr + m.departed_at - m.sched_dep
    told: list[Change] = []
    if m.departed_at - m.sched_dep >= DELAY_S:
        told.append(Change(m.sched_dep, m.flight_id, "delayed", m.departed_at, arrival))
    told.append(Change(m.departed_at, m.flight_id, "departed", m.departed_at, arrival))
    if m.arrived_at is not None:
        told.append(Change(m.arrived_at, m.flight_id, "arrived", m.departed_at, m.arrived_at))
    return tuple(told)


def state_at(movement: Movement, instant: int) -> Change:
    """What was known of the flight at `instant`: its last change by then, or its schedule."""
    state = Change(instant, movement.flight_id, "scheduled", movement.sched_dep, movement.sched_arr)
    for change in changes(movement):
        if change.at <= instant:
            state = change
    return state


def holds(skies: Iterable[Sky], start: int, until: int) -> tuple[Hold, ...]:
    """Every third hour from one hour after `start`, the airport with the worst weather is held.

    Worst: the least visibility, then the strongest wind. An hour that was not observed holds nobody.
    """
    by_hour: dict[int, list[Sky]] = {}
    for sky in skies:
        by_hour.setdefault(sky.hour, []).append(sky)
    moments = range(start + FIRST_HOLD_AFTER_S, until, HOLD_EVERY_S)
    worst = ((at, _worst(by_hour.get(at - at % 3600, []))) for at in moments)
    return tuple(Hold(at, sky.origin) for at, sky in worst if sky is not None)


def _worst(skies: Sequence[Sky]) -> Sky | None:
    return min(skies, key=lambda sky: (sky.visibility_miles, -sky.wind_mph, sky.origin), default=None)
