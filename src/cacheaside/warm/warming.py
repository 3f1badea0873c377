"""`cache.keep_heat(…)` and `cache.warm(…)`, awaited and blocking."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from cacheaside.bounds import Bounds
from cacheaside.contract import PRIORITIES
from cacheaside.durations import Duration
from cacheaside.endpoint.endpoint import Endpoint
from cacheaside.endpoint.host import Host
from cacheaside.endpoint.inline import NAME as INLINE
from cacheaside.errors import CacheasideError, DeclarationError, UsageError
from cacheaside.warm.arguments import Arguments
from cacheaside.warm.driving import Told, Wanted, drive, drive_blocking, ready
from cacheaside.warm.heatfile import KEYS_MAX
from cacheaside.warm.heating import Heating
from cacheaside.warm.lists import Wish, wishes_given, wishes_in
from cacheaside.warm.replay import Replay, Unfit
from cacheaside.warm.report import Warmed
from cacheaside.warm.slow import start_slowly

__all__ = ["BlockingWarming", "Warming"]

log = logging.getLogger("cacheaside")

DAY_S: Final = 86_400.0
EVERY: Final = Bounds(
    1.0,
    DAY_S,
    "is more often than a file needs to be written: 1 s is the least.",
    "is so long that a process which dies takes a day with it: 1 d is the most.",
)
HALF_LIFE: Final = Bounds(
    1.0,
    30 * DAY_S,
    "forgets before anything is written: 1 s is the least.",
    "remembers what nobody asks for any more: 30 d is the most.",
)
WITHIN: Final = Bounds(
    0.001,
    DAY_S,
    "leaves no time to read anything: 1 ms is the least.",
    "is longer than a service can wait to begin: 1 d is the most.",
)
SLOW: Final = Bounds(
    0.1,
    3600.0,
    "is over before a source has shown anything: 100 ms is the least.",
    "is longer than any start: 1 h is the most. A limit that always holds is limit= of the source.",
)
TIER_S: Final = 2.0
"""How long to wait for the shared tier: until it is there nothing that is loaded is kept."""
LOWEST: Final = len(PRIORITIES) - 1
AT_ONCE_MAX: Final = 256
SOURCE_SHARE: Final = 2
"""A warm-up has at most the source's limit, divided by this, under way."""

What = str | os.PathLike[str] | Iterable[Any] | None


class _Warming:
    """What both colours share."""

    _host: Host

    def _begun(
        self,
        what: What,
        top: int | None,
        at_once: int,
        per_second: float | None,
        within: Duration,
        *,
        is_async: bool,
        dry_run: bool,
    ) -> tuple[Replay[Wish, Wanted], int, float] | Warmed:
        _check_whole("top", top, KEYS_MAX)
        _check_whole("at_once", at_once, AT_ONCE_MAX)
        _check_pace(per_second)
        within_s = WITHIN.seconds(within, name="within")
        host = self._host
        if not host.enabled:
            return Warmed(problem="the cache is disabled, so nothing would be kept")
        found = _wishes(what, host)
        if isinstance(found, Warmed):
            return found
        if host.shared is not None and not dry_run and not host.shared.reached(min(TIER_S, within_s)):
            return Warmed(problem="the shared tier is away, so nothing would be kept")
        wishes = found[:top]
        now = time.monotonic()
        at_once = _width(wishes, host, at_once)
        resolve = _resolver(host, is_async=is_async)
        until = now + within_s
        made = Replay(wishes, resolve, at_once=at_once, per_second=per_second, now=now, until=until)
        return made, at_once, within_s


class Warming(_Warming):
    """A part of `Cache`."""

    def keep_heat(
        self,
        path: str | os.PathLike[str],
        *,
        keys: int = 10_000,
        every: Duration = "30s",
        half_life: Duration = "1h",
    ) -> None:
        """Keep, in the file at `path`, which keys are asked for most and by which arguments, for `warm` to read again.

        Declared once, beside the cache; nothing is opened before the first read. A hit of L1 costs what it did. The
        file has at most `keys` keys and no value, and is replaced as a whole `every` so often by a thread, and at
        `close` and the interpreter's end; a process that is killed loses what it counted since. One that starts goes on
        with what the file says. Counts fade by half in each `half_life`. Processes may share it: each begins with it,
        and the last to write is read.

        Of which endpoints arguments are written, `heat=` of `@cache.read` says.
        """
        host = self._host
        _check_whole("keys", keys, KEYS_MAX)
        with host.lock:
            if host.heat is not None:
                raise DeclarationError(f"cache {host.namespace!r} keeps heat already; it has one file of it.")
            host.heat = Heating(
                host,
                Path(path),
                keys_max=keys,
                every_s=EVERY.seconds(every, name="every"),
                half_life_s=HALF_LIFE.seconds(half_life, name="half_life"),
                now=time.monotonic,
                today=time.time,
            )

    async def warm(
        self,
        what: What = None,
        *,
        top: int | None = None,
        at_once: int = 8,
        per_second: float | None = None,
        within: Duration = "60s",
        progress: Told | None = None,
        dry_run: bool = False,
    ) -> Warmed:
        """Read the keys that mattered, before there is traffic: to be awaited when the service starts.

        what: the file of `keep_heat` (None); a file of heat from elsewhere, or a list of one's own, in CSV or lines of
        JSON; or pairs of an endpoint and its arguments. Read in their order, hottest first; `top` of them at most.

        Each is an ordinary read: what is held is not loaded again, others who ask for the key share its load, and the
        source's limit holds, at the lowest priority. at_once: reads under way; at most half of a source's limit.
        per_second: reads begun; None: as many as it takes. Where the source says `Overloaded` it waits as long as it is
        told to, and ends after `REFUSALS_MAX` (8) times in a row. It ends when `within` is over, whatever is left, and
        when `progress` (called with a `Progress`, at most ten times a second) returns False. Cancelled, it leaves what
        was begun to others who wait for it; called again, it goes on. dry_run: only see which keys fit.

        The kept file may be missing or broken: that is said in `Warmed.problem` and in the log, so that no service
        fails to start because of it. A list that is named and cannot be read is a `UsageError`. Keys that do not fit
        the endpoints as they are now are counted in `unfit`. A shared tier that is away for `TIER_S` (2 s) is a
        `problem`, too: nothing would be kept.
        """
        begun = await asyncio.to_thread(
            self._begun, what, top, at_once, per_second, within, is_async=True, dry_run=dry_run
        )
        if isinstance(begun, Warmed):
            return begun
        replay, at_once, within_s = begun
        if dry_run:
            replay.dry()
        else:
            await drive(replay, self._host, at_once=at_once, within_s=within_s, told=progress)
        return replay.report(time.monotonic())

    def start_slowly(self, over: Duration = "30s", *, after: Warmed | None = None) -> bool:
        """Where this process starts cold, let its sources be loaded from by an eighth of their limit at first, or of
        its share in one that processes share, and by all of it only `over` after their first load: for a service that
        starts in many processes at once, or in front of a database that is cold, too.

        To be called when the service starts, with the sources declared. What finds no turn waits and is refused as at
        any limit. It ends at once where the shared tier answers half of the reads. after: what `warm` did; False, and
        nothing is held down, where it left at least half of its list in the cache.
        """
        over_s = SLOW.seconds(over, name="over")
        if after is not None and after.is_warm:
            return False
        with self._host.lock:
            for source in (self._host.default_source, *self._host.sources.values()):
                start_slowly(self._host, source.limit, over_s, time.monotonic)
        return True


class BlockingWarming(_Warming):
    """A part of `cache.blocking`."""

    def warm(
        self,
        what: What = None,
        *,
        top: int | None = None,
        at_once: int = 8,
        per_second: float | None = None,
        within: Duration = "60s",
        progress: Told | None = None,
        dry_run: bool = False,
    ) -> Warmed:
        """As `Cache.warm`, on threads, for endpoints that are a `def`; others are counted as unfit. When `within` is
        over, loads under way end by themselves. progress: called on those threads, one at a time."""
        begun = self._begun(what, top, at_once, per_second, within, is_async=False, dry_run=dry_run)
        if isinstance(begun, Warmed):
            return begun
        replay, at_once, within_s = begun
        if dry_run:
            replay.dry()
        else:
            drive_blocking(replay, self._host, at_once=at_once, within_s=within_s, told=progress)
        return replay.report(time.monotonic())


def _wishes(what: What, host: Host) -> Sequence[Wish] | Warmed:
    if what is None:
        heat = host.heat
        if not isinstance(heat, Heating):
            raise UsageError(
                'cache.warm() reads the file of cache.keep_heat("…"), and this cache keeps none. Declare one, or name '
                "a list."
            )
        try:
            return wishes_in(heat.path, host.namespace)
        except UsageError as error:
            log.warning("cache %s: it begins cold: %s", host.namespace, error)
            return Warmed(problem=str(error))
    if isinstance(what, (str, os.PathLike)):
        return wishes_in(Path(what), host.namespace)
    return wishes_given(what)


def _width(wishes: Sequence[Wish], host: Host, at_once: int) -> int:
    named = [host.endpoints.get(name) for name in {wish.endpoint for wish in wishes}]
    limits = [endpoint.source.limit.most for endpoint in named if endpoint is not None]
    return max(1, min([at_once, *(most // SOURCE_SHARE for most in limits)]))


def _resolver(host: Host, *, is_async: bool) -> Callable[[Wish], Wanted]:
    known: dict[str, Arguments] = {}

    def resolve(wish: Wish) -> Wanted:
        endpoint = host.endpoints.get(wish.endpoint)
        if endpoint is None or endpoint.name.partition("/")[0] == INLINE:
            raise Unfit(f"{wish.endpoint[:100]}: no such endpoint")
        if endpoint.is_async and not is_async:
            raise Unfit(f"{endpoint.name}: it is an async def: await cache.warm(…)")
        arguments = known.get(endpoint.name)
        if arguments is None:
            arguments = known[endpoint.name] = Arguments(endpoint)
        terms = replace(endpoint.terms, priority=LOWEST)
        wanted = Wanted(endpoint, endpoint.call(_values(endpoint, arguments, wish), terms))
        ready(wanted, host)
        return wanted

    return resolve


def _values(endpoint: Endpoint, arguments: Arguments, wish: Wish) -> tuple[Any, ...]:
    if arguments.problem is not None:
        raise Unfit(f"{endpoint.name}: {arguments.problem}")
    try:
        return arguments.values(wish.args, strict=not wish.text)
    except Unfit as error:
        raise Unfit(f"{endpoint.name}: it {error}") from None
    except CacheasideError as error:
        raise Unfit(f"{endpoint.name}: {type(error).__name__}") from None


def _check_whole(name: str, value: Any, most: int) -> None:
    if value is None and name == "top":
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise DeclarationError(f"{name}={value!r} must be a whole number from 1 to {most:,}.")


def _check_pace(per_second: Any) -> None:
    if per_second is None:
        return
    if isinstance(per_second, bool) or not isinstance(per_second, (int, float)) or not 0 < per_second < 1e6:
        raise DeclarationError(f"per_second={per_second!r} must be a number of reads above zero.")
