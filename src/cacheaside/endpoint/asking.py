"""Functions that ask for parameters by name: `tags=`, `value_tags=`, `vary=`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any

from cacheaside.errors import DeclarationError

__all__ = ["asked_names", "picker"]


def asked_names(function: Callable[..., Any], option: str, where: str, *, skip: int = 0) -> tuple[str, ...]:
    """The parameters that `function` asks for, the first `skip` left out; one with a default need not be given."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise DeclarationError(
            f"{where}: {option} must be a function whose parameters can be read."
        ) from None
    if len(parameters) < skip:
        raise DeclarationError(f"{where}: {option} takes no parameter, but receives the value as its first.")
    asked = parameters[skip:]
    if any(p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) for p in asked):
        raise DeclarationError(f"{where}: {option} must name the parameters that it needs; * and ** do not.")
    return tuple(p.name for p in asked if p.default is Parameter.empty)


def picker(
    function: Callable[..., Any], option: str, where: str, available: Sequence[str], *, skip: int = 0
) -> Callable[..., Any]:
    """`function`, called with the values of a call (after `skip` leading arguments), each parameter by its name."""
    asked = asked_names(function, option, where, skip=skip)
    if unknown := [name for name in asked if name not in available]:
        raise DeclarationError(
            f"{where}: {option} asks for {', '.join(map(repr, unknown))}, but the parameters are "
            f"{', '.join(available) or 'none'}."
        )
    places = [(name, list(available).index(name)) for name in asked]

    def pick(values: Sequence[Any], *leading: Any) -> Any:
        return function(*leading, **{name: values[place] for name, place in places})

    return pick
