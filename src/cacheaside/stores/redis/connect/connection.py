"""One pipelined connection: whoever asks in one turn of the loop goes out in one write, and answers come in order.

Every call has one future, whatever number of commands it is. Nothing is kept per command, no timer per call: what is
written in one turn is a *wave*, and the age of the oldest unanswered wave is all that the deadline needs to know.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any, Final, Protocol, cast

from cacheaside.stores.redis.connect.away import Away, ConnectionAway, ErrorReply
from cacheaside.stores.redis.connect.server import Limits
from cacheaside.stores.redis.wire.replies import Command

__all__ = ["Command", "Connection", "Receiver"]

_NOT_YET: Final = object()
_TURN_S: Final = 0.001
_BUFFER_BYTES: Final = 256 * 1024


class Receiver(Protocol):
    """Who takes an answer, as a future does. What it does must not raise."""

    def done(self) -> bool: ...

    def set_result(self, result: list[Any], /) -> None: ...

    def set_exception(self, exception: ConnectionAway, /) -> None: ...


class Connection(asyncio.BufferedProtocol):
    """An established connection, used on the loop that made it. Made by `handshake.open_connection`.

    A command is written once, or never: a connection that breaks answers its calls with `ConnectionAway`, which says
    whether they may have been sent, and takes no more. A caller that is cancelled leaves its place in the order, and
    the answer that comes for it is dropped.

    now: seconds. on_push: gets each push message, a list whose first item is its kind; it must not block.
    on_lost: is told once that the connection is gone, and why, before the calls are.
    """

    def __init__(
        self,
        endpoint: str,
        limits: Limits,
        now: Callable[[], float],
        on_push: Callable[[list[Any]], None] | None = None,
        on_lost: Callable[[ConnectionAway], None] | None = None,
    ) -> None:
        import hiredis  # here, so that the library can be imported without it

        self._pack: Callable[[Any], bytes] = hiredis.pack_command
        self._push_type = hiredis.PushNotification
        self._reader = hiredis.Reader(replyError=ErrorReply, notEnoughData=_NOT_YET)
        self._garbled = hiredis.ProtocolError
        self._loop = asyncio.get_running_loop()
        self._context = Context()  # callers' context variables are theirs
        self._transport: asyncio.Transport | None = None
        self._incoming = memoryview(bytearray(_BUFFER_BYTES))
        self._closed = self._loop.create_future()
        self._limits = limits
        self._unanswered_max = limits.unanswered_commands_max
        self._unsent_bytes_max = limits.unsent_bytes_max
        self._now = now
        self.on_push = on_push
        self.on_lost = on_lost
        self.endpoint: Final = endpoint
        self.gone: ConnectionAway | None = None

        self._packed: list[bytes] = []
        self._packed_bytes = 0
        self._stuck_bytes = 0  # written, but not yet taken by the kernel
        self._flush_due = False

        self._calls: deque[tuple[asyncio.Future[list[Any]] | Receiver, int]] = deque()
        self._replies: list[Any] = []  # of the oldest call, so far
        self._unanswered = 0  # commands
        self._unfinished_bytes = 0
        self.issued = 0
        """Calls made so far."""
        self.answered = 0
        """Calls answered so far, those that nobody waited for any more included."""
        self._waves: deque[tuple[float, int]] = deque()  # when it was written; `issued` then
        self._watch: asyncio.TimerHandle | None = None

    # -- what callers do ---------------------------------------------------------------------------------------

    def send(self, commands: Sequence[Command]) -> asyncio.Future[list[Any]]:
        """Write `commands` at the end of this turn; the future has their replies, in order.

        Raises `ConnectionAway`, with nothing sent, when the connection is gone or too much is under way. The future
        fails with it when the connection breaks or the deadline passes. Error replies stand among the replies.
        """
        if self.gone is not None:
            raise self.gone.again(maybe_sent=False)
        count = len(commands)
        if count == 1:  # most calls, and nothing to join
            packed = self._pack(commands[0])
        else:
            packed = b"".join(map(self._pack, commands))
        size_bytes = len(packed)
        if (
            self._stuck_bytes
            or self._unanswered + count > self._unanswered_max
            or self._packed_bytes + size_bytes > self._unsent_bytes_max
        ):
            self._check_room(count, size_bytes)
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        if not count:
            future.set_result([])
            return future
        self._packed.append(packed)
        self._packed_bytes += size_bytes
        self._calls.append((future, count))
        self._unanswered += count
        self.issued += 1
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush, context=self._context)
        return future

    def send_now(self, command: Command, receiver: Receiver) -> None:
        """Write `command` at once, after what waits to be written; `receiver` is told on the spot when it is answered.

        As `send` with a future, less three turns of the loop. Where little is under way, turns are most of the cost.
        """
        if self.gone is not None:
            raise self.gone.again(maybe_sent=False)
        packed = self._pack(command)
        if (
            self._stuck_bytes
            or self._unanswered >= self._unanswered_max
            or self._packed_bytes + len(packed) > self._unsent_bytes_max
        ):
            self._check_room(1, len(packed))
        self._packed.append(packed)
        self._packed_bytes += len(packed)
        self._calls.append((receiver, 1))
        self._unanswered += 1
        self.issued += 1
        self._flush()

    def abort(self, away: ConnectionAway | None = None) -> None:
        """Break it now: calls under way fail at once, and nothing that is still to be written goes out."""
        self._lose(away or self._away("this side closed the connection", Away.CLOSED))

    def release_inherited(self) -> None:
        """In a child made by fork: let go of the parent's connection, and leave the parent's own end as it is.

        Closing it in the ordinary way would take it out of the parent's poll set, which is shared, and end its TLS.
        """
        held = self._transport.get_extra_info("socket") if self._transport is not None else None
        if held is not None and held.fileno() >= 0:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, held.fileno(), inheritable=False)
            os.close(nowhere)

    def forget_loop(self) -> None:
        """Its loop was closed under it, and will never close it: end the connection without the loop."""
        self.gone = self.gone or self._away("its event loop was closed", Away.CLOSED)
        transport = self._transport
        # A transport closes its socket on its loop, and complains when it is collected first; there is no public way.
        # An encrypted one has no socket, but another transport below it, which has.
        below: Any = getattr(transport, "_ssl_protocol", None)
        if below is not None:
            transport._closed = True  # type: ignore[union-attr]  # noqa: SLF001
            transport = getattr(below, "_transport", None)
        held = getattr(transport, "_sock", None)
        if held is not None:
            held.close()
            transport._sock = None  # type: ignore[union-attr]  # noqa: SLF001

    async def aclose(self) -> None:
        """As `abort`, and return once the socket is closed, which waits for nobody."""
        self.abort()
        if self._transport is not None:
            await asyncio.shield(self._closed)

    def _check_room(self, count: int, size_bytes: int) -> None:
        limits = self._limits
        if self._unanswered + count > limits.unanswered_commands_max:
            raise self._away(
                f"{self._unanswered} commands wait for answers and {count} more would pass "
                f"unanswered_commands_max={limits.unanswered_commands_max}",
                Away.FULL,
            )
        if self._stuck_bytes and self._transport is not None:
            self._stuck_bytes = self._transport.get_write_buffer_size()
        if self._packed_bytes + self._stuck_bytes + size_bytes > limits.unsent_bytes_max:
            raise self._away(
                f"{self._packed_bytes + self._stuck_bytes} bytes wait to be written and {size_bytes} more would pass "
                f"unsent_bytes_max={limits.unsent_bytes_max}",
                Away.FULL,
            )

    # -- once a turn -------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._flush_due = False
        if self.gone is not None or self._transport is None or not self._packed:
            return
        now = self._now()
        content = self._packed[0] if len(self._packed) == 1 else b"".join(self._packed)
        self._packed = []
        self._packed_bytes = 0
        waves = self._waves
        if waves and waves[0][1] <= self.answered:
            self._forget_answered()
        # Aged from here and not from the call: a loop that was blocked in between is not the server's fault.
        waves.append((now, self.issued))
        if self._watch is None:
            self._watch_for(self._limits.deadline_s)
        self._transport.write(content)
        self._stuck_bytes = self._transport.get_write_buffer_size()

    def _forget_answered(self) -> None:
        waves, answered = self._waves, self.answered
        while waves and waves[0][1] <= answered:
            waves.popleft()

    # -- the watchdog ------------------------------------------------------------------------------------------

    def _watch_for(self, delay_s: float) -> None:
        self._watch = self._loop.call_later(delay_s, self._look, context=self._context)

    def _look(self) -> None:
        """Look at the oldest wave again when it comes of age."""
        self._watch = None
        if self.gone is not None:
            return
        self._forget_answered()
        if not self._waves:
            return  # the next flush looks again
        left_s = self._waves[0][0] + self._limits.deadline_s - self._now()
        if left_s > 0:
            self._watch_for(max(left_s, _TURN_S))
            return
        # After a blocked loop the answers may lie in the socket, unread: 1. the wave goes out; 2. something blocks the
        # loop past the deadline; 3. this runs before they were all read, and would break a connection that is well.
        # So once more, after a turn of the loop, and as often as turns bring answers.
        self._watch = self._loop.call_later(0, self._condemn, self.answered, context=self._context)

    def _condemn(self, answered_before: int) -> None:
        self._watch = None
        if self.answered != answered_before:
            self._look()
        elif self.gone is None:
            deadline_s = self._limits.deadline_s
            self._lose(self._away(f"no answer within the deadline of {deadline_s:g} s", Away.LATE))

    # -- what the loop tells -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without being of that class
        if self.gone is not None:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """One for all that comes. Without it, asyncio allocates 256 KiB for each reading of the socket, which takes as
        long as the rest of a small answer."""
        return self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        self._understand(self._incoming[:nbytes])

    def _understand(self, data: memoryview) -> None:
        reader, calls = self._reader, self._calls
        gets = reader.gets
        replies = self._replies
        push_type = self._push_type
        before = self.answered
        try:
            reader.feed(data)  # type: ignore[arg-type]  # any buffer will do
            while (reply := gets()) is not _NOT_YET:
                if type(reply) is push_type:
                    self._hear(reply)
                    if self.gone is not None:
                        return
                    continue
                if not calls:
                    raise self._garbled("an answer to nothing")
                replies.append(reply)
                future, count = calls[0]
                if len(replies) == count:
                    calls.popleft()
                    self.answered += 1
                    self._unanswered -= count
                    answer, replies = replies, []
                    self._replies = replies  # before anybody is told, who may raise what ends a loop
                    if not future.done():
                        future.set_result(answer)
        except self._garbled as error:
            # Every call under way fails: whose answer was garbled cannot be told.
            self._lose(self._away(f"what it sent is not the protocol ({error})", Away.GARBLED))
            return
        except Exception as error:  # noqa: BLE001 - the parser raises more than it says: a map may have a list as key
            message = f"what it sent cannot be taken in ({type(error).__name__})"
            self._lose(self._away(message, Away.GARBLED))
            return
        if self.answered != before:
            self._unfinished_bytes = 0
        else:
            self._bound_reply(len(data))

    def _bound_reply(self, more_bytes: int) -> None:
        """An answer that never ends is not collected for ever."""
        self._unfinished_bytes += more_bytes
        largest = self._limits.reply_bytes_max
        if self._unfinished_bytes > largest:
            self._lose(self._away(f"an answer is larger than reply_bytes_max={largest}", Away.GARBLED))

    def _hear(self, message: list[Any]) -> None:
        self._unfinished_bytes = 0
        if self.on_push is None:
            return
        try:
            self.on_push(list(message))
        except Exception as error:  # noqa: BLE001 - the calls under way have done nothing wrong
            self._loop.call_exception_handler(
                {"message": f"a listener to push messages of {self.endpoint} failed", "exception": error}
            )

    def connection_lost(self, exc: Exception | None) -> None:
        why = (
            f"the server or the network broke the connection ({exc})"
            if exc is not None
            else "the server closed the connection"
        )
        self._lose(self._away(why, Away.LOST))
        if not self._closed.done():
            self._closed.set_result(None)

    # -- the end -----------------------------------------------------------------------------------------------

    def _away(self, message: str, reason: Away) -> ConnectionAway:
        return ConnectionAway(message, endpoint=self.endpoint, reason=reason)

    def _lose(self, away: ConnectionAway) -> None:
        """Fail every call under way, at once: `connection_lost` may come late, or never from a peer that is silent."""
        if self.gone is not None:
            return
        self.gone = away
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()
        if self.on_lost is not None:
            self.on_lost(away)
        flushed = self._waves[-1][1] if self._waves else self.answered
        for number, (future, _) in enumerate(self._calls, self.answered + 1):
            if not future.done():
                future.set_exception(away.again(maybe_sent=number <= flushed))
        self._calls.clear()
        self._packed = []
