"""One connection that hears what changes on one server, and shows by heartbeats that it heard all.

It tracks the changes of one prefix (CLIENT TRACKING in BCAST mode, RESP3), and is subscribed to a channel where nothing
is ever published: only so does a server cut it off, by its limit for subscribers, when it no longer reads.

A heartbeat ends with INFO and TIME: one answer says that everything before it was heard, who the server is, and what
its clock says. A server that does not track is asked the same, and L1 is blind there.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from cacheaside.policy.timebase import Reading
from cacheaside.stores.redis.connect.away import Away, ConnectionAway, ErrorReply
from cacheaside.stores.redis.connect.connection_blocking import BlockingConnection
from cacheaside.stores.redis.connect.deadline import Deadline, has_more
from cacheaside.stores.redis.connect.login import replication_of
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress
from cacheaside.stores.redis.wire.generations import Identity
from cacheaside.stores.redis.wire.replies import Command

__all__ = ["Beat", "Ear", "Start", "Told", "open_ear"]

_NOT_YET: Final = object()
_CHUNK_BYTES: Final = 65_536
UNFINISHED_BYTES_MAX: Final = 64 * 1024 * 1024
_BEAT: Final[tuple[Command, ...]] = (("INFO", "replication"), ("TIME",))
TOUCH_EVERY_S: Final = 1.0
"""By which a server's clock of what was read last goes on: to read a key more often makes it no younger. Where a server
counts reads instead (LFU), only keys that are read as often as that by themselves are as good as it."""
_LENGTHENS_FROM: Final = 7
"""The version of Redis from which PEXPIRE takes NX and GT; Valkey says 7.2 of itself."""


class Start(NamedTuple):
    """What a server can do. blind: it does not tell of changes. lengthens: it takes PEXPIRE NX and GT."""

    blind: bool
    lengthens: bool


class Beat(NamedTuple):
    """A heartbeat that was answered. identity: None when the server does not tell. is_primary: it takes writes."""

    reading: Reading
    identity: Identity | None
    is_primary: bool


class Told(Protocol):
    """Who is told what an ear hears, on whatever thread pumps it; must not block."""

    def started(self, ear: Ear, start: Start) -> None:
        """From now on it hears changes, unless it is blind."""

    def changed(self, ear: Ear, names: Sequence[bytes] | None) -> None:
        """The keys of these names changed; None: all may have."""

    def beaten(self, ear: Ear, beat: Beat) -> None:
        """A heartbeat was answered."""


def open_ear(
    address: ServerAddress,
    login: Login,
    prefix: str,
    touched: str,
    limits: Limits,
    now: Callable[[], float],
    pace: Callable[[], float],
) -> Ear:
    """A connection, logged in, that is about to hear changes of keys that begin with `prefix`.

    touched: a key that is read with a heartbeat each second, so that a server that evicts what is not read leaves it
    alone.

    Blocks its thread, for `connect_s` at most. Raises `ConnectionAway`.
    """
    named = Login(login.username, login.password, login.database, f"{login.client_name}-ear")
    # An answer may take longer here than for a read: nobody waits for it.
    patient = Limits(deadline_s=limits.connect_s, connect_s=limits.connect_s)
    connection = BlockingConnection(address, patient)
    connection.open(named, Deadline.after(limits.connect_s, pace))
    heard = prefix if connection.protocol == 3 else None
    return Ear(address, connection.detach(), now, pace, heard, touched)


class Ear:
    """An open connection. Its methods are called under one lock, the keeper's.

    now: the clock that ages are told by. pace: the clock that waiting is told by, which a test does not move. prefix:
    None where the server speaks RESP2, by which nothing can be heard.
    """

    def __init__(
        self,
        address: ServerAddress,
        held: socket.socket,
        now: Callable[[], float],
        pace: Callable[[], float],
        prefix: str | None,
        touched: str,
    ) -> None:
        import hiredis

        self.address = address
        self.name = str(address)
        """What the node is called."""
        self.gone: ConnectionAway | None = None
        self._socket = held
        self._reader = hiredis.Reader(replyError=ErrorReply, notEnoughData=_NOT_YET)
        self._now = now
        self._pace = pace
        self._pack: Callable[[Any], bytes] = hiredis.pack_command
        self._push_type = hiredis.PushNotification
        self._garbled = hiredis.ProtocolError
        self._prefix = prefix
        self._touched = touched
        self._touched_at = float("-inf")
        self._is_blind = prefix is None
        self._is_subscribed = prefix is None
        self._steps: deque[Callable[[Any, Told], None]] = deque()
        """What takes the next answer, then the one after it, ..."""
        self._sent: deque[tuple[float, float]] = deque()
        """When each unanswered heartbeat was sent, by both clocks."""
        self._info: Any = None
        self._unsent = b""
        self._unfinished_bytes = 0
        self.last_beat = float("-inf")
        """When the last heartbeat was sent, by the pace."""
        self._begin()

    def _begin(self) -> None:
        held = self._socket
        held.setblocking(False)
        if self._prefix is not None:
            self._ask(("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", self._prefix), self._take_tracking)
            # Answered by a push message, or by an error.
            self._unsent += self._pack(("SUBSCRIBE", self._prefix))
        self._ask(("INFO", "server"), self._take_version)

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def is_readable(self) -> bool:
        """Whether something waits to be pumped."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        return has_more(self._socket)

    @property
    def unanswered_since(self) -> float | None:
        """When the oldest unanswered heartbeat was sent, by the pace."""
        return self._sent[0][1] if self._sent else None

    def beat(self) -> None:
        """Send a heartbeat."""
        if self.gone is None:
            self.last_beat = self._pace()
            self._sent.append((self._now(), self.last_beat))
            if self.last_beat - self._touched_at >= TOUCH_EVERY_S:
                self._touched_at = self.last_beat
                self._ask(("MGET", self._touched), self._take_nothing)
            self._ask(_BEAT[0], self._take_info)
            self._ask(_BEAT[1], self._take_time)
            self._send()

    def pump(self, told: Told) -> None:
        """Take in what has come, and tell of it. Never blocks; what breaks the connection is in `gone`."""
        while self.gone is None:
            self._send()
            try:
                data = self._socket.recv(_CHUNK_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError, InterruptedError):
                return
            except OSError as error:
                self.lose(f"the server or the network broke the connection ({error})", Away.LOST)
                return
            if not data:
                self.lose("the server closed the connection", Away.LOST)
                return
            self._feed(data, told)
            if len(data) < _CHUNK_BYTES and not isinstance(self._socket, ssl.SSLSocket):
                return

    def lose(self, message: str, reason: Away) -> None:
        """Give the connection up."""
        if self.gone is None:
            self.gone = ConnectionAway(message, endpoint=self.name, reason=reason)

    def close(self) -> None:
        """Close it."""
        self.lose("this side closed the connection", Away.CLOSED)
        with contextlib.suppress(OSError):
            # Descriptors that loops watch are copies of this one. Not the method of an encrypted socket: that would go
            # on in plain text.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._socket.close()

    def begin_as_child(self) -> None:
        """In a child made by fork: let go of it; the connection is the parent's, and goes on there."""
        self.lose("the parent's", Away.CLOSED)
        if (descriptor := self._socket.detach()) >= 0:
            socket.close(descriptor)

    # -- inside ------------------------------------------------------------------------------------------------

    def _ask(self, command: Command, step: Callable[[Any, Told], None]) -> None:
        self._unsent += self._pack(command)
        self._steps.append(step)

    def _send(self) -> None:
        if not self._unsent:
            return
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError, InterruptedError):
            return
        except OSError as error:
            self.lose(f"the server or the network broke the connection ({error})", Away.LOST)
            return
        self._unsent = self._unsent[sent:]

    def _feed(self, data: bytes, told: Told) -> None:
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _NOT_YET:
                self._unfinished_bytes = 0
                self._take(reply, told)
                if self.gone is not None:
                    return
        except self._garbled as error:
            self.lose(f"what it sent is not the protocol ({error})", Away.GARBLED)
            return
        except Exception as error:  # noqa: BLE001 - the parser raises anything, and so may who is told
            # What was read is lost then, and it may have been a change: nothing is shown to have been heard any more.
            self.lose(f"what it sent cannot be taken in ({type(error).__name__})", Away.GARBLED)
            return
        self._unfinished_bytes += len(data)
        if self._unfinished_bytes > UNFINISHED_BYTES_MAX:
            self.lose(f"a message is larger than {UNFINISHED_BYTES_MAX} bytes", Away.GARBLED)

    def _take(self, reply: Any, told: Told) -> None:
        if type(reply) is self._push_type:
            self._hear(reply, told)
        elif not self._steps:
            self.lose("an answer to nothing", Away.GARBLED)
        elif not self._is_subscribed and self._steps[0] != self._take_tracking:
            code = reply.code if isinstance(reply, ErrorReply) else type(reply).__name__
            self.lose(f"the user may not subscribe to {self._prefix} ({code}): grant it", Away.LOGIN)
        else:
            self._steps.popleft()(reply, told)

    def _hear(self, message: Any, told: Told) -> None:
        kind = message[0] if message else None
        if kind == b"invalidate":
            names = message[1] if len(message) > 1 else ()
            if names is not None and not _are_names(names):
                self.lose("it tells of changes in a form that is not known", Away.GARBLED)
                return
            told.changed(self, names)
        elif kind == b"subscribe":
            self._is_subscribed = True
        elif kind == b"tracking-redir-broken":
            self.lose("the server no longer tells of changes", Away.LOST)

    def _take_tracking(self, reply: Any, told: Told) -> None:
        self._is_blind = isinstance(reply, ErrorReply)

    def _take_version(self, reply: Any, told: Told) -> None:
        major = replication_of(reply)[2].partition(b".")[0]
        told.started(self, Start(self._is_blind, not major.isdigit() or int(major) >= _LENGTHENS_FROM))

    def _take_nothing(self, reply: Any, told: Told) -> None:
        """Whatever it is: a node of a cluster that does not have the key says so."""

    def _take_info(self, reply: Any, told: Told) -> None:
        self._info = reply

    def _take_time(self, reply: Any, told: Told) -> None:
        received = self._now()
        sent, _ = self._sent.popleft()
        server_s = _seconds(reply)
        if server_s is None:
            code = reply.code if isinstance(reply, ErrorReply) else type(reply).__name__
            self.lose(f"it does not tell the time ({code}): grant the user TIME", Away.LOGIN)
            return
        identity, is_primary, _ = replication_of(self._info)
        told.beaten(self, Beat(Reading(sent, received, server_s), identity, is_primary))


def _are_names(names: Any) -> bool:
    return isinstance(names, list) and bool(names) and all(isinstance(name, bytes) for name in names)


def _seconds(reply: Any) -> float | None:
    try:
        seconds, microseconds = reply
        return int(seconds) + int(microseconds) / 1e6
    except (TypeError, ValueError):
        return None
