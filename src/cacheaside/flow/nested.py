"""Reads inside another endpoint's load."""

from __future__ import annotations

from typing import Any, Final

from cacheaside.flow.answer import landed, served
from cacheaside.flow.call import Call
from cacheaside.flow.lead import alone
from cacheaside.flow.ports import Found, Nest, Ports, TierAway
from cacheaside.flow.valid import shown_valid
from cacheaside.lookup import Forward, Lookup, NotStored
from cacheaside.policy.freshness import Freshness

__all__ = ["load_nested", "read_nested"]

_UNVOUCHED: Final = frozenset((NotStored.WRITER, NotStored.MOVED, NotStored.VALUE_TAGS, NotStored.UNSTORABLE))
"""Why an inner load makes the outer value one that cannot be stored. A value that could not be packed or asked for its
tags is among them: what it depends on is not known."""


async def read_nested(call: Call, nest: Nest, ports: Ports) -> Lookup[Any]:
    """A read inside a load (docs/protocol.md, R15): nothing that began before that load may answer it,
    and what it reads becomes part of the outer entry's stamp and age.

    L1 alone would not do: (1) L1 has not yet heard of a bump (2) the outer load stamps the new generation
    (3) reads the old value from L1, and stores what it computed from it under the new generation.
    """
    held = None
    if not call.terms.strong and not nest.in_vain:
        try:
            held = await shown_valid(call, ports)
        except TierAway:
            nest.in_vain = True
    if held is not None:
        record, now = held
        if now - record.loaded_at < nest.ttl_s:
            nest.joined(dict(zip(record.tags, record.generations, strict=True)), record.loaded_at)
            return served(call, Found.of(record), Freshness.FRESH, now)
    return await load_nested(call, nest, ports)


async def load_nested(call: Call, nest: Nest, ports: Ports) -> Lookup[Any]:
    """A load inside a load: what it was stamped with becomes part of the outer stamp."""
    call.endpoint.tally.forward[Forward.NESTED] += 1
    landing = await alone(call, ports, in_vain=nest.in_vain)
    if landing.stamp is None or landing.not_stored is NotStored.AWAY:
        nest.in_vain = True  # the loads around this one are of the same read, which has waited once
    if landing.moved or landing.stamp is None or landing.not_stored in _UNVOUCHED:
        nest.unvouched()
    else:
        nest.joined(landing.stamp, landing.loaded_at)
    return landed(call, landing, Forward.NESTED, True, ports)
