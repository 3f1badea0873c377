"""A call's arguments as JSON, and back: by the names of the parameters and their annotations.

Nothing is written that does not read back as the same key: what a parameter's annotation cannot restore (a UUID where
it says `Any`, a class of the user's own) is refused, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from inspect import Parameter
from typing import Any, Final, Literal, get_args, get_origin
from uuid import UUID

import msgspec

from cacheaside.endpoint.endpoint import Endpoint
from cacheaside.errors import KeyEncodingError
from cacheaside.keys import encode
from cacheaside.keys.annotations import members
from cacheaside.warm.replay import Unfit

__all__ = ["ARGUMENTS_MAX_BYTES", "Arguments", "are_identifiers"]

ARGUMENTS_MAX_BYTES: Final = 1024
"""The longest arguments that are kept, as JSON."""

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_IDENTIFIERS: Final = (int, bool, float, Decimal, UUID, date, datetime, time, timedelta, type(None))
_SEVERAL: Final = (tuple, list, set, frozenset)
_LEVELS_MAX: Final = 8


def are_identifiers(annotation: Any, levels_left: int = _LEVELS_MAX) -> bool:
    """Whether values annotated so are numbers, moments, members of an enum or a Literal, or UUIDs, or several of them:
    what programs call things by, as against text that people wrote."""
    if levels_left == 0:
        return False
    for member in members(annotation):
        origin = get_origin(member)
        if origin is Literal:
            continue
        if origin in _SEVERAL:
            parts = [part for part in get_args(member) if part is not Ellipsis]
            if not parts or not all(are_identifiers(part, levels_left - 1) for part in parts):
                return False
        elif not (isinstance(member, type) and (member in _IDENTIFIERS or issubclass(member, Enum))):
            return False
    return True


class _Place(msgspec.Struct, frozen=True):
    """A parameter in the key: what it is called, what it takes, and its default."""

    name: str
    type: Any
    default: Any
    is_key: bool


class Arguments:
    """How one endpoint's arguments are written and read."""

    def __init__(self, endpoint: Endpoint) -> None:
        p = endpoint.parameters
        self._places = [_place(p.signature.parameters[name], name in p.in_key) for name in p.names]
        self._keyed = [place for place in self._places if place.is_key]
        self.problem = _problem(endpoint, self._places)
        """Why its calls cannot be made again, whatever their arguments; None when they can."""

    def are_identifiers(self) -> bool:
        """Whether every argument in the key is an identifier, by its annotation."""
        return all(are_identifiers(place.type) for place in self._keyed)

    def written(self, parts: Sequence[Any]) -> bytes | None:
        """The arguments in the key, as a JSON object; None when they cannot be read back as the same key, or take more
        than `ARGUMENTS_MAX_BYTES`."""
        try:
            named = dict(zip([place.name for place in self._keyed], parts, strict=True))
            text = _ENCODER.encode(named)
            if len(text) > ARGUMENTS_MAX_BYTES:
                return None
            again = self._parts(msgspec.json.decode(text), strict=True)
            return text if encode(tuple(again)) == encode(tuple(parts)) else None
        except (Unfit, KeyEncodingError, TypeError, ValueError, OverflowError, RecursionError):
            return None

    def values(self, given: Any, *, strict: bool = True) -> tuple[Any, ...]:
        """The values of a call, in the order of the parameters. given: a mapping by names, or a sequence in their
        order; what is left out has its default. strict: "42" is no int.

        Raises `Unfit`.
        """
        named = self._named(given)
        keyed = iter(self._parts(named, strict=strict))
        return tuple(next(keyed) if place.is_key else place.default for place in self._places)

    def _named(self, given: Any) -> Mapping[str, Any]:
        if isinstance(given, Mapping):
            return given
        if isinstance(given, (list, tuple)):
            if len(given) > len(self._keyed):
                raise Unfit(f"takes {len(self._keyed)} arguments, not {len(given)}")
            return {place.name: value for place, value in zip(self._keyed, given, strict=False)}
        raise Unfit(f"takes its arguments as a mapping or a list, not as a {type(given).__name__}")

    def _parts(self, named: Mapping[str, Any], *, strict: bool) -> list[Any]:
        unknown = sorted(str(name) for name in named if name not in {place.name for place in self._keyed})
        if unknown:
            raise Unfit(f"has no parameter {', '.join(unknown)[:100]}")
        return [_part(place, named, strict=strict) for place in self._keyed]


def _part(place: _Place, named: Mapping[str, Any], *, strict: bool) -> Any:
    if place.name not in named:
        if place.default is Parameter.empty:
            raise Unfit(f"needs parameter {place.name}")
        return place.default
    try:
        return msgspec.convert(named[place.name], place.type, strict=strict)
    except (msgspec.ValidationError, TypeError, ValueError):
        pass  # it may quote the value
    raise Unfit(f"takes no {type(named[place.name]).__name__} of that kind as {place.name}")


def _place(p: Parameter, is_key: bool) -> _Place:
    unknown = p.annotation is Parameter.empty or isinstance(p.annotation, str)
    kind: Any = Any if unknown else p.annotation
    if p.kind is Parameter.VAR_POSITIONAL:
        return _Place(p.name, tuple[kind, ...], (), is_key)
    if p.kind is Parameter.VAR_KEYWORD:
        return _Place(p.name, dict[str, kind], {}, is_key)
    return _Place(p.name, kind, p.default, is_key)


def _problem(endpoint: Endpoint, places: Sequence[_Place]) -> str | None:
    if endpoint.parameters.has_self:
        return "it is a method, and which instance to call is not known"
    if endpoint.declared.vary is not None:
        return "it has vary=, and what varies is not known"
    for place in places:
        if not place.is_key and place.default is Parameter.empty:
            return f"its parameter {place.name} is no part of the key, and has no default"
    return None
