"""A drill's own servers together: started, filled, asked, listened to, and gone at the end."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

from cacheaside.demo.build import built_database, copy_database
from cacheaside.demo.children import Child, ChildFailed
from cacheaside.demo.dataset import find_dataset
from cacheaside.drill.faults.scope import Scope
from cacheaside.drill.rig.messages import (
    NAMESPACE,
    Ask,
    Connect,
    Filled,
    FillFirst,
    FromLoad,
    FromService,
    FromSource,
    Listening,
    LoadPulse,
    Rest,
    ServicePulse,
    Slow,
    SourcePulse,
)
from cacheaside.drill.series import Record
from cacheaside.drill.settings import Settings, admission_of
from cacheaside.testing.proxy import Proxy
from cacheaside.testing.servers import Server

__all__ = ["Own"]

FILL_SHARE: Final = 0.8
"""Of the source's capacity, to fill the cache with."""
_FILLED_S: Final = 120.0
_ROUTED_S: Final = 0.2
_CALM_S: Final = 5.0
_LOOK_S: Final = 0.05
_RESTART_S: Final = 20.0


class Own:
    """Servers that nobody else uses. Made by `opened`.

    server: the shared tier; wire: the proxy that every service reaches it through. record: what was heard so far.
    """

    own = True

    def __init__(
        self, settings: Settings, database: Path, server: Server, wire: Proxy, stack: AsyncExitStack
    ) -> None:
        self.settings = settings
        self.server = server
        self.wire = wire
        self.namespace = NAMESPACE
        self.record = Record()
        self._source_ms: list[tuple[float, float]] = []
        self.waiting_peak = 0
        """The most loads that waited for a turn, in one process."""
        self.changes = 0
        self.unacknowledged = 0
        self.restarts = 0
        self._database = database
        self._stack = stack
        self._loop = asyncio.get_running_loop()
        self._services: dict[int, tuple[Child[FromService], int]] = {}
        self._hearing: set[asyncio.Task[None]] = set()
        self._filled = asyncio.Event()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        """Has an exception when one of the processes broke down."""

    @property
    def target(self) -> str:
        """What is drilled, for people."""
        return f"the drill's own servers ({self.settings.processes} processes, L2 on port {self.server.port})"

    @property
    def url(self) -> str:
        """Of the shared tier, past the proxy."""
        return self.server.url

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings) -> AsyncIterator[Self]:
        """All of it, ready to be asked. `ChildFailed`, `ServerMissing` or `DatasetMissing` when it cannot be."""
        with ExitStack() as before:
            folder = Path(before.enter_context(tempfile.TemporaryDirectory(prefix="cacheaside-drill-")))
            built = await asyncio.to_thread(built_database, find_dataset(), folder, lambda _: None)
            database = await asyncio.to_thread(copy_database, built, folder / "rows")
            server = Server(config={"maxmemory-policy": "allkeys-lru"})
            before.callback(server.close)
            await asyncio.to_thread(server.start)
            wire = before.enter_context(Proxy(server.address))
            async with AsyncExitStack() as stack:
                ground = cls(settings, database, server, wire, stack)
                try:
                    await ground._start()
                    yield ground
                finally:
                    await ground._close()

    async def fill(self) -> None:
        """Ask for everything once, so that all of it is cached."""
        self._load.tell(FillFirst(self.settings.capacity.per_s * FILL_SHARE))
        waiting = asyncio.ensure_future(self._filled.wait())
        either: set[asyncio.Future[Any]] = {waiting, self.failed}
        await asyncio.wait(either, timeout=_FILLED_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        self.check()
        if not self._filled.is_set():
            raise ChildFailed(f"the cache was not filled within {_FILLED_S:g} s")
        await self._calm()

    async def _calm(self) -> None:
        """Until the source says that it has had nothing to do: a reading is of the time before it, and what was asked
        of it while the cache was filled is no part of the drill."""
        filled_at, readings = time.monotonic(), self.record.readings
        while time.monotonic() < filled_at + _CALM_S:
            if readings and readings[-1].at > filled_at and not readings[-1].running:
                return
            await asyncio.sleep(_LOOK_S)

    def begin(self) -> None:
        """Callers come from now on."""
        self._load.tell(Ask(self.settings.load.rate, self.settings.load.writes))

    def rest(self) -> None:
        """No more of them."""
        self._load.tell(Rest())

    def told(self) -> dict[str, Any]:
        """What this ground adds to `judging.Told`."""
        s = self.settings
        limited = s.admission
        return {
            "changes": self.changes,
            "capacity_running": s.capacity.slots,
            "capacity_queries": s.capacity.per_s,
            "limit": s.concurrency_max,
            "waiting_peak": self.waiting_peak if limited else None,
            "waiting_max": admission_of(s.limit).waiting_max if limited else None,
            "setting": {
                "callers": f"{s.load.rate:g} requests and {s.load.writes:g} changes a second, "
                f"of {s.load.keys:,} flights",
                "patience": f"{s.load.patience_s:g} s, {s.load.tries} tries",
                "service": f"{s.processes} processes, contract ttl {s.ttl_s:g} s, grace {s.grace_s:g} s",
                "source": f"{s.capacity.slots} queries at once, {s.capacity.service_s * 1e3:g} ms each: "
                f"{s.capacity.per_s:g} a second",
                "admission": f"{s.limit} loads a process, {s.timeout_s:g} s each" if limited else "none",
                "seed": str(s.seed),
            },
        }

    def check(self) -> None:
        """Raise what broke down."""
        if self.failed.done():
            self.failed.result()

    def slow_source(self, times: float) -> None:
        """Have every query take so many times as long. Called on other threads, where a pipe of the loop's is not to be
        written to."""
        self._loop.call_soon_threadsafe(self._source.tell, Slow(times))

    can_slow_source = True

    def source_ms(self, since: float) -> float | None:
        """How long queries took since then, at the median."""
        times = [took_ms for at, took_ms in self._source_ms if at > since]
        return statistics.median(times) if times else None

    def hottest(self, number: int) -> list[bytes]:
        """Names of the entries that were asked for most."""
        asked = Counter(one.key for one in self.record.answers)
        wanted = {f":i{key}".encode(): place for place, (key, _) in enumerate(asked.most_common(number))}
        with Scope(self.url, self.namespace) as scope:
            found = {
                wanted[suffix]: name
                for name in scope.entries()
                if (suffix := name[name.rindex(b":") :]) in wanted
            }
        return [found[place] for place in sorted(found)]

    def restarting(self) -> Rolling:
        """What restarts a part of the processes."""
        number = max(1, round(self.settings.processes * self.settings.radius.processes))
        return Rolling(self, list(range(number)), self.settings.radius.seconds)

    async def restart(self, number: int) -> None:
        """Replace one process: route past it, end it, start another, route to that too."""
        child, _ = self._services.pop(number)
        self._route()
        await asyncio.sleep(_ROUTED_S)
        await child.__aexit__(None, None, None)
        await self._start_service(number)
        self._route()
        self.restarts += 1

    # -- inside ----------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        s = self.settings
        capacity = s.capacity
        self._source: Child[FromSource] = Child(
            "cacheaside.drill.rig.source",
            _arguments(
                database=self._database,
                slots=capacity.slots,
                service=capacity.service_s,
                contention=capacity.contention,
            ),
            FromSource,
        )
        await self._stack.enter_async_context(self._source)
        self._source_port = await self._heard(self._source, self._from_source)
        for number in range(s.processes):
            await self._start_service(number)
        self._load: Child[FromLoad] = Child(
            "cacheaside.drill.rig.load",
            _arguments(
                database=self._database,
                keys=s.load.keys,
                exponent=s.load.exponent,
                seed=s.seed,
                patience=s.load.patience_s,
                tries=s.load.tries,
                bound=s.ttl_s + s.grace_s,
                max_unsynced=s.max_unsynced_s,
            ),
            FromLoad,
        )
        await self._stack.enter_async_context(self._load)
        await self._heard(self._load, self._from_load)
        self._route()

    async def _start_service(self, number: int) -> None:
        s = self.settings
        child: Child[FromService] = Child(
            "cacheaside.drill.rig.service",
            _arguments(
                source=self._source_port,
                limit=s.limit,
                timeout=s.timeout_s,
                ttl=s.ttl_s,
                grace=s.grace_s,
                max_unsynced=s.max_unsynced_s,
            ),
            FromService,
            {"CACHEASIDE_URL": f"redis://{self.wire.host}:{self.wire.port}/0"},
        )
        await child.__aenter__()
        try:
            port = await self._heard(child, self._from_service)
        except BaseException:
            await child.__aexit__(None, None, None)
            raise
        self._services[number] = (child, port)

    def _route(self) -> None:
        self._load.tell(Connect([port for _, port in self._services.values()]))

    async def _close(self) -> None:
        for child, _ in self._services.values():
            child.hang_up()
        for child, _ in self._services.values():
            await child.__aexit__(None, None, None)
        self._services.clear()
        await self._stack.aclose()
        for task in self._hearing:
            task.cancel()
        await asyncio.gather(*self._hearing, return_exceptions=True)
        if self.failed.done():
            self.failed.exception()

    async def _heard(self, child: Child[Any], told: Callable[[Any], None]) -> int:
        """The port that the child listens on; what it says later is `told`."""
        reports = child.reports()
        async for first in reports:
            assert isinstance(first, Listening)
            task = asyncio.ensure_future(self._hear(child, reports, told))
            self._hearing.add(task)
            task.add_done_callback(self._hearing.discard)
            return first.port
        raise ChildFailed("a process ended before it was ready")

    async def _hear(
        self, child: Child[Any], reports: AsyncIterator[Any], told: Callable[[Any], None]
    ) -> None:
        try:
            async for report in reports:
                told(report)
        except ChildFailed as error:
            if not self.failed.done():
                self.failed.set_exception(error)

    def _from_source(self, pulse: SourcePulse) -> None:
        self.record.readings.append(pulse.reading)
        if pulse.service_ms is not None:
            self._source_ms.append((pulse.reading.at, pulse.service_ms))

    def _from_service(self, pulse: ServicePulse) -> None:
        self.waiting_peak = max(self.waiting_peak, pulse.waiting)

    def _from_load(self, pulse: LoadPulse | Filled) -> None:
        if isinstance(pulse, Filled):
            self._filled.set()
            return
        self.record.add(pulse.answers)
        self.record.came.append((pulse.at, pulse.came))
        self.changes, self.unacknowledged = pulse.changes, pulse.unacknowledged


class Rolling:
    """Restarts processes behind the caller, evenly spread over `seconds`. Its calls are made on other threads."""

    def __init__(self, ground: Own, numbers: Sequence[int], seconds: float) -> None:
        self._ground = ground
        self._numbers = numbers
        self._pause_s = seconds / (len(numbers) + 1)
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._under_way: Future[None] | None = None
        self._before = ground.restarts

    def begin(self) -> None:
        """Begin."""
        self._under_way = asyncio.run_coroutine_threadsafe(self._roll(), self._loop)

    def end(self) -> int:
        """Begin no other, wait for the one under way."""
        self._stop.set()
        if self._under_way is not None:
            self._under_way.result(_RESTART_S)
        return self._ground.restarts - self._before

    async def _roll(self) -> None:
        for number in self._numbers:
            if self._stop.is_set():
                return
            await self._ground.restart(number)
            await asyncio.sleep(self._pause_s)


def _arguments(**options: object) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
