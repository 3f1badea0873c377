"""The connections to one server that threads take turns with."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

from cacheaside.bell import Bell, start
from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.connection_blocking import BlockingConnection, Target
from cacheaside.stores.redis.connect.deadline import Deadline
from cacheaside.stores.redis.connect.forked import mend_after_fork
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress
from cacheaside.stores.redis.connect.standing import Standing

__all__ = ["Pool"]


class _Known:
    """Connections, as long as somebody else holds them. No `WeakSet`: its Python code runs as one goes, where the
    exception of a signal's handler would be lost, and the connection stay counted."""

    def __init__(self) -> None:
        self._references: set[weakref.ref[BlockingConnection]] = set()

    def add(self, connection: BlockingConnection) -> None:
        self._references.add(weakref.ref(connection))

    def discard(self, connection: BlockingConnection) -> None:
        self._references.discard(weakref.ref(connection))

    def __contains__(self, connection: BlockingConnection) -> bool:
        return weakref.ref(connection) in self._references

    def __iter__(self) -> Iterator[BlockingConnection]:
        return iter([one for reference in self._references if (one := reference()) is not None])

    def __len__(self) -> int:
        if self._references:
            self._references = {reference for reference in self._references if reference() is not None}
        return len(self._references)


class Pool:
    """At most `connections_max` connections, each used by one thread at a time, made as they are needed.

    The first, and the first after a failure, is made on a daemon thread: name resolution cannot be given a deadline.
    Callers wait for it while nothing has failed, within their deadline. After a failure nobody waits: calls fail at
    once, the first after each pause has the server tried, and they work again once it answered a PING in time. While
    the server is there, who finds no connection idle makes one more.

    Every period between two failures is an *epoch*: what was connected before a failure is not used after it, and says
    nothing about the server any more.

    A signal's handler may raise anywhere in the main thread, in here too: a soft time limit does. No lock stays held
    by that, since none is taken by Python code (see `Bell`), and no connection stays counted that nobody has, since the
    set of them all holds none.
    """

    def __init__(
        self,
        address: ServerAddress,
        login: Login,
        limits: Limits,
        connections_max: int,
        *,
        now: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self.address = address
        self._login = login
        self._limits = limits
        self._connections_max = connections_max
        self._now = now
        self._chance = chance
        self._is_closed = False
        self._begin()
        mend_after_fork(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Bell] = deque()
        """Of those who wait for a connection or for room to make one, who came first before the others."""
        self._standing = Standing(str(self.address), self._limits, self._now, self._chance)
        self._is_up = False
        self._is_trying = False
        self._epoch = 0
        self._too_many = 0
        """How many in a row were not opened in time beside others that were."""
        self._grows_at = float("-inf")
        self._target: list[Target] = []
        self._idle: list[BlockingConnection] = []
        self._all = _Known()

    # -- what callers do ---------------------------------------------------------------------------------------

    def take(self, deadline: Deadline) -> BlockingConnection:
        """A connection for this thread alone, until `give_back` or `broken`. Raises `ConnectionAway`, nothing sent."""
        while True:
            connection = self._wait(deadline)
            had_s = deadline.left_s()
            try:
                if connection.protocol is not None:
                    connection.check_idle()
                else:
                    connection.open(self._login, deadline, self._target)
                    self._too_many = 0
                return connection
            except ConnectionAway as away:
                was_idle = connection.protocol is not None
                blame = was_idle or had_s > self._limits.deadline_s / 2
                told = self.broken(connection, away, blame=blame)
                # An idle connection may have ended long ago, and the next be well.
                if not (was_idle and away.reason is Away.LOST):
                    raise told from None
            except BaseException:
                self.drop(connection)
                raise

    def give_back(self, connection: BlockingConnection, *, answered: bool = True) -> None:
        """Have others use it. answered: it was used, and a call was answered."""
        with self._lock:
            if not self._is_closed and connection.epoch == self._epoch:
                if answered:
                    connection.worked = True
                    self._standing.worked()
                self._idle.append(connection)
                self._ring()
                return
            self._all.discard(connection)
            self._ring()  # there is room
        connection.close()

    def broken(
        self, connection: BlockingConnection, away: ConnectionAway, *, blame: bool = True
    ) -> ConnectionAway:
        """Close it; what its caller is told: `away`, unless this side closed the connection under it.

        blame: the server had the time it was to have, so this counts as its failure. Yet one more connection that is
        not opened in time says little of a server that answers on others: a thread among many that are busy gets few
        turns, and to open one takes several. Where no other is left that has been opened it is blamed, since else
        every call would wait for another; and where there is one, nobody else tries for a while (`_may_grow`).
        """
        idle: list[BlockingConnection] = []
        with self._lock:
            self._all.discard(connection)
            if self._is_closed:
                away = self._closed(maybe_sent=away.maybe_sent)
            elif blame and connection.epoch == self._epoch:
                if self._is_one_too_many(connection, away):
                    self._too_many += 1
                    self._pause_growth()
                else:
                    idle = self._judge(connection, away)
            self._ring_all()
        for one in (connection, *idle):
            one.close()
        return away

    def drop(self, connection: BlockingConnection) -> None:
        """Close it, as its caller was interrupted: what it would answer next is nobody's. No word on the server."""
        with self._lock:
            self._all.discard(connection)
            self._ring()
        connection.close()

    def _wait(self, deadline: Deadline) -> BlockingConnection:
        bell: Bell | None = None
        while True:
            with self._lock:
                connection = self._lend(waited=bell is not None)
                if connection is not None:
                    return connection
                left_s = deadline.left_s()
                if not left_s:
                    raise self._waited_in_vain()
                bell = Bell()
                self._waiting.append(bell)
            try:
                bell.wait(left_s)
            except BaseException:
                self._pass_on(bell)
                raise
            with self._lock, suppress(ValueError):
                self._waiting.remove(bell)

    def _pass_on(self, bell: Bell) -> None:
        """Who waits for it was interrupted; if it was rung, the next is to be told."""
        with self._lock:
            if bell in self._waiting:
                self._waiting.remove(bell)
            else:
                self._ring()

    def close(self) -> None:
        """Close every connection; calls under way, and calls from now on, fail. Waits for nobody."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            for connection in idle:
                self._all.discard(connection)
            for connection in self._all:
                connection.interrupt()
            self._ring_all()
        for connection in idle:
            connection.close()

    def begin_as_child(self) -> None:
        """See `Forked`."""
        for connection in self._all:
            connection.begin_as_child()
        self._begin()

    # -- under the lock ----------------------------------------------------------------------------------------

    def _lend(self, *, waited: bool) -> BlockingConnection | None:
        """An idle connection, or one to be opened; None: wait. waited: this caller did already."""
        while True:
            if self._is_closed:
                raise self._closed()
            if self._idle:
                return self._idle.pop()
            if self._is_up:
                return self._new() if self._may_grow() else None
            if self._standing.failures:
                if waited:
                    raise self._standing.once_more()
                if not self._is_trying and self._standing.is_due():
                    self._try_behind()
                raise self._standing.left_alone()
            if self._is_trying:
                return None
            self._try_behind()  # it may have failed already

    def _ring(self) -> None:
        if self._waiting:
            self._waiting.popleft().ring()

    def _ring_all(self) -> None:
        while self._waiting:
            self._waiting.popleft().ring()

    def _is_one_too_many(self, connection: BlockingConnection, away: ConnectionAway) -> bool:
        """Whether it was only not opened in time, beside others that were."""
        return away.reason is Away.LATE and connection.protocol is None and self._has_open()

    def _has_open(self) -> bool:
        return any(one.epoch == self._epoch and one.protocol is not None for one in self._all)

    def _may_grow(self) -> bool:
        """Whether to make one more. When the last was not opened in time, not for a while, and then one first: beside
        connections that work, callers better take turns with those than wait for another in vain."""
        if len(self._all) >= self._connections_max:
            return False
        if self._too_many and self._has_open():
            if self._now() < self._grows_at:
                return False
            self._pause_growth()
        return True

    def _pause_growth(self) -> None:
        self._grows_at = self._now() + self._limits.pause_s(self._too_many, self._chance())

    def _waited_in_vain(self) -> ConnectionAway:
        if self._is_up:
            message = f"all connections are in use, connections_max={self._connections_max}"
            message += ", and one more was not opened in time" if self._too_many else ""
            return self._away(message, Away.FULL)
        away = self._away(f"no connection within the deadline of {self._limits.deadline_s:g} s", Away.LATE)
        self._standing.doubted(away)
        return away

    def _new(self) -> BlockingConnection:
        connection = BlockingConnection(self.address, self._limits)
        connection.epoch = self._epoch
        self._all.add(connection)
        return connection

    def _judge(self, connection: BlockingConnection, away: ConnectionAway) -> list[BlockingConnection]:
        """What a failure says about the server; the connections to close with it."""
        if connection.worked and away.reason is Away.LOST:
            self._standing.lost(away)
            return []
        self._failed(away)
        idle, self._idle = self._idle, []
        for one in idle:
            self._all.discard(one)
        return idle

    def _failed(self, away: ConnectionAway) -> None:
        self._standing.failed(away)
        self._is_up = False
        self._epoch += 1
        self._too_many = 0

    # -- behind callers ----------------------------------------------------------------------------------------

    def _try_behind(self) -> None:
        connection = self._new()
        thread = threading.Thread(
            target=self._try, args=(connection,), name=f"cacheaside-connect-{self.address}", daemon=True
        )
        try:
            self._is_trying = True
            start(thread)
        except RuntimeError as error:  # no more threads, or the interpreter is ending
            self._is_trying = False
            self._all.discard(connection)
            self._failed(self._away(f"no connection ({error})", Away.REFUSED))
        except (
            BaseException
        ):  # a signal's: whether the thread runs is not known, and a second one does no harm
            self._is_trying = False
            raise

    def _try(self, connection: BlockingConnection) -> None:
        failure: ConnectionAway | None = None
        try:
            connection.open(self._login, Deadline.after(self._limits.connect_s, self._now))
        except ConnectionAway as away:
            failure = away
        except Exception as error:  # noqa: BLE001 - callers are told; this thread has nobody to raise to
            failure = self._away(f"no connection ({error})", Away.REFUSED)
        with self._lock:
            self._is_trying = False
            if failure is None and not self._is_closed:
                assert connection.target is not None, "an open connection leads somewhere"
                self._is_up, self._target = True, [connection.target]
                connection.epoch = self._epoch
                self._idle.append(connection)
            else:
                self._all.discard(connection)
                if failure is not None:
                    self._failed(failure)
            self._ring_all()
        if connection not in self._all:
            connection.close()

    def _closed(self, *, maybe_sent: bool = False) -> ConnectionAway:
        return self._away("this side closed the connection", Away.CLOSED, maybe_sent=maybe_sent)

    def _away(self, message: str, reason: Away, *, maybe_sent: bool = False) -> ConnectionAway:
        return ConnectionAway(message, endpoint=str(self.address), reason=reason, maybe_sent=maybe_sent)
