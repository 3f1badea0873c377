"""The user's `Cache`, found as uvicorn and flask find an application: `--app package.module:cache`."""

from __future__ import annotations

import importlib
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from cacheaside.cache import Cache
from cacheaside.errors import UsageError

__all__ = ["located"]

_HOW: Final = "write --app package.module:cache, or set CACHEASIDE_APP"


def located(app: str | None) -> Cache:
    """The cache that `app` names. Its module is imported, with the current folder first on the path, and nothing of
    it is called; a `UsageError` in one line says what is wrong."""
    if not app:
        raise UsageError(f"Which cache? {_HOW[0].upper()}{_HOW[1:]}, to the Cache that the service makes.")
    place, _, path = app.partition(":")
    named_a_file = place.endswith(".py") or "/" in place
    if named_a_file or app.count(":") > 1 or not all(part.isidentifier() for part in place.split(".")):
        raise UsageError(
            f"--app {app}: that is no module: {_HOW}. A file is named without .py, its folders by dots."
        )
    module = _imported(place)
    return _only(module) if not path else _at(module, path)


def _imported(place: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no part of a command's result
            return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise UsageError(
                f"--app {place}: there is no module {error.name}, seen from {here}. Go to the folder that "
                f"`import {place}` works in, or set PYTHONPATH."
            ) from None
        raise UsageError(f"--app {place}: importing it failed: {_brief(error)}.") from error
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"--app {place}: importing it failed: {_brief(error)}. `python -c 'import {place}'` shows where."
        ) from error


def _brief(error: BaseException) -> str:
    """The error in a line, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}{at}" if words else f"{type(error).__name__}{at}"


def _only(module: ModuleType) -> Cache:
    found: dict[int, tuple[str, Cache]] = {}
    for name, value in vars(module).items():
        if isinstance(value, Cache):
            found.setdefault(id(value), (name, value))
    if len(found) == 1:
        return next(iter(found.values()))[1]
    place = module.__name__
    if not found:
        raise UsageError(f"--app {place}: no Cache among its names: {_HOW}, with the module that makes it.")
    names = ", ".join(f"{place}:{name}" for name, _ in found.values())
    raise UsageError(f"--app {place}: it has several caches; say which: {names}.")


def _at(module: ModuleType, path: str) -> Cache:
    found: Any = module
    walked = module.__name__ + ":"
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            known = sorted(name for name, value in vars(module).items() if isinstance(value, Cache))
            hint = (
                f" Its caches are {', '.join(known)}." if known else f" No Cache is among its names: {_HOW}."
            )
            raise UsageError(f"--app {module.__name__}:{path}: {walked} has no {name!r}.{hint}") from None
        walked = f"{walked}{name}" if walked.endswith(":") else f"{walked}.{name}"
    if isinstance(found, Cache):
        return found
    hint = (
        " It is a function, and none is called here: name a Cache that exists once the module is imported."
        if callable(found) and not isinstance(found, type)
        else ""
    )
    raise UsageError(f"--app {walked}: that is a {type(found).__name__}, not a cacheaside.Cache.{hint}")
