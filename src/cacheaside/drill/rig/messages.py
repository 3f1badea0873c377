"""What the processes of a drill's own servers say: to the drill over pipes, to each other over loopback."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from cacheaside.demo.views import FlightView
from cacheaside.drill.series import Answer, Reading

__all__ = [
    "ASK",
    "CHANGE",
    "NAMESPACE",
    "FromLoad",
    "FromService",
    "FromSource",
    "Listening",
    "LoadPulse",
    "Reply",
    "Request",
]
__all__ += [
    "Ask",
    "Connect",
    "FillFirst",
    "Filled",
    "Rest",
    "ServicePulse",
    "Slow",
    "SourcePulse",
    "ToLoad",
    "ToSource",
]

NAMESPACE: Final = "drill"
ASK: Final = "ask"
CHANGE: Final = "change"


class Request(Struct, frozen=True, array_like=True):
    """A line of a caller: ask for a flight, or change it."""

    number: int
    word: str
    flight_id: int


class Reply(Struct, frozen=True, array_like=True):
    """The line that answers it. how: as in `series.How`; version: of the row, or the one that a change made;
    acknowledged: of a change, by the shared tier. view: the flight, from the source to a service."""

    number: int
    how: str
    version: int = 0
    acknowledged: bool = True
    why: str = ""
    view: FlightView | None = None


class Slow(Struct, frozen=True, tag="slow"):
    """To the source: everything takes so many times as long."""

    times: float


class Connect(Struct, frozen=True, tag="connect"):
    """To the load: the services to ask from now on, by their ports."""

    ports: list[int]


class FillFirst(Struct, frozen=True, tag="fill"):
    """To the load: ask once for everything there is, at such a rate."""

    rate: float


class Ask(Struct, frozen=True, tag="ask"):
    """To the load: ask at such a rate, and change rows at such another, until told to rest."""

    rate: float
    writes: float


class Rest(Struct, frozen=True, tag="rest"):
    """To the load: no more."""


ToSource = Slow
ToLoad = Connect | FillFirst | Ask | Rest


class Listening(Struct, frozen=True, tag="listening"):
    """From a child: ready, on that port."""

    port: int = 0


class SourcePulse(Struct, frozen=True, tag="source"):
    """From the source, ten times a second. service_ms: how long the queries that ended since took, at the median."""

    reading: Reading
    service_ms: float | None


class ServicePulse(Struct, frozen=True, tag="service"):
    """From a service, ten times a second: its loads that hold a turn, and that wait for one."""

    at: float
    loading: int
    waiting: int


class Filled(Struct, frozen=True, tag="filled"):
    """From the load: everything was asked for."""

    answered: int


class LoadPulse(Struct, frozen=True, tag="load"):
    """From the load, ten times a second. came: requests so far, answered or not. changes: rows changed so far;
    unacknowledged: of them."""

    at: float
    came: int
    answers: list[Answer]
    changes: int
    unacknowledged: int


FromSource = Listening | SourcePulse
FromService = Listening | ServicePulse
FromLoad = Listening | Filled | LoadPulse
