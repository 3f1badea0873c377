"""What happens in one schedule, drawn from its seed: who reads, who writes, what fails, how long things take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final, Literal, TypeVar

from cacheaside.contract import Contract, Terms
from cacheaside.testing.simulator.rows import SourceFailed
from cacheaside.testing.simulator.views import NAMES

__all__ = ["MARK_LIFETIME_S", "Scenario", "Sizes", "WorldName", "draw"]

WorldName = Literal["embedded", "shared"]
T = TypeVar("T")
MARK_LIFETIME_S: Final = 3.0
CLOCK_STEPS_S: Final = (-30.0, -3.0, -0.8, -0.2, -0.1, 0.2, 3.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The most that a schedule may have of each. Smaller ones make a failure easier to read.

    given: settings of the scenario that are not drawn, as "focus=1,lag=0.4".
    """

    readers: int = 5
    reads: int = 4
    writers: int = 3
    writes: int = 2
    given: str = ""

    @classmethod
    def of(cls, four: str, given: str = "") -> Sizes:
        """From what the command takes."""
        readers, reads, writers, writes = (int(part) for part in four.split(","))
        return cls(readers, reads, writers, writes, given)

    @property
    def four(self) -> str:
        """The numbers, as the command takes them."""
        return f"{self.readers},{self.reads},{self.writers},{self.writes}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One schedule's setting. Shares are from 0 to 1, sizes are numbers, durations seconds.

    focus: how many keys are read, 0 for all of the views; focus_at: which. pauses: the share of reads and writes that
    wait for some seconds first. apart_steps: each waits while others make up to so many steps. brackets: the share of
    writes that are inside of one; deaths: of brackets whose writer dies inside. sweeping: the share of invalidations
    that are of everything. lag, behind_steps: how slowly messages and changes travel. threads: leaders load themselves,
    as in threads; else each load is a task, as on an event loop. before, after: where a thread may lose the processor
    at a port. hurry: how readily time goes on.

    Of the shared world alone: short: the share of reads through a flow that ask the tier for a plain hit first, as if
    L1 held nothing. drift, ahead_s: how much clocks may run apart, and how far apart they may be set. cuts, stalls: of
    the connections on which changes are heard. flushes, fillings, failovers, clock_steps: what befalls the server.
    timed: the share of all these that come at a time, not when so many steps were made. lagging: how many changes a
    replica may lack. moves: a new primary has an address of its own. stays: the share of failovers in which the same
    server goes on with older data. clock_steps_s: by how much its clock may be set. wait_replicas: as the option.
    connected: whether processes hear from the beginning on. blind: the server tells of no changes.
    """

    world: WorldName
    threads: bool
    before: bool
    after: bool
    hurry: float
    readers: int
    reads: int
    writers: int
    writes: int
    views: tuple[str, ...]
    terms: dict[str, Terms]
    slow: float
    failing: float
    delays_s: tuple[float, ...]
    timeout_s: float
    cancels: int
    stops: int
    kills: int
    l1_entries: int
    l1_bytes: int
    pauses: float
    apart_steps: int
    unavailable: float
    lag: float
    behind_steps: int
    evictions: int
    focus: int
    focus_at: float
    brackets: float
    deaths: float
    sweeping: float
    processes: int
    short: float
    max_unsynced_s: float
    beat_s: float
    drift: float
    ahead_s: float
    generation_s: float
    connected: bool
    blind: bool
    tells_identity: bool
    on_failover: str
    wait_replicas: int
    retries: bool
    write_deadline_s: float
    cuts: int
    stalls: int
    flushes: int
    fillings: int
    marks_evicted: int
    failovers: int
    lagging: int
    moves: bool
    stays: float
    clock_steps: int
    clock_steps_s: tuple[float, ...]
    timed: float


def _terms(**options: object) -> Terms:
    return Contract(**options).terms  # type: ignore[arg-type]


TERMS: Final = (
    _terms(ttl=60, jitter=0),
    _terms(ttl=60, absent_ttl=3),
    _terms(ttl=4, jitter=0.5, absent_ttl=2),
    _terms(ttl=2, grace=4, jitter=0),
    _terms(ttl=4, grace=8, stale_after_invalidation=6, absent_ttl=2),
    _terms(ttl=60, stale_after_invalidation=5, absent_ttl=10, error_ttl={SourceFailed: 2}),
    _terms(ttl=3, early_refresh=1.0, grace=1),
    _terms(ttl=30, error_ttl={SourceFailed: 3}, absent_ttl=30),
    _terms(ttl=30, consistency="strong"),
    _terms(ttl=30, store=False),
)
USUAL: Final = 8
"""The first so many of them are drawn most often."""


def draw(world: WorldName, random: Random, sizes: Sizes) -> Scenario:
    """The scenario that this random begins with."""

    def one(*choices: T) -> T:
        return choices[int(random.random() * len(choices))]

    def up_to(most: int) -> int:
        return 1 + int(random.random() * most)

    views = tuple({one(*NAMES, "joined"): None for _ in range(up_to(3))})
    usual = TERMS[:USUAL] if random.random() < 0.9 else TERMS
    before = random.random() < 0.6
    drawn = Scenario(
        world=world,
        threads=random.random() < 0.35,
        before=before,
        after=not before or random.random() < 0.3,
        hurry=one(0.0, 0.02, 0.1, 0.5),
        readers=up_to(one(sizes.readers, min(2, sizes.readers))),
        reads=up_to(sizes.reads),
        writers=up_to(sizes.writers),
        writes=up_to(sizes.writes),
        views=views,
        terms={name: one(*usual) for name in NAMES},
        slow=one(0.0, 0.0, 0.2, 0.5),
        failing=one(0.0, 0.0, 0.0, 0.2),
        delays_s=one((0.5, 1.0), (1.0, 3.0), (0.5, 7.0), (4.0,)),
        timeout_s=one(30.0, 30.0, 2.0),
        cancels=one(0, 0, 0, 1, 3),
        stops=one(0, 0, 0, 0, 0, 1),
        kills=one(0, 0, 0, 1),
        l1_entries=one(100, 100, 100, 2, 1),
        l1_bytes=one(1 << 20, 1 << 20, 64 * 16),
        pauses=one(0.0, 0.1, 0.4),
        apart_steps=0,
        unavailable=one(0.0, 0.0, 0.05, 0.3),
        lag=one(0.0, 0.0, 0.1, 0.4),
        behind_steps=one(5, 40, 200),
        focus=one(0, 0, 1, 1, 2),
        focus_at=(focus_at := random.random()),
        brackets=0.6,
        deaths=one(0.0, 0.0, 0.3, 0.6),
        sweeping=0.12,
        evictions=one(0, 0, 2, 6),
        processes=one(1, 2, 2, 3),
        short=0.7 if focus_at * 997.0 % 1.0 < 0.4 else 0.0,  # another draw would change all schedules
        max_unsynced_s=one(2.0, 2.0, 1.0),
        beat_s=one(0.5, 1.0, 1.0),
        drift=one(0.0, 0.5, 1.0),
        ahead_s=one(0.0, 0.1, 1000.0),
        generation_s=one(3600.0, 3600.0, 3600.0, 5.0),
        connected=random.random() < 0.8,
        blind=random.random() < 0.05,
        tells_identity=random.random() < 0.95,
        on_failover=one("distrust", "distrust", "distrust", "forget", "trust"),
        wait_replicas=one(0, 0, 0, 1),
        retries=random.random() < 0.3,
        write_deadline_s=one(0.5, 0.5, 0.0),
        cuts=one(0, 0, 1, 2),
        stalls=one(0, 0, 1, 2),
        flushes=one(0, 0, 0, 0, 1),
        fillings=one(0, 0, 0, 0, 1),
        marks_evicted=one(0, 0, 0, 0, 1),
        failovers=one(0, 0, 0, 1, 1, 2),
        lagging=one(0, 2, 8),
        moves=random.random() < 0.5,
        stays=0.3,
        clock_steps=one(0, 0, 0, 0, 1, 2),
        clock_steps_s=CLOCK_STEPS_S,
        timed=0.3,
    )
    return replace(drawn, **_given(sizes.given, drawn)) if sizes.given else drawn


def _given(text: str, drawn: Scenario) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name == "views":
            given[name] = tuple(value.split("+"))
        elif name in ("delays_s", "clock_steps_s"):
            given[name] = tuple(float(one) for one in value.split("+"))
        else:
            kind = type(getattr(drawn, name))
            given[name] = value == "True" if kind is bool else kind(value)
    return given
