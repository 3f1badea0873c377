"""Words of a command line as the arguments of an endpoint, by the types of its parameters.

A word that fits several of a parameter's types (`int | str`) is not guessed at: it would name another key than was
meant, and find nothing there. Enums are named by value or by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from enum import Enum
from inspect import Parameter
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from cacheaside.endpoint.endpoint import Endpoint
from cacheaside.endpoint.review import type_of
from cacheaside.errors import UsageError
from cacheaside.keys.annotations import members

__all__ = ["called", "varied"]

_MANY: Final = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,4000}")
_ODD: Final = "give all arguments as JSON: --json-args '[…]' or '{\"name\": …}'"


def called(
    endpoint: Endpoint, words: Sequence[str], json_args: str | None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that `words`, or `json_args`, stand for; a `UsageError` names the parameter that one does not fit.

    An endpoint that is a method gets None for its instance, which is none of its key.
    """
    named = endpoint.parameters.signature.parameters
    if json_args is not None and words:
        raise UsageError("Arguments are given as words or by --json-args, not both.")
    args, kwargs = _from_words(endpoint, words) if json_args is None else _from_json(endpoint, json_args)
    missing = [
        name
        for place, (name, p) in enumerate(named.items())
        if p.default is Parameter.empty and p.kind not in _MANY and place >= len(args) and name not in kwargs
    ]
    if missing:
        raise UsageError(f"{_shape(endpoint)} needs {', '.join(missing)}.")
    first: tuple[Any, ...] = (None,) if endpoint.parameters.has_self else ()
    return (*first, *args), kwargs


def _shape(endpoint: Endpoint) -> str:
    """How it is called, for messages."""
    named = endpoint.parameters.signature.parameters.values()
    return f"{endpoint.name}({', '.join(f'{p.name}: {type_of(p)}' for p in named)})"


def _from_words(endpoint: Endpoint, words: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    named = endpoint.parameters.signature.parameters
    by_place = [p for p in named.values() if p.kind not in (Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD)]
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in words:
        name, is_named, text = word.partition("=")
        if is_named and name in named and named[name].kind not in (*_MANY, Parameter.POSITIONAL_ONLY):
            kwargs[name] = _read(text, named[name], endpoint)
            continue
        if by_place and by_place[-1].kind is Parameter.VAR_POSITIONAL and len(args) >= len(by_place) - 1:
            parameter = by_place[-1]
        elif len(args) < len(by_place):
            parameter = by_place[len(args)]
        else:
            _check_name(word, endpoint)
            most = f"{len(by_place)} argument" + ("" if len(by_place) == 1 else "s")
            raise UsageError(f"{_shape(endpoint)} takes {most} by place; there is no place for another.")
        args.append(_read(word, parameter, endpoint))
    return args, kwargs


def _check_name(word: str, endpoint: Endpoint) -> None:
    """Of a word that fits nowhere: a `UsageError`, where it is NAME=… of a parameter that is not there."""
    name, is_named, _ = word.partition("=")
    if is_named and name.isidentifier() and name not in endpoint.parameters.signature.parameters:
        raise UsageError(f"{_shape(endpoint)} has no parameter {name!r}.")


def _read(word: str, parameter: Parameter, endpoint: Endpoint) -> Any:
    found = [value for kind in members(parameter.annotation) for value in _readings(word, kind)]
    if len(found) == 1:
        return found[0]
    if found:
        kinds = " or ".join(type(value).__name__ for value in found)
        raise UsageError(
            f"{endpoint.name}: parameter {parameter.name!r} is {type_of(parameter)}, and the word may be {kinds}: "
            f"keys apart, so {_ODD}."
        )
    _check_name(word, endpoint)
    choices = [f"{one.value}" for kind in members(parameter.annotation) for one in _enum(kind)]
    hint = f" It is one of {', '.join(choices)}." if choices else ""
    raise UsageError(
        f"{endpoint.name}: parameter {parameter.name!r} is {type_of(parameter)}, which the word given for it is not."
        f"{hint or f' If it is no word, {_ODD}.'}"
    )


def _enum(kind: Any) -> list[Enum]:
    return list(kind) if isinstance(kind, type) and issubclass(kind, Enum) else []


def _readings(word: str, kind: Any) -> list[Any]:
    """What `word` is as a `kind`: one value, or none."""
    if kind in (Any, Parameter.empty, object) or isinstance(kind, str):
        return [_plain(word)]
    if kind is type(None):
        return [None] if word in ("None", "null") else []
    if kind is str:
        return [word]
    if kind is bytes:
        return [word.encode()]
    if kind is int:
        return [int(word)] if _WHOLE.fullmatch(word) else []
    if kind is bool:
        return [word.lower() == "true"] if word.lower() in ("true", "false") else []
    if get_origin(kind) is Literal:
        return [value for value in get_args(kind) if str(value) == word][:1]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [one for one in kind if str(one.value) == word or one.name == word][:1]
    return _converted(word, kind)


def _plain(word: str) -> Any:
    """For a parameter without a type: a number, true, false or null, as JSON has them; else text."""
    try:
        value = json.loads(word)
    except ValueError:
        return word
    return word if isinstance(value, (list, dict)) else value


def _converted(word: str, kind: Any) -> list[Any]:
    for value in (word, word.encode()):
        try:
            made = (
                msgspec.convert(value, kind, strict=False)
                if isinstance(value, str)
                else msgspec.json.decode(value, type=kind)
            )
        except (msgspec.MsgspecError, TypeError, ValueError):
            continue
        return [made]
    return []


def _from_json(endpoint: Endpoint, text: str) -> tuple[list[Any], dict[str, Any]]:
    try:
        given = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--json-args is no JSON: {error}.") from None
    named = endpoint.parameters.signature.parameters
    if isinstance(given, dict):
        if unknown := [name for name in given if name not in named]:
            raise UsageError(f"{_shape(endpoint)} has no parameter {', '.join(map(repr, unknown))}.")
        return [], {name: _from_value(value, named[name], endpoint) for name, value in given.items()}
    if not isinstance(given, list):
        raise UsageError("--json-args is a list of arguments, or an object of them by name.")
    by_place = list(named.values())
    if len(given) > len(by_place):
        raise UsageError(f"{_shape(endpoint)} does not take {len(given)} arguments.")
    return [_from_value(value, p, endpoint) for value, p in zip(given, by_place, strict=False)], {}


def _from_value(value: Any, parameter: Parameter, endpoint: Endpoint) -> Any:
    annotation = parameter.annotation
    if annotation is Parameter.empty or isinstance(annotation, str):
        return value
    try:
        return msgspec.convert(value, annotation, strict=True)
    except (msgspec.MsgspecError, TypeError, ValueError):
        raise UsageError(
            f"{endpoint.name}: parameter {parameter.name!r} is {type_of(parameter)}, which the {type(value).__name__} "
            "in --json-args is not."
        ) from None


@contextmanager
def varied(endpoint: Endpoint, given: Sequence[str]) -> Iterator[None]:
    """With the context variables that the key varies by set as `given`, each NAME=TEXT."""
    known = {part.name: part for part in endpoint.declared.written_vary if isinstance(part, ContextVar)}
    with ExitStack() as undo:
        for one in given:
            name, is_given, text = one.partition("=")
            if not is_given or name not in known:
                words = (
                    f"varies by {', '.join(known)}"
                    if known
                    else "varies by no context variable: leave --vary out"
                )
                form = "" if is_given else " write NAME=TEXT;"
                raise UsageError(f"--vary {name}:{form} {endpoint.name} {words}.")
            undo.callback(known[name].reset, known[name].set(text))
        yield
