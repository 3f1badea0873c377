"""Runs as they might have been told, for tests of what is made of them."""

from __future__ import annotations

from cacheaside.drill.drills import DRILLS
from cacheaside.drill.judging import Told, judged
from cacheaside.drill.report import Report
from cacheaside.drill.series import Answer, How, Reading, Record
from cacheaside.drill.settings import Settings

RATE = 100
BEFORE_S = 4.0


def told_of(
    spans: list[tuple[float, How]],
    *,
    running: int = 8,
    queries: float = 80.0,
    happened: bool = True,
    stale: int = 0,
    aborted: str | None = None,
    cold_s: float = 0.0,
) -> Told:
    """A run in which requests end like this for so long; the fault comes after `BEFORE_S`. running, queries: of the
    source for `cold_s` from then on."""
    record, at, came = Record(), 0.0, 0
    for seconds, how in spans:
        for _ in range(round(seconds * RATE)):
            at += 1 / RATE
            came += 1
            record.came.append((at, came))
            wait_s = 1.0 if how == "late" else 0.1 if how == "source" else 0.001
            record.add([Answer(at - wait_s, at, how, key=came % 40, stale=came <= stale)])
    done = 0.0
    for tick in range(round(at * 10) + 1):
        cold = BEFORE_S <= tick / 10 < BEFORE_S + cold_s
        done += queries / 10 if cold else 0.1
        record.readings.append(Reading(tick / 10, running if cold else 1, round(done)))
    return Told(
        record=record,
        began=0.0,
        fault_began=BEFORE_S,
        fault_ended=BEFORE_S,
        ended=at,
        target="a test",
        namespace="shop",
        happened=happened,
        evidence=["40 keys deleted"],
        aborted=aborted,
        changes=3,
        capacity_running=8,
        capacity_queries=80.0,
        limit=8,
        waiting_peak=5,
        waiting_max=64,
        setting={"callers": "100 requests a second <of 40 keys>"},
    )


def report_of(spans: list[tuple[float, How]], drill: str = "flush", **options: object) -> Report:
    """The report of such a run."""
    return judged(DRILLS[drill], Settings(), told_of(spans, **options))  # type: ignore[arg-type]


GOOD: list[tuple[float, How]] = [(BEFORE_S, "l1"), (0.5, "refused"), (0.5, "source"), (6.0, "l1")]
DEAD: list[tuple[float, How]] = [(BEFORE_S, "l1"), (12.0, "late")]
