"""One connection that one thread at a time uses and waits on, with a deadline for all it does."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from errno import EINPROGRESS
from typing import Any, Final, NamedTuple, TypeVar

from cacheaside.stores.redis.connect.away import Away, ConnectionAway, ErrorReply
from cacheaside.stores.redis.connect.deadline import Deadline, Waiting, has_more
from cacheaside.stores.redis.connect.login import logging_in
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress
from cacheaside.stores.redis.wire.replies import Command

__all__ = ["BlockingConnection", "Target", "collect"]

T = TypeVar("T")

_CHUNK_BYTES: Final = 65_536
_NOT_YET: Final = object()
_UNDER_WAY: Final = (EINPROGRESS, 10_035)  # the second: what Windows says


class Target(NamedTuple):
    """Where a name leads, as the kernel takes it."""

    family: int
    where: Any


def _targets_of(address: ServerAddress) -> list[Target]:
    """Where `address` leads, in the order to try. Takes as long as the system's resolver; raises what that raises."""
    if address.path is not None:
        return [Target(socket.AF_UNIX, address.path)]
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return [Target(family, where) for family, _, _, _, where in found]


class BlockingConnection:
    """A connection to one server: `open`, then any number of calls; the first failure is the last.

    Whoever gets a `ConnectionAway` from it closes it. `close` and `interrupt` may come from any thread.
    """

    def __init__(self, address: ServerAddress, limits: Limits) -> None:
        import hiredis  # here, so that the library can be imported without it

        self._pack: Callable[[Any], bytes] = hiredis.pack_command
        self._push_type = hiredis.PushNotification
        self._garbled = hiredis.ProtocolError
        self._reader = hiredis.Reader(replyError=ErrorReply, notEnoughData=_NOT_YET)
        self._address = address
        self._limits = limits
        self._socket: socket.socket | None = None
        self._closing = threading.Lock()
        self._waits_to_send = False
        self._replies: list[Any] = []
        self._wanted = 0
        self._unfinished_bytes = 0
        self._maybe_sent = False
        self.protocol: int | None = None
        """3, or 2; None before it is open."""
        self.target: Target | None = None
        """Where it was connected to."""
        self.epoch = 0
        """For its keeper: which period of the server it belongs to."""
        self.worked = False
        """For its keeper: whether it has answered a call since its login."""

    # -- opening -----------------------------------------------------------------------------------------------

    def open(self, login: Login, deadline: Deadline, targets: Sequence[Target] | None = None) -> None:
        """Connect, to the first of `targets` that takes it, and log in; each answer within `deadline_s` as well.

        targets: None: look the name up, which takes as long as the system's resolver takes. Raises `ConnectionAway`,
        closed, with nothing left behind.
        """
        try:
            self._connect(deadline, targets or _targets_of(self._address))
            steps = logging_in(login, str(self._address))
            commands = next(steps)
            try:
                while True:
                    commands = steps.send(self.ask(commands, deadline.within(self._limits.deadline_s)))
            except StopIteration as end:
                self.protocol = end.value.protocol
        except (OSError, ValueError) as error:  # a name that cannot be one is a ValueError
            self.close()
            raise self._away(f"no connection ({error})", Away.REFUSED) from error
        except ConnectionAway as away:
            self.close()
            raise away.again(maybe_sent=False) from None
        except BaseException:
            self.close()
            raise
        self._maybe_sent = False

    def _connect(self, deadline: Deadline, targets: Sequence[Target]) -> None:
        for number, target in enumerate(targets, 1):
            try:
                # A share for each: the first may swallow what it is sent, and the second be well.
                self._reach(target, deadline.within(deadline.left_s() / (len(targets) - number + 1)))
                break
            except (OSError, ConnectionAway):
                self.close()
                if number == len(targets):
                    raise
        held, address = self._held(), self._address
        if address.tls is not None:
            name = address.tls_name or address.host
            self._socket = held = address.tls.wrap_socket(
                held, server_hostname=name, do_handshake_on_connect=False
            )
            while self._step(held.do_handshake) is _NOT_YET:
                self._wait(deadline)

    def _reach(self, target: Target, deadline: Deadline) -> None:
        held = self._socket = socket.socket(target.family, socket.SOCK_STREAM)
        held.setblocking(False)
        error = held.connect_ex(target.where)
        if error in _UNDER_WAY:
            self._waits_to_send = True
            self._wait(deadline)
            error = held.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        if target.family in (socket.AF_INET, socket.AF_INET6):
            held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.target = target

    # -- calls -------------------------------------------------------------------------------------------------

    def ask(self, commands: Sequence[Command], deadline: Deadline) -> list[Any]:
        """The replies to `commands`, in order; error replies among them. Raises `ConnectionAway`."""
        self.send(b"".join(map(self._pack, commands)), len(commands), deadline)
        for _, away in collect([self], deadline):
            raise away
        return self.replies()

    def send(self, packed: bytes, count: int, deadline: Deadline) -> None:
        """Write `count` commands; `collect` waits for their replies."""
        self._replies = []
        self._wanted = count
        self._unfinished_bytes = 0
        self._maybe_sent = False
        held, sent = self._held(), 0
        left: bytes | memoryview = packed
        while True:
            taken = self._guarded(held.send, left, sends=True)
            if taken is _NOT_YET:
                self._wait(deadline)
                continue
            self._maybe_sent = True
            sent += taken
            if sent == len(packed):
                self._waits_to_send = False
                return
            left = memoryview(packed)[sent:]

    def replies(self) -> list[Any]:
        """Those of the last call, once `collect` has them. Once: nothing of them is kept while it lies idle."""
        replies, self._replies = self._replies, []
        return replies

    def check_idle(self) -> None:
        """Raise `ConnectionAway` when it ended, or something came that nobody asked for, since the last call."""
        self._replies = []
        self._wanted = 0
        self._maybe_sent = False
        if has_more(self._held()):
            self.pull()

    def waiting(self) -> Waiting:
        """What `collect` waits for."""
        return self._held(), self._waits_to_send

    def pull(self) -> bool:
        """Take in what has come, without waiting; whether all replies are there. Raises `ConnectionAway`."""
        content = self._guarded(self._held().recv, _CHUNK_BYTES)
        if content is _NOT_YET:
            return False
        if not content:
            raise self._away("the server closed the connection", Away.LOST)
        try:
            self._understand(content)
        except self._garbled as error:
            raise self._away(f"what it sent is not the protocol ({error})", Away.GARBLED) from None
        except Exception as error:  # noqa: BLE001 - the parser raises more than it says: a map may have a list as key
            message = f"what it sent cannot be taken in ({type(error).__name__})"
            raise self._away(message, Away.GARBLED) from None
        largest = self._limits.reply_bytes_max
        if self._unfinished_bytes > largest:  # an answer that never ends is not collected for ever
            raise self._away(f"an answer is larger than reply_bytes_max={largest}", Away.GARBLED)
        return len(self._replies) == self._wanted

    def _understand(self, content: bytes) -> None:
        reader, replies = self._reader, self._replies
        self._unfinished_bytes += len(content)
        reader.feed(content)
        while (reply := reader.gets()) is not _NOT_YET:
            self._unfinished_bytes = 0
            if type(reply) is self._push_type:
                continue
            if len(replies) == self._wanted:
                raise self._garbled("an answer to nothing")
            replies.append(reply)
        if len(replies) == self._wanted and reader.has_data():
            # It would be taken for the beginning of the next call's answer.
            raise self._garbled("more than was asked for")

    def too_late(self) -> ConnectionAway:
        """What is said when the deadline passed first."""
        if self.protocol is None:
            return self._away("no connection with a login in time", Away.LATE)
        return self._away(f"no answer within the deadline of {self._limits.deadline_s:g} s", Away.LATE)

    # -- the end -----------------------------------------------------------------------------------------------

    def detach(self) -> socket.socket:
        """Its socket, which is the caller's from now on. At rest: nothing is under way."""
        with self._closing:
            held, self._socket = self._held(), None
            return held

    def interrupt(self) -> None:
        """End it under the thread that waits on it, which then gets a `ConnectionAway`, and closes it."""
        with self._closing:  # else its number might be another socket's by now
            if self._socket is not None:
                try:
                    # Not the method of an encrypted socket: that would go on in plain text.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
                except OSError:
                    return  # not connected yet, or ended already

    def close(self) -> None:
        """Close the socket. Waits for nothing. Twice is once."""
        with self._closing:
            held, self._socket = self._socket, None
            if held is not None:
                held.close()

    def begin_as_child(self) -> None:
        """See `Forked`: the parent's connection is let go of; nothing is written to it, and its end is not shut."""
        held, self._socket = self._socket, None
        if held is not None and (descriptor := held.detach()) >= 0:
            os.close(descriptor)

    # -- inside ------------------------------------------------------------------------------------------------

    def _held(self) -> socket.socket:
        if self._socket is None:
            raise self._away("this side closed the connection", Away.CLOSED)
        return self._socket

    def _wait(self, deadline: Deadline) -> None:
        if not deadline.wait([self.waiting()]):
            raise self.too_late()

    def _guarded(self, act: Callable[[Any], Any], given: Any, *, sends: bool = False) -> Any:
        try:
            return self._step(act, given, sends=sends)
        except OSError as error:
            raise self._away(
                f"the server or the network broke the connection ({error})", Away.LOST
            ) from error

    def _step(self, act: Callable[..., Any], *given: Any, sends: bool = False) -> Any:
        """What `act` returns; `_NOT_YET` when there is first something to wait for."""
        try:
            return act(*given)
        except ssl.SSLWantReadError:
            self._waits_to_send = False
        except ssl.SSLWantWriteError:
            self._waits_to_send = True
        except BlockingIOError:
            self._waits_to_send = sends
        return _NOT_YET

    def _away(self, message: str, reason: Away) -> ConnectionAway:
        return ConnectionAway(
            message, endpoint=str(self._address), reason=reason, maybe_sent=self._maybe_sent
        )


def collect(
    asked: Sequence[BlockingConnection], deadline: Deadline
) -> list[tuple[BlockingConnection, ConnectionAway]]:
    """Wait until each has all its replies, or failed; those that failed, and why. In whatever order they answer."""
    failed: list[tuple[BlockingConnection, ConnectionAway]] = []
    pending = list(asked)
    while pending:
        ready = deadline.wait([connection.waiting() for connection in pending])
        if not ready:
            return failed + [(connection, connection.too_late()) for connection in pending]
        still: list[BlockingConnection] = []
        for connection in pending:
            try:
                if connection.waiting()[0].fileno() not in ready or not connection.pull():
                    still.append(connection)
            except ConnectionAway as away:
                failed.append((connection, away))
        pending = still
    return failed
