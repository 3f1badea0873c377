"""What a user brings: a function or a command that asks the service, and one that reads the source's own numbers.

As functions, `module:function`, imported with the current folder on the path:

- *ask*: one request to the service, `async def` or plain; called as often as requests are to come. It returns nothing,
  True or False (a hit or not), a `Lookup`, or a word of `series.How`; what it raises is a failure, an `Overloaded`
  a refusal. With a parameter, it is given what to ask for: see *keys*.
- *source*: the source's numbers, as a pair: queries at once now, and queries done so far.
- *keys*, optional: things to ask for, as a sequence; each is drawn as often as its place says (Zipf), the first most.

As commands, which print a line of JSON for each event, and are ended with SIGTERM:

- *ask*: makes its own requests at its own rate; for each that ended `{"ms": 12.5, "how": "hit"}`, with `how` one of
  hit, miss, ok, refused, late, failed.
- *source*: again and again `{"running": 3, "done": 1024}`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct

from cacheaside.drill.faults.kind import CannotDrill
from cacheaside.drill.series import How
from cacheaside.errors import Overloaded
from cacheaside.lookup import Lookup, Served

__all__ = ["Ended", "Numbers", "asked_once", "lines_of", "located", "numbers_of"]

LINE_BYTES_MAX: Final = 4_096
_ENDING_S: Final = 3.0
_WORDS: Final[Mapping[str, How]] = {"hit": "l2", "miss": "source", "ok": "unknown"}


class Ended(Struct, frozen=True):
    """A line of an asking command: how long a request took, and how it ended."""

    ms: float
    how: str = "ok"

    @property
    def word(self) -> How:
        """As `series.How`."""
        return _how(self.how)


class Numbers(Struct, frozen=True):
    """A line of a command that reads the source."""

    running: int
    done: int


def located(name: str, what: str) -> Any:
    """What `module:name` names. `CannotDrill` says why there is none."""
    place, _, path = name.partition(":")
    if not place or not path:
        raise CannotDrill(f"{what} {name!r}: write module:function.")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(place)
        for part in path.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise CannotDrill(f"{what} {name}: {type(error).__name__}: {error}.") from error
    return found


def asked_once(ask: Callable[..., Any]) -> Callable[[Any], Awaitable[tuple[How, int]]]:
    """The user's function as `callers.Ask`. A plain function is called on a thread."""
    if not callable(ask):
        raise CannotDrill(f"the function that asks is a {type(ask).__name__}, and cannot be called.")
    takes = bool(inspect.signature(ask).parameters)
    is_async = inspect.iscoroutinefunction(ask)

    async def once(key: Any) -> tuple[How, int]:
        given = (key,) if takes else ()
        try:
            said = await ask(*given) if is_async else await asyncio.to_thread(ask, *given)
        except Overloaded:
            return "refused", 0
        except (TimeoutError, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001 - whatever a user's client raises, the request failed
            return "failed", 0
        return _said(said), 0

    return once


def _said(said: Any) -> How:
    if isinstance(said, Lookup):
        return "joined" if said.served is Served.COLLAPSED else _how(said.tier.value)
    if isinstance(said, bool):
        return "l2" if said else "source"
    return _how(said) if isinstance(said, str) else "unknown"


def _how(word: str) -> How:
    if word in _WORDS:
        return _WORDS[word]
    found: How = next((how for how in get_args(How) if how == word), "unknown")
    return found


async def numbers_of(read: Callable[[], Any]) -> Numbers:
    """The source's numbers, by the user's function."""
    said = await read() if inspect.iscoroutinefunction(read) else await asyncio.to_thread(read)
    running, done = said
    return Numbers(int(running), int(done))


@asynccontextmanager
async def lines_of(command: str, told: Callable[[Any], None], kind: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Run a command until the block ends; each line that it prints is decoded as `kind` and told. The task ends with
    `CannotDrill` when the command does."""
    try:
        words = shlex.split(command)
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, limit=LINE_BYTES_MAX
        )
    except (OSError, ValueError) as error:
        raise CannotDrill(f"the command {command!r} cannot be run: {error}.") from error

    async def hear() -> None:
        decoder = msgspec.json.Decoder(kind)
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                told(decoder.decode(line))
        except (ValueError, msgspec.MsgspecError) as error:
            raise CannotDrill(
                f"the command {command!r} printed a line that cannot be read: {error}."
            ) from error
        raise CannotDrill(f"the command {command!r} ended by itself, with code {await process.wait()}.")

    hearing = asyncio.ensure_future(hear())
    try:
        yield hearing
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                process.send_signal(number)
            with suppress(TimeoutError):
                # Read to its end: a pipe with something left in it is never closed.
                await asyncio.wait_for(process.communicate(), _ENDING_S)
                break
