"""Heat: which keys are asked for, counted behind the readers, and written to a file now and then.

Hits of L1 are counted by its entries anyway; a thread harvests them. Whatever else is answered (a miss, a hit of the
shared tier, an old value) adds one to a sketch, on a path that is slow already. So is every read whose raw arguments
cannot stand for its key; its arguments are written down when the sketch takes it in.

What a process holds for it: `counters_max` counters, twice that between two trims, each with a key of L1, or
`ARGUMENTS_MAX_BYTES` of arguments at most; about 300 B a counter as a rule.
"""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from cacheaside.bell import Bell, start
from cacheaside.endpoint.endpoint import ENCODED, Endpoint
from cacheaside.endpoint.host import Host
from cacheaside.endpoint.inline import NAME as INLINE
from cacheaside.errors import UsageError
from cacheaside.flow.call import Call
from cacheaside.lookup import Lookup, Served, Tier
from cacheaside.warm.arguments import Arguments
from cacheaside.warm.heatfile import FILE_MAX_BYTES, Heat, Hot, heat_of, text_of
from cacheaside.warm.saving import read_whole, save
from cacheaside.warm.sketch import Sketch

__all__ = ["Heating"]

log = logging.getLogger("cacheaside")

COUNTERS_PER_KEY: Final = 2
"""Counters for each key that the file may have."""
WRITTEN_MAX_BYTES: Final = 16 * 1024 * 1024
"""The longest file that is written."""
CLOSE_S: Final = 2.0
"""How long `close` waits for the thread."""

Slot = tuple[str, object]

_all: weakref.WeakSet[Heating] = weakref.WeakSet()


class Heating:
    """Implements `endpoint.host.HeatSink`: counts, and keeps the file at `path`.

    Thread-safe. Its thread starts with the first read that is not a hit of L1, and again after a fork or `close`. A
    cache that is dropped without `close` writes nothing more.
    """

    def __init__(
        self,
        host: Host,
        path: Path,
        *,
        keys_max: int,
        every_s: float,
        half_life_s: float,
        now: Callable[[], float],
        today: Callable[[], float],
    ) -> None:
        """now: a clock that only goes on. today: seconds since 1970."""
        self.path = path
        self.keys_max = keys_max
        self.every_s = every_s
        self._host = weakref.proxy(host)
        self._namespace = host.namespace
        self._now = now
        self._today = today
        self._half_life_s = half_life_s
        self._kept: dict[str, Arguments | None] = {}
        self._said = ""
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self.sketch: Sketch[Slot] = Sketch(COUNTERS_PER_KEY * self.keys_max, self._half_life_s, self._now())
        self._arguments: dict[Slot, bytes] = {}
        self._lock = threading.RLock()  # held by whoever harvests or writes; never by a reader
        self._bell = Bell()
        self._thread: threading.Thread | None = None
        self._seeded = False
        self._written = 0
        self._counted = 0

    # What readers call.

    def saw(self, call: Call, answer: Lookup[Any]) -> None:
        """Count a read that was answered, unless its entry in L1 counted it."""
        encoded = _is_encoded(call.slot)
        if answer.tier is Tier.L1 and answer.served is Served.FRESH and not encoded:
            return
        endpoint = call.endpoint
        assert isinstance(endpoint, Endpoint)
        arguments = self.arguments(endpoint)
        if arguments is None:
            return
        key = (endpoint.name, call.slot)
        if encoded and key not in self._arguments and not self._write_down(key, arguments, call, endpoint):
            return
        self._counted += 1
        self.sketch.add(key)
        if self._thread is None:
            self._start()
        elif self.sketch.is_full:
            self._bell.ring()

    def _write_down(self, key: Slot, arguments: Arguments, call: Call, endpoint: Endpoint) -> bool:
        text = arguments.written(endpoint.parts(call.values))
        if text is None:
            return False
        if len(self._arguments) >= 2 * self.sketch.counters_max:
            return False
        self._arguments[key] = text
        return True

    def arguments(self, endpoint: Endpoint) -> Arguments | None:
        """How its arguments are written; None when they are not to be, or its calls cannot be made again."""
        name = endpoint.name
        if name not in self._kept:
            arguments = Arguments(endpoint)
            why_not = _why_not(endpoint, arguments)
            self._kept[name] = arguments if why_not is None else None
            if why_not is not None and name.partition("/")[0] != INLINE:
                log.info("cache %s: no heat is kept of %s: %s", self._namespace, name, why_not)
        return self._kept[name]

    # What the thread does.

    def _start(self) -> None:
        # Not waited for: (1) `close` has taken the thread, and writes, with the lock (2) a reader on an event loop is
        # here: a later one starts another thread.
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._thread is not None:
                return
            thread = threading.Thread(
                target=_run,
                args=(weakref.ref(self), self._bell, self.every_s),
                name="cacheaside-heat",
                daemon=True,
            )
            self._thread = thread
            weakref.finalize(self, self._bell.ring).atexit = False
        finally:
            self._lock.release()
        try:
            start(thread)
        except RuntimeError:  # no thread can be started: heat is written at `close` alone
            log.warning("cache %s: no thread for heat can be started", self._namespace)

    def seed(self) -> None:
        """Begin with what the file says, faded by its age: so a process that was just started, and knows little, does
        not put that in the place of what was known. A file that cannot be used is said once, and replaced."""
        self._seeded = True
        try:
            if not self.path.exists():
                return
            heat = heat_of(read_whole(self.path, FILE_MAX_BYTES), str(self.path), namespace=self._namespace)
        except UsageError as error:
            self._say(str(error))
            return
        passed_s = max(0.0, self._today() - heat.written_at)
        faded = 0.5 ** min(1000.0, passed_s / self._half_life_s)
        for key, hot in self._slots(heat):
            if self.sketch.add(key, hot.heat * faded) and _is_encoded(key[1]):
                self._arguments.setdefault(key, bytes(hot.args))

    def _slots(self, heat: Heat) -> Iterator[tuple[Slot, Hot]]:
        endpoints = self._host.endpoints
        for hot in heat.keys:
            endpoint = endpoints.get(hot.endpoint)
            arguments = None if endpoint is None else self.arguments(endpoint)
            if endpoint is None or arguments is None:
                continue
            try:
                call = endpoint.call(arguments.values(msgspec.json.decode(hot.args)))
            except Exception:  # noqa: BLE001, S112 - it fits no more, or tags= is wrong: `warm` says so
                continue
            yield (hot.endpoint, call.slot), hot

    def look(self) -> None:
        """Take in what L1 counted since the last time, and let all counts fade."""
        with self._lock:
            if not self._seeded:
                self.seed()
            self._forget(self.sketch.age(self._now()))
            for endpoint in list(self._host.endpoints.values()):
                if self.arguments(endpoint) is not None:
                    self._harvest(endpoint)
            self._forget(self.sketch.trim())

    def _harvest(self, endpoint: Endpoint) -> None:
        for slot, hits in self._host.l1.harvest(endpoint.table):
            if _is_encoded(slot):
                continue  # its reads are counted one by one
            self._counted += hits
            self.sketch.add((endpoint.name, slot), hits)
            if self.sketch.is_full:
                self._forget(self.sketch.trim())

    def _forget(self, keys: Iterable[Slot]) -> None:
        for key in keys:
            self._arguments.pop(key, None)

    def hottest(self, n: int) -> Iterator[Hot]:
        """The keys with the most heat, hottest first."""
        endpoints = self._host.endpoints
        for key, heat in self.sketch.top(n):
            name, slot = key
            endpoint = endpoints.get(name)
            arguments = None if endpoint is None else self.arguments(endpoint)
            if endpoint is None or arguments is None:
                continue
            text = self._arguments.get(key)
            if text is None and not _is_encoded(slot):
                single = len(endpoint.parameters.in_key) == 1
                text = arguments.written((slot,) if single else slot)  # type: ignore[arg-type]
            if text is None:
                continue
            yield Hot(name, msgspec.Raw(text), round(heat, 3))

    def write(self) -> bool:
        """Write the file, when anything was counted since the last time. Whatever goes wrong is said, never raised."""
        with self._lock:
            counted = self._counted
            if counted == self._written:
                return False
            try:
                text = text_of(
                    self._namespace, self._today(), self.hottest(self.keys_max), bytes_max=WRITTEN_MAX_BYTES
                )
                save(self.path, text)
            except OSError as error:
                self._say(f"{self.path}: heat cannot be written: {error.strerror or type(error).__name__}")
                return False
            self._written = counted
            return True

    def _say(self, problem: str) -> None:
        """Log it, unless it is what was said last."""
        if problem != self._said:
            self._said = problem
            log.warning("cache %s: %s", self._namespace, problem)

    def trim(self) -> None:
        """Make room for new keys."""
        with self._lock:
            self._forget(self.sketch.trim())

    def close(self) -> None:
        """End the thread, and write what was counted."""
        with self._lock:
            thread, self._thread = self._thread, None
            bell, self._bell = self._bell, Bell()
        if thread is not None:
            bell.ring()
            if thread is not threading.current_thread() and thread.ident is not None:
                thread.join(CLOSE_S)
        with suppress(ReferenceError):  # the cache is gone, and its entries with it
            self.look()
            self.write()

    def after_fork(self) -> None:
        """The thread stayed in the parent, perhaps with the lock. What the parent counted it writes itself; the child
        begins with the file."""
        self._begin()


def _run(heating: weakref.ref[Heating], bell: Bell, every_s: float) -> None:
    """Harvest and write every so often; trim at once when the bell asks for it. Ends with the cache, or when another
    bell has taken the place of this one: (1) `close` puts a new bell there (2) it rings this one."""
    while True:
        rung = bell.wait(every_s)
        one = heating()
        if one is None or one._bell is not bell:  # noqa: SLF001 - the one function beside the class that runs it
            return
        try:
            if rung:
                one.trim()
            else:
                one.look()
                one.write()
        except ReferenceError:
            return
        except Exception as error:  # noqa: BLE001 - a thread of ours has nobody to raise to
            log.warning("heat was not counted: %s", type(error).__name__)
        del one


def _is_encoded(slot: object) -> bool:
    return type(slot) is tuple and len(slot) == 2 and slot[0] is ENCODED


def _why_not(endpoint: Endpoint, arguments: Arguments) -> str | None:
    """Why nothing of it is written; None when it is."""
    if endpoint.name.partition("/")[0] == INLINE:
        return "its loader is given with each call"
    if endpoint.declared.heat is False:
        return "heat=False"
    if arguments.problem is not None:
        return arguments.problem
    if endpoint.declared.heat is None and not arguments.are_identifiers():
        return "its arguments are not all numbers, dates, enums or UUIDs: personal data, perhaps; heat=True keeps it"
    return None


def _at_exit() -> None:
    for heating in list(_all):
        heating.close()


atexit.register(_at_exit)
