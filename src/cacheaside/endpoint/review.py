"""What an endpoint has declared, as plain data for a review: its window, its key, its tags, its source."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import fields
from inspect import Parameter
from typing import Any, Final

import msgspec

from cacheaside.contract import Contract
from cacheaside.endpoint.endpoint import Endpoint
from cacheaside.endpoint.named import families_named

__all__ = ["EndpointReview", "reviewed", "type_of"]


class EndpointReview(msgspec.Struct, frozen=True):
    """An endpoint's declaration. Durations in seconds.

    bound_s: the greatest age that any read may return. absent_ttl_s: 0: "no such row" is not stored. error_ttls_s: by
    the class of the exception. further: options of the contract beyond these, as they were written.
    tags, value_tags: the families that the functions name, as far as their code tells (`endpoint.named`).
    key: the parameters that are part of it, with their types. vary: what else is. returns: the value's type.
    source_limit: loads at once in one process. batch_keys_max: None where nothing loads several keys at once.
    """

    name: str
    ttl_s: float
    grace_s: float
    bound_s: float
    consistency: str
    stale_after_invalidation_s: float
    absent_ttl_s: float
    error_ttls_s: dict[str, float]
    jitter: float
    early_refresh: float
    max_bytes: int | None
    store: str
    further: dict[str, str]
    tags: tuple[str, ...]
    value_tags: tuple[str, ...]
    max_tags: int
    key: dict[str, str]
    ignored: tuple[str, ...]
    vary: tuple[str, ...]
    version: int | str
    returns: str
    source: str
    source_limit: int
    load_timeout_s: float
    batch_keys_max: int | None
    priority: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON; equal declarations give equal JSON, so that it can be diffed in a review."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made


_MODULE: Final = re.compile(r"\b(?:[A-Za-z_]\w*\.|<locals>\.)+(?=[A-Za-z_])")
"""The path before the name of a class."""
_SHOWN: Final = frozenset((
    "ttl", "grace", "absent_ttl", "stale_after_invalidation", "consistency", "jitter", "early_refresh", "max_bytes",
    "store", "error_ttl", "priority", "terms",
))  # fmt: skip


def reviewed(endpoint: Endpoint) -> EndpointReview:
    """What `endpoint` has declared."""
    declared, parameters = endpoint.declared, endpoint.parameters
    terms = declared.contract.terms  # not those in force: an override is no declaration
    signature = parameters.signature
    named = signature.parameters
    priority = getattr(declared.contract, "priority", None)
    return EndpointReview(
        name=endpoint.name,
        ttl_s=terms.ttl_s,
        grace_s=terms.grace_s,
        bound_s=0.0 if terms.strong else terms.bound_s,
        consistency="strong" if terms.strong else "bounded",
        stale_after_invalidation_s=terms.stale_after_invalidation_s,
        absent_ttl_s=terms.absent_ttl_s,
        error_ttls_s={kind.__name__: ttl_s for kind, ttl_s in terms.error_ttls_s},
        jitter=terms.jitter,
        early_refresh=terms.early_refresh,
        max_bytes=terms.max_bytes,
        store="never" if not terms.store else "always" if terms.accepts is None else _name_of(terms.accepts),
        further=_further(declared.contract),
        tags=families_named(declared.written_tags),
        value_tags=families_named(declared.written_value_tags),
        max_tags=declared.tags_max,
        key={name: type_of(named[name]) for name in parameters.in_key},
        ignored=tuple(name for name in parameters.all_names if name not in parameters.in_key),
        vary=tuple(_name_of(part) for part in declared.written_vary),
        version=declared.version,
        returns=_type_name(signature.return_annotation),
        source=endpoint.source.name,
        source_limit=endpoint.source.limit.most,
        load_timeout_s=endpoint.source.timeout_s,
        batch_keys_max=None if endpoint.batch_loader is None else endpoint.batch_keys_max,
        priority=None if priority is None else str(getattr(priority, "value", priority)),
    )


def _further(contract: Contract) -> dict[str, str]:
    """Options that this module does not know one by one, so that none is left out of a review."""
    return {
        f.name: str(getattr(contract, f.name)) for f in fields(contract) if f.name not in _SHOWN and f.init
    }


def _name_of(part: Any) -> str:
    """A context variable or a function, as a reviewer knows it; no address, which would differ in each process."""
    if isinstance(part, ContextVar):
        return part.name
    name = getattr(part, "__qualname__", type(part).__name__)
    return f"{getattr(part, '__module__', '?')}.{name}"


def type_of(parameter: Parameter) -> str:
    """The type of a parameter, as it is written in the code."""
    many: dict[Any, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
    return many.get(parameter.kind, "") + _type_name(parameter.annotation)


def _type_name(annotation: Any) -> str:
    """As it is written in the code, without modules."""
    if annotation is Parameter.empty:
        return "Any"
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, type) and not getattr(annotation, "__args__", None):
        return str(annotation.__name__)
    return _MODULE.sub("", str(annotation))
