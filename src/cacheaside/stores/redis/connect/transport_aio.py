"""Commands to one server from any event loop of this process, each loop over a connection of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.chance import chance
from cacheaside.stores.redis.connect.connection import Command
from cacheaside.stores.redis.connect.forked import mend_after_fork
from cacheaside.stores.redis.connect.link import Link
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress

__all__ = ["AioTransport"]


class AioTransport:
    """Pipelined commands with a deadline. Nothing is connected before the first call on a loop.

    now, chance: seconds, and a number from 0 to 1; given, so that tests can give their own.
    on_push: gets every push message (RESP3), on the loop whose connection it came by; it must not block.

    After a fork the child begins with no connection, and its first call makes one.
    """

    def __init__(
        self,
        address: ServerAddress,
        login: Login | None = None,
        limits: Limits | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = chance,
        on_push: Callable[[list[Any]], None] | None = None,
    ) -> None:
        import hiredis  # noqa: F401 - read from disk here, and not at the first call on a loop

        self.address = address
        self.limits = limits or Limits()
        self._login = login or Login()
        self._now = now
        self._chance = chance
        self._on_push = on_push
        self._links: dict[asyncio.AbstractEventLoop, Link] = {}
        self._inherited: list[Link] = []
        self._is_retired = False
        self._lock = threading.Lock()
        mend_after_fork(self)

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to `commands`, in order; all of one turn of the loop go out in one write.

        An error from the server is an `ErrorReply` among the replies. Raises `ConnectionAway` when there is no answer:
        within `deadline_s` of the call, and a few turns of the loop, at the latest. It says whether the commands may
        have been carried out; none is ever sent twice. A caller that is cancelled disturbs no other.
        """
        link = self._links.get(asyncio.get_running_loop())
        if link is None:
            link = self._new_link()
        connection = link.connection
        if connection is not None:
            return await connection.send(commands)
        return await link.execute(commands)

    def link(self) -> Link:
        """The running loop's link."""
        return self._links.get(asyncio.get_running_loop()) or self._new_link()

    async def aclose(self) -> None:
        """Close the running loop's connection; a later call makes a new one. Never waits for the server."""
        link = self._links.pop(asyncio.get_running_loop(), None)
        if link is not None:
            await link.aclose()

    def retire(self) -> None:
        """Close every loop's connection, each on its own loop, and take no more calls. From any thread; never waits."""
        with self._lock:
            self._is_retired = True
            links, self._links = self._links, {}
        for loop, link in links.items():
            try:
                loop.call_soon_threadsafe(link.close)
            except RuntimeError:
                link.forget_loop()

    def _new_link(self) -> Link:
        loop = asyncio.get_running_loop()
        link = Link(
            self.address,
            self._login,
            self.limits,
            now=self._now,
            chance=self._chance,
            on_push=self._on_push,
        )
        with self._lock:
            if self._is_retired:
                message = "this side closed the connection: it is no primary any more"
                raise ConnectionAway(message, endpoint=str(self.address), reason=Away.CLOSED)
            self._sweep()
            self._links[loop] = link
        return link

    def sweep(self) -> None:
        """End the connections of loops that were closed under them."""
        with self._lock:
            self._sweep()

    def _sweep(self) -> None:
        for loop in [loop for loop in self._links if loop.is_closed()]:
            self._links.pop(loop).forget_loop()

    def begin_as_child(self) -> None:
        """See `Forked`."""
        self._lock = threading.Lock()  # another thread of the parent may have held it
        self._inherited += self._links.values()  # kept: to be collected would be to be closed
        for link in self._links.values():
            if link.connection is not None:
                link.connection.release_inherited()
        self._links = {}
