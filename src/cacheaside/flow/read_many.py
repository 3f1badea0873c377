"""Read many keys: what the cache has, then one load for what it has not, through the endpoint's batch loader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cacheaside.flow.answer import landed, landed_meanwhile
from cacheaside.flow.call import Call
from cacheaside.flow.fill import Boarded
from cacheaside.flow.flights import Flight, answers
from cacheaside.flow.lead import board, lead
from cacheaside.flow.overload import held_instead
from cacheaside.flow.ports import Failure, Flow, Ports, TierAway
from cacheaside.flow.read import read, serve, serve_record, share, start_over
from cacheaside.lookup import Forward, Lookup

__all__ = ["read_many"]

Answer = Lookup[Any] | Failure


async def read_many(
    calls: Sequence[Call], ports: Ports, *, batched: bool, keys_max: int, at_once: int
) -> list[Answer]:
    """One answer per call, in order; equal keys are read once. A key's failure does not touch the others.

    batched: misses go to the source together, at most `keys_max` keys in one load. Otherwise each is loaded by itself,
    at most `at_once` of them concurrently, so that one caller does not fill the queue of its source. Inside another
    endpoint's load, and under strong terms, each key is read by itself. Keys that are not to be looked for in the cache
    (`Call.bypass`) are loaded together with what others miss.
    """
    unique = list({call.key: call for call in calls}.values())
    if not unique:
        return []
    nested = ports.loads.nest() is not None
    own = [call for call in unique if nested or call.unshared or (call.terms.strong and not call.bypass)]
    answered: dict[Call, Answer] = {}
    if own:
        answers_ = await _each([read(call, ports) for call in own], at_once, ports)
        answered.update(zip(own, answers_, strict=True))
    if len(own) < len(unique):
        arrived = ports.flights.moment()
        missed = _serve(answered, [call for call in unique if call not in answered], ports)
        if ports.shared and any(not call.bypass for call in missed):
            await _fetch(answered, missed, ports)
        if batched:
            await _batched(answered, missed, arrived, ports, keys_max)
        else:
            flows = [share(call, arrived, forward, ports) for call, forward in missed.items()]
            answered.update(zip(missed, await _each(flows, at_once, ports), strict=True))
    by_key = {call.key: answer for call, answer in answered.items()}
    return [by_key[call.key] for call in calls]


async def _each(flows: Sequence[Flow], at_once: int, ports: Ports) -> list[Answer]:
    found = await ports.crew.together(flows, at_once)
    return [Failure(one) if isinstance(one, BaseException) else one for one in found]


async def _fetch(answered: dict[Call, Answer], missed: dict[Call, Forward], ports: Ports) -> None:
    """Move what the tier can answer from `missed` to `answered`."""
    calls = [call for call in missed if not call.bypass]
    since = ports.heard.position()
    try:
        records = await ports.tier.fetch_many(calls)
    except TierAway:
        missed.update(dict.fromkeys(calls, Forward.AWAY))
        return
    for call, record in zip(calls, records, strict=True):
        answer, missed[call] = serve_record(call, record, since, missed[call], ports)
        if answer is not None:
            answered[call] = answer
            del missed[call]


async def _batched(
    answered: dict[Call, Answer], missed: dict[Call, Forward], arrived: int, ports: Ports, keys_max: int
) -> None:
    """Answer all of `missed`, into `answered`."""
    boarded: dict[Call, tuple[Flight, bool]] = {}
    for call, forward in missed.items():
        flight, leads, found = board(call, ports)
        if found is None:
            boarded[call] = flight, leads
        else:
            answered[call] = landed_meanwhile(call, found, forward, ports, counted=False)
    unflown = [
        Boarded(call, flight, in_vain=missed[call] is Forward.AWAY)
        for call, (flight, leads) in boarded.items()
        if leads
    ]
    unwaited = {flight for flight, _ in boarded.values()}
    try:
        # Those this read leads are loaded before it waits for anybody else's: two reads that each lead what the other
        # waits for cannot wait in a circle.
        while unflown:
            group, unflown = unflown[:keys_max], unflown[keys_max:]
            await lead(group, ports)
        for call, (flight, leads) in boarded.items():
            unwaited.discard(flight)
            answered[call] = await _await_one(call, flight, leads, arrived, missed[call], ports)
    finally:
        # Cancelled: nobody flies what this read was about to, and it waits for the others no longer.
        for one in unflown:
            ports.flights.land(one.flight, None)
        ports.crew.leave(list(unwaited))


def _serve(answered: dict[Call, Answer], calls: Sequence[Call], ports: Ports) -> dict[Call, Forward]:
    """Answer, into `answered`, what L1 has of `calls`; the others, and why."""
    missed: dict[Call, Forward] = {}
    for call in calls:
        if call.bypass:
            missed[call] = Forward.BYPASS
            continue
        try:
            answer, forward = serve(call, ports)
        except Exception as error:  # noqa: BLE001 - one key's failure is its own
            answered[call] = Failure(error)
            continue
        if answer is None:
            missed[call] = forward
        else:
            answered[call] = answer
    return missed


async def _await_one(
    call: Call, flight: Flight, leads: bool, arrived: int, forward: Forward, ports: Ports
) -> Answer:
    try:
        call.endpoint.tally.forward[forward] += 1
        landing = await ports.crew.wait(flight)
        if landing is None or not answers(flight, landing, arrived):
            return await start_over(call, arrived, forward, ports)
        instead = held_instead(call, landing.error, forward, ports)
        return instead if instead is not None else landed(call, landing, forward, leads, ports)
    except Exception as error:  # noqa: BLE001 - one key's failure is its own
        return Failure(error)
