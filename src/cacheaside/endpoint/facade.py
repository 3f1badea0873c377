"""What users call on a cached function, awaited and blocking: `product.lookup(42)`, `product.many([1, 2])`, …

Both facades prepare calls and hand them to the same flows; they differ in who turns the crank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from cacheaside.contract import Terms
from cacheaside.endpoint.batch import BATCH_KEYS_MAX
from cacheaside.endpoint.changed import to_the_source
from cacheaside.endpoint.endpoint import Endpoint
from cacheaside.endpoint.explaining import explain_awaited, explain_here
from cacheaside.endpoint.host import Host
from cacheaside.errors import UsageError
from cacheaside.flow import read as reading
from cacheaside.flow import write as writing
from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Failure
from cacheaside.flow.read_many import read_many
from cacheaside.lookup import Lookup
from cacheaside.observe.explanation import Explanation
from cacheaside.stores.redis.plain import ELSE, Else

__all__ = ["AsyncFacade", "BlockingFacade"]

F = TypeVar("F", bound=Callable[..., Any])


class _Facade:
    """What both colours share: from arguments to calls."""

    is_async = False

    def __init__(self, endpoint: Endpoint, bind: Callable[..., tuple[Any, ...]], host: Host) -> None:
        self.endpoint = endpoint
        self._bind = bind
        self._host = host
        self.written: Callable[..., Any] | None = None
        """The function as the user wrote it."""

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], terms: Terms | None = None) -> Call:
        """The call of these arguments; a wrong number of them is a TypeError, as for any function."""
        return self.prepared(self.endpoint.call(self._values(args, kwargs), terms))

    def _values(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        try:
            return self._bind(*args, **kwargs)
        except TypeError as error:
            if self.endpoint.parameters.has_resource:
                error.add_note(self.endpoint.parameters.without_resource)
            raise

    def told(self, what: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        """The call that `what` is told about. It answers nothing, so a key that nobody meant would go unnoticed: a
        value of a class that its parameter does not declare is a `UsageError`."""
        values = self._values(args, kwargs)
        self.endpoint.check_told(what, values)
        return self.prepared(self.endpoint.call(values))

    def prepared(self, call: Call) -> Call:
        """`call`, which a disabled cache turns into a load that is not stored."""
        if not self._host.enabled:
            to_the_source(call)
            call.unshared = not self._host.shares_loads
        elif (changed := self.endpoint.changed) is not None:
            changed.applied_to(call)
        return call

    def _called(self, values: tuple[Any, ...]) -> Call:
        if self.endpoint.parameters.has_self and values[0] is None:
            raise UsageError(f"{self.endpoint.name} is a method: call it on an instance, not on its class.")
        return self.prepared(self.endpoint.call(values))

    def calls(self, items: Any, leading: tuple[Any, ...], terms: Terms | None = None) -> list[Call]:
        """The calls of many keys: each item is the one argument, or a tuple or mapping of several."""
        if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
            raise UsageError(f"{self.endpoint.name}.many takes a list of keys, not a {type(items).__name__}.")
        single = len(self.endpoint.parameters.names) == 1
        return [self._item(item, single, leading, terms) for item in items]

    def _item(self, item: Any, single: bool, leading: tuple[Any, ...], terms: Terms | None) -> Call:
        if single:
            return self.call((*leading, item), {}, terms)
        if isinstance(item, Mapping):
            return self.call(leading, item, terms)
        if isinstance(item, tuple):
            return self.call((*leading, *item), {}, terms)
        raise UsageError(
            f"{self.endpoint.name}.many: it has several parameters, so each key is a tuple or a mapping of them, "
            f"not a {type(item).__name__}."
        )

    def saw(self, call: Call, answer: Lookup[Any]) -> Lookup[Any]:
        """`answer`, counted as heat where that is kept."""
        heat = self._host.heat
        if heat is not None:
            heat.saw(call, answer)
        return answer

    def saw_many(self, calls: Sequence[Call], answers: Sequence[Lookup[Any] | Failure]) -> None:
        """The same, for the answers of many."""
        if self._host.heat is not None:
            for call, answer in zip(calls, answers, strict=True):
                if not isinstance(answer, Failure):
                    self._host.heat.saw(call, answer)

    def terms(self, changes: Mapping[str, Any]) -> Terms:
        """The endpoint's contract with some options changed."""
        return self.endpoint.contract_for(changes).terms

    def key(self, *args: Any, **kwargs: Any) -> str:
        """The canonical key of this call: printable, unique to these arguments."""
        return self.told("key", args, kwargs).key

    def batch(self, loader: F | None = None, *, keys_max: int = BATCH_KEYS_MAX) -> Any:
        """Declare the loader of many keys at once, of `keys_max` at most: `@f.batch` or `@f.batch(keys_max=200)`."""
        if loader is None:
            return lambda function: self.batch(function, keys_max=keys_max)
        self.endpoint.set_batch(loader, self.is_async, keys_max)
        return loader


def _values(
    answers: Sequence[Lookup[Any] | Failure], return_exceptions: bool, endpoint: Endpoint
) -> list[Any]:
    failures = [answer for answer in answers if isinstance(answer, Failure)]
    for failure in failures:
        endpoint.reports.refused(failure.error)
    if failures and not return_exceptions:
        raise failures[0].error
    return [answer.error if isinstance(answer, Failure) else answer.value for answer in answers]


class AsyncFacade(_Facade):
    """The methods of an `async def` endpoint."""

    is_async = True

    def using(self, **changes: Any) -> AsyncUsing:
        """The endpoint with options of its contract changed."""
        return AsyncUsing(self, self.terms(changes))

    async def read(self, call: Call, seen: Else = ELSE) -> Lookup[Any]:
        """Answer one call. seen: what the shortest way found instead of a value."""
        with self.endpoint.reports:
            if (shadow := self.endpoint.shadow) is None:
                answer = await reading.read(call, self._host.ports, in_vain=seen.in_vain, glance=seen.glance)
                return self.saw(call, answer)
            ports = self._host.ports
            since = ports.heard.position()
            answer = await reading.read(call, ports, in_vain=seen.in_vain, glance=seen.glance)
            shadow.seen(call, answer, since, ports)
            return self.saw(call, answer)

    async def slow(self, values: tuple[Any, ...]) -> Any:
        """What the generated hit path calls when it cannot answer."""
        return (await self.read(self._called(values))).value

    async def further(self, values: tuple[Any, ...], seen: Else) -> Any:
        """The same, when the generated path asked the shared tier, and has no value."""
        return (await self.read(self._called(values), seen)).value

    async def lookup(self, *args: Any, **kwargs: Any) -> Lookup[Any]:
        return await self.read(self.call(args, kwargs))

    async def explain(self, *args: Any, **kwargs: Any) -> Explanation:
        return await explain_awaited(self.told("explain", args, kwargs), self._host, self)

    async def strong(self, *args: Any, **kwargs: Any) -> Any:
        with self.endpoint.reports:
            return (await reading.strong(self.call(args, kwargs), self._host.ports)).value

    async def refresh(self, *args: Any, **kwargs: Any) -> None:
        with self.endpoint.reports:
            await reading.reload(self.told("refresh", args, kwargs), self._host.ports)

    async def invalidate(self, *args: Any, **kwargs: Any) -> None:
        call = self.told("invalidate", args, kwargs)
        call.endpoint.tally.invalidations += 1
        with self._host.loudly(None):
            await self._write(writing.invalidate((call.key,), self._host.ports, (call,)), call)

    async def purge(self, *args: Any, **kwargs: Any) -> None:
        call = self.told("purge", args, kwargs)
        with self._host.loudly(None):
            await self._write(writing.purge(call, self._host.ports), call)

    async def _write(self, flow: Any, call: Call) -> None:
        await writing.to_its_end(flow, (call.key,), self._host.ports, (call,))

    async def many(
        self, items: Iterable[Any], *, leading: tuple[Any, ...] = (), return_exceptions: bool = False
    ) -> list[Any]:
        calls = self.calls(items, leading)
        batched = self.endpoint.batch_loader is not None
        endpoint = self.endpoint
        answers = await read_many(
            calls,
            self._host.ports,
            batched=batched,
            keys_max=endpoint.batch_keys_max,
            at_once=max(1, endpoint.source.limit.allowed),
        )
        self.saw_many(calls, answers)
        return _values(answers, return_exceptions, endpoint)


class BlockingFacade(_Facade):
    """The methods of a `def` endpoint."""

    def using(self, **changes: Any) -> BlockingUsing:
        """The endpoint with options of its contract changed."""
        return BlockingUsing(self, self.terms(changes))

    def read(self, call: Call, seen: Else = ELSE) -> Lookup[Any]:
        """Answer one call. seen: what the shortest way found instead of a value."""
        with self.endpoint.reports:
            ports = self._host.blocking_ports
            if (shadow := self.endpoint.shadow) is None:
                answer = run_blocking(reading.read(call, ports, in_vain=seen.in_vain, glance=seen.glance))
                return self.saw(call, answer)
            since = ports.heard.position()
            answer = run_blocking(reading.read(call, ports, in_vain=seen.in_vain, glance=seen.glance))
            shadow.seen(call, answer, since, ports)
            return self.saw(call, answer)

    def slow(self, values: tuple[Any, ...]) -> Any:
        """What the generated hit path calls when it cannot answer."""
        return self.read(self._called(values)).value

    def further(self, values: tuple[Any, ...], seen: Else) -> Any:
        """The same, when the generated path asked the shared tier, and has no value."""
        return self.read(self._called(values), seen).value

    def lookup(self, *args: Any, **kwargs: Any) -> Lookup[Any]:
        return self.read(self.call(args, kwargs))

    def explain(self, *args: Any, **kwargs: Any) -> Explanation:
        return explain_here(self.told("explain", args, kwargs), self._host, self)

    def strong(self, *args: Any, **kwargs: Any) -> Any:
        with self.endpoint.reports:
            return run_blocking(reading.strong(self.call(args, kwargs), self._host.blocking_ports)).value

    def refresh(self, *args: Any, **kwargs: Any) -> None:
        with self.endpoint.reports:
            run_blocking(reading.reload(self.told("refresh", args, kwargs), self._host.blocking_ports))

    def invalidate(self, *args: Any, **kwargs: Any) -> None:
        call = self.told("invalidate", args, kwargs)
        call.endpoint.tally.invalidations += 1
        with self._host.loudly(None):
            run_blocking(writing.invalidate((call.key,), self._host.blocking_ports, (call,)))

    def purge(self, *args: Any, **kwargs: Any) -> None:
        with self._host.loudly(None):
            run_blocking(writing.purge(self.told("purge", args, kwargs), self._host.blocking_ports))

    def many(
        self, items: Iterable[Any], *, leading: tuple[Any, ...] = (), return_exceptions: bool = False
    ) -> list[Any]:
        calls = self.calls(items, leading)
        batched = self.endpoint.batch_loader is not None
        answers = run_blocking(
            read_many(
                calls,
                self._host.blocking_ports,
                batched=batched,
                keys_max=self.endpoint.batch_keys_max,
                at_once=1,
            )
        )
        self.saw_many(calls, answers)
        return _values(answers, return_exceptions, self.endpoint)


class AsyncUsing:
    """`product.using(grace=0)`: reads under changed terms."""

    def __init__(self, facade: AsyncFacade, terms: Terms, leading: tuple[Any, ...] = ()) -> None:
        self._facade = facade
        self._terms = terms
        self._leading = leading

    def bound_to(self, leading: tuple[Any, ...]) -> AsyncUsing:
        """The same for a method, with its instance as the one `leading` argument."""
        return AsyncUsing(self._facade, self._terms, leading)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return (await self.lookup(*args, **kwargs)).value

    async def lookup(self, *args: Any, **kwargs: Any) -> Lookup[Any]:
        return await self._facade.read(self._facade.call((*self._leading, *args), kwargs, self._terms))


class BlockingUsing:
    """`product.using(grace=0)`: reads under changed terms."""

    def __init__(self, facade: BlockingFacade, terms: Terms, leading: tuple[Any, ...] = ()) -> None:
        self._facade = facade
        self._terms = terms
        self._leading = leading

    def bound_to(self, leading: tuple[Any, ...]) -> BlockingUsing:
        """The same for a method, with its instance as the one `leading` argument."""
        return BlockingUsing(self._facade, self._terms, leading)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.lookup(*args, **kwargs).value

    def lookup(self, *args: Any, **kwargs: Any) -> Lookup[Any]:
        return self._facade.read(self._facade.call((*self._leading, *args), kwargs, self._terms))
