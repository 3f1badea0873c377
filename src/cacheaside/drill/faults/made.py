"""The fault of a drill, for the ground it is done on; or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cacheaside.drill.drills import Drill
from cacheaside.drill.faults.around import Cut, Restarting, RollingRestart, Silent, SlowSource, SlowWire, Wire
from cacheaside.drill.faults.keys import Flush, HotKeys, MassInvalidation
from cacheaside.drill.faults.kind import CannotDrill, Fault
from cacheaside.drill.faults.scope import Scope
from cacheaside.drill.faults.server import EvictionStorm, Frozen, Killed
from cacheaside.drill.settings import Settings
from cacheaside.testing.servers import Server

__all__ = ["Means", "fault_of"]


class Means(Protocol):
    """What there is to break. None: it is not the drill's to break.

    server: started by the drill. wire: a proxy before the shared tier.
    """

    @property
    def server(self) -> Server | None: ...

    @property
    def wire(self) -> Wire | None: ...

    def restarting(self) -> Restarting | None:
        """What restarts the service's processes."""

    def slow_source(self, times: float) -> None:
        """Have every query take so many times as long. Only where `can_slow_source`."""

    @property
    def can_slow_source(self) -> bool: ...

    def source_ms(self, since: float) -> float | None:
        """How long queries took since then, at the median."""

    def hottest(self, number: int) -> Sequence[bytes]:
        """Names of the most popular entries, the most popular first."""


def fault_of(drill: Drill, settings: Settings, means: Means, scope: Scope) -> Fault:
    """The fault. Raises `CannotDrill` where it would touch what is not the drill's to touch."""
    fault = _fault_of(drill.name, settings, means, scope)
    if fault is None:
        raise CannotDrill(f"{drill.name} needs {drill.needs}. Nothing was touched.")
    return fault


def _fault_of(name: str, settings: Settings, means: Means, scope: Scope) -> Fault | None:
    radius, server, wire = settings.radius, means.server, means.wire
    match name:
        case "flush":
            return Flush(scope, radius.share)
        case "hot-key":
            return HotKeys(scope, lambda: means.hottest(radius.hot_keys))
        case "mass-invalidation":
            return MassInvalidation(scope, radius.share)
        case "eviction-storm":
            return EvictionStorm(scope, radius.share)
        case "l2-slow":
            return None if wire is None else SlowWire(wire, settings.delay_s)
        case "l2-killed":
            return Killed(server) if server is not None else None if wire is None else Cut(wire)
        case "l2-frozen":
            return Frozen(server) if server is not None else None if wire is None else Silent(wire)
        case "rolling-restart":
            restarting = means.restarting()
            return None if restarting is None else RollingRestart(restarting)
        case "source-slow":
            if not means.can_slow_source:
                return None
            return SlowSource(
                means.slow_source, means.source_ms, settings.slowness, lambda: scope.delete(scope.names())
            )
    raise CannotDrill(f"there is no drill {name!r}")
