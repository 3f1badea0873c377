"""`get_or_load`: an endpoint made on the spot, one for each contract and type."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Any, Final

from cacheaside.contract import Contract, Terms
from cacheaside.endpoint.endpoint import Declared, Endpoint
from cacheaside.endpoint.facade import AsyncFacade, BlockingFacade
from cacheaside.endpoint.parameters import Parameters
from cacheaside.errors import DeclarationError, UsageError
from cacheaside.flow.call import Call
from cacheaside.tags import Tag, tag_ids
from cacheaside.values import codec_for

__all__ = ["Inline"]

ENDPOINTS_MAX: Final = 256
_SIGNATURE: Final = Signature([Parameter("key", Parameter.POSITIONAL_ONLY)])
_PARAMETERS: Final = Parameters(
    _SIGNATURE,
    names=("key", "loader"),
    has_self=False,
    has_resource=False,
    in_key=("key",),
    plain=(frozenset(),),
)


class Inline:
    """Implements `Cache.get_or_load` in both colours."""

    def __init__(self, host: Any) -> None:
        self._host = host
        self._endpoints: dict[tuple[Terms, Any], Endpoint] = {}

    async def read(
        self, key: Any, loader: Callable[[], Any], contract: Contract, kind: Any, tags: Sequence[Tag]
    ) -> Any:
        endpoint = self._endpoint(contract, kind)
        facade = AsyncFacade(endpoint, lambda *values: values, self._host)
        return (await facade.read(self._call(endpoint, key, _awaited(loader), tags))).value

    def read_blocking(
        self, key: Any, loader: Callable[[], Any], contract: Contract, kind: Any, tags: Sequence[Tag]
    ) -> Any:
        if inspect.iscoroutinefunction(loader):
            raise UsageError(
                "cache.blocking.get_or_load takes a plain function; await cache.get_or_load(…) instead."
            )
        endpoint = self._endpoint(contract, kind)
        facade = BlockingFacade(endpoint, lambda *values: values, self._host)
        return facade.read(self._call(endpoint, key, loader, tags)).value

    def _call(self, endpoint: Endpoint, key: Any, loader: Callable[[], Any], tags: Sequence[Tag]) -> Call:
        call = endpoint.call((key, loader))
        call.tags += tuple(
            tag
            for tag in tag_ids(tags, namespace=endpoint.namespace, where="get_or_load: tags=")
            if tag not in call.tags
        )
        return call

    def _endpoint(self, contract: Contract, kind: Any) -> Endpoint:
        if not isinstance(contract, Contract):
            raise DeclarationError('get_or_load takes a Contract, such as Contract(ttl="10m").')
        endpoint = self._endpoints.get((contract.terms, kind))
        return self._made(contract, kind) if endpoint is None else endpoint

    def _made(self, contract: Contract, kind: Any) -> Endpoint:
        if len(self._endpoints) >= ENDPOINTS_MAX:
            raise UsageError(
                f"get_or_load was given {ENDPOINTS_MAX} different contracts and types. Make each contract once, "
                "outside of the function that uses it, or use @cache.read."
            )
        host = self._host
        name = f"get_or_load/{len(self._endpoints) + 1}"
        endpoint = Endpoint(
            Declared(name, contract, 1, None, None, None, 64),
            _PARAMETERS,
            codec_for(kind, endpoint="get_or_load"),
            host.default_source,
            lambda resource, values: values[1](),
            namespace=host.namespace,
            everything=host.everything,
            strict=host.strict,
            key_name="get_or_load",
        )
        host.register(endpoint, {})
        self._endpoints[contract.terms, kind] = endpoint
        return endpoint


def _awaited(loader: Callable[[], Any]) -> Callable[[], Any]:
    async def load() -> Any:
        result = loader()
        return await result if inspect.isawaitable(result) else result

    return load
