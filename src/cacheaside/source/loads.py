"""Loads, awaited or blocking: take a turn, open the resource, call the loader, close."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, cast

from cacheaside.bell import Bell
from cacheaside.contract import Terms
from cacheaside.errors import UsageError
from cacheaside.flow.call import Call
from cacheaside.flow.flights import Flight
from cacheaside.flow.ports import Failure, Loaded
from cacheaside.source.footing import Footing, footing
from cacheaside.source.limit import Ended
from cacheaside.source.nest import OpenNest, current, scope
from cacheaside.source.pace import Step
from cacheaside.source.refusals import overloaded, timed_out
from cacheaside.source.source import Source

__all__ = ["AsyncLoads", "BlockingLoads", "Loadable"]

_ENDS: Final = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)
"""What ends the task or the process rather than the load: never a result."""


class Loadable(Protocol):
    """What loads need of an endpoint."""

    name: str
    source: Source[Any]
    loader: Callable[..., Any]
    """Called with (resource, values)."""
    batch_loader: Callable[..., Any] | None
    """Called with (resource, calls); returns one result per call."""


def _refuse_circle(nest: OpenNest) -> None:
    """A load that needs its own result would begin the same load again and again, or wait for itself."""
    if nest.outer is None:
        return
    names = [nest.name]
    for one in nest.outer.around():
        names.append(one.name)
        if one.home is nest.home and not one.keys.isdisjoint(nest.keys):
            raise UsageError(
                f"{nest.name} reads itself with the same arguments: {' -> '.join(reversed(names))}. A load cannot wait "
                "for its own result; read something else inside, or call the undecorated function."
            )


class _Loads:
    """What both colours share. home: tells this cache from others; a load of one cannot be stamped by another."""

    def __init__(self, home: object = None) -> None:
        self._home = home

    def nest(self) -> OpenNest | None:
        """The load under way that this code runs inside of, if any."""
        nest = current()
        if nest is not None and nest.home is not self._home:
            # Its cache will not hear what is invalidated in this one, so what it computes must not be stored there.
            nest.unvouched()
        return nest

    def may_refresh(self, call: Call) -> bool:
        """See `flow.ports.Loads`."""
        return cast(Loadable, call.endpoint).source.pace.free

    def refreshing(self, call: Call) -> Step | None:
        """See `flow.ports.Loads`."""
        return cast(Loadable, call.endpoint).source.pace.enter(self._gone())

    def _gone(self) -> Callable[[], bool]:
        """What tells that a flow of this thread can never go on."""
        return lambda: False

    def _nest(self, endpoint: Loadable, calls: Sequence[Call], *, in_vain: bool) -> OpenNest:
        keys = frozenset(call.key for call in calls)
        ttl_s = min(call.terms.ttl_s for call in calls)
        nest = OpenNest(endpoint.source, current(), self._home, endpoint.name, keys, ttl_s)
        nest.in_vain = in_vain
        _refuse_circle(nest)
        return nest

    def _open(self, nest: OpenNest) -> None:
        """This code runs inside of `nest` from now on. To be called within the `try` whose `finally` begins with
        `nest.closed = True`: a signal's handler may raise at any call, in here too, and at none of a plain assignment.

        Opened before the `try`: (1) `scope` is set (2) the handler raises (3) nobody closes the nest: from then on this
        thread is inside a load that ended, no read of it is answered by L1, and each adds its tags to the nest.
        """
        if nest.outer is not None:
            nest.outer.inside[nest] = None
            nest.outer.reads_inside = True
        scope.set(nest)

    def _leave(self, nest: OpenNest) -> None:
        """After `nest` was closed. Left half done, it is made good by the next read: `current` passes over a nest that
        is closed."""
        if nest.outer is not None:
            nest.outer.inside.pop(nest, None)
        # A coroutine that the garbage collector closes runs in a context that is not its own.
        if scope.get() is nest:
            scope.set(nest.outer)


def _suppressed(endpoint: Loadable) -> UsageError:
    return UsageError(
        f"{endpoint.name}: the resource of source {endpoint.source.name!r} suppressed the loader's exception when it "
        "was closed, so there is neither a value nor an error. Return a context manager that lets exceptions pass."
    )


def _loaded(results: Sequence[Any], nest: OpenNest) -> Loaded:
    """A failure too is computed from what was read before it: a remembered one must fall with that."""
    return Loaded(results, nest.stamp, nest.oldest, nest.vouched, nest.in_vain)


class AsyncLoads(_Loads):
    """Implements `flow.ports.Loads` on an event loop."""

    def _gone(self) -> Callable[[], bool]:
        return _closed(asyncio.get_running_loop())

    async def load(
        self,
        calls: Sequence[Call],
        *,
        in_vain: bool = False,
        repeats: bool = False,
        aboard: Sequence[Flight] = (),
    ) -> Loaded:
        endpoint = cast(Loadable, calls[0].endpoint)
        nest = self._nest(endpoint, calls, in_vain=in_vain)
        try:
            self._open(nest)
            async with asyncio.timeout(endpoint.source.timeout_s) as deadline:
                turn = await _turn(endpoint, nest, calls[0].terms, repeats, aboard)
                ended = Ended.NOTHING
                try:
                    results = await self._call(endpoint, calls)
                    ended = Ended.ANSWERED
                except BaseException as error:
                    ended = _ended(endpoint, error, late=deadline.expired())
                    raise
                finally:
                    _leave(turn, ended, endpoint, nest, calls)
        except _ENDS:
            raise
        except BaseException as error:  # noqa: BLE001 - on a task of its own nobody would see even a `pytest.fail`
            late = isinstance(error, TimeoutError) and deadline.expired()
            results = [Failure(timed_out(endpoint, nest) if late else error)] * len(calls)
        finally:
            nest.closed = True
            self._leave(nest)
        return _loaded(results, nest)

    async def _call(self, endpoint: Loadable, calls: Sequence[Call]) -> Sequence[Any]:
        if endpoint.source.open is None:
            return await self._results(endpoint, None, calls)
        manager = endpoint.source.opened()
        if hasattr(manager, "__aenter__"):
            async with manager as resource:
                return await self._results(endpoint, resource, calls)
            raise _suppressed(endpoint)
        with manager as resource:
            return await self._results(endpoint, resource, calls)
        raise _suppressed(endpoint)

    async def _results(self, endpoint: Loadable, resource: Any, calls: Sequence[Call]) -> Sequence[Any]:
        if len(calls) == 1 or endpoint.batch_loader is None:
            return [await endpoint.loader(resource, call.values) for call in calls]
        return cast(Sequence[Any], await endpoint.batch_loader(resource, calls))


class BlockingLoads(_Loads):
    """Implements `flow.ports.Loads` on a thread: `load` never suspends, it blocks."""

    async def load(
        self,
        calls: Sequence[Call],
        *,
        in_vain: bool = False,
        repeats: bool = False,
        aboard: Sequence[Flight] = (),
    ) -> Loaded:
        endpoint = cast(Loadable, calls[0].endpoint)
        nest = self._nest(endpoint, calls, in_vain=in_vain)
        try:
            self._open(nest)
            turn = _blocking_turn(endpoint, nest, calls[0].terms, repeats, aboard)
            ended = Ended.NOTHING
            try:
                results = self._call(endpoint, calls)
                ended = Ended.ANSWERED
            except Exception as error:
                ended = _ended(endpoint, error, late=False)
                raise
            finally:
                _leave(turn, ended, endpoint, nest, calls)
        except Exception as error:  # noqa: BLE001 - told to all who wait, with what had been read before it
            results = [Failure(error)] * len(calls)
        finally:
            nest.closed = True
            self._leave(nest)
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
        raise _suppressed(endpoint)

    def _results(self, endpoint: Loadable, resource: Any, calls: Sequence[Call]) -> Sequence[Any]:
        if len(calls) == 1 or endpoint.batch_loader is None:
            return [endpoint.loader(resource, call.values) for call in calls]
        return cast(Sequence[Any], endpoint.batch_loader(resource, calls))


def _ended(endpoint: Loadable, error: BaseException, *, late: bool) -> Ended:
    """What a load that raised says of its source. late: it was cancelled because its time was over."""
    if late or isinstance(error, endpoint.source.admission.overloaded_by):
        return Ended.OVERLOADED
    return Ended.NOTHING


def _leave(turn: Footing, ended: Ended, endpoint: Loadable, nest: OpenNest, calls: Sequence[Call]) -> None:
    # One that waited for loads inside of it, or for its turn of another's, has not measured the source.
    if nest.reads_inside or turn.is_lent:
        turn.leave()
    else:
        turn.leave(ended, (endpoint.name, len(calls).bit_length()))


def _footing(
    endpoint: Loadable,
    nest: OpenNest,
    wake: Callable[[], bool],
    gone: Callable[[], bool],
    terms: Terms,
    repeats: bool,
    aboard: Sequence[Flight],
) -> Footing:
    source = endpoint.source
    around = None if nest.outer is None else nest.outer.footing_of(source)
    deadline = source.limit.now() + source.queue_timeout_s
    priority = terms.priority
    for flight in aboard:
        if flight.priority < priority:
            priority = flight.priority
    return footing(
        source.limit, around, wake, gone, priority, terms.weight, deadline=deadline, repeats=repeats
    )


def _let_hurry(found: Footing, aboard: Sequence[Flight]) -> None:
    """Have it wait as whoever of the highest priority waits for it. Looked at once more when that can be told: (1) the
    turn was asked for (2) a reader joined, and nobody was there to be told."""
    for flight in aboard:
        flight.hurry = found.hurry
        found.hurry(flight.priority)


def _closed(loop: asyncio.AbstractEventLoop) -> Callable[[], bool]:
    """Tells whether `loop` is closed. A load whose loop was closed under it may never be finalised: what it opened
    would await in its clean-up."""
    its_loop = weakref.ref(loop)

    def gone() -> bool:
        loop = its_loop()
        return loop is None or loop.is_closed()

    return gone


async def _turn(
    endpoint: Loadable, nest: OpenNest, terms: Terms, repeats: bool, aboard: Sequence[Flight]
) -> Footing:
    """What the load stands on, once granted; the caller leaves it. No generator-made context manager: those write to
    the loader's own exception, which may not allow it."""
    loop = asyncio.get_running_loop()
    closed = _closed(loop)
    told: asyncio.Future[None] | None = None

    def set_told() -> None:
        if told is not None and not told.done():
            told.set_result(None)

    def wake() -> bool:
        try:
            loop.call_soon_threadsafe(set_told)
        except RuntimeError:  # the loop is closed
            return False
        return True

    found = _footing(endpoint, nest, wake, lambda: nest.closed or closed(), terms, repeats, aboard)
    turn = found.turn
    try:
        if not turn.granted and turn.refused is None:
            told = loop.create_future()
            _let_hurry(found, aboard)
            # What is lent may come as long as the load around this one lasts.
            timer = None if found.is_lent else loop.call_later(endpoint.source.queue_timeout_s, set_told)
            try:
                await told
            finally:
                if timer is not None:
                    timer.cancel()
            if not turn.granted and turn.refused is None:
                found.give_up()
        if turn.refused is not None:
            raise overloaded(endpoint, nest, turn.refused)
    except BaseException:
        found.leave()
        raise
    nest.footing = found
    return found


def _blocking_turn(
    endpoint: Loadable, nest: OpenNest, terms: Terms, repeats: bool, aboard: Sequence[Flight]
) -> Footing:
    """As `_turn`, on a thread."""
    told = Bell()

    def wake() -> bool:
        told.ring()
        return True

    found = _footing(endpoint, nest, wake, lambda: nest.closed, terms, repeats, aboard)
    turn = found.turn
    try:
        if not turn.granted and turn.refused is None:
            source = endpoint.source
            _let_hurry(found, aboard)
            if not told.wait(source.timeout_s if found.is_lent else source.queue_timeout_s):
                if found.is_lent:
                    raise timed_out(endpoint, nest)
                found.give_up()
        if turn.refused is not None:
            raise overloaded(endpoint, nest, turn.refused)
    except BaseException:
        found.leave()
        raise
    nest.footing = found
    return found
