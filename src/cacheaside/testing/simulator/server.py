"""A server as several processes share one: the commands that the shared tier uses, with what they announce.

A command takes effect at the instant it is executed; that requests and answers travel is `transport`'s part. As
with Redis, what a change announces is pushed at the end of a turn of the server's loop: after the answers of that turn
on the same connection, and before any answer to anybody else leaves (`tell`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

from cacheaside.stores.redis.connect.away import ErrorReply
from cacheaside.stores.redis.connect.server import ServerAddress
from cacheaside.stores.redis.wire.generations import Identity, identity_of
from cacheaside.stores.redis.wire.names import changed_tag
from cacheaside.stores.redis.wire.replies import Command
from cacheaside.testing.simulator.clocks import ServerClock
from cacheaside.types import TagId

__all__ = ["Ear", "Pong", "Server"]

Stored = bytes | frozenset[str]
_FULL: Final = ErrorReply("OOM command not allowed when used memory > 'maxmemory'.")
_TAKES_ROOM: Final = frozenset(("SET", "SADD"))


class Pong(NamedTuple):
    """The answer to a heartbeat that was sent at `sent`: what the clock says, who the server is; its term, which is
    how many servers were the primary before it; and how often its clock was set."""

    sent: float
    server_s: float
    identity: Identity
    term: int
    times_set: int


class Ear:
    """A connection that tracks changes, unless it is blind. said: what the server pushed and answered, in order, and is
    not read yet."""

    __slots__ = ("is_blind", "on_said", "said")

    def __init__(self, *, is_blind: bool) -> None:
        self.is_blind = is_blind
        self.said: deque[tuple[bytes, ...] | Pong | None] = deque()
        self.on_said: Callable[[], None] = _nobody

    def say(self, what: tuple[bytes, ...] | Pong | None) -> None:
        """The server says something."""
        self.said.append(what)
        self.on_said()


def _nobody() -> None:
    return


class Server:
    """The primary, whichever machine that is just now. Anything but a mark may be evicted at any moment.

    written: how many changes there have been, ever. landed: the number of the latest change of each name.
    on_mark_lost: told of tags whose marks it lost before their time.
    """

    def __init__(self, clock: ServerClock, prefix: str, random: Random) -> None:
        self.clock = clock
        self.address = ServerAddress("primary", 1)
        self.term = 0
        self.took_over = 0
        """The number of the change that made it the primary."""
        self.identity = identity_of("term 0")
        self.data: dict[str, Stored] = {}
        self.written = 0
        self.landed: dict[str, int] = {}
        self.replicated = 0
        """So many changes a replica is known to have (WAIT)."""
        self.clock_set: list[tuple[float, float]] = []
        """When its clock was set, in true time, and by how much; also when one with another clock took over."""
        self.failovers: list[int] = []
        """Which of those times another took over."""
        self.is_full = False
        self.replicas_answer = True
        self.ears: list[Ear] = []
        self.on_set: Callable[[str, bytes], None] = _nobody_told
        self.on_mark_lost: Callable[[TagId], None] = _nobody_warned
        self._prefix = prefix
        self._prefix_bytes = prefix.encode()
        self._random = random
        self._ends: dict[str, float] = {}
        self._undo: list[tuple[str, Stored | None, float | None]] = []
        self._untold: dict[str, None] | None = {}
        self._do: dict[Any, Callable[..., Any]] = {
            "MGET": self._mget,
            "SET": self._set,
            "DEL": self._del,
            "EXISTS": self._exists,
            "SADD": self._sadd,
            "SREM": self._srem,
            "PEXPIRE": self._pexpire,
            "WAIT": self._wait,
        }

    # -- commands ----------------------------------------------------------------------------------------------

    def execute(self, command: Command) -> Any:
        """The reply, as a driver gives it."""
        if self.is_full and command[0] in _TAKES_ROOM:
            return _FULL
        return self._do[command[0]](*command[1:])

    def _mget(self, *names: str) -> list[bytes | None]:
        found = [self._get(name) for name in names]
        return [value if type(value) is bytes else None for value in found]

    def _set(self, name: str, given: bytes | str, *options: str) -> bytes | None:
        value = given.encode() if isinstance(given, str) else given
        lasts_ms: int | None = None
        if options:
            if options[0] == "NX":
                if self._get(name) is not None:
                    return None
                options = options[1:]
            if options:
                lasts_ms = int(options[1])
        self._write(name, value, None if lasts_ms is None else self._now_ms() + lasts_ms)
        self.on_set(name, value)
        return b"OK"

    def _del(self, *names: str) -> int:
        there = [name for name in names if self._get(name) is not None]
        for name in there:
            self._write(name, None, None)
        return len(there)

    def _exists(self, name: str) -> int:
        return int(self._get(name) is not None)

    def _sadd(self, name: str, member: str) -> int:
        members = self._get(name) or frozenset()
        assert isinstance(members, frozenset)
        if member in members:
            return 0
        self._write(name, members | {member}, self._ends.get(name))
        return 1

    def _srem(self, name: str, member: str) -> int:
        members = self._get(name)
        if not isinstance(members, frozenset) or member not in members:
            return 0
        self._write(name, (members - {member}) or None, self._ends.get(name))
        return 1

    def _pexpire(self, name: str, lasts_ms: str, option: str = "") -> int:
        value, end = self._get(name), self._now_ms() + int(lasts_ms)
        old = self._ends.get(name)
        if value is None or (option == "NX" and old is not None):
            return 0
        if option == "GT" and (old is None or end <= old):
            return 0
        self._write(name, value, end)
        return 1

    def _wait(self, replicas: str, within_ms: str) -> int:
        if not self.replicas_answer:
            return 0
        self.replicated = self.written
        return int(replicas)

    # -- what lies there ---------------------------------------------------------------------------------------

    def _now_ms(self) -> float:
        return self.clock.now() * 1000.0

    def _get(self, name: str) -> Stored | None:
        end = self._ends.get(name)
        if end is not None and end <= self._now_ms():
            self._write(name, None, None)
            return None
        return self.data.get(name)

    def _write(self, name: str, value: Stored | None, end_ms: float | None) -> None:
        self._undo.append((name, self.data.get(name), self._ends.get(name)))
        self.written += 1
        self.landed[name] = self.written
        self._put(name, value, end_ms)
        if self._untold is not None and name.startswith(self._prefix):
            self._untold[name] = None

    def _put(self, name: str, value: Stored | None, end_ms: float | None) -> None:
        if value is None:
            self.data.pop(name, None)
            self._ends.pop(name, None)
            return
        self.data[name] = value
        if end_ms is None:
            self._ends.pop(name, None)
        else:
            self._ends[name] = end_ms

    def members(self, name: str) -> frozenset[str]:
        """Of a set, without touching it."""
        value, end = self.data.get(name), self._ends.get(name)
        if not isinstance(value, frozenset) or (end is not None and end <= self._now_ms()):
            return frozenset()
        return value

    # -- who listens -------------------------------------------------------------------------------------------

    def track(self, *, blind: bool) -> Ear:
        """A connection that hears of every change from now on."""
        ear = Ear(is_blind=blind)
        self.ears.append(ear)
        return ear

    def tell(self) -> None:
        """Push what changed, before an answer leaves."""
        names = self._untold
        if names:
            self._untold = {}
            push = tuple([name.encode() for name in names])
            for ear in self.ears:
                if not ear.is_blind:
                    ear.say(push)

    def pong(self, ear: Ear, sent: float) -> None:
        """Answer a heartbeat, if the connection is still there."""
        if ear in self.ears:
            ear.say(self.pong_now(sent))

    def pong_now(self, sent: float) -> Pong:
        """What a heartbeat is answered with."""
        return Pong(sent, self.clock.now(), self.identity, self.term, len(self.clock_set))

    # -- what befalls it ---------------------------------------------------------------------------------------

    def expire(self) -> None:
        """Remove what has come to its end, as a server does behind its clients."""
        now_ms = self._now_ms()
        for name in [name for name, end in self._ends.items() if end <= now_ms]:
            self._write(name, None, None)
        self.tell()

    def evict(self, *, marks: bool) -> None:
        """Lose one key: any but a mark, or a mark."""
        names = [name for name, value in self.data.items() if isinstance(value, frozenset) is marks]
        if names:
            name = names[int(self._random.random() * len(names))]
            if marks:
                self._lose_mark(name)
            self._write(name, None, None)
            self.tell()

    def flush(self) -> None:
        """FLUSHALL: everything is gone, and listeners are told that anything may have changed."""
        self._untold = None
        self._lose_all_marks()
        for name in list(self.data):
            self._write(name, None, None)
        self._untold = {}
        self._tell_all()

    def _tell_all(self) -> None:
        for ear in self.ears:
            if not ear.is_blind:
                ear.say(None)

    def set_clock(self, by_s: float) -> None:
        """The clock is set. Forward, marks end before their time."""
        self.clock.set(by_s)
        self.clock_set.append((self.clock.true_s, by_s))
        if by_s > 0:
            self._lose_all_marks()

    def fail_over(self, lose: int, clock: ServerClock, *, moves: bool, stays: bool) -> tuple[int, int]:
        """A replica takes over that lacks the last `lose` changes, as far as it is not known to have them; its clock is
        its own. Every connection to the old primary is dead. The numbers of the changes that are lost: after the first,
        up to the second.

        stays: it is the same machine, with the data of another; listeners are told that anything may have changed.
        """
        through = max(self.replicated, self.written - lose)
        undone = [self._undo.pop() for _ in range(self.written - through)]
        for change in undone:
            self._put(*change)
        if stays:
            clock = self.clock
        ahead_s = clock.now() - self.clock.now()
        self.failovers.append(len(self.clock_set))
        self.clock_set.append((clock.true_s, ahead_s))
        self.clock = clock
        for name in [name for name, _, _ in undone]:
            self._lose_mark(name)
        if ahead_s > 0:
            self._lose_all_marks()
        last, self.written = self.written, self.written + 1
        self.took_over = self.written
        # A number for the change of primaries itself keeps the undo list as long as the numbers.
        self._undo = []
        self.replicated = self.written
        self.term += 1
        self.identity = identity_of(f"term {self.term}")
        self._untold = {}
        if stays:
            self._tell_all()
            return through, last
        self.ears = []
        if moves:
            self.address = ServerAddress("primary", 1 + self.term)
        return through, last

    def _lose_all_marks(self) -> None:
        for name, value in list(self.data.items()):
            if isinstance(value, frozenset):
                self._lose_mark(name)

    def _lose_mark(self, name: str) -> None:
        tag = changed_tag(name.encode(), self._prefix_bytes)
        if tag is not None:
            self.on_mark_lost(tag)


def _nobody_told(_name: str, _value: bytes) -> None:
    return


def _nobody_warned(_tag: TagId) -> None:
    return
