"""A service that is not the drill's own, as something a drill can be done to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Self

from cacheaside.demo.popularity import Zipf
from cacheaside.drill.callers import Callers
from cacheaside.drill.faults.around import Restarting, Wire
from cacheaside.drill.faults.kind import CannotDrill
from cacheaside.drill.series import Answer, Reading, Record
from cacheaside.drill.settings import Settings
from cacheaside.drill.user.consent import words_for
from cacheaside.drill.user.hooks import Ended, Numbers, asked_once, lines_of, numbers_of
from cacheaside.testing.servers import Server

__all__ = ["Brought", "Theirs"]

_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What the user brings. Of ask and ask_command one; of source and source_command at most one.

    capacity_running, capacity_queries: what the source is stated to bear. hot: names of the keys that are to expire.
    """

    url: str
    namespace: str
    ask: Callable[..., Any] | None = None
    ask_command: str | None = None
    keys: Sequence[Any] = ()
    source: Callable[[], Any] | None = None
    source_command: str | None = None
    capacity_running: int | None = None
    capacity_queries: float | None = None
    hot: Sequence[str] = ()


class Theirs:
    """Asked by the drill's callers or by the user's command; nothing here starts, stops or changes it."""

    can_slow_source = False

    def __init__(
        self, brought: Brought, settings: Settings, wire: Wire | None, source_wire: Wire | None
    ) -> None:
        self.record = Record()
        self.server: Server | None = None
        self.wire = wire
        self._source_wire = source_wire
        self.can_slow_source = source_wire is not None
        self._brought = brought
        self._settings = settings
        self._working: list[asyncio.Task[Any]] = []
        self._stack = AsyncExitStack()
        self._came = 0

    @property
    def target(self) -> str:
        """What is drilled, for people."""
        return words_for(self._brought.url, self._brought.namespace)

    @property
    def namespace(self) -> str:
        return self._brought.namespace

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, brought: Brought, settings: Settings, wire: Wire | None = None, source_wire: Wire | None = None
    ) -> AsyncIterator[Self]:
        """Ready; the user's commands are ended at the end."""
        ground = cls(brought, settings, wire, source_wire)
        try:
            yield ground
        finally:
            ground.rest()
            await asyncio.gather(*ground._working, return_exceptions=True)
            await ground._stack.aclose()

    async def fill(self) -> None:
        """It is warm already, or it is not: nobody but its users fills it. Its commands are started."""
        brought = self._brought
        if brought.source_command is not None:
            self._working.append(
                await self._stack.enter_async_context(
                    lines_of(brought.source_command, self._numbers, Numbers)
                )
            )
        elif brought.source is not None:
            self._working.append(asyncio.ensure_future(self._read(brought.source)))
        if brought.ask_command is not None:
            self._working.append(
                await self._stack.enter_async_context(lines_of(brought.ask_command, self._ended, Ended))
            )

    def begin(self) -> None:
        """Callers come from now on."""
        brought, load = self._brought, self._settings.load
        self.record.came.append((time.monotonic(), self._came))
        if brought.ask is None:
            return
        random = Random(self._settings.seed)
        draw: Callable[[], Any] = (
            Zipf(brought.keys, load.exponent, random).draw if brought.keys else lambda: None
        )
        callers = Callers(load, random, asked_once(brought.ask))
        self._working += [
            asyncio.ensure_future(callers.come(load.rate, draw)),
            asyncio.ensure_future(self._take(callers)),
        ]

    def rest(self) -> None:
        """No more of them."""
        for task in self._working:
            task.cancel()

    def check(self) -> None:
        """Raise what broke down."""
        for task in self._working:
            if task.done() and not task.cancelled():
                task.result()

    def told(self) -> dict[str, Any]:
        """What this ground adds to `judging.Told`."""
        brought, load = self._brought, self._settings.load
        return {
            "capacity_running": brought.capacity_running,
            "capacity_queries": brought.capacity_queries,
            "setting": {
                "callers": brought.ask_command or f"{load.rate:g} requests a second",
                "patience": f"{load.patience_s:g} s, {load.tries} tries",
                "seed": str(self._settings.seed),
            },
        }

    def restarting(self) -> Restarting | None:
        """Its processes are not the drill's to end."""
        return None

    def slow_source(self, times: float) -> None:
        """By a delay at the proxy in front of it, since its queries are not the drill's to slow."""
        assert self._source_wire is not None, "asked only where there is one"
        if times == 1.0:
            self._source_wire.heal()
        else:
            self._source_wire.delay(self._settings.delay_s)

    def source_ms(self, since: float) -> float | None:
        """Its queries are not seen one by one: the delay at its proxy, while it is there."""
        return self._settings.delay_s * 1e3 if since else None

    def hottest(self, number: int) -> list[bytes]:
        """As the user named them."""
        if not self._brought.hot:
            raise CannotDrill("hot-key needs --key, a name of an entry on the server. Nothing was touched.")
        return [name.encode() for name in self._brought.hot[:number]]

    # -- inside ----------------------------------------------------------------------------------------------

    def _numbers(self, numbers: Numbers) -> None:
        self.record.readings.append(Reading(time.monotonic(), numbers.running, numbers.done))

    def _ended(self, ended: Ended) -> None:
        now = time.monotonic()
        self._came += 1
        self.record.came.append((now, self._came))
        self.record.add([Answer(now - ended.ms / 1e3, now, ended.word)])

    async def _read(self, source: Callable[[], Any]) -> None:
        while True:
            try:
                self._numbers(await numbers_of(source))
            except Exception as error:
                raise CannotDrill(
                    f"the source's numbers cannot be read: {type(error).__name__}: {error}."
                ) from error
            await asyncio.sleep(_LOOK_S)

    async def _take(self, callers: Callers) -> None:
        try:
            while True:
                self.record.came.append((time.monotonic(), callers.came))
                self.record.add(callers.taken())
                await asyncio.sleep(_LOOK_S)
        finally:
            with suppress(asyncio.CancelledError):
                await callers.end()
