"""One event loop's link to a server: a connection when there is one, the next attempt when it is due."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.connection import Command, Connection
from cacheaside.stores.redis.connect.handshake import open_connection
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress
from cacheaside.stores.redis.connect.standing import Standing

__all__ = ["Link"]


class Link:
    """Calls over one connection, made on first use and again after a loss, on the loop that it was made on.

    - A connection that worked and ended is made again by the next call, at once: a restart costs what it took.
    - One that fell silent, was refused, or never answered is left alone for a pause that doubles from failure to
      failure. From then on calls fail at once; the first after the pause begins an attempt, and waits for it no more
      than the others. They work again once a PING was answered within the deadline.
    """

    def __init__(
        self,
        address: ServerAddress,
        login: Login,
        limits: Limits,
        *,
        now: Callable[[], float],
        chance: Callable[[], float],
        on_push: Callable[[list[Any]], None] | None = None,
    ) -> None:
        self._address = address
        self._login = login
        self._limits = limits
        self._now = now
        self._on_push = on_push
        self._standing = Standing(str(address), limits, now, chance)
        self._attempt: asyncio.Task[None] | None = None
        self._is_closed = False
        self._login_calls = 0
        self.connection: Connection | None = None
        """The connection, while there is one that works: the fast path asks no more."""
        self.protocol: int | None = None
        """What was last spoken: 3, or 2; None before the first connection."""

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to `commands`; see `AioTransport.execute`."""
        connection = self.connection
        if connection is not None:
            return await connection.send(commands)
        attempt = self.begin()
        sent = False
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                await asyncio.wait([attempt])
                answer = self.connected().send(commands)
                sent = True
                return await answer
        except TimeoutError:
            raise self.too_late(attempt, maybe_sent=sent) from None

    def begin(self) -> asyncio.Task[None]:
        """The attempt to wait for; raises `ConnectionAway` where nobody is to wait. Only without a connection."""
        if self._is_closed:
            raise self._closed()
        left_alone = self._standing.failures > 0
        if self._attempt is None and (not left_alone or self._standing.is_due()):
            # A task of its own, in no caller's context: a caller that is cancelled or gives up takes nobody along.
            self._attempt = asyncio.get_running_loop().create_task(self._connect(), context=Context())
        if left_alone or self._attempt is None:
            raise self._standing.left_alone()
        return self._attempt

    def connected(self) -> Connection:
        """What an attempt that has ended came to: the connection, or its `ConnectionAway`."""
        if self.connection is None:
            # Without a reason it was cancelled: the loop is being shut down.
            raise self._closed() if self._is_closed or not self._standing.last else self._standing.once_more()
        return self.connection

    def too_late(self, attempt: asyncio.Task[None], *, maybe_sent: bool) -> ConnectionAway:
        """What the caller is told whose deadline passed. An attempt that goes on keeps nobody else waiting."""
        message = f"no connection and answer within the deadline of {self._limits.deadline_s:g} s"
        away = self._away(message, Away.LATE, maybe_sent=maybe_sent)
        if not attempt.done():
            self._standing.doubted(away)
        return away

    def close(self) -> None:
        """Break the connection and end the attempt to make one; calls fail from now on. On the link's own loop."""
        self._is_closed = True
        connection, self.connection = self.connection, None
        if self._attempt is not None:
            self._attempt.cancel()
        if connection is not None:
            connection.abort()

    def forget_loop(self) -> None:
        """Its loop was closed under it."""
        self._is_closed = True
        connection, self.connection = self.connection, None
        if self._attempt is not None:
            _forget(self._attempt)
        if connection is not None:
            connection.forget_loop()

    async def aclose(self) -> None:
        """As `close`, and return once the socket is closed. Never waits for the server."""
        connection, attempt = self.connection, self._attempt
        self.close()
        if attempt is not None:
            await asyncio.wait([attempt])
        if connection is not None:
            await connection.aclose()

    # -- attempts ----------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        try:
            connection, self.protocol = await open_connection(
                self._address,
                self._login,
                self._limits,
                now=self._now,
                on_push=self._on_push,
                on_lost=self._on_lost,
            )
        except ConnectionAway as away:
            self._standing.failed(away)
        except Exception as error:  # noqa: BLE001 - callers are told; an attempt behind them has nobody to raise to
            self._standing.failed(self._away(f"no connection ({error!r})", Away.REFUSED))
        else:
            self.connection = connection
            self._login_calls = connection.answered
        finally:
            self._attempt = None

    def _on_lost(self, away: ConnectionAway) -> None:
        connection, self.connection = self.connection, None
        if connection is None:
            return
        worked = connection.answered > self._login_calls
        if worked:
            self._standing.worked()
        if worked and away.reason is Away.LOST:
            self._standing.lost(away)
        else:
            self._standing.failed(away)

    def _closed(self) -> ConnectionAway:
        return self._away("this side closed the connection", Away.CLOSED)

    def _away(self, message: str, reason: Away, *, maybe_sent: bool = False) -> ConnectionAway:
        return ConnectionAway(message, endpoint=str(self._address), reason=reason, maybe_sent=maybe_sent)


def _forget(attempt: asyncio.Task[None]) -> None:
    """The loop of `attempt` will not run it any more: have it collected without complaints about that."""
    attempt._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way
    work = attempt.get_coro()
    # Only one that never ran is closed: another would go on to its `finally` clauses, which need the loop.
    if inspect.iscoroutine(work) and inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
        work.close()
