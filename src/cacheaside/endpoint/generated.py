"""The hit path: source text generated for the exact signature of each endpoint, and compiled once.

A hit is one dictionary look-up, one clock reading, and an integer: no lock, no further call, no scheduling point.
The text is kept in `linecache`, so tracebacks, debuggers and `inspect.getsource` show it.

The class test comes from `keys.plain_types`: only for those exact classes does equality in the dictionary mean the
same key, so that 1, True and 1.0 never share an entry. Whatever else is asked goes the slow way, by encoded key.
"""

from __future__ import annotations

import itertools
import keyword
import linecache
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any, Final

from cacheaside.endpoint.parameters import Parameters, is_reserved
from cacheaside.stores.l1.entry import Entry

__all__ = ["binder", "caller", "hit_path"]

_numbers = itertools.count()
_NONE: Final = type(None)


def hit_path(
    parameters: Parameters,
    *,
    name: str,
    is_async: bool,
    bound: bool,
    varied: int,
    take: str,
    world: dict[str, Any],
    quick: bool = False,
) -> Callable[..., Any]:
    """The function that users call. `world` holds what it reads: entries, now, gate, scope, slow, absent, vary, take.

    quick: nothing is ever held here. Most often the shared tier has the value, and few steps are enough to hand it on:
    `ask` for it, by what `key` makes of the values; where it answers with an `else`, a flow goes `further` from that.

    bound: made to be the `__call__` of a bound method, with the instance in `_bound.instance`.
    varied: how many values `vary()` gives, each of a class in `varied_plain`. take: the expression of the value
    returned for entry `_e`.
    """
    # Falls through to the slow call outside of the `except`, so that a loader's own error shows no KeyError before it.
    world["_nothing"] = Entry(None, -1.0, None, None, 0.0)  # type: ignore[arg-type]
    world["_missing"] = (KeyError, TypeError)  # by a name that no parameter can take
    values = _values_tuple(parameters)
    call = f"{'await ' if is_async else ''}_slow({values})"
    tests, slot = _tests(parameters, varied, world)
    header = _header(parameters, world, bound)
    if _takes_nothing(parameters):
        header = f"{header}, {_ANYTHING}" if header else _ANYTHING
    lines = [f"{'async ' if is_async else ''}def {_identifier(name)}({header}):"]
    if _takes_nothing(parameters):
        world["_none_taken"] = _none_taken(parameters, name)
        lines += ["    if _given or _named:", "        raise _none_taken()"]
    if quick:
        lines += [
            "    if _host.enabled and _scope() is None:",
            f"        _f = _ask(_endpoint, *_key({values}))",
            *_handed_on(values, is_async=is_async),
            f"    return {call}",
        ]
    elif tests is None:
        lines += [f"    return {call}"]
    else:
        if varied:
            # Before the `try`: what vary= raises is the caller's to see, a KeyError too.
            targets = ", ".join(f"_v{i}" for i in range(varied))
            lines += [f"    ({targets},) = _vary({values})"]
        lines += [
            "    try:",
            f"        _e = _entries[{slot}]",
            "    except _missing:",
            "        _e = _nothing",
            "    _t = _now()",
            f"    if {tests}_e.until > _t and _gate.until > _t and _scope() is None:",
            "        _e.hits += 1",
            f"        return {take}",
            f"    return {call}",
        ]
    return _compile(lines, _identifier(name), world)


def binder(parameters: Parameters, name: str) -> Callable[..., tuple[Any, ...]]:
    """A function of the same signature that returns its values as a tuple, `self` first where there is one."""
    world: dict[str, Any] = {}
    header = _header(parameters, world, False)
    if parameters.has_self:
        header = f"self, {header}" if header else "self"
    lines = [
        f"def {_identifier(name)}({header}):",
        f"    return {_values_tuple(parameters, own_self='self')}",
    ]
    return _compile(lines, _identifier(name), world)


def caller(parameters: Parameters, function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function of (resource, values) that calls `function` as it was written."""
    arguments = [f"*{p.name}" if p.kind is Parameter.VAR_POSITIONAL else _passed(p) for p in _own(parameters)]
    if parameters.has_resource:
        arguments.insert(0, "_resource")
    if parameters.has_self:
        arguments.insert(0, "self")
    unpacked = "".join(f"{one}, " for one in parameters.all_names)
    lines = [f"def {_identifier(name)}(_resource, _values):"]
    if unpacked:
        lines += [f"    ({unpacked}) = _values"]
    lines += [f"    return _function({', '.join(arguments)})"]
    return _compile(lines, _identifier(name), {"_function": function})


def _handed_on(values: str, *, is_async: bool) -> list[str]:
    """What was asked for, in `_f`, unless it takes a flow."""
    found = [
        "        if _f.__class__ is not _else:",
        "            return _f",
        f"        return {'await ' if is_async else ''}_further({values}, _f)",
    ]
    if not is_async:
        return found
    return ["        if _f is not None:", "            _f = await _f", *[f"    {line}" for line in found]]


_ANYTHING: Final = "*_given, **_named"


def _takes_nothing(parameters: Parameters) -> bool:
    """Whether a call with an argument most likely means that the resource was forgotten among the parameters."""
    return parameters.has_resource and not parameters.names


def _none_taken(parameters: Parameters, name: str) -> Callable[[], TypeError]:
    return lambda: TypeError(f"{name}() takes no arguments. {parameters.without_resource}")


def _own(parameters: Parameters) -> Sequence[Parameter]:
    return list(parameters.signature.parameters.values())


def _passed(p: Parameter) -> str:
    if p.kind is Parameter.VAR_KEYWORD:
        return f"**{p.name}"
    return f"{p.name}={p.name}" if p.kind is Parameter.KEYWORD_ONLY else p.name


def _values_tuple(parameters: Parameters, own_self: str = "_bound.instance") -> str:
    values = [own_self] if parameters.has_self else []
    values += parameters.names
    return f"({''.join(f'{value}, ' for value in values)})"


def _header(parameters: Parameters, world: dict[str, Any], bound: bool) -> str:
    parts = ["_bound"] if bound else []
    own = _own(parameters)
    starred = False
    for i, p in enumerate(own):
        if p.kind is Parameter.KEYWORD_ONLY and not starred:
            starred = True
            parts.append("*")
        text = p.name
        if p.kind is Parameter.VAR_POSITIONAL:
            starred = True
            text = f"*{p.name}"
        elif p.kind is Parameter.VAR_KEYWORD:
            text = f"**{p.name}"
        elif p.default is not Parameter.empty:
            world[f"_d_{p.name}"] = p.default
            text = f"{p.name}=_d_{p.name}"
        parts.append(text)
        if p.kind is Parameter.POSITIONAL_ONLY and (
            i + 1 == len(own) or own[i + 1].kind is not Parameter.POSITIONAL_ONLY
        ):
            parts.append("/")
    return ", ".join(parts)


def _tests(parameters: Parameters, varied: int, world: dict[str, Any]) -> tuple[str | None, str]:
    """The class tests, and the expression of the raw key; None when no raw value may stand for a key."""
    tests: list[str] = []
    for i, (name, plain) in enumerate(zip(parameters.in_key, parameters.plain, strict=True)):
        if not plain:
            return None, ""
        tests.append(_class_test(name, plain, f"_k{i}", world))
    names = [*parameters.in_key, *(f"_v{i}" for i in range(varied))]
    tests += [f"_v{i}.__class__ in _varied_plain" for i in range(varied)]
    text = "".join(f"{test} and " for test in tests)
    if len(names) == 1:
        return text, names[0]
    return text, f"({', '.join(names)})"


def _class_test(name: str, plain: frozenset[type], label: str, world: dict[str, Any]) -> str:
    kinds = sorted(plain - {_NONE}, key=lambda kind: kind.__qualname__)
    if len(kinds) == 1:
        world[label] = kinds[0]
        test = f"{name}.__class__ is {label}"
    elif kinds:
        world[label] = frozenset(kinds)
        test = f"{name}.__class__ in {label}"
    else:
        return f"{name} is None"
    return f"({test} or {name} is None)" if _NONE in plain else test


def _identifier(name: str) -> str:
    usable = name.isidentifier() and not keyword.iskeyword(name) and not is_reserved(name)
    return name if usable else "endpoint"


def _compile(lines: Sequence[str], name: str, world: dict[str, Any]) -> Callable[..., Any]:
    text = "\n".join(lines) + "\n"
    filename = f"<cacheaside {name} {next(_numbers)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), world)  # noqa: S102 the text is made above, of checked names alone
    function: Callable[..., Any] = world[name]
    return function
