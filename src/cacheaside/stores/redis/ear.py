"""One connection that hears what changes on one server, and shows by heartbeats that it heard all.

It tracks the changes of one prefix (CLIENT TRACKING in BCAST mode, RESP3), and is subscribed to a channel where nothing
is ever published: only so does a server cut it off, by its limit for subscribers, when it no longer reads.

A heartbeat is INFO and TIME: one answer says that everything before it was heard, who the server is, and what its clock
says. A server that does not track is asked the same, and L1 is blind there.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from cacheaside.policy.timebase import Reading
from cacheaside.stores.redis.away import Away, ConnectionAway, ErrorReply
from cacheaside.stores.redis.generations import Identity, identity_of
from cacheaside.stores.redis.replies import Command
from cacheaside.stores.redis.server import Login, ServerAddress

__all__ = ["Beat", "Ear", "Told", "connect", "open_ear"]

_NOT_YET: Final = object()
_CHUNK_BYTES: Final = 65_536
UNFINISHED_BYTES_MAX: Final = 64 * 1024 * 1024
_BEAT: Final[tuple[Command, ...]] = (("INFO", "replication"), ("TIME",))
_FIELD: Final = re.compile(rb"^(role|master_replid):([^\r\n]*)", re.MULTILINE)


class Beat(NamedTuple):
    """A heartbeat that was answered. identity: None when the server does not tell. is_primary: it takes writes."""

    reading: Reading
    identity: Identity | None
    is_primary: bool


class Told(Protocol):
    """Who is told what an ear hears, on whatever thread pumps it; must not block."""

    def changed(self, ear: Ear, names: Sequence[bytes] | None) -> None:
        """The keys of these names changed; None: all may have."""

    def beaten(self, ear: Ear, beat: Beat) -> None:
        """A heartbeat was answered."""


class Ear:
    """An open connection; made by `open_ear`. Its methods are called under one lock, the keeper's.

    now: the clock that ages are told by. pace: the clock that waiting is told by, which a test does not move.
    """

    def __init__(
        self,
        address: ServerAddress,
        held: socket.socket,
        reader: Any,
        now: Callable[[], float],
        pace: Callable[[], float],
        *,
        blind: bool,
    ) -> None:
        import hiredis

        self.address = address
        self.is_blind = blind
        self.gone: ConnectionAway | None = None
        self._socket = held
        self._reader = reader
        self._now = now
        self._pace = pace
        self._pack: Callable[[Any], bytes] = hiredis.pack_command
        self._push_type = hiredis.PushNotification
        self._garbled = hiredis.ProtocolError
        self._beats: deque[tuple[float, float]] = deque()
        self._info: bytes | None = None
        self._info_came = False
        self._unsent = b""
        self._unfinished_bytes = 0
        self.last_beat = float("-inf")
        """When the last heartbeat was sent."""

    @property
    def name(self) -> str:
        """What the node is called."""
        return str(self.address)

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def is_readable(self) -> bool:
        """Whether something waits to be pumped."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        return bool(select.select([self._socket], [], [], 0)[0])

    @property
    def unanswered_since(self) -> float | None:
        """When the oldest unanswered heartbeat was sent."""
        return self._beats[0][1] if self._beats else None

    def beat(self) -> None:
        """Send a heartbeat."""
        if self.gone is not None:
            return
        self.last_beat = self._pace()
        self._beats.append((self._now(), self.last_beat))
        self._unsent += b"".join(map(self._pack, _BEAT))
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
                self._lose(f"the connection broke ({error})", Away.LOST)
                return
            if not data:
                self._lose("the server closed the connection", Away.LOST)
                return
            self._feed(data, told)
            if len(data) < _CHUNK_BYTES and not isinstance(self._socket, ssl.SSLSocket):
                return

    def lose(self, message: str, reason: Away) -> None:
        """Give the connection up."""
        self._lose(message, reason)

    def close(self, *, inherited: bool = False) -> None:
        """Close it. inherited: in a child made by fork, where the connection is the parent's and goes on."""
        self._lose("this side closed the connection", Away.CLOSED)
        if not inherited:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # descriptors that loops watch are copies of this one
        with contextlib.suppress(OSError):
            if inherited:
                socket.close(self._socket.detach())  # without a farewell of TLS, which would end the parent's
            else:
                self._socket.close()

    def _send(self) -> None:
        if not self._unsent:
            return
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError, InterruptedError):
            return
        except OSError as error:
            self._lose(f"the connection broke ({error})", Away.LOST)
            return
        self._unsent = self._unsent[sent:]

    def _feed(self, data: bytes, told: Told) -> None:
        received = self._now()
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _NOT_YET:
                self._unfinished_bytes = 0
                self._take(reply, received, told)
                if self.gone is not None:
                    return
        except self._garbled as error:
            self._lose(f"what it sent is not the protocol ({error})", Away.GARBLED)
            return
        self._unfinished_bytes += len(data)
        if self._unfinished_bytes > UNFINISHED_BYTES_MAX:
            self._lose(f"a message is larger than {UNFINISHED_BYTES_MAX} bytes", Away.GARBLED)

    def _take(self, reply: Any, received: float, told: Told) -> None:
        if type(reply) is self._push_type:
            if reply and reply[0] == b"invalidate":
                told.changed(self, reply[1])
            elif reply and reply[0] == b"tracking-redir-broken":
                self._lose("the server no longer tells of changes", Away.LOST)
            return
        if not self._beats:
            self._lose("an answer to nothing", Away.GARBLED)
        elif not self._info_came:
            self._info = reply if isinstance(reply, bytes) else None
            self._info_came = True
        else:
            self._info_came = False
            self._answered(reply, received, told)

    def _answered(self, clock: Any, received: float, told: Told) -> None:
        sent, _ = self._beats.popleft()
        server_s = _seconds(clock)
        if server_s is None:
            code = clock.code if isinstance(clock, ErrorReply) else type(clock).__name__
            self._lose(f"it does not tell the time ({code}): grant the user TIME", Away.LOGIN)
            return
        identity, is_primary = _who(self._info)
        told.beaten(self, Beat(Reading(sent, received, server_s), identity, is_primary))

    def _lose(self, message: str, reason: Away) -> None:
        if self.gone is None:
            self.gone = ConnectionAway(message, endpoint=self.name, reason=reason)


def _seconds(reply: Any) -> float | None:
    try:
        seconds, microseconds = reply
        return int(seconds) + int(microseconds) / 1e6
    except (TypeError, ValueError):
        return None


def _who(info: bytes | None) -> tuple[Identity | None, bool]:
    """What INFO says: the identity, and whether it takes writes. One that does not say is taken for a primary."""
    if info is None:
        return None, True
    said = {name: value.strip() for name, value in _FIELD.findall(info)}
    replid = said.get(b"master_replid", b"").decode("ascii", "replace")
    return (identity_of(replid) if replid else None), said.get(b"role", b"master") == b"master"


def open_ear(
    address: ServerAddress,
    login: Login,
    prefix: str,
    within_s: float,
    now: Callable[[], float],
    pace: Callable[[], float],
) -> Ear:
    """A connection that hears changes of keys that begin with `prefix`; blind where the server does not track.

    Blocks its thread, for `within_s` at most. Raises `ConnectionAway`.
    """
    import hiredis

    until = pace() + within_s
    reader = hiredis.Reader(replyError=ErrorReply, notEnoughData=_NOT_YET)
    held = connect(address, within_s)
    try:
        talk = _Talk(address, held, reader, until, pace)
        speaks_3 = talk.log_in(login)
        blind = not speaks_3
        if speaks_3:
            answer = talk.ask("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", prefix)
            blind = isinstance(answer, ErrorReply)
        if not blind:
            answer = talk.ask("SUBSCRIBE", prefix)
            if isinstance(answer, ErrorReply):
                raise ConnectionAway(
                    f"the user may not subscribe to the channel {prefix} ({answer.code}): grant it",
                    endpoint=str(address),
                    reason=Away.LOGIN,
                )
        held.setblocking(False)
        return Ear(address, held, reader, now, pace, blind=blind)
    except OSError as error:
        held.close()
        late = isinstance(error, TimeoutError)
        raise ConnectionAway(
            f"no connection within {within_s:g} s" if late else f"no connection ({error})",
            endpoint=str(address),
            reason=Away.LATE if late else Away.REFUSED,
        ) from None
    except BaseException:
        held.close()
        raise


def connect(address: ServerAddress, within_s: float) -> socket.socket:
    """A socket that is connected to `address`, over TLS where it says so; every step is given `within_s`."""
    held: socket.socket
    try:
        if address.path is not None:
            held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            held.settimeout(within_s)
            held.connect(address.path)
        else:
            held = socket.create_connection((address.host, address.port), within_s)
            held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.tls is not None:
            held = address.tls.wrap_socket(held, server_hostname=address.tls_name or address.host)
    except OSError as error:
        late = isinstance(error, TimeoutError)
        raise ConnectionAway(
            f"no connection within {within_s:g} s" if late else f"no connection ({error})",
            endpoint=str(address),
            reason=Away.LATE if late else Away.REFUSED,
        ) from None
    return held


class _Talk:
    """Questions and answers, one at a time, on a blocking socket."""

    def __init__(
        self,
        address: ServerAddress,
        held: socket.socket,
        reader: Any,
        until: float,
        now: Callable[[], float],
    ) -> None:
        import hiredis

        self._address = address
        self._socket = held
        self._reader = reader
        self._until = until
        self._now = now
        self._pack: Callable[[Any], bytes] = hiredis.pack_command
        self._garbled = hiredis.ProtocolError

    def ask(self, *command: str | int) -> Any:
        self._socket.settimeout(max(0.001, self._until - self._now()))
        self._socket.sendall(self._pack(command))
        try:
            while (reply := self._reader.gets()) is _NOT_YET:
                self._socket.settimeout(max(0.001, self._until - self._now()))
                data = self._socket.recv(_CHUNK_BYTES)
                if not data:
                    raise ConnectionAway(
                        "the server closed the connection", endpoint=str(self._address), reason=Away.LOST
                    )
                self._reader.feed(data)
        except self._garbled as error:
            raise ConnectionAway(
                f"what it sent is not the protocol ({error})",
                endpoint=str(self._address),
                reason=Away.GARBLED,
            ) from None
        return reply

    def log_in(self, login: Login) -> bool:
        """Log in; whether the server speaks RESP3."""
        credentials: tuple[str, ...] = ()
        if login.password is not None:
            credentials = ("AUTH", login.username or "default", login.password)
        answer = self.ask("HELLO", 3, *credentials, "SETNAME", f"{login.client_name}-ear")
        if not isinstance(answer, ErrorReply):
            return True
        knows_no_3 = (
            answer.code == "NOPROTO"
            or "unknown command" in str(answer).lower()
            or (answer.code == "NOAUTH" and login.password is not None)
        )
        if knows_no_3 and login.password is not None:
            named = (login.username,) if login.username is not None else ()
            answer = self.ask("AUTH", *named, login.password)
        if isinstance(answer, ErrorReply) and not (knows_no_3 and login.password is None):
            raise ConnectionAway(
                f"the login was refused ({answer})", endpoint=str(self._address), reason=Away.LOGIN
            )
        return False
