"""Functions that ask for parameters by name: `tags=`, `value_tags=`, `vary=`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any

from cacheaside.errors import DeclarationError

__all__ = ["asked_names", "picker"]


def asked_names(
    function: Callable[..., Any], option: str, where: str, *, available: Sequence[str] = (), skip: int = 0
) -> tuple[str, ...]:
    """The parameters that `function` asks for, the first `skip` left out.

    One with a default need not be given; when there is a parameter of that name among `available`, it is.
    """
    asked = _parameters(function, option, where)
    if len(asked) < skip:
        raise DeclarationError(f"{where}: {option} takes no parameter, but receives the value as its first.")
    asked = asked[skip:]
    return tuple(p.name for p in asked if p.default is Parameter.empty or p.name in available)


def _parameters(function: Callable[..., Any], option: str, where: str) -> list[Parameter]:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(
            f"{where}: {option} is an `async def`, and nothing awaits it: write a plain function."
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise DeclarationError(
            f"{where}: {option} must be a function whose parameters can be read."
        ) from None
    if any(p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) for p in parameters):
        raise DeclarationError(f"{where}: {option} must name the parameters that it needs; * and ** do not.")
    return parameters


def picker(
    function: Callable[..., Any], option: str, where: str, available: Sequence[str], *, skip: int = 0
) -> Callable[..., Any]:
    """`function`, called with the values of a call (after `skip` leading arguments), each parameter by its name."""
    asked = asked_names(function, option, where, available=available, skip=skip)
    if unknown := [name for name in asked if name not in available]:
        what = (
            "it receives the value and nothing else"
            if skip
            else f"the parameters are {', '.join(available) or 'none'}"
        )
        raise DeclarationError(f"{where}: {option} asks for {', '.join(map(repr, unknown))}, but {what}.")
    places = {name: list(available).index(name) for name in asked}
    named = inspect.signature(function).parameters
    by_place = [places[name] for name in asked if named[name].kind is Parameter.POSITIONAL_ONLY]
    by_name = [(n, place) for n, place in places.items() if named[n].kind is not Parameter.POSITIONAL_ONLY]

    def pick(values: Sequence[Any], *leading: Any) -> Any:
        return function(
            *leading,
            *(values[place] for place in by_place),
            **{name: values[place] for name, place in by_name},
        )

    return pick
