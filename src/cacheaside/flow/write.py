"""The write side: an invalidation after the commit, and the bracket around one (docs/protocol.md, R10 to R12)."""

from __future__ import annotations

from collections.abc import Sequence

from cacheaside.flow.call import Call
from cacheaside.flow.ports import Ports
from cacheaside.types import TagId

__all__ = ["begin", "finish", "give_up", "invalidate", "purge"]


async def invalidate(tags: Sequence[TagId], ports: Ports, calls: Sequence[Call] = ()) -> None:
    """When this returns, no read that starts later returns a value older than the last commit before the call (G1).

    The change is heard after the tier acknowledged it. Heard before: (1) L1 drops (2) a read fetches the old value,
    still valid in the tier, and L1 keeps it (3) the bump arrives: nobody drops it again.
    """
    if tags:
        await ports.tier.bump(tags)
        ports.heard.hear(tags, calls)


async def begin(tags: Sequence[TagId], writer: str, ports: Ports) -> None:
    """Mark `tags`: until `finish`, or until the mark expires, nothing is stored for them.

    Enlist before the bump. Bump before: (1) the tag gets g1 (2) a fill stamps g1, sees no writer, loads the old row
    (3) the writer enlists, commits, dies: what the fill stores under g1 is never invalidated.
    """
    if tags:
        await ports.tier.enlist(tags, writer, ports.mark_lifetime_s)
        await ports.tier.bump(tags)
        ports.heard.hear(tags)


async def finish(tags: Sequence[TagId], writer: str, ports: Ports) -> None:
    """The commit is done: invalidate, and only then let fills be stored again."""
    if tags:
        await ports.tier.bump(tags)
        ports.heard.hear(tags)
        await ports.tier.release(tags, writer)


async def give_up(tags: Sequence[TagId], writer: str, ports: Ports) -> None:
    """The transaction is known to be rolled back: let fills be stored again. When its outcome is not known this must
    not be called: the mark expires by itself, after any commit that is still under way."""
    if tags:
        await ports.tier.release(tags, writer)


async def purge(call: Call, ports: Ports) -> None:
    """Remove the value itself, from L1 and the tier, and what is being filled."""
    await invalidate((call.key,), ports, (call,))
    await ports.tier.remove(call)
    ports.near.drop(call)
