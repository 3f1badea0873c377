"""Virtual time, and the metastable case in it: the same seed, the same run."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest

from cacheaside.drill.capacity import Capacity
from cacheaside.drill.report import as_json
from cacheaside.drill.settings import Load, Settings
from cacheaside.drill.virtual.loop import Stuck, run_virtual
from cacheaside.drill.virtual.model import flush_simulated, metastable_simulated

SMALL = Settings(
    before_s=2.0,
    after_s=12.0,
    timeout_s=3.0,
    capacity=Capacity(slots=4, service_s=0.1),
    load=Load(rate=200.0, keys=120, patience_s=1.0),
)


def test_an_hour_passes_at_once() -> None:
    """Time is what timers say, in their order, and nothing waits for it."""
    said: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        said.append((name, asyncio.get_running_loop().time() - 1000.0))

    async def both() -> None:
        await asyncio.gather(sleeper("late", 3600.0), sleeper("early", 60.0))

    began = time.monotonic()
    run_virtual(both())
    assert said == [("early", pytest.approx(60.0)), ("late", pytest.approx(3600.0))]
    assert time.monotonic() - began < 5.0


def test_waiting_for_ever_is_an_error() -> None:
    """Nobody hangs in silence: what no timer brings does not come."""
    with pytest.raises(Stuck):
        run_virtual(asyncio.Event().wait())


def test_it_uses_no_thread() -> None:
    """Whatever the cache does in it is on the one thread: else the run would depend on the machine."""
    before = threading.active_count()
    flush_simulated(replace(SMALL, after_s=2.0))
    assert threading.active_count() == before


def test_with_admission_it_recovers_and_without_it_does_not() -> None:
    """The same load, the same flush: the one recovers within one and a half times what it takes to load every hot
    key, the other answers next to nobody at the end."""
    found = metastable_simulated(SMALL)
    assert found.shown, found.why
    good, bad = found.protected, found.unprotected
    assert good.verdict == "held", good.findings
    assert good.ideal_s is not None
    assert good.recovery_s is not None
    assert good.recovery_s <= 1.5 * good.ideal_s
    assert good.peak_running == SMALL.capacity.slots
    last = bad.points[-8:]
    assert sum(point.answered for point in last) / len(last) < 0.2 * SMALL.load.rate
    assert bad.peak_running is not None
    assert bad.peak_running > 10 * SMALL.capacity.slots


def test_the_load_alone_does_no_harm() -> None:
    """Without a flush the unprotected service is fine under this load: what it does not survive is the cold."""
    warm = flush_simulated(replace(SMALL, before_s=8.0, after_s=1.0).without_admission())
    assert warm.before.errors == 0
    assert warm.before.answered == pytest.approx(SMALL.load.rate, rel=0.1)


def test_it_is_contention_and_impatience_that_keep_it_down() -> None:
    """Where overload costs the source nothing, or callers and loads wait as long as it takes, it recovers unprotected:
    the collapse is not built into the model."""
    bare = SMALL.without_admission()
    kind = replace(bare, capacity=replace(SMALL.capacity, contention=0.0), timeout_s=30.0)
    assert flush_simulated(kind).recovery_s is not None


def test_the_same_seed_gives_the_same_run() -> None:
    """To the last answer; and another seed another run."""
    short = replace(SMALL, after_s=4.0)
    first, again = flush_simulated(short), flush_simulated(short)
    assert as_json(first) == as_json(again)
    assert as_json(flush_simulated(replace(short, seed=2))) != as_json(first)
