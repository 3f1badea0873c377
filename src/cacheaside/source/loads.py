"""Loads, awaited or blocking: take a turn, open the resource, call the loader, close."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager, contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol, cast

from cacheaside.errors import LoadTimeout, Overloaded, UsageError
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Loaded
from cacheaside.source.limit import Turn
from cacheaside.source.nest import OpenNest, scope
from cacheaside.source.source import Source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["AsyncLoads", "BlockingLoads", "Loadable"]

RETRY_AFTER_S = 1.0


class Loadable(Protocol):
    """What loads need of an endpoint."""

    name: str
    source: Source[Any]
    loader: Callable[..., Any]
    """Called with (resource, values)."""
    batch_loader: Callable[..., Any] | None
    """Called with (resource, calls); returns one result per call."""


def _prepare(calls: Sequence[Call]) -> tuple[Loadable, OpenNest]:
    endpoint = cast(Loadable, calls[0].endpoint)
    outer = scope.get()
    return endpoint, OpenNest(endpoint.source, outer if outer is not None and not outer.closed else None)


def _overloaded(endpoint: Loadable) -> Overloaded:
    source = endpoint.source
    return Overloaded(
        f"{endpoint.name}: source {source.name!r} has {source.limit.most} loads running and "
        f"{source.limit.queue_max} waiting. Retry later, raise its limit, or give the contract grace.",
        endpoint=endpoint.name,
        source=source.name,
        retry_after_s=RETRY_AFTER_S,
    )


def _timed_out(endpoint: Loadable) -> LoadTimeout:
    source = endpoint.source
    return LoadTimeout(
        f"{endpoint.name}: a load from source {source.name!r} had no answer after {source.timeout_s:g} s.",
        endpoint=endpoint.name,
        source=source.name,
    )


def _loaded(results: Sequence[Any], nest: OpenNest) -> Loaded:
    nest.closed = True
    return Loaded(results, nest.stamp, nest.oldest, nest.vouched)


def _current_nest() -> OpenNest | None:
    nest = scope.get()
    if nest is not None and nest.closed:
        # A task or thread that outlived the load it was started in: its reads are ordinary ones.
        scope.set(None)
        return None
    return nest


class AsyncLoads:
    """Implements `flow.ports.Loads` on an event loop."""

    def nest(self) -> OpenNest | None:
        return _current_nest()

    async def load(self, calls: Sequence[Call]) -> Loaded:
        endpoint, nest = _prepare(calls)
        token = scope.set(nest)
        try:
            async with asyncio.timeout(endpoint.source.timeout_s) as deadline:
                async with _turn(endpoint, nest.outer):
                    results = await self._call(endpoint, calls)
        except TimeoutError:
            if deadline.expired():
                raise _timed_out(endpoint) from None
            raise
        finally:
            nest.closed = True
            scope.reset(token)
        return _loaded(results, nest)

    async def _call(self, endpoint: Loadable, calls: Sequence[Call]) -> Sequence[Any]:
        if endpoint.source.open is None:
            return await self._results(endpoint, None, calls)
        manager = endpoint.source.opened()
        if hasattr(manager, "__aenter__"):
            async with manager as resource:
                return await self._results(endpoint, resource, calls)
        with manager as resource:
            return await self._results(endpoint, resource, calls)

    async def _results(self, endpoint: Loadable, resource: Any, calls: Sequence[Call]) -> Sequence[Any]:
        if len(calls) == 1 or endpoint.batch_loader is None:
            return [await endpoint.loader(resource, call.values) for call in calls]
        return cast(Sequence[Any], await endpoint.batch_loader(resource, calls))


class BlockingLoads:
    """Implements `flow.ports.Loads` on a thread: `load` never suspends, it blocks."""

    def nest(self) -> OpenNest | None:
        return _current_nest()

    async def load(self, calls: Sequence[Call]) -> Loaded:
        endpoint, nest = _prepare(calls)
        token = scope.set(nest)
        try:
            with _blocking_turn(endpoint, nest.outer):
                results = self._call(endpoint, calls)
        finally:
            nest.closed = True
            scope.reset(token)
        return _loaded(results, nest)

    def _call(self, endpoint: Loadable, calls: Sequence[Call]) -> Sequence[Any]:
        if endpoint.source.open is None:
            return self._results(endpoint, None, calls)
        manager = endpoint.source.opened()
        if not hasattr(manager, "__enter__"):
            raise UsageError(
                f"{endpoint.name} is a `def`, but source {endpoint.source.name!r} opens an async resource. "
                "Declare a source whose open= returns a plain context manager."
            )
        with manager as resource:
            return self._results(endpoint, resource, calls)

    def _results(self, endpoint: Loadable, resource: Any, calls: Sequence[Call]) -> Sequence[Any]:
        if len(calls) == 1 or endpoint.batch_loader is None:
            return [endpoint.loader(resource, call.values) for call in calls]
        return cast(Sequence[Any], endpoint.batch_loader(resource, calls))


@asynccontextmanager
async def _turn(endpoint: Loadable, outer: OpenNest | None) -> AsyncIterator[None]:
    source = endpoint.source
    if outer is not None and outer.holds_turn_of(source):
        yield
        return
    turn = source.limit.ask_now() or await _wait_for_turn(endpoint)
    try:
        yield
    finally:
        source.limit.give_back(turn)


async def _wait_for_turn(endpoint: Loadable) -> Turn:
    source = endpoint.source
    loop = asyncio.get_running_loop()
    granted = loop.create_future()

    def set_granted() -> None:
        if not granted.done():
            granted.set_result(None)

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(set_granted)
        except RuntimeError:  # the loop is closed: nobody is left to take this turn
            if turn is not None:
                source.limit.give_back(turn)

    turn = source.limit.ask(wake)
    if turn is None:
        raise _overloaded(endpoint)
    try:
        if not turn.granted:
            await granted
    except BaseException:
        source.limit.give_back(turn)
        raise
    return turn


@contextmanager
def _blocking_turn(endpoint: Loadable, outer: OpenNest | None) -> Iterator[None]:
    source = endpoint.source
    if outer is not None and outer.holds_turn_of(source):
        yield
        return
    turn = source.limit.ask_now() or _block_for_turn(endpoint)
    try:
        yield
    finally:
        source.limit.give_back(turn)


def _block_for_turn(endpoint: Loadable) -> Turn:
    source = endpoint.source
    granted = Event()
    turn = source.limit.ask(granted.set)
    if turn is None:
        raise _overloaded(endpoint)
    try:
        if not turn.granted and not granted.wait(source.timeout_s):
            raise _timed_out(endpoint)
    except BaseException:
        source.limit.give_back(turn)
        raise
    return turn
