"""Whatever the signature and the call, a cached function answers as the function itself would."""

from __future__ import annotations

import asyncio
import inspect
from enum import Enum
from inspect import Parameter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cacheaside import Cache, Contract

MINUTE = Contract("60s")
KINDS = [
    Parameter.POSITIONAL_ONLY,
    Parameter.POSITIONAL_OR_KEYWORD,
    Parameter.VAR_POSITIONAL,
    Parameter.KEYWORD_ONLY,
    Parameter.VAR_KEYWORD,
]
NAMES = ["a", "b", "c", "d", "e"]


class Locale(Enum):
    EN = "en"


ANNOTATIONS: list[Any] = [int, str, bool, float, int | None, int | str, Any, Locale, Parameter.empty]
VALUES: list[Any] = [0, 1, True, False, 1.0, "1", "", None, Locale.EN, (1,), "en"]


@st.composite
def signatures(draw: st.DrawFn) -> inspect.Signature:
    """Up to five parameters of every kind, in an order that Python allows, with defaults where they may be."""
    kinds = sorted(draw(st.lists(st.sampled_from(KINDS), max_size=5)), key=KINDS.index)
    parameters: list[Parameter] = []
    has_default = False
    for name, kind in zip(NAMES, kinds, strict=False):
        single = kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        if single and any(p.kind is kind for p in parameters):
            continue
        positional = kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        wants = draw(st.booleans()) or (has_default and positional)
        default = draw(st.sampled_from(VALUES)) if wants and not single else Parameter.empty
        has_default |= positional and default is not Parameter.empty
        annotation = draw(st.sampled_from(ANNOTATIONS))
        parameters.append(Parameter(name, kind, default=default, annotation=annotation))
    return inspect.Signature(parameters, return_annotation=str)


calls = st.tuples(
    st.lists(st.sampled_from(VALUES), max_size=4),
    st.dictionaries(st.sampled_from([*NAMES, "z"]), st.sampled_from(VALUES), max_size=3),
)


def loader(signature: inspect.Signature, is_method: bool) -> Any:
    """A function of that signature which returns the text of what it was bound to."""
    parameters = list(signature.parameters.values())
    world: dict[str, Any] = {"shown": lambda names: repr(sorted(names.items()))}
    text = str(
        signature.replace(
            parameters=[
                p.replace(
                    annotation=Parameter.empty,
                    default=p.default if p.default is Parameter.empty else _Named(f"default_{p.name}"),
                )
                for p in parameters
            ],
            return_annotation=inspect.Signature.empty,
        )
    )
    world |= {f"default_{p.name}": p.default for p in parameters}
    if is_method:
        text = "(self" + (", " if parameters else "") + text[1:]
    names = "{" + ", ".join(f"{p.name!r}: {p.name}" for p in parameters) + "}"
    exec(f"def load{text}:\n    return shown({names})", world)
    load = world["load"]
    load.__annotations__ = {
        p.name: p.annotation for p in parameters if p.annotation is not Parameter.empty
    } | {"return": str}
    return load


class _Named:
    """A default by its name in the generated text."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


def outcome(function: Any, args: list[Any], named: dict[str, Any]) -> str:
    try:
        result = function(*args, **named)
        return str(asyncio.run(result) if inspect.iscoroutine(result) else result)
    except TypeError:
        return "TypeError"


@settings(max_examples=300)
@given(signatures(), st.lists(calls, min_size=1, max_size=6), st.booleans(), st.booleans())
def test_a_cached_function_answers_as_the_function_does(
    signature: inspect.Signature, made: list[Any], is_async: bool, is_method: bool
) -> None:
    """Each call twice, hit and miss, in every order: the function's own answer, or its own TypeError."""
    plain = unbound = loader(signature, is_method)
    cache = Cache()
    if is_async:

        async def load(*args: Any, **named: Any) -> Any:
            return unbound(*args, **named)

        load.__wrapped__ = plain  # type: ignore[attr-defined]
        load.__annotations__ = plain.__annotations__
    else:
        load = plain
    options: dict[str, Any] = {"ignore": ["self"]} if is_method else {}
    cached: Any = cache.read("load", MINUTE, **options)(load)
    if is_method:
        owner = type("Owner", (), {"load": cached, "plain": plain})()
        cached, plain = owner.load, owner.plain
    for _ in range(2):
        for args, named in made:
            expected = outcome(plain, args, named)
            assert outcome(cached, args, named) == expected
            if expected != "TypeError":
                lookup = cached.lookup(*args, **named)
                assert (asyncio.run(lookup) if is_async else lookup).value == expected
            else:
                assert outcome(cached.key, args, named) == expected
    stats = cache.stats().endpoints["load"]
    distinct = {outcome(plain, args, named) for args, named in made} - {"TypeError"}
    assert stats.loads == len(distinct), "one load for each call that the function can tell apart"
