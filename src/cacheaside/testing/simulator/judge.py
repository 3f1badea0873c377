"""Judges what readers got, by the history of the source alone."""

from __future__ import annotations

from typing import Any, Final

from cacheaside.contract import Terms
from cacheaside.errors import LoadTimeout, SourceError
from cacheaside.flow.call import Call
from cacheaside.lookup import Lookup, Served
from cacheaside.testing.simulator.rows import SourceFailed, Value
from cacheaside.testing.simulator.scheduler import Cancelled, Scheduler
from cacheaside.testing.simulator.verdicts import Violation
from cacheaside.testing.simulator.views import first_thing

__all__ = ["answered", "failed"]

CACHED: Final = (Served.FRESH, Served.GRACE, Served.OUTDATED)
EPSILON_S: Final = 1e-9
Floor = tuple[int, ...]


def answered(
    scheduler: Scheduler,
    call: Call,
    terms: Terms,
    floor: Floor,
    began_step: int,
    answer: Value | Lookup[Any],
    waited_s: float = 0.0,
) -> None:
    """G1 and G3 for one answer. floor: what was promised when the read began. waited_s: for how long, at most, the
    answer has lain there, because others were read with it."""
    if type(answer) is Value:
        value, served, lookup = answer, Served.FRESH, None
    else:
        assert isinstance(answer, Lookup)
        value, served, lookup = answer.value, answer.served, answer
    if value.parts[0][0] != first_thing(call):
        raise Violation("order", f"{call.key} got {value}, the answer of another key")
    age_s = scheduler.clock.time - waited_s - value.born
    if served in CACHED:
        bound_s = _bound_s(value, terms, served)
        if age_s >= bound_s + EPSILON_S:
            raise Violation(
                "G3", f"{call.key} served {served} {value}, {age_s:g} s old; the bound is {bound_s:g} s"
            )
    if lookup is not None and lookup.age_s < age_s - EPSILON_S:
        raise Violation("G3", f"{call.key}: {value} is {age_s:g} s old, the Lookup says {lookup.age_s:g} s")
    if served is not Served.OUTDATED:
        _check_floor(call.key, value.parts, floor, served)
    alone = terms.strong and not call.bypass and "outer" not in call.key
    if alone and value.born_step < began_step:
        raise Violation("G1", f"strong {call.key}: {value} was read from the source before the read began")


def _bound_s(value: Value, terms: Terms, served: Served) -> float:
    if served is Served.OUTDATED:
        return terms.stale_after_invalidation_s
    ttl_s = terms.absent_ttl_s if value.absent else terms.ttl_s
    if served is Served.FRESH:
        return ttl_s
    return 0.0 if value.absent else ttl_s + terms.grace_s


def _check_floor(key: str, parts: tuple[tuple[int, int], ...], floor: Floor, how: str) -> None:
    for thing, version in parts:
        if version < floor[thing]:
            raise Violation(
                "G1",
                f"{key} ({how}) is computed from version {version} of {thing}; version {floor[thing]} was acknowledged "
                "before the read began",
            )


def failed(
    scheduler: Scheduler,
    call: Call,
    terms: Terms,
    floor: Floor,
    error: BaseException,
    loaded: bool,
    hard: bool,
) -> None:
    """A read may fail by its own load's error, by its own cancellation, and by nothing else.

    loaded: whether it was on a flight. hard: whether, in this schedule, fills were stopped from outside or leaders may
    die or hang.
    """
    if isinstance(error, SourceFailed):
        own = error.key == call.key or (
            call.key.startswith("outer") and error.key.startswith(("row", "joined"))
        )
        if not own:
            raise Violation("error", f"{call.key} got the error of {error.key}")
        _check_floor(call.key, error.parts, floor, "error")
        remembered_s = max((ttl for _, ttl in terms.error_ttls_s), default=0.0)
        age_s = scheduler.clock.time - error.born
        if not loaded and age_s >= remembered_s + EPSILON_S:
            raise Violation(
                "G3", f"{call.key}: an error {age_s:g} s old is remembered for {remembered_s:g} s"
            )
    elif isinstance(error, Cancelled):
        if not scheduler.current.cancelled:
            raise Violation("error", f"{call.key} was cancelled, and nobody cancelled its reader")
    elif type(error) not in (LoadTimeout, SourceError) or not hard:
        raise Violation("error", f"{call.key} got {error!r}, which no load raised")
