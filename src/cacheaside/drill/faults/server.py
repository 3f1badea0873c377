"""Faults of the server: out of memory, killed, frozen."""

from __future__ import annotations

from typing import Final

from cacheaside.drill.faults.kind import CannotDrill, Evidence
from cacheaside.drill.faults.scope import Scope
from cacheaside.drill.journal import RestoreConfig, Undo
from cacheaside.testing.servers import Server, Unreachable

__all__ = ["EvictionStorm", "Frozen", "Killed"]

MEMORY: Final = "maxmemory"
_LEAST_BYTES: Final = 1_000_000
"""No server is left with less: it would not even take the commands that restore it."""


class EvictionStorm:
    """Lowers maxmemory, so that a share of what the server holds has to go; later it is what it was."""

    def __init__(self, scope: Scope, share: float) -> None:
        self._scope = scope
        self._share = share
        self._before: str | None = None
        self._evicted_before = 0
        self._evicted = 0
        self._lowered = 0
        self._after = ""

    def undo(self) -> Undo | None:
        self._before = self._scope.directive(MEMORY)
        mine, others = self._scope.count()
        if others:
            raise CannotDrill(
                f"{self._scope.url} also holds {others:,} keys that are not of namespace {self._scope.namespace!r} "
                f"(which has {mine:,}): it would evict those too. Drill a server that is the namespace's own."
            )
        return RestoreConfig(self._scope.url, self._scope.secret, MEMORY, self._before)

    def begin(self) -> None:
        memory, stats = self._scope.info("memory"), self._scope.info("stats")
        self._evicted_before = int(stats["evicted_keys"])
        used = int(memory["used_memory"])
        held = min(used, int(memory.get("used_memory_dataset", used)))
        self._lowered = max(_LEAST_BYTES, int(used - self._share * held))
        self._scope.set_directive(MEMORY, str(self._lowered))

    def halt(self) -> None:
        return None

    def end(self) -> None:
        if self._before is None:
            return
        # Before anything is looked at: a server that is busy evicting may not answer in time.
        self._scope.set_directive(MEMORY, self._before)
        self._evicted = int(self._scope.info("stats")["evicted_keys"]) - self._evicted_before
        self._after = self._scope.directive(MEMORY)

    def evidence(self) -> list[Evidence]:
        return [
            Evidence(self._evicted > 0, f"{self._evicted:,} keys evicted at maxmemory {self._lowered:,}"),
            Evidence(self._after == self._before, f"maxmemory is {self._after} again"),
        ]


class Killed:
    """SIGKILL to a server that the drill started; later it is started again, with nothing in it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._said: list[Evidence] = []

    def undo(self) -> Undo | None:
        return None  # the server ends with this process

    def begin(self) -> None:
        self._server.kill()
        self._said.append(Evidence(not self._server.is_running, "the server's process was gone"))

    def halt(self) -> None:
        return None

    def end(self) -> None:
        if not self._server.is_running:
            self._server.start()
        held = self._server.ask("DBSIZE")
        self._said.append(
            Evidence(self._server.ask("PING") == "PONG", f"it answers again ({held} keys by then)")
        )

    def evidence(self) -> list[Evidence]:
        return self._said


class Frozen:
    """SIGSTOP to a server that the drill started: connections stay open, and nothing answers."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._said: list[Evidence] = []

    def undo(self) -> Undo | None:
        return None  # the server ends with this process

    def begin(self) -> None:
        self._server.freeze()
        try:
            self._server.ask("PING")
        except Unreachable:
            self._said.append(Evidence(True, "the server did not answer a PING"))
        else:
            self._said.append(Evidence(False, "the server answered all the same"))

    def halt(self) -> None:
        return None

    def end(self) -> None:
        self._server.thaw()
        self._said.append(Evidence(self._server.ask("PING") == "PONG", "it answers again"))

    def evidence(self) -> list[Evidence]:
        return self._said
