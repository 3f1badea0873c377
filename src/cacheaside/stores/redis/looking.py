"""The shared tier, looked at by somebody who explains one key: judged as for a read; nothing is counted or changed."""

from __future__ import annotations

from typing import NamedTuple

from cacheaside.flow.call import Call, Record, Standing
from cacheaside.flow.ports import Leased
from cacheaside.stores.redis.tier import RedisTier
from cacheaside.stores.redis.wire.commands import Wanted
from cacheaside.stores.redis.wire.entry import MASK, stamp_of, standing_of
from cacheaside.stores.redis.wire.looking import Writing, looking, writers_of
from cacheaside.stores.redis.wire.stamp import Stamp
from cacheaside.types import Generation, TagId

__all__ = ["FarSeen", "LookingTier", "TagFound"]


class TagFound(NamedTuple):
    """A tag: its generation in the entry and now, without identities (None: not there), and what that is worth."""

    tag: TagId
    stamped: int | None
    current: int | None
    standing: Standing | None
    writing: Writing
    owed: bool


class FarSeen(NamedTuple):
    """record: judged as for a read. size_bytes: of the entry, as it lies there. why_not: why something that lies under
    the key is no entry. server: the one that was asked."""

    record: Record | None
    size_bytes: int | None
    why_not: str | None
    ends_in_s: float | None
    tags: tuple[TagFound, ...]
    leased: Leased
    holder: str | None
    lease_ends_in_s: float | None
    server: str


class LookingTier(RedisTier):
    """As `RedisTier`, for one look, over a transport for threads. Made anew for each, with counts of its own, which say
    why an entry was rejected."""

    async def look(self, call: Call) -> FarSeen:
        """What lies on the server for `call`, in one round trip, or two when the entry names further tags. Raises
        `TierAway`."""
        await self._be_ready()
        asking = self._asking()
        wanted = Wanted(call.key, call.tags)
        seen = await self._say(looking(self._commands, wanted))
        found = self._found((call,), [wanted], [seen.fetched], asking)
        writers = dict(seen.writers)
        if found.missing:
            await self._complete(found)
            further: dict[TagId, Writing] = await self._say(writers_of(found.missing))
            writers.update(further)
        (record,) = self._judged(found)
        entry = seen.fetched.entry
        return FarSeen(
            record,
            None if entry is None else len(entry),
            None if entry is None or record is not None else self._why_rejected(),
            seen.entry_ends_in_s,
            tuple(self._tags(call, record, found.current, writers)),
            seen.leased,
            seen.holder,
            seen.lease_ends_in_s,
            self._servers.of(call.key).name,
        )

    def _why_rejected(self) -> str:
        if self._counts.from_the_future:
            return "from the future"
        return next((why.value for why, count in self._counts.rejected.items() if count), "unreadable")

    def _tags(
        self,
        call: Call,
        record: Record | None,
        current: dict[TagId, Generation | None],
        writers: dict[TagId, Writing],
    ) -> list[TagFound]:
        stamp = Stamp((), (), ()) if record is None else stamp_of(record.tags, record.generations)
        stamped = {
            tag: (generation, identity)
            for tag, generation, identity in zip(stamp.tags, stamp.generations, stamp.identities, strict=True)
        }
        made = []
        for tag in dict.fromkeys((*call.tags, *stamp.tags)):
            own = stamped.get(tag)
            now = current.get(tag)
            made.append(
                TagFound(
                    tag,
                    None if own is None else own[0],
                    None if now is None else now & MASK,
                    None if own is None else standing_of(Stamp((tag,), (own[0],), (own[1],)), current),
                    writers.get(tag, Writing(None, None)),
                    self._owed.any_of((tag,)),
                )
            )
        return made
