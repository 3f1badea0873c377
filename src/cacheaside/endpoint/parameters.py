"""A loader's parameters: which are part of the key, which is the resource, which are ignored.

Nothing is left out of a key silently: a parameter is in the key, or it is the resource, or it is named in `ignore=`.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any, Final

from cacheaside.endpoint.scalars import Scalars, scalar_classes
from cacheaside.errors import DeclarationError, KeyEncodingError
from cacheaside.keys import encodable, encode, plain_types

__all__ = ["UNRESOLVED", "Parameters", "is_reserved", "no_classmethod", "parameters_of", "resolve"]

UNRESOLVED: Final = object()
_RESERVED: Final = re.compile(
    "_bound|_e|_entries|_function|_gate|_given|_named|_none_taken|_missing|_nothing|_now|_resource|_scope|_slow|_t|_take|_values|_vary|_varied_plain"
    "|_[kv][0-9]+|_d_.*"
)
_MUTABLE: Final = (list, dict, set, bytearray)


def is_reserved(name: str) -> bool:
    """Whether generated code uses `name` for itself."""
    return _RESERVED.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Parameters:
    """The visible parameters of an endpoint, in order: all but the resource (and `self`, kept apart).

    in_key: names of those in the key. plain: for each of them the classes whose raw values may stand in a dict key.
    scalars: for each of them the classes that its annotation allows, where it names plain ones alone.
    """

    signature: Signature
    names: tuple[str, ...]
    has_self: bool
    has_resource: bool
    in_key: tuple[str, ...]
    plain: tuple[frozenset[type], ...]
    scalars: tuple[Scalars, ...] = ()
    resource: str = ""
    """The parameter that receives the resource, as it is written."""

    @property
    def all_names(self) -> tuple[str, ...]:
        """The names of a call's values, in order: `self` first, where there is one."""
        return ("self", *self.names) if self.has_self else self.names

    @property
    def without_resource(self) -> str:
        """What to add to the error of a call with wrong arguments: the function reads as if it took one more."""
        if not self.has_resource:
            return ""
        return (
            f"It is called as {self.signature.replace(return_annotation=Signature.empty)}: its first parameter, "
            f"{self.resource!r}, receives the resource of the source. If that was to be an argument, put the resource "
            "(a session) before it."
        )


def parameters_of(
    function: Callable[..., Any],
    *,
    where: str,
    has_source: bool,
    ignore: Collection[str],
    varied: Collection[str],
    names: Mapping[str, Any],
) -> Parameters:
    """The parameters of `function`; a `DeclarationError` says which one cannot be part of a key, and what to do.

    varied: parameters that `vary=` reads. names: the local names at the decoration, for annotations.
    """
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    has_self = bool(parameters) and parameters[0].name in ("self", "cls")
    written = parameters[1:] if has_self else parameters
    if has_self:
        _check_self(parameters[0].name, where, ignore, varied)
    own = _without_resource(written, where, ignore) if has_source else written
    _check_ignored(own, where, ignore, has_self)
    own = [p.replace(annotation=_resolved(function, p.annotation, names)) for p in own]
    for p in own:
        _check_name(p, where)
        _check_default(p, where, ignore)
    in_key = [p for p in own if p.name not in ignore]
    returned = _resolved(function, signature.return_annotation, names)
    return Parameters(
        signature=signature.replace(parameters=own, return_annotation=returned),
        names=tuple(p.name for p in own),
        has_self=has_self,
        has_resource=has_source,
        in_key=tuple(p.name for p in in_key),
        plain=tuple(_plain(p, where, has_source) for p in in_key),
        scalars=tuple(_scalars(p) for p in in_key),
        resource=written[0].name if has_source else "",
    )


def no_classmethod(where: str) -> DeclarationError:
    """The class is no part of a key, wherever @classmethod stands."""
    return DeclarationError(
        f"{where}: a classmethod cannot be cached. Cache a function that takes what it needs of the class, and "
        "call it from the classmethod."
    )


def _check_self(name: str, where: str, ignore: Collection[str], varied: Collection[str]) -> None:
    if name == "cls":
        raise no_classmethod(where)
    if "self" not in ignore and "self" not in varied:
        raise DeclarationError(
            f"{where}: the result of a method may depend on its instance, and no part of the key says so. Write "
            "ignore=['self'] if it does not, or vary=lambda self: self.tenant_id for what it depends on."
        )


def _without_resource(own: list[Parameter], where: str, ignore: Collection[str]) -> list[Parameter]:
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    if not own or own[0].kind not in positional:
        raise DeclarationError(
            f"{where}: with source= the first parameter receives the source's resource (a session), and there is none."
        )
    if own[0].name in ignore:
        raise DeclarationError(f"{where}: {own[0].name!r} is the source's resource; leave it out of ignore=.")
    return own[1:]


def _check_ignored(own: list[Parameter], where: str, ignore: Collection[str], has_self: bool) -> None:
    known = {p.name for p in own} | ({"self"} if has_self else set())
    if unknown := sorted(set(ignore) - known):
        raise DeclarationError(
            f"{where}: ignore= names {', '.join(unknown)}, but the parameters are {', '.join(sorted(known)) or 'none'}."
        )


def _check_name(p: Parameter, where: str) -> None:
    if is_reserved(p.name) or p.name in ("self", "cls"):
        raise DeclarationError(
            f"{where}: parameter {p.name!r} has a name that the generated code uses; rename it."
        )


def _check_default(p: Parameter, where: str, ignore: Collection[str]) -> None:
    if p.default is Parameter.empty or p.name in ignore:
        return
    if type(p.default) in _MUTABLE:
        raise DeclarationError(
            f"{where}: parameter {p.name!r} has a {type(p.default).__name__} as its default, which a call could "
            "change, and the keys of later calls with it. Use a tuple or frozenset, or None."
        )
    try:
        encode(p.default)
    except KeyEncodingError as error:
        raise DeclarationError(
            f"{where}: the default of parameter {p.name!r} cannot be part of the key. {error}"
        ) from None


def _scalars(p: Parameter) -> Scalars:
    unknown = p.annotation is Parameter.empty or isinstance(p.annotation, str)
    return None if unknown else scalar_classes(p.annotation)


def _plain(p: Parameter, where: str, has_source: bool) -> frozenset[type]:
    annotation = Any if p.annotation is Parameter.empty or isinstance(p.annotation, str) else p.annotation
    reason = encodable(annotation)
    if reason is not None:
        hint = (
            "if it is the source's resource, put it first"
            if has_source
            else "if it is a session or connection, declare source= and put it first"
        )
        raise DeclarationError(
            f"{where}: parameter {p.name!r} cannot be part of the key. {reason} Name it in ignore=[{p.name!r}] if the "
            f"result does not depend on it; {hint}."
        )
    if p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
        return frozenset()  # a tuple or dict at run time, whatever its parts are
    return plain_types(annotation) or frozenset()


def _resolved(function: Callable[..., Any], annotation: Any, names: Mapping[str, Any]) -> Any:
    """`annotation` as an object, or as it was written when it cannot be told."""
    if annotation is Parameter.empty:
        return annotation
    found = resolve(function, annotation, names)
    return annotation if found is UNRESOLVED else found


def resolve(function: Callable[..., Any], annotation: Any, names: Mapping[str, Any]) -> Any:
    """`annotation` as an object, or `UNRESOLVED` when it names what is not there at run time.

    One at a time, because a name that exists for type checkers only must not hide the others.
    """
    holder: Any = type("Holder", (), {"__annotations__": {"it": annotation}})
    module_names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return typing.get_type_hints(holder, module_names, dict(names), include_extras=True)["it"]
    except Exception:  # noqa: BLE001 an annotation is code, and may raise anything
        return UNRESOLVED if isinstance(annotation, (str, typing.ForwardRef)) else annotation
