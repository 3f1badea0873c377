"""Leading: have a load flown, and leave no flight open that nobody flies."""

from __future__ import annotations

from collections.abc import Sequence

from cacheaside.errors import SourceError
from cacheaside.flow.call import Call
from cacheaside.flow.fill import Boarded, fill
from cacheaside.flow.flights import Landing
from cacheaside.flow.ports import Ports

__all__ = ["alone", "lead"]


async def lead(boarded: Sequence[Boarded], ports: Ports) -> None:
    """Have the flights of `boarded` flown. Whatever stops that before it began must not leave them open."""
    flights = [one.flight for one in boarded]
    try:
        await ports.crew.fly(flights, fill(boarded, ports), boarded[0].call.endpoint.timeout_s)
    except BaseException:
        for flight in flights:
            ports.flights.land(flight, None)
        raise


async def alone(call: Call, ports: Ports) -> Landing:
    """The landing of a load of `call` that nobody else can join."""
    flight = ports.flights.alone(call.key, call.tags)
    await lead([Boarded(call, flight)], ports)
    landing = await ports.crew.wait(flight)
    if landing is None:
        raise SourceError(
            f"{call.key}: its load was cancelled before it had a result.",
            endpoint=call.endpoint.name,
            source="",
        )
    return landing
