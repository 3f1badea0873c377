"""One event loop's link to a server: a connection when there is one, the next attempt when it is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any

from cacheaside.stores.redis.away import Away, ConnectionAway
from cacheaside.stores.redis.connection import Command, Connection
from cacheaside.stores.redis.handshake import open_connection
from cacheaside.stores.redis.server import Limits, Login, ServerAddress

__all__ = ["Link"]


class Link:
    """Calls over one connection, made on first use and again after a loss, on the loop that it was made on.

    - A connection that worked and ended is made again by the next call, at once: a restart costs what it took.
    - One that fell silent, was refused, or never answered is left alone for a pause that doubles from failure to
      failure. Until it is over calls fail at once. Then one call waits for the new attempt, no longer than its
      deadline; others fail at once until the server is back.
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
        self._chance = chance
        self._on_push = on_push
        self._attempt: asyncio.Task[None] | None = None
        self._failures = 0
        self._retry_at = float("-inf")
        self._last: ConnectionAway | None = None
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
        attempt = self._attempt_to_join()
        sent = False
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                await asyncio.shield(attempt)
                if self.connection is None:
                    assert self._last is not None, "an attempt ends with a connection or with a reason"
                    raise self._last.again(maybe_sent=False)
                answer = self.connection.send(commands)
                sent = True
                return await answer
        except TimeoutError:
            message = f"no connection and answer within deadline_s={self._limits.deadline_s:g}"
            away = self._away(message, Away.LATE, maybe_sent=sent)
            if not attempt.done():
                self._doubt(away)
            raise away from None

    async def aclose(self) -> None:
        """Break the connection and end the attempt to make one. Never waits for the server."""
        self._is_closed = True
        connection, self.connection = self.connection, None
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait([self._attempt])
        if connection is not None:
            await connection.aclose()

    # -- attempts ----------------------------------------------------------------------------------------------

    def _attempt_to_join(self) -> asyncio.Task[None]:
        """The attempt that the caller waits for; raises `ConnectionAway` where it is not to wait."""
        if self._is_closed:
            raise self._away("this side closed the connection", Away.CLOSED)
        if self._attempt is not None:
            if self._failures:
                raise self._away_again()
            return self._attempt
        if self._failures and self._now() < self._retry_at:
            raise self._away_again()
        # A task of its own, in no caller's context: a caller that is cancelled or gives up takes nobody along.
        self._attempt = asyncio.get_running_loop().create_task(self._connect(), context=Context())
        return self._attempt

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
            self._failed(away)
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
            self._failures = 0
        if worked and away.reason is Away.LOST:
            self._last = away
        else:
            self._failed(away)

    def _failed(self, away: ConnectionAway) -> None:
        self._last = away
        self._failures += 1
        self._retry_at = self._now() + self._limits.pause_s(self._failures, self._chance())

    def _doubt(self, away: ConnectionAway) -> None:
        """The attempt goes on after a caller's patience ended: nobody else is to wait for it."""
        self._last = away
        self._failures = max(self._failures, 1)

    def _away_again(self) -> ConnectionAway:
        assert self._last is not None, "there is a reason when there is no connection"
        return self._away(f"not asked again yet, after: {self._last.message}", Away.BACKING_OFF)

    def _away(self, message: str, reason: Away, *, maybe_sent: bool = False) -> ConnectionAway:
        return ConnectionAway(message, endpoint=str(self._address), reason=reason, maybe_sent=maybe_sent)
