"""Loads in the simulator: the loader runs inside of a nest, as it does in the shipped ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cacheaside.flow.call import Call
from cacheaside.flow.flights import Flight
from cacheaside.flow.ports import Failure, Loaded, Refreshing
from cacheaside.source.nest import OpenNest
from cacheaside.source.source import Source
from cacheaside.testing.simulator.rows import SourceFailed
from cacheaside.testing.simulator.scheduler import Scheduler
from cacheaside.testing.simulator.views import Reading, View

__all__ = ["SimulatedLoads"]

SOURCE: Final[Source[object]] = Source("simulated", None, limit=1, timeout=1)


class _Unpaced:
    def end(self) -> None:
        """Nothing was taken."""


UNPACED: Final = _Unpaced()


class SimulatedLoads:
    """Implements `flow.ports.Loads`. A task's nest is kept with the task, as a context variable would be."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.reading: Reading | None = None

    def nest(self) -> OpenNest | None:
        task = self._scheduler.current
        nest = task.nest
        if nest is not None and nest.closed:
            nest = task.nest = None
        return nest

    def may_refresh(self, call: Call) -> bool:
        """Its source has no limit."""
        return True

    def refreshing(self, call: Call) -> Refreshing | None:
        """See `may_refresh`."""
        return UNPACED

    async def load(
        self,
        calls: Sequence[Call],
        *,
        in_vain: bool = False,
        repeats: bool = False,
        aboard: Sequence[Flight] = (),
    ) -> Loaded:
        task = self._scheduler.current
        outer = task.nest
        nest = task.nest = OpenNest(SOURCE, outer if outer is not None and not outer.closed else None, None)
        nest.in_vain = in_vain
        try:
            results = await self._results(calls)
        except Exception as error:  # noqa: BLE001 - told to all who wait, with what had been read before it
            results = [Failure(error)] * len(calls)
        finally:
            nest.closed = True
            task.nest = outer
        return Loaded(results, nest.stamp, nest.oldest, nest.vouched, nest.in_vain)

    async def _results(self, calls: Sequence[Call]) -> list[Any]:
        assert self.reading is not None
        view = calls[0].endpoint
        assert isinstance(view, View)
        if len(calls) == 1:
            return [await view.load(calls[0], self.reading)]
        results: list[Any] = []
        for call in calls:
            try:
                results.append(await view.load(call, self.reading))
            except SourceFailed as error:
                results.append(Failure(error))
        return results
