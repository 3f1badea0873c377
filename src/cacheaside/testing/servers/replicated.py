"""A primary, a replica, and three Sentinels that watch them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cacheaside.testing.servers.client import ServerError, Unreachable, ask
from cacheaside.testing.servers.ports import LOOPBACK
from cacheaside.testing.servers.server import Server, wait_until

__all__ = ["Replicated"]

TOPOLOGY_S: Final = 30.0
"""How long a topology may take to form, or to elect a new primary."""
SENTINELS: Final = 3
QUORUM: Final = 2
DOWN_AFTER_MS: Final = 500
FAILOVER_MS: Final = (
    1_500  # twice this passes before another try, when the Sentinels did not agree on a leader
)


class Replicated:
    """Two servers, of which Sentinel makes one the primary; `service` is the name it is known by.

    config, binary: of both servers, as for `Server`. A kill of the primary is followed by a failover within a few
    seconds (it counts as down after 0.5 s); `wait_failover` waits for it.
    """

    def __init__(
        self,
        *,
        config: Mapping[str, str | Sequence[str]] | None = None,
        binary: str | Path | None = None,
        service: str = "cacheaside",
    ) -> None:
        self.service = service
        self._binary = binary
        self.stores = tuple(Server(config=config, binary=binary) for _ in range(2))
        self.sentinels: tuple[Server, ...] = ()

    @property
    def sentinel_addresses(self) -> list[tuple[str, int]]:
        """Whom a client asks for the primary."""
        return [sentinel.address for sentinel in self.sentinels]

    @property
    def primary(self) -> Server:
        """The server that most Sentinels call the primary now."""
        named = [address for address in map(self._named_by, self.sentinels) if address is not None]
        for store in self.stores:
            if named.count(store.address) >= QUORUM:
                return store
        raise Unreachable(f"no {QUORUM} Sentinels agree on a primary; they say {named}")

    @property
    def replica(self) -> Server:
        """The other one."""
        primary = self.primary
        return next(store for store in self.stores if store is not primary)

    def start(self) -> Self:
        """Start all, and return once the replica follows and every Sentinel knows of the others and of the replica."""
        try:
            first, second = (store.start() for store in self.stores)
            second.ask("REPLICAOF", LOOPBACK, first.port)
            self.sentinels = tuple(self._sentinel(first) for _ in range(SENTINELS))
            for sentinel in self.sentinels:
                sentinel.launch()
            for sentinel in self.sentinels:
                sentinel.wait_ready()
            wait_until(lambda: self._is_linked(second), "the replica follows", TOPOLOGY_S, second.last_words)
            wait_until(self._is_watched, "every Sentinel knows of the others", TOPOLOGY_S)
        except BaseException:
            self.close()
            raise
        return self

    def wait_failover(self, old: Server) -> Server:
        """Return the new primary, once `old` no longer is it and the new one takes writes."""
        (new,) = (store for store in self.stores if store is not old)
        wait_until(
            lambda: self._is_primary(new), "the Sentinels made the other server the primary", TOPOLOGY_S
        )
        return new

    def close(self) -> None:
        """As for `Server`."""
        for server in (*self.sentinels, *self.stores):
            server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _sentinel(self, primary: Server) -> Server:
        watched = f"{self.service} {LOOPBACK} {primary.port} {QUORUM}"
        config = {
            "sentinel monitor": watched,
            "sentinel down-after-milliseconds": f"{self.service} {DOWN_AFTER_MS}",
            "sentinel failover-timeout": f"{self.service} {FAILOVER_MS}",
        }
        return Server(config=config, binary=self._binary, mode="sentinel")

    def _named_by(self, sentinel: Server) -> tuple[str, int] | None:
        try:
            named = ask(sentinel.socket_path, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)
        except (Unreachable, ServerError):
            return None
        return (str(named[0]), int(named[1])) if named else None

    def _is_linked(self, replica: Server) -> bool:
        return "master_link_status:up" in replica.ask("INFO", "replication")

    def _is_watched(self) -> bool:
        return all(
            len(sentinel.ask("SENTINEL", "SENTINELS", self.service)) == SENTINELS - 1
            and len(sentinel.ask("SENTINEL", "REPLICAS", self.service)) == 1
            for sentinel in self.sentinels
        )

    def _is_primary(self, store: Server) -> bool:
        try:
            return self.primary is store and "role:master" in store.ask("INFO", "replication")
        except Unreachable:
            return False
