"""The metastable case in virtual time, through the shipped cache.

What runs is the library: `Cache`, its flows, single flight, the source's limit and its queue, `LoadTimeout`,
`Overloaded`. What is modelled is around it: the callers (`callers.Callers`, those of the real drill), the source
(`capacity.Sharing`, that of the real drill) and time. One process without a shared tier, whose memory is emptied.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from random import Random
from typing import Final

from cacheaside import Cache, Contract, LoadTimeout, Overloaded, Served
from cacheaside.demo.popularity import Zipf
from cacheaside.drill.callers import Callers
from cacheaside.drill.capacity import Capacity, Sharing
from cacheaside.drill.drills import DRILLS
from cacheaside.drill.judging import Told, judged
from cacheaside.drill.metastable import comparison
from cacheaside.drill.report import Comparison, Report
from cacheaside.drill.series import How, Reading, Record
from cacheaside.drill.settings import Settings, admission_of
from cacheaside.drill.virtual.loop import run_virtual
from cacheaside.policy.limiting import AdaptiveLimit
from cacheaside.source.limit import Limit
from cacheaside.testing.clock import used
from cacheaside.testing.inside import host_of

__all__ = ["flush_simulated", "metastable_simulated"]

NAMESPACE: Final = "model"
_LOOK_S: Final = 0.05


class ModelledSource:
    """A source on the event loop's clock. A query whose caller is cancelled runs to its end."""

    def __init__(self, capacity: Capacity) -> None:
        self.sharing = Sharing(capacity)
        self.peak = 0
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def query(self) -> None:
        """One query. `ConnectionError` when the source refuses it."""
        self._take()
        number = self.sharing.arrive(self._loop.time())
        if number is None:
            raise ConnectionError("too many queries at once")
        self.peak = max(self.peak, len(self.sharing))
        self._waiting[number] = answered = self._loop.create_future()
        self._set_timer()
        await answered

    def reading(self) -> Reading:
        """How it stands."""
        self._take()
        peak, self.peak = max(self.peak, len(self.sharing)), len(self.sharing)
        return Reading(self._loop.time(), peak, self.sharing.done, self.sharing.refused)

    def _take(self) -> None:
        for number in self.sharing.take(self._loop.time()):
            answered = self._waiting.pop(number)
            if not answered.done():
                answered.set_result(None)

    def _tick(self) -> None:
        self._take()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.sharing.due()
        self._timer = None if due is None else self._loop.call_at(due, self._tick)


def metastable_simulated(settings: Settings) -> Comparison:
    """The flush twice, with admission and without."""
    return comparison(flush_simulated(settings), flush_simulated(settings.without_admission()))


def flush_simulated(settings: Settings) -> Report:
    """A flush in virtual time; the report. The same settings give the same report."""
    with _quiet():
        return run_virtual(_flush(settings))


@contextmanager
def _quiet() -> Iterator[None]:
    """What the cache would log of an overload on purpose is no news."""
    logger = logging.getLogger("cacheaside")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


async def _flush(settings: Settings) -> Report:
    loop, record, source = asyncio.get_running_loop(), Record(), ModelledSource(settings.capacity)
    limit = settings.capacity.slots if settings.admission else settings.limit
    admission = admission_of(limit)
    cache = Cache(namespace=NAMESPACE)

    @asynccontextmanager
    async def session() -> AsyncIterator[ModelledSource]:
        yield source

    database = cache.source("model", open=session, limit=admission, timeout=settings.timeout_s)
    # The limit tells the time too: how long loads take, and until when they may wait.
    adaptive = AdaptiveLimit(admission.lowest, limit) if admission.adaptive else None
    database.limit = Limit(limit, admission.waiting_max, adaptive=adaptive, now=loop.time)

    @cache.read("row", Contract(ttl=settings.ttl_s, grace=settings.grace_s), source=database)
    async def row(opened: ModelledSource, number: int) -> int:
        await opened.query()
        return number

    async def answered(key: int) -> tuple[How, int]:
        try:
            found = await row.lookup(key)
        except Overloaded:
            return "refused", 0
        except (LoadTimeout, ConnectionError):
            return "failed", 0
        how: How = "joined" if found.served is Served.COLLAPSED else "l1" if found.hit else "source"
        return how, 0

    async def ask(key: int) -> tuple[How, int]:
        # The service goes on when its caller has gone, as one over HTTP does that is not told of it.
        return await asyncio.shield(asyncio.ensure_future(answered(key)))

    random = Random(settings.seed)
    keys = list(range(settings.load.keys))
    random.shuffle(keys)
    popular = Zipf(keys, settings.load.exponent, random)
    callers = Callers(settings.load, random, ask)
    waiting_peak = 0

    async def look() -> None:
        nonlocal waiting_peak
        while True:
            record.readings.append(source.reading())
            record.came.append((loop.time(), callers.came))
            record.add(callers.taken())
            waiting_peak = max(waiting_peak, len(database.limit))
            await asyncio.sleep(_LOOK_S)

    with used(loop.time, [host_of(cache)]):
        await callers.all_of(keys, settings.capacity.per_s * 0.8)
        callers.taken()
        began = loop.time()
        beside = [
            asyncio.ensure_future(look()),
            asyncio.ensure_future(callers.come(settings.load.rate, popular.draw)),
        ]
        await asyncio.sleep(settings.before_s)
        held = cache.stats().entries
        flushed = loop.time()
        await cache.invalidate_all()
        await asyncio.sleep(settings.after_s)
        ended = loop.time()
        for task in beside:
            task.cancel()
        await callers.end()
    return judged(
        DRILLS["flush"],
        settings,
        Told(
            record=record,
            began=began,
            fault_began=flushed,
            fault_ended=flushed,
            ended=ended,
            target="a model of a source and its callers, in virtual time, around the shipped cache",
            namespace=NAMESPACE,
            happened=held > 0,
            evidence=[f"{held:,} entries invalidated"],
            capacity_running=settings.capacity.slots,
            capacity_queries=settings.capacity.per_s,
            limit=settings.capacity.slots if settings.admission else None,
            waiting_peak=waiting_peak if settings.admission else None,
            waiting_max=admission.waiting_max if settings.admission else None,
            setting={
                "callers": f"{settings.load.rate:g} requests a second, of {settings.load.keys:,} keys",
                "patience": f"{settings.load.patience_s:g} s, {settings.load.tries} tries",
                "source": f"{settings.capacity.slots} queries at once, {settings.capacity.service_s * 1e3:g} ms each: "
                f"{settings.capacity.per_s:g} a second",
                "admission": f"{limit} loads, {settings.timeout_s:g} s each"
                if settings.admission
                else "none",
                "seed": str(settings.seed),
            },
        ),
    )
