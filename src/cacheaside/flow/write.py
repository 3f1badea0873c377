"""The write side: an invalidation after the commit, and the bracket around one (docs/protocol.md, R10 to R12).

Reads fail open; invalidations fail loud: what the tier does not acknowledge is owed (`Heard.owe`), and the caller told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cacheaside.errors import Unacknowledged
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Flow, Ports, TierAway
from cacheaside.tags import described
from cacheaside.types import TagId

__all__ = ["begin", "finish", "give_up", "invalidate", "purge", "to_its_end"]

_TAGS_NAMED: Final = 5
_WRITTEN: Final = {
    False: " Nothing was written.",
    True: " The change stands; it is told again until it gets through.",
    None: "",
}


async def invalidate(tags: Sequence[TagId], ports: Ports, calls: Sequence[Call] = ()) -> None:
    """When this returns, no read that starts later returns a value older than the last commit before the call (G1).

    Raises `Unacknowledged` when the tier does not say so; then only this process knows, until a retry gets through.

    The change is heard after the tier acknowledged it. Heard before: (1) L1 drops (2) a read fetches the old value,
    still valid in the tier, and L1 keeps it (3) the bump arrives: nobody drops it again.

    An interruption is no acknowledgement either. Not owed: (1) the row is committed (2) the bump is under way when a
    signal's handler raises, or the loop ends and cancels it (3) this process has neither heard nor tells anybody: it
    serves the old row until its ttl.
    """
    if tags:
        try:
            await ports.tier.bump(tags)
            ports.heard.hear(tags, calls)
        except TierAway as away:
            ports.heard.owe(tags, calls)
            raise _unacknowledged(tags, away, written=True) from None
        except BaseException:
            ports.heard.owe(tags, calls)
            raise


async def to_its_end(flow: Flow, tags: Sequence[TagId], ports: Ports, calls: Sequence[Call] = ()) -> None:
    """Await `flow`, which invalidates `tags`, for a caller that may be cancelled: then it goes on, and they are owed.

    To go on would not do: (1) the caller is cancelled (2) its loop ends, by `asyncio.run` or without a word, before the
    tier has answered, or even before `flow` took its first step: nobody is left to owe anything. To tell it twice is
    harmless.
    """
    if not ports.shared:
        await flow  # nothing suspends it
        return
    try:
        await ports.crew.surely(flow)
    except Unacknowledged:
        raise  # owed by `flow`
    except BaseException:
        if tags:
            ports.heard.owe(tags, calls)
        raise


async def begin(tags: Sequence[TagId], writer: str, ports: Ports, *, written: bool | None = None) -> None:
    """Mark `tags`: until `finish`, or until the mark expires, nothing is stored for them.

    Raises `Unacknowledged` when the tier does not say that the mark stands; nothing is owed then. written: what that
    says of the write.
    """
    if tags:
        try:
            await ports.tier.mark(tags, writer, ports.mark_lifetime_s)
        except TierAway as away:
            raise _unacknowledged(tags, away, written=written) from None
        ports.heard.hear(tags)


async def finish(tags: Sequence[TagId], writer: str, ports: Ports) -> None:
    """The commit is done: invalidate, and only then let fills be stored again."""
    if tags:
        await invalidate(tags, ports)
        await give_up(tags, writer, ports)


async def give_up(tags: Sequence[TagId], writer: str, ports: Ports) -> None:
    """The transaction is known to be rolled back: let fills be stored again. When its outcome is not known this must
    not be called: the mark expires by itself, after any commit that is still under way. So it does when the tier is
    away."""
    if tags:
        try:
            await ports.tier.release(tags, writer)
        except TierAway:
            return


async def purge(call: Call, ports: Ports) -> None:
    """Remove the value itself, from L1 and the tier, and what is being filled."""
    try:
        await invalidate((call.key,), ports, (call,))
        try:
            await ports.tier.remove(call)
        except TierAway as away:
            raise Unacknowledged(
                f"{call.key}: the shared tier did not acknowledge that it is removed ({away}). It is invalidated, "
                "so that nobody is served it; its bytes may stay there until they expire.",
                tags=(call.key,),
                written=True,
                why=away.brief,
            ) from None
    finally:
        ports.near.drop(call)


def _unacknowledged(tags: Sequence[TagId], away: TierAway, *, written: bool | None) -> Unacknowledged:
    named = ", ".join(map(described, tags[:_TAGS_NAMED])) + (", …" if len(tags) > _TAGS_NAMED else "")
    message = f"{named}: the shared tier did not acknowledge it ({away}).{_WRITTEN[written]}"
    return Unacknowledged(message, tags=tuple(tags), written=written, why=away.brief)
