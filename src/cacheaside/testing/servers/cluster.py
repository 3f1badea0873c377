"""A cluster: three primaries, each with a replica."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cacheaside.testing.servers.client import Unreachable
from cacheaside.testing.servers.ports import LOOPBACK
from cacheaside.testing.servers.replicated import TOPOLOGY_S
from cacheaside.testing.servers.server import Server, wait_until

__all__ = ["SLOTS", "Cluster"]

SLOTS: Final = 16_384
PRIMARIES: Final = 3


class Cluster:
    """Six nodes; the first three start as the primaries of a third of the slots each, the last three as their replicas.

    config, binary: of every node, as for `Server`. A node counts as down after 1 s; `wait_failover` waits for what
    its replica then does.
    """

    def __init__(
        self, *, config: Mapping[str, str | Sequence[str]] | None = None, binary: str | Path | None = None
    ) -> None:
        settings = {"cluster-node-timeout": "1000", "cluster-replica-validity-factor": "0"} | dict(
            config or {}
        )
        self.nodes = tuple(
            Server(config=settings, binary=binary, mode="cluster") for _ in range(2 * PRIMARIES)
        )

    @property
    def url(self) -> str:
        """Of the first node that runs: where a client starts."""
        return next(node.url for node in self.nodes if node.is_running)

    @property
    def primaries(self) -> list[Server]:
        """The nodes that say now that they own slots, in the order of their start."""
        return [node for node in self.nodes if node.is_running and self._role(node) == "master"]

    def owner(self, key: str) -> Server:
        """The primary that holds `key` now."""
        asked = self.primaries[0]
        slot = int(asked.ask("CLUSTER", "KEYSLOT", key))
        for first, last, (_, port, *_), *_ in asked.ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise Unreachable(f"nobody owns slot {slot}")

    def start(self) -> Self:
        """Start all, and return once every slot is owned, every node knows it, and every replica follows."""
        try:
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.wait_ready()
            self._assemble()
        except BaseException:
            self.close()
            raise
        return self

    def wait_failover(self, old: Server) -> Server:
        """Return the replica of `old`, once it is a primary and all that run agree that every slot is owned."""
        new = self.nodes[(self.nodes.index(old) + PRIMARIES) % len(self.nodes)]
        wait_until(lambda: self._role(new) == "master", "the replica of the lost node took over", TOPOLOGY_S)
        running = [node for node in self.nodes if node.is_running]
        wait_until(lambda: all(map(self._is_whole, running)), "every slot is owned again", TOPOLOGY_S)
        return new

    def close(self) -> None:
        """As for `Server`."""
        for node in self.nodes:
            node.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _assemble(self) -> None:
        primaries, replicas = self.nodes[:PRIMARIES], self.nodes[PRIMARIES:]
        for number, node in enumerate(primaries):
            first, following = (SLOTS * n // PRIMARIES for n in (number, number + 1))
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, following - 1)
        for epoch, node in enumerate(self.nodes, 1):
            node.ask(
                "CLUSTER", "SET-CONFIG-EPOCH", epoch
            )  # else the nodes sort out equal epochs first, for seconds
        for node in self.nodes[1:]:
            self.nodes[0].ask("CLUSTER", "MEET", LOOPBACK, node.port)
        wait_until(self._all_met, "every node knows every other", TOPOLOGY_S)
        for primary, replica in zip(primaries, replicas, strict=True):
            replica.ask("CLUSTER", "REPLICATE", primary.ask("CLUSTER", "MYID"))
        wait_until(lambda: all(map(self._is_whole, self.nodes)), "every slot is owned", TOPOLOGY_S)
        wait_until(lambda: all(map(self._is_linked, replicas)), "every replica follows", TOPOLOGY_S)

    def _all_met(self) -> bool:
        """Each lists all, and none of them as still shaking hands."""
        listings = [str(node.ask("CLUSTER", "NODES")) for node in self.nodes]
        return all(
            len(listing.splitlines()) == len(self.nodes) and "handshake" not in listing
            for listing in listings
        )

    def _is_whole(self, node: Server) -> bool:
        # Every slot, with a replica at each: a client that starts from this node sees the whole.
        return "cluster_state:ok" in node.ask("CLUSTER", "INFO")

    def _is_linked(self, replica: Server) -> bool:
        return "master_link_status:up" in replica.ask("INFO", "replication")

    def _role(self, node: Server) -> str:
        return str(node.ask("ROLE")[0])
