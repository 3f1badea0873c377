"""Commands to one server from any event loop of this process, each loop over a connection of its own."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final

from cacheaside.stores.redis.connection import Command
from cacheaside.stores.redis.link import Link
from cacheaside.stores.redis.server import Limits, Login, ServerAddress

__all__ = ["AioTransport"]

_transports: Final[weakref.WeakSet[AioTransport]] = weakref.WeakSet()


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
        chance: Callable[[], float] = random.random,
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
        self._lock = threading.Lock()
        _transports.add(self)

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
            for other in [other for other in self._links if other.is_closed()]:
                del self._links[other]
            self._links[loop] = link
        return link

    def _begin_as_child(self) -> None:
        self._lock = threading.Lock()  # another thread of the parent may have held it
        self._inherited += self._links.values()  # kept: to be collected would be to be closed
        for link in self._links.values():
            if link.connection is not None:
                link.connection.release_inherited()
        self._links = {}


def _begin_as_child() -> None:
    for transport in list(_transports):
        transport._begin_as_child()  # noqa: SLF001 - its other half


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_as_child)
