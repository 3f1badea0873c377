"""The shared tier: `flow.ports.Tier` over a transport, in either colour. All that it decides is in `commands`, `entry`
and `envelope`; this puts them together, and knows which server to believe.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar
from zlib import crc32

from cacheaside.coherence.hearing import Hearing
from cacheaside.flow.call import Call, Record, Standing
from cacheaside.flow.ports import Clock, Lease, Seen, Stamped, TierAway
from cacheaside.stores.redis.asking import Asking, Found
from cacheaside.stores.redis.at_once import COMMANDS_AT_ONCE, TAGS_AT_ONCE, in_parts
from cacheaside.stores.redis.connect.fleet import Transport
from cacheaside.stores.redis.counts import Counts
from cacheaside.stores.redis.ends import Ends
from cacheaside.stores.redis.listen.servers import Servers
from cacheaside.stores.redis.owed import Owed
from cacheaside.stores.redis.refusals import Refusals
from cacheaside.stores.redis.wire.commands import Commands, Exchange, Fetched, Wanted
from cacheaside.stores.redis.wire.entry import (
    MASK,
    Opened,
    identified,
    opened,
    plain_opened,
    plain_stamp,
    record_from,
    stamp_of,
    standing_of,
)
from cacheaside.stores.redis.wire.envelope import Envelope, Wire, encode
from cacheaside.stores.redis.wire.generations import GENERATION_BYTES, Identity, RandomBytes, new_generations
from cacheaside.stores.redis.wire.rejected import Rejected
from cacheaside.stores.redis.wire.replies import StoreReplyError, Unconfirmed, generations_in
from cacheaside.stores.redis.wire.stamp import TAGS_MAX
from cacheaside.types import Generation, TagId

__all__ = ["RedisTier"]

R = TypeVar("R")

RETRY_S: Final = 0.02
FREE_MS: Final = 1000
"""How long a key whose value could not be stored is loaded by whoever misses it, without a lease."""
WAIT_MS: Final = 30
"""How long a write waits for the word of replicas."""
ENTRY_MAX_S: Final = 5 * 365 * 86_400.0
"""The longest that an entry stays on a server, whatever its contract allows: servers refuse ends that are too far away,
and then the write that the end is part of."""
_LEASE_MARGIN_S: Final = 0.1
"""A lease that ends sooner than that is not deleted: by then it may be another's."""


class RedisTier:
    """Implements `flow.ports.Tier`. Nothing waits for a server that is not up; nothing is sent twice by itself.

    ready: waits for the first attempt to reach the servers, for the deadline at most, and only when there was none.
    everything: the tag of the namespace, whose generation `hearing` keeps. owed: tags whose change was not
    acknowledged, which count as changing all the time. forgets: what only another history vouches for is out of date.
    """

    def __init__(
        self,
        transport: Transport,
        servers: Servers,
        commands: Commands,
        wire: Wire,
        clock: Clock,
        hearing: Hearing,
        owed: Owed,
        counts: Counts,
        *,
        namespace: str,
        everything: TagId,
        forgets: bool,
        ready: Callable[[], Awaitable[None]],
        doubt: Callable[[], None],
        pause: Callable[[float], Awaitable[None]],
        pace: Callable[[], float] = time.monotonic,
        write_deadline_s: float = 0.5,
        wait_replicas: int = 0,
        wait_ms: int = WAIT_MS,
        mark_lifetime_s: float = 30.0,
        random_bytes: RandomBytes = os.urandom,
    ) -> None:
        self._transport = transport
        self._servers = servers
        self._commands = commands
        self._wire = wire
        self._clock = clock
        self._hearing = hearing
        self._owed = owed
        self._counts = counts
        self._everything = everything
        self._forgets = forgets
        self._ready = ready
        self._pause = pause
        self._pace = pace
        self._write_deadline_s = write_deadline_s
        self._wait_replicas = wait_replicas
        self._wait_ms = wait_ms
        self._random_bytes = random_bytes
        self.process = random_bytes(6).hex()
        """What its leases begin with."""
        self._refused = Refusals(namespace, counts, doubt, pace).add
        self._ends = Ends(mark_lifetime_s, pace)

    # -- reading -----------------------------------------------------------------------------------------------

    def fetch(self, call: Call) -> Awaitable[Record | None]:
        return self._fetch_one(call)

    async def _fetch_one(self, call: Call) -> Record | None:
        return (await self.fetch_many((call,)))[0]

    async def fetch_many(self, calls: Sequence[Call]) -> list[Record | None]:
        await self._be_ready()
        asking = self._asking()
        if any(len(call.tags) > TAGS_MAX for call in calls):
            fitting = [call for call in calls if len(call.tags) <= TAGS_MAX]
            found = iter(await self.fetch_many(fitting) if fitting else ())
            # What has more tags than an entry can have is never stored: nothing is asked about it.
            return [next(found) if len(call.tags) <= TAGS_MAX else None for call in calls]
        wanted = [Wanted(call.key, self._asked(call.tags, asking.known)) for call in calls]
        fetched = await self._say(self._commands.fetch(wanted))
        return await self._records(calls, wanted, fetched, asking)

    async def peek(self, call: Call, *, ask: bool) -> Seen:
        await self._be_ready()
        asking = self._asking()
        wanted = Wanted(call.key, self._asked(call.tags, asking.known))
        if ask:
            lifetime_ms = math.ceil(call.endpoint.timeout_s * 1000)
            leased, fetched = await self._say(self._commands.ask_and_peek(wanted, lifetime_ms))
        else:
            leased, fetched = await self._say(self._commands.peek(wanted))
        (record,) = await self._records((call,), [wanted], [fetched], asking)
        return Seen(record, leased)

    def said_by(self, known: Generation) -> bool:
        """Whether the servers are still those that said `known`, the generation of the namespace."""
        return self._servers.identity_of(self._everything) == known >> 64

    async def judged(self, call: Call, values: Sequence[bytes | None], asking: Asking) -> Record | None:
        """What `fetch` gives, of an answer that is here: the entry, and the generations of the tags that are asked."""
        wanted = Wanted(call.key, self._asked(call.tags, asking.known))
        fetched = Fetched(values[0], generations_in(values[1:]))
        return (await self._records((call,), [wanted], [fetched], asking))[0]

    def _asking(self) -> Asking:
        known = self._hearing.everything()
        since = self._hearing.position() if known is None else None
        return Asking(since, known, self._owed.names())

    def _asked(self, tags: Sequence[TagId], known: Generation | None) -> list[TagId]:
        """Those of `tags` whose generations are to be read: the namespace's only when it is not known."""
        return [tag for tag in tags if known is None or tag != self._everything]

    async def _records(
        self,
        calls: Sequence[Call],
        wanted: Sequence[Wanted],
        fetched: Sequence[Fetched],
        asking: Asking,
    ) -> list[Record | None]:
        found = self._found(calls, wanted, fetched, asking)
        if found.missing:
            await self._complete(found)
        return self._judged(found)

    def _found(
        self,
        calls: Sequence[Call],
        wanted: Sequence[Wanted],
        fetched: Sequence[Fetched],
        asking: Asking,
    ) -> Found:
        """What was fetched, opened; and which generations are missing to judge it."""
        known, owing = asking.known, asking.owing
        current: dict[TagId, Generation | None] = {self._everything: known}
        for want, one in zip(wanted, fetched, strict=True):
            self._identify(want.tags, one.generations, current)
        if asking.since is not None:
            self._hearing.know_everything(current.get(self._everything), asking.since)
        entries = [
            None
            if one.entry is None
            else (None if owing else self._plain(call, one.entry, current)) or self._opened(call, one.entry)
            for call, one in zip(calls, fetched, strict=True)
        ]
        named = dict.fromkeys(tag for one in entries if isinstance(one, Opened) for tag in one.named)
        return Found(calls, entries, current, [tag for tag in named if tag not in current], owing)

    async def _complete(self, found: Found) -> None:
        """Ask for the generations that are missing: of tags that entries name and calls do not."""
        generations = await self._say(self._commands.generations(found.missing))
        self._identify(found.missing, generations, found.current)

    def _judged(self, found: Found) -> list[Record | None]:
        return [
            self._record(call, one, found) if isinstance(one, Opened) else one
            for call, one in zip(found.calls, found.entries, strict=True)
        ]

    def _plain(self, call: Call, data: bytes, current: dict[TagId, Generation | None]) -> Record | None:
        """The record of the most usual entry in a few steps; None for whatever else it may be."""
        if self._wire.ring is not None or self._owed:
            return None
        tags = call.tags
        generations = [current[tag] for tag in tags]
        if None in generations:
            return None
        own: list[Generation] = generations  # type: ignore[assignment]
        identity = own[0] >> 64
        if any(one >> 64 != identity for one in own):
            return None
        ordered = own if len(tags) == 1 else [one for _, one in sorted(zip(tags, own, strict=True))]
        stamp = plain_stamp(Identity(identity)) + b"".join(
            [(one & MASK).to_bytes(GENERATION_BYTES, "big") for one in ordered]
        )
        found = plain_opened(data, call.key, stamp)
        if found is None:
            return None
        encoded, loaded_at_us, load_s = found
        loaded_at = self._local_moment(call.key, loaded_at_us, Standing.CURRENT)
        if loaded_at is None:
            return None
        return record_from(
            call,
            encoded,
            loaded_at,
            load_s,
            salt=_salt(call.key, loaded_at_us),
            absent=False,
            tags=tags,
            generations=tuple(own),
            standing=Standing.CURRENT,
        )

    def _opened(self, call: Call, data: bytes) -> Opened | None:
        found = opened(data, call, self._wire)
        if isinstance(found, Rejected):
            self._counts.rejected[found] += 1
            return None
        return found

    def _record(self, call: Call, one: Opened, found: Found) -> Record | None:
        envelope = one.envelope
        standing = standing_of(envelope.stamp, found.current)
        tags = envelope.stamp.tags
        was_owed = not found.owing.isdisjoint(tags) or self._everything in found.owing
        if was_owed or self._owed.any_of(tags) or (standing is Standing.UNCERTAIN and self._forgets):
            standing = Standing.OUTDATED
        loaded_at = self._local_moment(call.key, envelope.loaded_at_us, standing)
        if loaded_at is None:
            self._counts.from_the_future += 1
            return None
        stamp = envelope.stamp
        generations = tuple(
            [
                identified(generation, identity)
                for generation, identity in zip(stamp.generations, stamp.identities, strict=True)
            ]
        )
        record = record_from(
            call,
            envelope.value,
            loaded_at,
            envelope.load_s,
            salt=_salt(call.key, envelope.loaded_at_us),
            absent=envelope.absent,
            tags=stamp.tags,
            generations=generations,
            standing=standing,
        )
        if record is None:
            self._counts.rejected[Rejected.CORRUPT] += 1
        return record

    def _local_moment(self, key: str, loaded_at_us: int, standing: Standing) -> float | None:
        """A moment of the server's clock on this process's, the earliest that it can have been; None when it is yet to
        come, so that the clock must have been set back since. What is known to be out of date may be of before that:
        to forget everything is to make it so, and a contract may allow it to be served."""
        base = self._servers.of(key).base
        if base is None:
            return None
        now = self._clock.now()
        lag_s = base.lag_of_old_s(now) if standing is Standing.OUTDATED else base.lag_s(now)
        loaded_at = loaded_at_us / 1e6 - lag_s
        return None if loaded_at > now else loaded_at

    def _identify(
        self,
        tags: Sequence[TagId],
        generations: Sequence[Generation | None],
        into: dict[TagId, Generation | None],
    ) -> None:
        for tag, generation in zip(tags, generations, strict=True):
            into[tag] = None if generation is None else identified(generation, self._servers.identity_of(tag))

    # -- filling -----------------------------------------------------------------------------------------------

    async def stamp(self, tags: Sequence[TagId], lease: Lease | None = None) -> Stamped:
        await self._be_ready()
        asking = self._asking()
        known = asking.known
        asked = self._asked(tags, known)
        seen = None
        if lease is None:
            generations, writers = await self._say(self._commands.stamp_then_writers(asked))
        else:
            owner, lifetime_ms = f"{self.process}-{lease.owner}", math.ceil(lease.lifetime_s * 1000)
            wanted = Wanted(lease.key, self._asked(lease.call.tags, known))
            exchange = self._commands.lease_and_stamp(wanted, owner, lifetime_ms, asked)
            leased, fetched, generations, writers = await self._say(exchange)
            (record,) = await self._records((lease.call,), [wanted], [fetched], asking)
            seen = Seen(record, leased)
        if writers and (marked := self._ends.due(writers)):
            await self._give_end(marked)
        current: dict[TagId, Generation | None] = {self._everything: known}
        self._identify(asked, generations, current)
        if asking.since is not None and self._everything in current:
            self._hearing.know_everything(current[self._everything], asking.since)
        own = tuple([self._own(tag, current[tag]) for tag in tags])
        return Stamped(own, writers, seen)

    async def _give_end(self, marked: Sequence[TagId]) -> None:
        """A mark without an end would keep its tag from being stored for ever."""
        try:
            if not self._commands.lengthen:
                endless = await self._say(self._commands.endless(marked))
                marked = tuple(endless)
            if marked:
                lifetime_ms = math.ceil(self._ends.lifetime_s * 1000)
                await self._say(self._commands.give_end(marked, lifetime_ms))
        except TierAway:
            return  # nothing is to be stored in any case; a later fill tries again

    def _own(self, tag: TagId, generation: Generation | None) -> Generation:
        """A tag whose change is owed has no generation that anything may be stored under: one that nothing equals."""
        if generation is None or self._owed.any_of((tag,)):
            return Generation(int.from_bytes(new_generations(1, self._random_bytes)[0], "big"))
        return generation

    async def store(
        self,
        records: Sequence[tuple[Call, Record]],
        recheck: Sequence[TagId],
        lease: Lease | None = None,
        *,
        free: bool = False,
    ) -> tuple[Generation | None, ...]:
        await self._be_ready()
        entries = [entry for call, record in records if (entry := self._entry(call, record)) is not None]
        then = None if lease is None else self._returning(lease, free=free)
        since = self._hearing.position()
        known = self._hearing.everything()
        asked = self._asked(recheck, known)
        stored = await self._say(self._commands.store(entries, asked, then))
        self._counts.stores_refused += stored.refused
        current: dict[TagId, Generation | None] = {self._everything: known}
        self._identify(asked, stored.generations, current)
        if known is None and self._everything in current:
            self._hearing.know_everything(current[self._everything], since)
        return tuple([None if self._owed.any_of((tag,)) else current[tag] for tag in recheck])

    async def hand_back(self, lease: Lease) -> None:
        await self._say(self._returning(lease, free=False))

    def _returning(self, lease: Lease, *, free: bool) -> Exchange[None]:
        held = self._clock.now() + _LEASE_MARGIN_S < lease.until
        return self._commands.hand_back(lease.key, held=held, free_ms=FREE_MS if free else 0)

    def _entry(self, call: Call, record: Record) -> tuple[TagId, bytes, int] | None:
        base = self._servers.of(call.key).base
        if base is None:
            return None
        began_s = base.earliest_s(record.loaded_at)
        envelope = Envelope(
            record.encoded,
            int(began_s * 1e6),
            record.absent,
            record.load_s,
            stamp_of(record.tags, record.generations),
        )
        try:
            data = encode(envelope, call.key, call.tags, self._wire)
        except ValueError:
            self._counts.unstorable += 1
            return None
        terms = call.terms
        bound_s = record.ttl_s
        if record.grace:
            bound_s = max(record.ttl_s + terms.grace_s, terms.stale_after_invalidation_s)
        return call.key, data, max(1, math.ceil(min(bound_s, ENTRY_MAX_S) * 1000))

    # -- writing -----------------------------------------------------------------------------------------------

    async def bump(self, tags: Sequence[TagId]) -> None:
        await self._be_ready()
        for some in in_parts(tags, TAGS_AT_ONCE):
            await self._bump(some)

    async def _bump(self, tags: Sequence[TagId]) -> None:
        try:
            await self._insist(lambda: self._confirmed(self._commands.bump(tags)))
        except StoreReplyError as error:
            if error.code != "OOM":
                raise
            await self._insist(lambda: self._confirmed(self._commands.unmake(tags)))

    async def mark(self, tags: Sequence[TagId], writer: str, lifetime_s: float) -> None:
        await self._be_ready()
        lifetime_ms = math.ceil(lifetime_s * 1000)

        def marking(some: Sequence[TagId]) -> Exchange[None]:
            return self._confirmed(self._commands.enlist_then_bump(some, writer, lifetime_ms))

        for some in in_parts(tags, TAGS_AT_ONCE):
            await self._insist(partial(marking, some))

    async def release(self, tags: Sequence[TagId], writer: str) -> None:
        # As the mark was set: also by who is not let listen, whose marks would keep its tags from being stored by all.
        await self._be_ready()
        for some in in_parts(tags, TAGS_AT_ONCE):
            await self._say(self._commands.release(some, writer), writes=True)

    async def remove(self, call: Call) -> None:
        await self._be_ready()
        await self._say(self._commands.remove(call.key))

    async def _insist(self, exchange: Callable[[], Exchange[None]]) -> None:
        """A read is better off without a tier that is late; a write is not. So while the servers are up it is tried
        again, each time with generations that were never sent, before its caller is told."""
        until = self._pace() + self._write_deadline_s
        while True:
            try:
                await self._say(exchange(), writes=True)
                return
            except (StoreReplyError, Unconfirmed):
                raise
            except TierAway:
                if not self._servers.all_up or self._pace() + RETRY_S > until:
                    raise
            await self._pause(RETRY_S)

    def _confirmed(self, exchange: Exchange[Any]) -> Exchange[Any]:
        """With as many replicas' word for it as are asked for."""
        if not self._wait_replicas:
            return exchange
        return self._commands.confirmed(exchange, self._wait_replicas, self._wait_ms)

    # -- the servers -------------------------------------------------------------------------------------------

    async def _be_ready(self) -> None:
        if not self._servers.all_up:
            await self._ready()
            if self._servers.fleet is None:
                self._servers.of(self._everything)

    async def _say(self, exchange: Exchange[R], *, writes: bool = False) -> R:
        """What the servers answer. writes: they are asked even while they are not listened to: a write needs no clock
        and no identity, and who is told of it is not this process."""
        servers, commands = self._servers, exchange.commands
        if not servers.all_up and not writes:
            for command in commands:
                servers.of(str(command[1]))
        try:
            if len(commands) <= COMMANDS_AT_ONCE:
                return exchange.read(await self._transport.execute(commands))
            replies: list[Any] = []
            for some in in_parts(commands, COMMANDS_AT_ONCE):
                replies += await self._transport.execute(some)
            return exchange.read(replies)
        except StoreReplyError as error:
            self._refused(error)
            raise
        except TierAway:
            self._counts.away += 1
            raise


def _salt(key: str, loaded_at_us: int) -> int:
    """What an entry's jitter is drawn from: the same in every process, another with each load."""
    return crc32(key.encode()) * 31 + loaded_at_us
