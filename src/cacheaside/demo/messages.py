"""What the processes of the demo say to each other: over pipes, one JSON document a line, and a few words over HTTP."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from cacheaside.demo.history import Served

__all__ = ["CHANGES", "FROM", "HOLDS", "Begin", "Connect", "Done", "End", "Endpoint", "Failure", "FromLoad"]
__all__ += [
    "FromService",
    "Listening",
    "LoadPulse",
    "Report",
    "Rest",
    "ServicePulse",
    "ToChild",
    "TurnEnded",
    "line",
]

CHANGES: Final = "/changes"
HOLDS: Final = "/holds"
"""Where changes are sent to over HTTP."""
FROM: Final = "x-from"
"""The header of an answer that says where it came from (`history.From`)."""


class Connect(Struct, frozen=True, tag="connect"):
    """To the load: the ports of the services to read from, in the order of their numbers, and of those to write to."""

    ports: list[int]
    writers: list[int]


class Begin(Struct, frozen=True, tag="begin"):
    """A turn begins. To a service: let the clock run. To the load: ask, and make changes, for so many seconds."""

    seconds: float


class Report(Struct, frozen=True, tag="report"):
    """To a service: say how things stand now; a stage of the turn ends here."""


class Rest(Struct, frozen=True, tag="rest"):
    """To a service: the turn is over, stand still until the next."""


class End(Struct, frozen=True, tag="end"):
    """To a service: there are no more turns; store when changes were done, and report for the last time."""


ToChild = Connect | Begin | Report | Rest | End


class Listening(Struct, frozen=True, tag="listening"):
    """From a child: prepared. `port` is a service's; the load has none."""

    port: int = 0


class Done(Struct, frozen=True, array_like=True):
    """A change is done, and acknowledged by the shared tier or not yet. Told again when it is."""

    commit_id: int
    done_at: float
    acknowledged_at: float | None = None


class Endpoint(Struct, frozen=True):
    """One endpoint's counters since its service started, as `cache.stats()` gives them.

    fill_us: upper edges of buckets in microseconds, and how many loads took so long.
    """

    reads: int
    hits: int
    grace: int
    misses: dict[str, int]
    collapsed: int
    loads: int
    loads_repeated: int
    refreshes: int
    not_stored: dict[str, int]
    fill_us: list[tuple[int, int]]


class ServicePulse(Struct, frozen=True, tag="service"):
    """From a service, four times a second in its turns, when asked, at rest and at the end. Counters since it began.

    at: when. is_last: nothing more is said in this turn. clock: the time of the replayed day. owed: tags whose
    invalidation the shared tier has yet to acknowledge. done: changes, since the last pulse. queries: SELECT statements
    that reached SQLite for readers. read_s: how long each read of the database took since the last pulse: what a load
    waits for.
    """

    at: float
    is_last: bool
    clock: float
    commits: int
    held: int
    owed: int
    done: list[Done]
    queries: int
    read_s: list[float]
    endpoints: dict[str, Endpoint]


class Failure(Struct, frozen=True, array_like=True):
    """A request without a proper answer: when it started, and why."""

    started_at: float
    why: str


class LoadPulse(Struct, frozen=True, tag="load"):
    """From the load, four times a second in its turns: what happened since the last one.

    absent: answers that there is no such row. overlapping: requests that started while another for the same path was
    under way.
    """

    span_s: float
    absent: int
    overlapping: int
    failures: list[Failure]
    served: list[Served]


class TurnEnded(Struct, frozen=True, tag="turn"):
    """From the load: every request of the turn was answered, and every change of it made."""


FromService = Listening | ServicePulse
FromLoad = Listening | LoadPulse | TurnEnded


def line(message: Struct) -> bytes:
    """`message` as a line to send."""
    return msgspec.json.encode(message) + b"\n"
