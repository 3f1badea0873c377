"""The shared tier on event loops: the reads of one turn of the loop go out together, in one MGET.

Most reads that come here are hits of a plain entry, and each of a hundred in one turn has a few microseconds. So
`value` gives the value itself for those, without a record, and `flow.ports.Tier.fetch` is for all others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from cacheaside.flow.call import Call, Record
from cacheaside.flow.ports import TierAway
from cacheaside.stores.redis.connect.away import ConnectionAway
from cacheaside.stores.redis.connect.connection import Command, Connection
from cacheaside.stores.redis.tier import Asking, Found, RedisTier
from cacheaside.stores.redis.wire.commands import KEYS_MAX, Fetched, Wanted
from cacheaside.stores.redis.wire.entry import MASK, plain_opened, plain_stamp
from cacheaside.stores.redis.wire.generations import GENERATION_BYTES
from cacheaside.stores.redis.wire.names import generation_prefix
from cacheaside.stores.redis.wire.replies import StoreReplyError, generations_in, values_in
from cacheaside.tally import Tally
from cacheaside.types import TagId

__all__ = ["AWAY", "ELSE", "AioTier", "Else", "Quick", "resume"]

_NOTHING: Final[deque[Any]] = deque()
_SOMETHING: Final = object()


class Else:
    """Instead of a value: it takes a flow to answer."""


ELSE: Final = Else()
AWAY: Final = Else()
"""The same, and the tier was asked in vain: the flow is not to ask it again."""


class Quick(Protocol):
    """An endpoint, as far as a plain hit needs it."""

    tally: Tally
    quick_for_s: float
    """How long after the beginning of its load a value is surely fresh; 0 when it takes more to tell."""

    decode: Callable[[bytes], Any]
    """Raises for bytes that are no value of this endpoint."""


class Direct(Protocol):
    """A transport that knows the running loop's own connection."""

    def connection(self) -> Connection | None: ...


class _Batch:
    """What is asked for in one turn of a loop.

    calls: for a record. quick: for a value. Each with the place of its key among `names`, and its future.
    Implements `connection.Receiver`.
    """

    __slots__ = ("alone", "asking", "calls", "command", "known", "names", "quick", "tier")

    def __init__(self, tier: AioTier, asking: Asking) -> None:
        self.tier = tier
        self.command: Command = ()
        self.alone = False
        self.calls: list[tuple[Call, list[TagId], int, asyncio.Future[Any]]] = []
        self.quick: list[tuple[Quick, TagId, int, asyncio.Future[Any], Sequence[TagId]]] = []
        self.names: list[str] = []
        self.asking = asking
        self.known = asking.known

    def done(self) -> bool:
        return False

    def set_result(self, result: list[Any], /) -> None:
        self.tier.arrived(self, result)

    def set_exception(self, exception: ConnectionAway, /) -> None:
        self.tier.away(self, exception)


class AioTier(RedisTier):
    """As `RedisTier`. A caller that is cancelled leaves the others of its turn alone."""

    def __init__(
        self,
        *parts: Any,
        namespace: str,
        direct: Direct,
        attend: Callable[[asyncio.AbstractEventLoop], None],
        confirming: RedisTier | None = None,
        **options: Any,
    ) -> None:
        """attend: told of each loop that begins to use the tier. confirming: what waits for the word of replicas, on a
        connection of its own: on the loop's it would keep every reader waiting."""
        super().__init__(*parts, **options)
        self._direct = direct
        self._attend = attend
        self._confirming = confirming
        self._generation = generation_prefix(namespace)
        self._batches: dict[asyncio.AbstractEventLoop, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._going_on = False

    async def bump(self, tags: Sequence[TagId]) -> None:
        if self._confirming is None:
            await super().bump(tags)
        else:
            await asyncio.to_thread(_run, self._confirming.bump(tags))

    async def mark(self, tags: Sequence[TagId], writer: str, lifetime_s: float) -> None:
        if self._confirming is None:
            await super().mark(tags, writer, lifetime_s)
        else:
            await asyncio.to_thread(_run, self._confirming.mark(tags, writer, lifetime_s))

    # -- asking ------------------------------------------------------------------------------------------------

    def fetch(self, call: Call) -> Awaitable[Record | None]:
        if not self._servers.one_up:
            return self._fetch_one(call)
        batch, loop = self._batch()
        future: asyncio.Future[Record | None] = loop.create_future()
        tags = self._asked(call.tags, batch.known)
        names, prefix = batch.names, self._generation
        batch.calls.append((call, tags, len(names), future))
        names.append(call.key)
        names += [f"{prefix}{tag}}}" for tag in tags]
        if batch.alone:
            self._send(loop)
        return future

    def value(self, endpoint: Quick, key: TagId, more: Sequence[TagId]) -> Awaitable[Any] | None:
        """The value that the tier holds under `key`, which depends on that, on the namespace and on the tags `more`, if
        it is valid and surely fresh; else `ELSE`, or `AWAY`. None: ask in the ordinary way."""
        if not self._servers.one_up:
            return None
        loop = asyncio.get_running_loop()
        batch = self._batches.get(loop)
        if batch is None:
            batch, _ = self._batch()
        if batch.known is None:
            return None
        future: asyncio.Future[Any] = loop.create_future()
        names, prefix = batch.names, self._generation
        batch.quick.append((endpoint, key, len(names), future, more))
        names.append(key)
        names.append(f"{prefix}{key}}}")
        if more:
            names += [f"{prefix}{tag}}}" for tag in more]
        if batch.alone:
            self._send(loop)
        return future

    def _batch(self) -> tuple[_Batch, asyncio.AbstractEventLoop]:
        """What is asked for in this turn. When nothing else is left to be run in it, what is asked goes out at once:
        nobody can join, and a turn costs as much as all else in a read. Where a loop does not show what is left to be
        run (asyncio's does, by a private name), it waits for the turn's end."""
        loop = asyncio.get_running_loop()
        batch = self._batches.get(loop)
        if batch is None:
            for other in [other for other in self._batches if other.is_closed()]:
                del self._batches[other]  # closed between a turn and its end
            batch = _Batch(self, self._asking())
            self._batches[loop] = batch
            batch.alone = not self._going_on and getattr(loop, "_ready", _SOMETHING) == _NOTHING
            if not batch.alone:
                loop.call_soon(self._send, loop)
        return batch, loop

    # -- once a turn -------------------------------------------------------------------------------------------

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._batches.pop(loop)
        self._renew(batch)
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
            self._away(batch, away)
            return
        # Not connected yet, on this loop, which may be waited for; or more than one command.
        self._attend(loop)
        commands = [("MGET", *names[at : at + KEYS_MAX]) for at in range(0, len(names), KEYS_MAX)]
        task = loop.create_task(self._ask(batch, commands))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _renew(self, batch: _Batch) -> None:
        """Take in what became known while the batch was gathered, on other threads: who joined it after that is to be
        answered by it. What is asked for from now on is asked after all of it.

        Else: (1) a batch is made (2) a write on another thread is not acknowledged, and owed, or everything is
        invalidated (3) a read begins, and joins (4) the batch goes out (5) what was owed is paid (6) the answer
        arrives: nothing is owed any more, nor was when the batch was made; or it is judged by the old generation of the
        namespace, and L1 keeps it.
        """
        asking = self._asking()
        if asking.known == batch.known:
            if asking.owing:
                batch.asking = batch.asking._replace(owing=batch.asking.owing | asking.owing)
            return
        for _, _, _, future, _ in batch.quick:
            if not future.done():
                future.set_result(ELSE)
        calls, batch.calls, batch.quick = batch.calls, [], []
        batch.asking, batch.known = asking, asking.known
        names, prefix = batch.names, self._generation
        names.clear()
        for call, _, _, future in calls:
            tags = self._asked(call.tags, batch.known)
            batch.calls.append((call, tags, len(names), future))
            names.append(call.key)
            names += [f"{prefix}{tag}}}" for tag in tags]

    async def _ask(self, batch: _Batch, commands: Sequence[Any]) -> None:
        try:
            replies = await self._transport.execute(commands)
        except TierAway as away:
            self._away(batch, away)
        else:
            self._take(batch, commands, replies)

    def arrived(self, batch: _Batch, replies: Sequence[Any]) -> None:
        """The one command of `batch` was answered; told by the loop."""
        values = replies[0]
        if batch.calls or type(values) is not list or len(values) != len(batch.names):
            self._take(batch, (batch.command,), replies)
            return
        try:
            answers = self._answers(batch, values)
        except Exception as error:  # noqa: BLE001 - as in `_take`
            self._away(batch, error)
        else:
            self._tell(answers)

    def away(self, batch: _Batch, error: ConnectionAway) -> None:
        """It was not."""
        self._away(batch, error)

    def _away(self, batch: _Batch, error: BaseException) -> None:
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

    def _take(self, batch: _Batch, commands: Sequence[Any], replies: Sequence[Any]) -> None:
        try:
            values: list[bytes | None] = []
            for command, reply in zip(commands, replies, strict=True):
                values += values_in(command, reply)
            if batch.quick:
                for future, answer in self._answers(batch, values):
                    if not future.done():
                        future.set_result(answer)
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it is
            if isinstance(error, StoreReplyError):
                self._refuse(error)
            self._away(batch, error)
            return
        if batch.calls:
            self._take_records(batch, values)

    def _answers(self, batch: _Batch, values: list[bytes | None]) -> list[tuple[asyncio.Future[Any], Any]]:
        """For each who wants a value that, or `ELSE`. One loop, and little in it: this is the hot path."""
        assert batch.known is not None
        quick, everything = batch.quick, self._everything
        base = self._servers.states[0].base
        identity = self._servers.identity_of(everything)
        if base is None or self._owed or batch.asking.owing or batch.known >> 64 != identity:
            return [(future, ELSE) for _, _, _, future, _ in quick]
        said_by, known = plain_stamp(identity), (batch.known & MASK).to_bytes(GENERATION_BYTES, "big")
        now = self._clock.now()
        began_s = now + base.lag_s(now)
        age_s = 0.0
        answers = []
        for endpoint, key, at, future, more in quick:
            data, generation = values[at], values[at + 1]
            answer: Any = ELSE
            if type(data) is bytes and type(generation) is bytes:
                if more:
                    others = values[at + 2 : at + 2 + len(more)]
                    stamp = said_by + _in_order((key, everything, *more), (generation, known, *others))
                elif key < everything:
                    stamp = said_by + generation + known
                else:
                    stamp = said_by + known + generation
                found = plain_opened(data, key, stamp)
                if found is not None:
                    age_s = began_s - found[1] * 1e-6
                    if 0.0 <= age_s < endpoint.quick_for_s:
                        try:
                            answer = endpoint.decode(found[0])
                        except Exception:  # noqa: BLE001 - classes of the value may raise anything; a flow says what
                            answer = ELSE
                        else:
                            tally = endpoint.tally
                            tally.fresh += 1
                            tally.shared_hits += 1
            answers.append((future, answer))
        quick[0][0].tally.age_at_serve.record(age_s)
        return answers

    def _tell(self, answers: list[tuple[asyncio.Future[Any], Any]]) -> None:
        """Let all go on. What they ask for next goes out together, as in any turn."""
        self._going_on = len(answers) > 1
        left = iter(answers)
        try:
            for future, answer in left:
                if not future.done():
                    resume(future, answer)
        finally:
            self._going_on = False
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
            found = self._found(calls, wanted, fetched, batch.asking)
            if not found.missing:
                self._give(batch, self._judged(found))
                return
        except Exception as error:  # noqa: BLE001 - as above
            self._away(batch, error)
            return
        task = asyncio.get_running_loop().create_task(self._ask_more(batch, found))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_more(self, batch: _Batch, found: Found) -> None:
        try:
            await self._complete(found)
            self._give(batch, self._judged(found))
        except TierAway as away:
            self._away(batch, away)

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


def _run(flow: Coroutine[Any, Any, None]) -> None:
    """Run a flow of the blocking colour, which never suspends."""
    try:
        flow.send(None)
    except StopIteration:
        return
    flow.close()
    raise AssertionError(f"{flow!r} suspended")


def _in_order(tags: Sequence[TagId], generations: Sequence[bytes | None]) -> bytes:
    """The generations in the order of the tags' ids; without those that are missing, so that no stamp equals it."""
    by_tag = sorted(zip(tags, generations, strict=True))
    return b"".join([generation for _, generation in by_tag if generation is not None])
