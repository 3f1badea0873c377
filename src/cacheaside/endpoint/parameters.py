"""A loader's parameters: which are part of the key, which is the resource, which are ignored.

Nothing is left out of a key silently: a parameter is in the key, or it is the resource, or it is named in `ignore=`.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any, Final

from cacheaside.errors import DeclarationError
from cacheaside.keys import encodable, plain_types

__all__ = ["UNRESOLVED", "Parameters", "parameters_of", "resolve"]

UNRESOLVED: Final = object()
RESERVED: Final = frozenset(
    ("_bound", "_e", "_entries", "_function", "_gate", "_nothing", "_now", "_resource", "_scope", "_slow", "_t", "_take", "_values",
     "_vary", "_varied_plain")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameters:
    """The visible parameters of an endpoint, in order: all but the resource (and `self`, kept apart).

    in_key: names of those in the key. plain: for each of them the classes whose raw values may stand in a dict key.
    """

    signature: Signature
    names: tuple[str, ...]
    has_self: bool
    has_resource: bool
    in_key: tuple[str, ...]
    plain: tuple[frozenset[type], ...]

    @property
    def all_names(self) -> tuple[str, ...]:
        """The names of a call's values, in order: `self` first, where there is one."""
        return ("self", *self.names) if self.has_self else self.names


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
    own = parameters[1:] if has_self else parameters
    if has_self:
        _check_self(parameters[0].name, where, ignore, varied)
    if has_source:
        own = _without_resource(own, where, ignore)
    _check_ignored(own, where, ignore, has_self)
    _check_reserved(own, where)
    in_key = [p for p in own if p.name not in ignore]
    visible = signature.replace(parameters=own, return_annotation=signature.return_annotation)
    return Parameters(
        signature=visible,
        names=tuple(p.name for p in own),
        has_self=has_self,
        has_resource=has_source,
        in_key=tuple(p.name for p in in_key),
        plain=tuple(_plain(function, p, where, names, has_source) for p in in_key),
    )


def _check_self(name: str, where: str, ignore: Collection[str], varied: Collection[str]) -> None:
    if name == "cls":
        raise DeclarationError(
            f"{where}: put @classmethod above @cache.read aside and cache a function instead of cls."
        )
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


def _check_reserved(own: list[Parameter], where: str) -> None:
    if taken := sorted({p.name for p in own} & RESERVED):
        raise DeclarationError(
            f"{where}: parameter {taken[0]!r} has a name that the generated code uses; rename it."
        )


def _plain(
    function: Callable[..., Any], p: Parameter, where: str, names: Mapping[str, Any], has_source: bool
) -> frozenset[type]:
    if p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
        return frozenset()
    annotation = resolve(function, p.annotation, names)
    if annotation is UNRESOLVED or annotation is Parameter.empty:
        annotation = Any
    reason = encodable(annotation)
    if reason is not None:
        hint = (
            "" if has_source else ", or, if it is a session or connection, declare source= and put it first"
        )
        raise DeclarationError(
            f"{where}: parameter {p.name!r} cannot be part of the key: {reason} "
            f"Pass an id instead, name it in ignore=[{p.name!r}] if the result does not depend on it{hint}."
        )
    return plain_types(annotation) or frozenset()


def resolve(function: Callable[..., Any], annotation: Any, names: Mapping[str, Any]) -> Any:
    """`annotation` as an object, or `UNRESOLVED` when it names what is not there at run time.

    One at a time, because a name that exists for type checkers only must not hide the others.
    """
    holder: Any = type("Holder", (), {"__annotations__": {"it": annotation}})
    module_names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return typing.get_type_hints(holder, module_names, dict(names), include_extras=True)["it"]
    except Exception:
        return UNRESOLVED if isinstance(annotation, (str, typing.ForwardRef)) else annotation
