"""Commands to the primaries of a fleet from any event loop of this process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from cacheaside.stores.redis.connect.away import ConnectionAway
from cacheaside.stores.redis.connect.chance import chance
from cacheaside.stores.redis.connect.connection import Connection
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.forked import mend_after_fork
from cacheaside.stores.redis.connect.link import Link
from cacheaside.stores.redis.connect.parts import Part, in_order, no_servers, parts_of
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress
from cacheaside.stores.redis.connect.transport_aio import AioTransport
from cacheaside.stores.redis.wire.replies import Command

__all__ = ["AioFleet"]


class AioFleet:
    """Implements `fleet.Transport` for asyncio: an `AioTransport` for each primary.

    Nothing is connected before the first call on a loop. now, chance, and what a fork does: as for `AioTransport`.
    """

    def __init__(
        self,
        login: Login | None = None,
        limits: Limits | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = chance,
    ) -> None:
        self.limits = limits or Limits()
        self._login = login or Login()
        self._now = now
        self._chance = chance
        self._changing = threading.Lock()
        self._transports: dict[ServerAddress, AioTransport] = {}
        self._route: tuple[Fleet, tuple[AioTransport, ...]] | None = None
        mend_after_fork(self)

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to `commands`, in order; see `fleet.Transport`, and `AioTransport.execute`.

        Where it is known beforehand that one server concerned does not answer, nothing is sent to the others.
        """
        # Where one primary holds everything, `use` puts its transport's own `execute` in the place of this.
        route = self._route
        if route is None:
            raise no_servers()
        fleet, transports = route
        parts = parts_of(fleet, commands)
        if not parts:
            return []
        if len(parts) == 1:
            return await transports[parts[0].place].execute(commands)
        links = [transports[part.place].link() for part in parts]
        connections = [link.connection for link in links if link.connection is not None]
        if len(connections) == len(links):
            replies = await _ask(connections, parts)
        else:
            replies = await self._connect_and_ask(links, parts)
        return in_order(parts, replies, len(commands))

    def connection(self) -> Connection | None:
        """The running loop's connection, where one primary holds everything and there is one that works."""
        route = self._route
        if route is None or route[0].owners is not None:
            return None
        return route[1][0].link().connection

    def use(self, fleet: Fleet) -> None:
        """From now on these are the primaries. Calls under way to others fail, each on its own loop, soon."""
        with self._changing:
            transports = {
                address: self._transports.get(address)
                or AioTransport(address, self._login, self.limits, now=self._now, chance=self._chance)
                for address in fleet.primaries
            }
            self._route = fleet, tuple([transports[address] for address in fleet.primaries])
            if fleet.owners is None:  # then nothing is to come between a call and its transport
                self.execute = self._route[1][0].execute  # type: ignore[method-assign]
            else:
                self.__dict__.pop("execute", None)
            gone = [one for address, one in self._transports.items() if address not in transports]
            self._transports = transports
        for transport in gone:
            transport.retire()

    async def aclose(self) -> None:
        """Close the running loop's connections; a later call makes new ones. Never waits for a server."""
        for transport in list(self._transports.values()):
            await transport.aclose()

    def retire(self) -> None:
        """Close every connection, each on its own loop, soon. For good."""
        for transport in list(self._transports.values()):
            transport.retire()

    def sweep(self) -> None:
        """End the connections of loops that were closed under them."""
        for transport in list(self._transports.values()):
            transport.sweep()

    def begin_as_child(self) -> None:
        """See `Forked`; the transports mend themselves."""
        self._changing = threading.Lock()

    async def _connect_and_ask(self, links: Sequence[Link], parts: Sequence[Part]) -> list[list[Any]]:
        attempts = {link: link.begin() for link in links if link.connection is None}
        sent = False
        try:
            async with asyncio.timeout(self.limits.deadline_s):
                await asyncio.wait(attempts.values())
                connections = [link.connected() for link in links]
                sent = True
                return await _ask(connections, parts)
        except TimeoutError:
            late = [
                link.too_late(attempt, maybe_sent=sent)
                for link, attempt in attempts.items()
                if sent or not attempt.done()
            ]
            raise late[0] from None


async def _ask(connections: Sequence[Connection], parts: Sequence[Part]) -> list[list[Any]]:
    """The replies to each part; all are under way at once."""
    asked: list[asyncio.Future[list[Any]]] = []
    try:
        for connection, part in zip(connections, parts, strict=True):
            asked.append(connection.send(part.commands))
        return [await one for one in asked]
    except ConnectionAway as away:
        raise away.again(maybe_sent=bool(asked)) from None
    finally:
        for one in asked:
            # Its answer has no other reader: a failure that nobody looks at would be reported as overlooked.
            if not one.cancel() and not one.cancelled():
                one.exception()
