"""The shared tier on event loops: the reads of one turn of the loop go out together, in one MGET.

Each of a hundred in one turn has a few microseconds: see `plain`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.call import Call, Record
from cacheaside.flow.ports import Position, TierAway
from cacheaside.stores.redis.asking import Asking, Found
from cacheaside.stores.redis.connect.away import ConnectionAway
from cacheaside.stores.redis.connect.connection import Command, Connection
from cacheaside.stores.redis.plain import AWAY, ELSE, PlainHits, Quick, Wish
from cacheaside.stores.redis.tier import RedisTier
from cacheaside.stores.redis.wire.commands import KEYS_MAX, Fetched, Wanted
from cacheaside.stores.redis.wire.names import generation_prefix
from cacheaside.stores.redis.wire.replies import StoreReplyError, generations_in, values_in
from cacheaside.stores.redis.wire.stamp import TAGS_MAX
from cacheaside.types import Generation, TagId

__all__ = ["AioTier", "resume"]

_NOTHING: Final[deque[Any]] = deque()
_SOMETHING: Final = object()


class Direct(Protocol):
    """A transport that knows the running loop's own connection."""

    def connection(self) -> Connection | None: ...


class _Batch:
    """What is asked for in one turn of a loop.

    calls: for a record. quick: for a value. Each with the place of its key among `names`, and its future. places: where
    lies what was asked for, by key and tags: what many ask for is asked, and answered, once. known, since, owing: as in
    `Asking`. alone: it goes out at once. Implements `connection.Receiver`.
    """

    __slots__ = ("alone", "calls", "command", "known", "names", "owing", "places", "quick", "since", "tier")

    def __init__(
        self, tier: AioTier, known: Generation | None, since: Position | None, *, alone: bool
    ) -> None:
        self.tier = tier
        self.known = known
        self.since = since
        self.alone = alone
        self.owing: frozenset[TagId] = frozenset()
        self.command: Command = ()
        self.calls: list[tuple[Call, list[TagId], int, asyncio.Future[Any]]] = []
        self.quick: list[Wish] = []
        self.names: list[str] = []
        self.places: dict[TagId | tuple[TagId, ...], int] = {}

    def done(self) -> bool:
        return False

    def set_result(self, result: list[Any], /) -> None:
        """The one command was answered; told by the loop."""
        tier, values = self.tier, result[0]
        known = self.known
        if self.calls or known is None or type(values) is not list or len(values) != len(self.names):
            tier.take(self, (self.command,), result)
            return
        try:
            answers = tier.plain_hits.answers(self.quick, values, known, self.owing)
        except Exception as error:  # noqa: BLE001 - as in `AioTier.take`
            tier.away(self, error)
        else:
            tier.tell(answers)

    def set_exception(self, exception: ConnectionAway, /) -> None:
        self.tier.away(self, exception)


class AioTier(RedisTier):
    """As `RedisTier`. A caller that is cancelled leaves the others of its turn alone."""

    def __init__(
        self,
        *parts: Any,
        namespace: str,
        direct: Direct,
        moment: Callable[[], int],
        attend: Callable[[asyncio.AbstractEventLoop], None],
        confirming: RedisTier | None = None,
        **options: Any,
    ) -> None:
        """moment: as `PlainHits` has it. attend: told of each loop that begins to use the tier. confirming: what waits
        for the word of replicas, on a connection of its own: on the loop's it would keep every reader waiting."""
        super().__init__(*parts, namespace=namespace, **options)
        self._direct = direct
        self._attend = attend
        self._confirming = confirming
        self._generation = generation_prefix(namespace)
        self._batches: dict[asyncio.AbstractEventLoop, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._going_on: set[asyncio.AbstractEventLoop] = set()
        """Loops that tell several at once."""
        self.plain_hits = PlainHits(self._servers, self._owed, self._clock, self._everything, self, moment)

    async def bump(self, tags: Sequence[TagId]) -> None:
        if self._confirming is None:
            await super().bump(tags)
        else:
            await asyncio.to_thread(run_blocking, self._confirming.bump(tags))

    async def mark(self, tags: Sequence[TagId], writer: str, lifetime_s: float) -> None:
        if self._confirming is None:
            await super().mark(tags, writer, lifetime_s)
        else:
            await asyncio.to_thread(run_blocking, self._confirming.mark(tags, writer, lifetime_s))

    # -- asking ------------------------------------------------------------------------------------------------

    def fetch(self, call: Call) -> Awaitable[Record | None]:
        if not self._servers.one_up or len(call.tags) > TAGS_MAX:
            return self._fetch_one(call)
        loop = asyncio.get_running_loop()
        batch = self._batches.get(loop) or self._new_batch(loop, self._hearing.everything())
        future: asyncio.Future[Record | None] = loop.create_future()
        self._join(batch, call, future)
        if batch.alone:
            self._send(loop)
        return future

    def _join(self, batch: _Batch, call: Call, future: asyncio.Future[Record | None]) -> None:
        tags = self._asked(call.tags, batch.known)
        names, prefix = batch.names, self._generation
        at = batch.places.setdefault(call.tags, len(names))  # the key is among them
        batch.calls.append((call, tags, at, future))
        if at == len(names):
            names.append(call.key)
            names += [f"{prefix}{tag}}}" for tag in tags]

    def value(self, endpoint: Quick, key: TagId, more: Sequence[TagId]) -> Awaitable[Any] | None:
        """The value that the tier holds under `key`, which depends on that, on the namespace and on the tags `more`, if
        it is valid and surely fresh; else an `Else`. None: ask in the ordinary way."""
        if not self._servers.one_up or len(more) > TAGS_MAX:
            return None
        loop = asyncio.get_running_loop()
        batch = self._batches.get(loop)
        if batch is None:
            known = self._hearing.everything()
            if known is None:
                return None
            batch = self._new_batch(loop, known)
        elif batch.known is None:
            return None
        future: asyncio.Future[Any] = loop.create_future()
        names, prefix = batch.names, self._generation
        at = batch.places.setdefault((key, *more) if more else key, len(names))
        batch.quick.append((endpoint, key, at, future, more))
        if at == len(names):
            names.append(key)
            names.append(f"{prefix}{key}}}")
            if more:
                names += [f"{prefix}{tag}}}" for tag in more]
        if batch.alone:
            self._send(loop)
        return future

    def _new_batch(self, loop: asyncio.AbstractEventLoop, known: Generation | None) -> _Batch:
        """What is asked for in this turn. When nothing else is left to be run in it, what is asked goes out at once:
        nobody can join, and a turn costs as much as all else in a read. Where a loop does not show what is left to be
        run (asyncio's does, by a private name), it waits for the turn's end."""
        if self._batches:
            for other in [other for other in self._batches if other.is_closed()]:
                del self._batches[other]  # closed between a turn and its end
        alone = loop not in self._going_on and getattr(loop, "_ready", _SOMETHING) == _NOTHING
        since = self._hearing.position() if known is None else None
        batch = self._batches[loop] = _Batch(self, known, since, alone=alone)
        if not alone:
            loop.call_soon(self._send, loop)
        return batch

    # -- once a turn -------------------------------------------------------------------------------------------

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._batches.pop(loop)
        # What other threads did since the turn began counts for who joined after it. Else: (1) a read begins a batch
        # (2) a thread owes a tag (3) a read of that tag joins, and all is asked (4) the tag is bumped, and not owed any
        # more (5) the answer arrives, given before the bump: it is older than a write of this process. In the same way
        # with the generation of the namespace, which L1 would keep it by.
        batch.owing = self._owed.names()
        if not batch.alone and batch.known is not None and self._hearing.everything() != batch.known:
            self._begin_again(batch)
        names = batch.names
        if not names:
            return
        try:
            connection = self._direct.connection()
            if connection is not None and len(names) <= KEYS_MAX:
                batch.command = ("MGET", *names)
                connection.send_now(batch.command, batch)
                return
        except ConnectionAway as away:
            self.away(batch, away)
            return
        # Not connected yet, on this loop, which may be waited for; or more than one command.
        self._attend(loop)
        commands = [("MGET", *names[at : at + KEYS_MAX]) for at in range(0, len(names), KEYS_MAX)]
        task = loop.create_task(self._ask(batch, commands))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, batch: _Batch, commands: Sequence[Any]) -> None:
        try:
            replies = await self._transport.execute(commands)
        except TierAway as away:
            self.away(batch, away)
        else:
            self.take(batch, commands, replies)

    def _begin_again(self, batch: _Batch) -> None:
        """With what is known of the namespace now."""
        for _, _, _, future, _ in batch.quick:
            if not future.done():
                future.set_result(ELSE)
        calls, batch.calls, batch.quick, batch.names, batch.places = batch.calls, [], [], [], {}
        batch.known = self._hearing.everything()
        batch.since = self._hearing.position() if batch.known is None else None
        for call, _, _, future in calls:
            self._join(batch, call, future)

    def away(self, batch: _Batch, error: BaseException) -> None:
        """There is no answer to `batch`, or none that is understood."""
        self._counts.away += 1
        for _, _, _, future in batch.calls:
            if not future.done():
                future.set_exception(
                    error.again(maybe_sent=error.maybe_sent)
                    if isinstance(error, ConnectionAway)
                    else TierAway(str(error))
                )
        for _, _, _, future, _ in batch.quick:
            if not future.done():
                future.set_result(AWAY)

    # -- what came ---------------------------------------------------------------------------------------------

    def take(self, batch: _Batch, commands: Sequence[Any], replies: Sequence[Any]) -> None:
        """Give all of `batch` what they asked for."""
        try:
            values: list[bytes | None] = []
            for command, reply in zip(commands, replies, strict=True):
                values += values_in(command, reply)
            if batch.quick:
                assert batch.known is not None
                for future, answer in self.plain_hits.answers(batch.quick, values, batch.known, batch.owing):
                    if not future.done():
                        future.set_result(answer)
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it is
            if isinstance(error, StoreReplyError):
                self._refused(error)
            self.away(batch, error)
            return
        if batch.calls:
            self._take_records(batch, values)

    def tell(self, answers: list[tuple[asyncio.Future[Any], Any]]) -> None:
        """Let all go on. What they ask for next goes out together, as in any turn."""
        loop, left = asyncio.get_running_loop(), iter(answers)
        if len(answers) > 1:
            self._going_on.add(loop)
        try:
            for future, answer in left:
                if not future.done():
                    resume(future, answer)
        finally:
            self._going_on.discard(loop)
            for future, answer in left:  # one of them ended the loop: it may be run again
                if not future.done():
                    future.set_result(answer)

    def _take_records(self, batch: _Batch, values: list[bytes | None]) -> None:
        calls = [call for call, _, _, _ in batch.calls]
        wanted = [Wanted(call.key, tags) for call, tags, _, _ in batch.calls]
        fetched = [
            Fetched(values[at], generations_in(values[at + 1 : at + 1 + len(tags)]))
            for _, tags, at, _ in batch.calls
        ]
        try:
            asking = Asking(batch.since, batch.known, batch.owing)
            found = self._found(calls, wanted, fetched, asking)
            if not found.missing:
                self._give(batch, self._judged(found))
                return
        except Exception as error:  # noqa: BLE001 - as above
            self.away(batch, error)
            return
        task = asyncio.get_running_loop().create_task(self._ask_more(batch, found))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_more(self, batch: _Batch, found: Found) -> None:
        try:
            await self._complete(found)
            self._give(batch, self._judged(found))
        except TierAway as away:
            self.away(batch, away)

    def _give(self, batch: _Batch, records: Sequence[Record | None]) -> None:
        for (_, _, _, future), record in zip(batch.calls, records, strict=True):
            if not future.done():
                future.set_result(record)


def resume(future: asyncio.Future[Any], answer: Any) -> None:
    """Set the answer, and let who awaits it go on here and now, as the loop would in its next turn, which costs as much
    as a lone read. To be called by the loop, from no task: two cannot run at once.

    A future shows who awaits it by a private name alone, in all of asyncio's kinds. Where it does not, the turn is
    waited for.
    """
    waiting = getattr(future, "_callbacks", None)
    if waiting is None or len(waiting) != 1:
        future.set_result(answer)
        return
    ((go_on, context),) = waiting
    future.remove_done_callback(go_on)
    future.set_result(answer)
    context.run(go_on, future)
