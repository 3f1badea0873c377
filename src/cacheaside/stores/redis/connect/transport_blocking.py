"""Commands to the primaries of a fleet from any thread of this process, over connections that take turns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.chance import chance
from cacheaside.stores.redis.connect.connection_blocking import BlockingConnection, collect
from cacheaside.stores.redis.connect.deadline import Deadline
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.forked import mend_after_fork
from cacheaside.stores.redis.connect.parts import Part, in_order, no_servers, parts_of
from cacheaside.stores.redis.connect.pool import Pool
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress
from cacheaside.stores.redis.wire.replies import Command

__all__ = ["BlockingTransport"]

CONNECTIONS_MAX: Final = 64


class BlockingTransport:
    """Implements `fleet.Transport` for threads: `execute` blocks its thread, and never suspends.

    Nothing is connected before the first call. `connections_max` is for each server; past it calls wait for their turn,
    within their deadline. now, chance: as for `AioTransport`.

    After a fork the child begins with no connection, and its first call makes one.
    """

    def __init__(
        self,
        login: Login | None = None,
        limits: Limits | None = None,
        *,
        connections_max: int = CONNECTIONS_MAX,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = chance,
    ) -> None:
        import hiredis

        self._pack: Callable[[Any], bytes] = hiredis.pack_command
        self.limits = limits or Limits()
        self._login = login or Login()
        self._connections_max = connections_max
        self._now = now
        self._chance = chance
        self._changing = threading.Lock()
        self._pools: dict[ServerAddress, Pool] = {}
        self._route: tuple[Fleet, tuple[Pool, ...]] | None = None
        mend_after_fork(self)

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to `commands`, in order; see `fleet.Transport`.

        Raises `ConnectionAway` within `deadline_s`, which says whether any may have been carried out. Where it is known
        beforehand that one server concerned does not answer, nothing is sent to the others.
        """
        route = self._route
        if route is None:
            raise no_servers()
        if not commands:
            return []
        fleet, pools = route
        deadline = Deadline.after(self.limits.deadline_s, self._now)
        if fleet.owners is None:
            return self._ask_one(pools[0], commands, deadline)
        parts = parts_of(fleet, commands)
        if len(parts) == 1:
            return self._ask_one(pools[parts[0].place], commands, deadline)
        return self._ask_several([pools[part.place] for part in parts], parts, len(commands), deadline)

    def use(self, fleet: Fleet) -> None:
        """From now on these are the primaries. Connections to others are closed under the calls that use them."""
        with self._changing:
            pools = {address: self._pools.get(address) or self._pool(address) for address in fleet.primaries}
            self._route = fleet, tuple([pools[address] for address in fleet.primaries])
            gone = [pool for address, pool in self._pools.items() if address not in pools]
            self._pools = pools
        for pool in gone:
            pool.close()

    def close(self) -> None:
        """Close every connection; calls under way fail, and so does every call until the next `use`."""
        with self._changing:
            gone, self._pools, self._route = list(self._pools.values()), {}, None
        for pool in gone:
            pool.close()

    def begin_as_child(self) -> None:
        """See `Forked`; the pools mend themselves."""
        self._changing = threading.Lock()

    # -- one call ----------------------------------------------------------------------------------------------

    def _ask_one(self, pool: Pool, commands: Sequence[Command], deadline: Deadline) -> list[Any]:
        packed = self._packed(commands, pool)
        connection = pool.take(deadline)
        try:
            connection.send(packed, len(commands), deadline)
            for _, away in collect([connection], deadline):
                raise away
        except ConnectionAway as away:
            raise pool.broken(connection, away) from None
        except BaseException:
            pool.drop(connection)
            raise
        replies = connection.replies()
        pool.give_back(connection)
        return replies

    def _ask_several(
        self, pools: Sequence[Pool], parts: Sequence[Part], count: int, deadline: Deadline
    ) -> list[Any]:
        """All parts are under way at once."""
        packed = [self._packed(part.commands, pool) for pool, part in zip(pools, parts, strict=True)]
        taken: dict[BlockingConnection, Pool] = {}
        sent: list[BlockingConnection] = []
        failed: list[tuple[BlockingConnection, ConnectionAway]] = []
        try:
            # In the order of places, like everyone, so that no two callers each wait for what the other has taken.
            for pool in pools:
                taken[pool.take(deadline)] = pool
            for connection, part, content in zip(list(taken), parts, packed, strict=True):
                try:
                    connection.send(content, len(part.commands), deadline)
                except ConnectionAway as away:
                    failed.append((connection, away))
                    break
                sent.append(connection)
            failed += collect(sent, deadline)
        except ConnectionAway:
            for connection, pool in taken.items():
                pool.give_back(connection, answered=False)
            raise
        except BaseException:
            for connection, pool in taken.items():
                pool.drop(connection)
            raise
        replies = [connection.replies() for connection in taken]
        maybe_sent = bool(sent) or any(away.maybe_sent for _, away in failed)
        told = [
            taken.pop(connection).broken(connection, away).again(maybe_sent=maybe_sent)
            for connection, away in failed
        ]
        for connection, pool in taken.items():
            pool.give_back(connection, answered=connection in sent)
        if told:
            raise told[0]
        return in_order(parts, replies, count)

    def _packed(self, commands: Sequence[Command], pool: Pool) -> bytes:
        packed = b"".join(map(self._pack, commands))
        limits = self.limits
        if len(commands) > limits.unanswered_commands_max:
            message = f"{len(commands)} commands, unanswered_commands_max={limits.unanswered_commands_max}"
        elif len(packed) > limits.unsent_bytes_max:
            message = f"{len(packed)} bytes to send, unsent_bytes_max={limits.unsent_bytes_max}"
        else:
            return packed
        raise ConnectionAway(message, endpoint=str(pool.address), reason=Away.FULL)

    def _pool(self, address: ServerAddress) -> Pool:
        return Pool(
            address, self._login, self.limits, self._connections_max, now=self._now, chance=self._chance
        )
