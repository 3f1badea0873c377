"""Boarding and leading: one load for all, and no flight left open that nobody flies."""

from __future__ import annotations

from collections.abc import Sequence

from cacheaside.errors import SourceError
from cacheaside.flow.call import Call
from cacheaside.flow.fill import Boarded, fill
from cacheaside.flow.flights import Flight, Landing
from cacheaside.flow.ports import Found, Ports
from cacheaside.policy.freshness import Freshness, judge

__all__ = ["alone", "board", "lead", "never_landed"]


def board(call: Call, ports: Ports) -> tuple[Flight, bool, Found | None]:
    """Join the flight of `call`, or lead a new one (True); or what has landed in L1 meanwhile, and no flight.

    A leader looks once more: (1) this read misses in L1 (2) on another thread a load lands and is kept, its flight is
    gone (3) this read boards, leads, and would load again what is there.
    """
    flight, leads = ports.flights.board(
        call.key, call.tags, from_source=call.bypass, priority=call.terms.priority
    )
    found = _fresh(call, ports) if leads and not call.bypass else None
    if found is not None:
        ports.flights.withdraw(flight)
    return flight, leads, found


def _fresh(call: Call, ports: Ports) -> Found | None:
    found = ports.near.find(call)
    if found is None or found.is_error:
        return None
    return found if judge(found.held, call.terms, ports.clock.now()) is Freshness.FRESH else None


async def lead(boarded: Sequence[Boarded], ports: Ports) -> None:
    """Have the flights of `boarded` flown. Whatever stops that before it began must not leave them open."""
    flights = [one.flight for one in boarded]
    try:
        await ports.crew.fly(flights, fill(boarded, ports), boarded[0].call.endpoint.timeout_s)
    except BaseException:
        for flight in flights:
            ports.flights.land(flight, None)
        raise


async def alone(call: Call, ports: Ports, *, in_vain: bool = False) -> Landing:
    """The landing of a load of `call` that nobody else can join. in_vain: as `Boarded` has it."""
    flight = ports.flights.alone(call.key, call.tags)
    await lead([Boarded(call, flight, in_vain=in_vain)], ports)
    landing = await ports.crew.wait(flight)
    if landing is None:
        raise never_landed(call, 1)
    return landing


def never_landed(call: Call, loads: int) -> SourceError:
    """The error of a read whose loads, that many, ended with neither a value nor an error."""
    times = "once" if loads == 1 else f"{loads} times"
    return SourceError(
        f"{call.key}: its load was cancelled {times} before it had a result.",
        endpoint=call.endpoint.name,
        source="",
    )
