"""Judges what readers got, by the history of the source alone."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from cacheaside.contract import Terms
from cacheaside.errors import LoadTimeout, SourceError
from cacheaside.flow.call import Call
from cacheaside.lookup import Lookup, Served, Tier
from cacheaside.testing.simulator.process import Process
from cacheaside.testing.simulator.promises import Ticket
from cacheaside.testing.simulator.rows import Parts, SourceFailed, Value
from cacheaside.testing.simulator.scheduler import Cancelled
from cacheaside.testing.simulator.verdicts import Violation
from cacheaside.testing.simulator.views import first_thing

__all__ = ["Began", "answered", "begins", "failed"]

CACHED: Final = (Served.FRESH, Served.GRACE, Served.OUTDATED)


class Began(NamedTuple):
    """A read's beginning: what it may count on, the step, and how often its process knew the server's clock was set."""

    ticket: Ticket
    step: int
    times_set: int


def begins(process: Process) -> Began:
    """A read of `process` begins now."""
    return Began(process.promises.ticket(process.index), process.scheduler.steps, process.times_set)


def answered(
    process: Process, call: Call, began: Began, answer: Value | Lookup[Any], waited_s: float = 0.0
) -> None:
    """G1, G2 and G3 for one answer. waited_s: for how long, at most, the answer has lain there, because others were
    read with it."""
    scheduler, terms = process.scheduler, call.terms
    near = True
    if type(answer) is Value:
        value, served, lookup = answer, Served.FRESH, None
    else:
        assert isinstance(answer, Lookup)
        value, served, lookup = answer.value, answer.served, answer
        near = lookup.tier is Tier.L1
    if value.parts[0][0] != first_thing(call):
        raise Violation("order", f"{call.key} got {value}, the answer of another key")
    age_s = scheduler.clock.time - waited_s - value.born
    unnoticed_s = process.unnoticed_s(value.born, began.times_set) + process.blur_s
    if served in CACHED:
        _check_age(process, call, value, served, age_s - unnoticed_s)
    if lookup is not None and lookup.age_s < age_s * (1.0 - process.inexact) - unnoticed_s:
        raise Violation("G3", f"{call.key}: {value} is {age_s:g} s old, the Lookup says {lookup.age_s:g} s")
    if served is not Served.OUTDATED:
        vouched = served is not Served.GRACE or not terms.grace_s or process.forgets
        _check_floor(process, call.key, value.parts, began, served, near=near, vouched=vouched)
    flight = scheduler.current.aboard.get(call.key)
    landing = None if flight is None else flight.landing
    if landing is not None and landing.as_of is not None and 0 <= landing.value.asked_step < began.step:
        raise Violation("flight", f"{call.key}: {value} was asked for before the read began")
    alone = terms.strong and not call.bypass and call.endpoint.name != "outer"
    if alone and value.born_step < began.step:
        raise Violation("G1", f"strong {call.key}: {value} was read from the source before the read began")


def _check_age(process: Process, call: Call, value: Value, served: Served, age_s: float) -> None:
    bound_s = _bound_s(value, call.terms, served)
    if age_s >= bound_s * (1.0 + process.inexact):
        raise Violation(
            "G3", f"{call.key} served {served} {value}, {age_s:g} s old; the bound is {bound_s:g} s"
        )


def _bound_s(value: Value, terms: Terms, served: Served) -> float:
    if served is Served.OUTDATED:
        return terms.stale_after_invalidation_s
    ttl_s = terms.absent_ttl_s if value.absent else terms.ttl_s
    if served is Served.FRESH:
        return ttl_s
    return 0.0 if value.absent else ttl_s + terms.grace_s


def _check_floor(
    process: Process, key: str, parts: Parts, began: Began, how: str, *, near: bool, vouched: bool
) -> None:
    floor = process.promises.floor(began.ticket, near=near, vouched=vouched)
    for thing, version in parts:
        if version < floor[thing]:
            what = f"version {version} of {thing}; version {floor[thing]} was acknowledged"
            if near and process.shared:
                raise Violation("G2", f"{key} ({how}) is computed from {what} too long before the read began")
            raise Violation("G1", f"{key} ({how}) is computed from {what} before the read began")


def failed(
    process: Process, call: Call, began: Began, error: BaseException, loaded: bool | None, hard: bool
) -> None:
    """A read may fail by its own load's error, by its own cancellation, and by nothing else.

    loaded: whether it was on a flight; None where that is not known. hard: whether, in this
    schedule, fills were stopped from outside or leaders may die or hang.
    """
    scheduler, terms = process.scheduler, call.terms
    if isinstance(error, SourceFailed):
        own = error.key == call.key or (call.endpoint.name == "outer" and error.name in ("row", "joined"))
        if not own:
            raise Violation("error", f"{call.key} got the error of {error.key}")
        _check_floor(process, call.key, error.parts, began, "error", near=not loaded, vouched=True)
        remembered_s = max((ttl for _, ttl in terms.error_ttls_s), default=0.0)
        age_s = scheduler.clock.time - error.born
        if loaded is False and age_s >= remembered_s * (1.0 + process.inexact) + process.blur_s:
            raise Violation(
                "G3", f"{call.key}: an error {age_s:g} s old is remembered for {remembered_s:g} s"
            )
    elif isinstance(error, Cancelled):
        if not scheduler.current.cancelled:
            raise Violation("error", f"{call.key} was cancelled, and nobody cancelled its reader")
    elif type(error) not in (LoadTimeout, SourceError) or not hard:
        raise Violation("error", f"{call.key} got {error!r}, which no load raised")
