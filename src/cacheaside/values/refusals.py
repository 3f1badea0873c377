"""What can never be a cached value, known by its class alone: refused at decoration, with what to return instead.

Classes of other packages are recognised by the names and modules along their MRO; nothing is imported for it.
"""

from __future__ import annotations

import collections.abc as abc
import io
import types
import typing
from typing import Annotated, Any, ForwardRef, NewType, get_args, get_origin

__all__ = ["refused", "unsupported", "why_class_refused"]

_NESTING_MAX_LEVELS = 64

_WEB = frozenset(
    {"aiohttp", "django", "falcon", "fastapi", "flask", "litestar", "quart", "sanic", "starlette", "werkzeug"}
)
_LIVE_QUERIES = {
    ("django", "QuerySet"),
    ("sqlalchemy", "AsyncSession"),
    ("sqlalchemy", "Query"),
    ("sqlalchemy", "Result"),
    ("sqlalchemy", "Row"),
    ("sqlalchemy", "ScalarResult"),
    ("sqlalchemy", "Session"),
    ("sqlite3", "Cursor"),
    ("sqlite3", "Row"),
}
_MODELS = {
    ("django", "Model"),
    ("mongoengine", "BaseDocument"),
    ("peewee", "Model"),
    ("pony", "Entity"),
    ("sqlalchemy", "DeclarativeBase"),
    ("sqlalchemy", "DeclarativeBaseNoMeta"),
    ("tortoise", "Model"),
}
_READ_ONCE = (abc.Iterator, abc.AsyncIterator, abc.AsyncIterable, abc.Awaitable)
_FILES = (io.IOBase, typing.IO)
_CODE: tuple[Any, ...] = (
    type, abc.Callable, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType,
)  # fmt: skip


def refused(annotation: Any) -> str | None:
    """Why values annotated so cannot be cached, as the end of a sentence; None if nothing speaks against it yet.

    Looks through unions, containers, aliases and Annotated, but not into fields: those are seen later.
    """
    return _refused(annotation, _NESTING_MAX_LEVELS)


def _refused(annotation: Any, levels_left: int) -> str | None:
    if levels_left == 0:
        return None
    if isinstance(annotation, str | ForwardRef):
        name = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        return f"the name {name!r} is not resolved: import it where the function is defined, at run time too"
    if annotation in (typing.Never, typing.NoReturn):
        return "it never returns: there is nothing to cache"
    if isinstance(annotation, NewType):
        return _refused(annotation.__supertype__, levels_left - 1)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _refused(annotation.__origin__, levels_left - 1)
    if origin is typing.Literal:
        return None
    found = why_class_refused(origin if isinstance(origin, type) else annotation)
    if found is not None:
        return found
    return next(
        (why for arg in get_args(annotation) if (why := _refused(arg, levels_left - 1)) is not None), None
    )


def why_class_refused(cls: Any) -> str | None:
    """Why instances of `cls` cannot be cached, as the end of a sentence; None if `cls` is none of the known."""
    if cls in _CODE or (isinstance(cls, type) and issubclass(cls, type)):
        return f"a {cls.__name__.lower()} is code: return what it computes"
    if not isinstance(cls, type):
        return None
    name = cls.__qualname__
    if issubclass(cls, _FILES):
        return f"a {name} is an open file: return its content as bytes or str"
    lineage = {(base.__module__.partition(".")[0], base.__name__) for base in cls.__mro__}
    if any(root in _WEB and "Response" in base for root, base in lineage):
        return (
            f"{name} is a web response, which is sent once and holds headers and cookies of one caller: return "
            "the data it is made from and build the response outside the cached function"
        )
    if lineage & _LIVE_QUERIES:
        return f"{name} belongs to a database session: return a list of msgspec.Struct or dataclass made from rows"
    if issubclass(cls, _READ_ONCE):
        return f"a {name} can be read only once: return a list of its items"
    if lineage & _MODELS or hasattr(cls, "__mapper__") or hasattr(cls, "_sa_class_manager"):
        return (
            f"{name} is an ORM object, which belongs to its session and loads fields when they are looked at: "
            "return a msgspec.Struct, dataclass or pydantic model made from the fields you need"
        )
    return None


def unsupported(cls: Any) -> str:
    """What to return instead of a class that has no typed encoding, as the end of a sentence."""
    name = getattr(cls, "__qualname__", str(cls))
    if cls is abc.Iterable or cls is abc.Container or cls is abc.Reversible:
        return (
            f"{name} does not say what is built when it is read back: annotate list[...] or tuple[..., ...]"
        )
    return (
        f"{name} is no type with a typed encoding: return a msgspec.Struct, dataclass, attrs class, TypedDict, "
        "NamedTuple, pydantic model, or builtins"
    )
