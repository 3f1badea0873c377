"""What the three processes of the demo say to each other over pipes, one JSON document a line."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from cacheaside.demo.history import Served

__all__ = ["Begin", "End", "Endpoint", "FromLoad", "FromService", "Listening", "LoadEnded", "LoadPulse"]
__all__ += ["Rest", "ServicePulse", "ToChild", "TurnEnded", "line"]


class Begin(Struct, frozen=True, tag="begin"):
    """A turn begins. To the service: let the replay run. To the load: ask for so many seconds."""

    seconds: float


class Rest(Struct, frozen=True, tag="rest"):
    """To the service: the turn is over, stand still until the next."""


class End(Struct, frozen=True, tag="end"):
    """To a child: there are no more turns; report for the last time. The service stores what was acknowledged."""


ToChild = Begin | Rest | End


class Listening(Struct, frozen=True, tag="listening"):
    """From a child: prepared. `port` is the service's; the load has none."""

    port: int = 0


class Endpoint(Struct, frozen=True):
    """One endpoint's counters since the service started, as `cache.stats()` gives them."""

    reads: int
    hits: int
    grace: int
    misses: dict[str, int]
    collapsed: int
    loads: int
    loads_repeated: int
    refreshes: int
    not_stored: dict[str, int]
    fill_p50_ms: float
    fill_p99_ms: float


class ServicePulse(Struct, frozen=True, tag="service"):
    """From the service, four times a second in its turns and once at the end (`final`). Counters since it began."""

    final: bool
    clock: float
    commits: int
    held: int
    acknowledged: list[tuple[float, int]]
    """When changes were acknowledged and the numbers of their commits, those since the last pulse."""
    queries: int
    """SELECT statements that reached SQLite for readers."""
    read_p50_ms: float
    read_p99_ms: float
    """How long a read of the database took: what a load waits for."""
    endpoints: dict[str, Endpoint]


class LoadPulse(Struct, frozen=True, tag="load"):
    """From the load, four times a second in its turns: what happened since the last one.

    `absent` and `overlapping` are counts of the whole run, as in `LoadEnded`.
    """

    requests: int
    absent: int
    overlapping: int
    failed: int
    span_s: float
    p50_ms: float
    p99_ms: float
    served: list[Served]


class TurnEnded(Struct, frozen=True, tag="turn"):
    """From the load: every request of the turn was answered."""


class LoadEnded(Struct, frozen=True, tag="ended"):
    """From the load: the whole of it."""

    requests: dict[str, int]
    """By endpoint, and of all under "all"; so are the quantiles."""
    absent: int
    overlapping: int
    """Requests that started while another for the same path was under way."""
    failed: int
    failures: list[str]
    span_s: float
    p50_ms: dict[str, float]
    p99_ms: dict[str, float]


FromService = Listening | ServicePulse
FromLoad = Listening | LoadPulse | TurnEnded | LoadEnded


def line(message: Struct) -> bytes:
    """`message` as a line to send."""
    return msgspec.json.encode(message) + b"\n"
