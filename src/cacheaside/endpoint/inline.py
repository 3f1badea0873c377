"""`get_or_load`: an endpoint made on the spot, one for each contract and type."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from inspect import Parameter, Signature
from typing import Any, Final

from cacheaside.contract import Contract, Terms
from cacheaside.endpoint.endpoint import Declared, Endpoint
from cacheaside.endpoint.facade import AsyncFacade, BlockingFacade
from cacheaside.endpoint.host import Host
from cacheaside.endpoint.parameters import Parameters
from cacheaside.errors import DeclarationError, UsageError
from cacheaside.flow.call import Call
from cacheaside.tags import Tag
from cacheaside.values import codec_for

__all__ = ["NAME", "Inline"]

NAME: Final = "get_or_load"
"""What inline keys begin with after the namespace; no declared endpoint may be called so."""
ENDPOINTS_MAX: Final = 256
TAGS_MAX: Final = 64
_PARAMETERS: Final = Parameters(
    Signature([Parameter("key", Parameter.POSITIONAL_ONLY)]),
    names=("key", "loader"),
    has_self=False,
    has_resource=False,
    in_key=("key",),
    plain=(frozenset(),),
    scalars=(None,),
)


class Inline:
    """Implements `Cache.get_or_load` in both colours."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._endpoints: dict[tuple[Terms, Any], Endpoint] = {}

    async def read(
        self, key: Any, loader: Callable[[], Any], contract: Contract, kind: Any, tags: Iterable[Tag]
    ) -> Any:
        """The value under `key`, loaded by a function or a coroutine function."""
        endpoint = self._endpoint(contract, kind, loader)
        facade = AsyncFacade(endpoint, _values, self._host)
        call = self._call(endpoint, key, _awaited(loader), tags)
        return (await facade.read(facade.prepared(call))).value

    def read_blocking(
        self, key: Any, loader: Callable[[], Any], contract: Contract, kind: Any, tags: Iterable[Tag]
    ) -> Any:
        """The value under `key`, loaded by a plain function."""
        endpoint = self._endpoint(contract, kind, loader)
        if inspect.iscoroutinefunction(loader):
            raise UsageError(
                "cache.blocking.get_or_load takes a plain function; await cache.get_or_load(…) instead."
            )
        facade = BlockingFacade(endpoint, _values, self._host)
        call = self._call(endpoint, key, _not_awaitable(loader), tags)
        return facade.read(facade.prepared(call)).value

    def _call(self, endpoint: Endpoint, key: Any, loader: Callable[[], Any], tags: Any) -> Call:
        call = endpoint.call((key, loader))
        declared = endpoint.tag_ids(tags, "get_or_load: tags=")
        call.tags += tuple(tag for tag in declared if tag not in call.tags)
        return call

    def _endpoint(self, contract: Any, kind: Any, loader: Any) -> Endpoint:
        if not isinstance(contract, Contract):
            raise DeclarationError(f'{NAME} takes a Contract, such as Contract(ttl="10m").')
        if not callable(loader):
            raise UsageError(
                f"{NAME} takes a function that loads the value, not a {type(loader).__name__}: write lambda: …, so "
                "that nothing is loaded on a hit."
            )
        endpoint = self._endpoints.get((contract.terms, kind))
        if endpoint is not None:
            return endpoint
        with self._host.lock:
            return self._endpoints.get((contract.terms, kind)) or self._made(contract, kind)

    def _made(self, contract: Contract, kind: Any) -> Endpoint:
        if len(self._endpoints) >= ENDPOINTS_MAX:
            raise UsageError(
                f"{NAME} was given {ENDPOINTS_MAX} different contracts and types. Make each contract once, "
                "outside of the function that uses it, or use @cache.read."
            )
        host = self._host
        endpoint = Endpoint(
            Declared(f"{NAME}/{len(self._endpoints) + 1}", contract, 1, None, None, None, TAGS_MAX),
            _PARAMETERS,
            codec_for(kind, endpoint=NAME),
            host.default_source,
            _call_loader,
            namespace=host.namespace,
            home=host.home,
            everything=host.everything,
            strict=host.is_strict,
            now=host.clock.now,
            key_name=NAME,
        )
        host.register(endpoint, {})
        self._endpoints[contract.terms, kind] = endpoint
        return endpoint


def _values(*values: Any) -> tuple[Any, ...]:
    return values


def _call_loader(_resource: Any, values: Sequence[Any]) -> Any:
    return values[1]()


def _awaited(loader: Callable[[], Any]) -> Callable[[], Any]:
    async def load() -> Any:
        result = loader()
        return await result if inspect.isawaitable(result) else result

    return load


def _not_awaitable(loader: Callable[[], Any]) -> Callable[[], Any]:
    def load() -> Any:
        result = loader()
        if inspect.iscoroutine(result):
            result.close()
            raise UsageError(
                f"cache.blocking.{NAME}: the loader returned a coroutine; await cache.{NAME}(…) instead."
            )
        return result

    return load
