"""`cache.control`: ramp, kill switch, overrides and shadow mode, while the service runs.

What counts, for each lever: the control file, else the fleet, else what the code said (`policy.levers`). All of it is
worked out anew from those three whenever one changes, and laid on each endpoint as one object that never changes, so
that a read sees all of a change or nothing of it. Under the lock, and nothing waits in it:

1. the endpoint's contract is exchanged, and L1 judges what it holds by the new one
2. what its calls are to be asked about (`Endpoint.changed`)
3. its fast path is closed, or opened again

In the other order a read could come the slow way and find nothing to be asked about: it would be served as declared,
which is what it was a moment before. When a method here has returned, every read that begins later follows.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Final

from cacheaside.control.desk import Desk, Update
from cacheaside.control.file import ControlFile, Read
from cacheaside.control.fleet import PATIENCE_S, Fleet
from cacheaside.control.message import Keys, without_ended
from cacheaside.control.state import ControlState, EndpointControl, FileState, FleetState
from cacheaside.control.watch import Watch, begin
from cacheaside.control.words import overridden
from cacheaside.endpoint.changed import Switched
from cacheaside.endpoint.endpoint import Endpoint
from cacheaside.endpoint.host import Host
from cacheaside.endpoint.shadow import Shadow
from cacheaside.errors import DeclarationError, UsageError
from cacheaside.flow.call import Call
from cacheaside.flow.ports import TierAway
from cacheaside.policy.levers import NOTHING, InForce, Layer, in_force, next_end
from cacheaside.stores.redis.connect.chance import chance
from cacheaside.types import Generation, TagId

__all__ = ["POLL_S", "Control"]

log = logging.getLogger("cacheaside")

POLL_S: Final = 0.4
"""How often the file and the fleet are looked at, in seconds."""
JOIN_S: Final = 1.0


class _Beginning:
    """In the place of what was changed, until the first read: that has the file and the fleet looked at from then
    on."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def applied_to(self, call: Call) -> None:
        self._control.begin()
        name = call.endpoint.name
        changed = self._control.changed_of(name)
        if changed is not None and changed is not self:
            changed.applied_to(call)


class Control(Desk):
    """What this process is told, by its own code; `fleet` tells all. Thread-safe.

    Where there is a file or a fleet to follow, a thread looks at them from the first read on; after a fork the child
    starts its own, and `close` ends it until the next read.
    """

    def __init__(
        self, host: Host, *, secrets: Sequence[bytes] = (), file: str | os.PathLike[str] | None = None
    ) -> None:
        super().__init__(host)
        self.fleet = Fleet(host, Keys(secrets if host.shared is not None else ()), self._apply)
        self._file = None if file is None else ControlFile(file)
        self._file_lock = threading.Lock()
        self._file_layer: Layer = {}
        self._file_problem: str | None = None
        self._file_malformed = 0
        self._file_again = False
        self._code_layer: Layer = {}
        self._why_away: str | None = None
        self._applied: dict[str, InForce] = {}
        self._refused: dict[str, str] = {}
        self._lock = threading.RLock()
        self._watch: Watch | None = None
        self._beginning = _Beginning(self)
        self._has_begun = False
        host.on_register = self._registered
        host.on_fork = self._after_fork
        host.levers = self._as_now
        if host.shared is not None:
            host.shared.keeper.on_control = self._wake
        self._look_at_file()

    # -- what is said ------------------------------------------------------------------------------------------

    def _say(self, update: Update) -> None:
        with self._lock:
            now = self._host.clock.now()
            self._code_layer = without_ended(update(self._code_layer, now), now)
            self._apply()
        if self._watches():
            self.begin()

    def on_signal(self, number: int) -> None:
        """Have signal `number`, such as `signal.SIGUSR2`, look at the control file at once. In the main thread, as
        `signal.signal` wants it; a handler that was there before is called after."""
        if self._file is None:
            raise UsageError(
                "there is no control file to look at: Cache(control_file=…) or CACHEASIDE_CONTROL_FILE."
            )
        before = signal.getsignal(number)

        def handle(signum: int, frame: FrameType | None) -> None:
            # It may stand in the middle of anything, so it takes no lock: the thread looks.
            self._file_again = True
            self._wake()
            if callable(before):
                before(signum, frame)

        signal.signal(number, handle)

    def state(self) -> ControlState:
        """What is changed now, who said so, and what shadow mode has found. Reads no file and asks no server."""
        with self._lock:
            now = self._host.clock.now()
            layers = self._layers()
            endpoints = {
                endpoint.name: self._state_of(endpoint, in_force(layers, endpoint.name, now), now)
                for endpoint in self._endpoints()
            }
        fleet = self.fleet
        version = None if fleet.message is None else fleet.message.version
        ignored = {why.value: count for why, count in list(fleet.ignored.items())}
        return ControlState(
            self._host.namespace,
            endpoints,
            FleetState(version, ignored, self._why_away) if fleet.is_there else None,
            None
            if self._file is None
            else FileState(str(self._file.path), self._file_malformed, self._file_problem),
        )

    def look(self, within_s: float = PATIENCE_S) -> ControlState:
        """Look at the file and the fleet now, and say what is changed then. Blocks, as the methods of `fleet` do, up
        to `within_s`, seconds; `Unacknowledged` when the shared tier did not answer until then."""
        if self.fleet.is_there:
            self.fleet.ask(within_s)
        self._look_at_file()
        self._apply()
        return self.state()

    def _state_of(self, endpoint: Endpoint, found: InForce, now: float) -> EndpointControl:
        shadow = endpoint.shadow
        return EndpointControl(
            endpoint.name,
            found.kill,
            found.ramp,
            dict(endpoint.override),
            found.shadow,
            dict(found.said_by),
            {lever: until - now for lever, until in found.ends},
            self._refused.get(endpoint.name),
            None if shadow is None else shadow.report(),
        )

    # -- laying it on the endpoints ------------------------------------------------------------------------------

    def _layers(self) -> tuple[tuple[str, Layer], ...]:
        return ("file", self._file_layer), ("fleet", self.fleet.layer), ("code", self._code_layer)

    def _endpoints(self) -> list[Endpoint]:
        # Not under the lock of the cache: (1) `get_or_load` registers an endpoint under that, and waits for this one's
        # (2) a change is laid on all endpoints under this one's, and waits for that.
        return list(self._host.endpoints.values())

    def _watches(self) -> bool:
        """Whether there is anything to look at again: what others say, or what ends by itself."""
        if self._file is not None or self.fleet.is_there:
            return True
        return next_end(self._layers(), self._host.clock.now()) is not None

    def _apply(self) -> None:
        with self._lock:
            for endpoint in self._endpoints():
                self._apply_to(endpoint)

    def _registered(self, endpoint: Endpoint) -> None:
        with self._lock:
            self._apply_to(endpoint, first=True)

    def _apply_to(self, endpoint: Endpoint, *, first: bool = False) -> None:
        found = in_force(self._layers(), endpoint.name, self._host.clock.now())
        waits = not self._has_begun and self._watches()
        before = self._applied.get(endpoint.name, NOTHING)
        if not first and before == found and waits == self._waits(endpoint):
            return
        self._applied[endpoint.name] = found
        self._use_contract(endpoint, dict(found.override))
        self._use_shadow(endpoint, found.shadow)
        if waits:
            endpoint.changed = self._beginning
        else:
            endpoint.changed = _changed_by(found)
        closed = endpoint.changed is not None or endpoint.shadow is not None
        self._host.close_path(endpoint.name, closed=closed)
        if found != before:
            now = self._host.clock.now()
            log.info("cache %s: control: %s", self._host.namespace, self._state_of(endpoint, found, now))

    def _waits(self, endpoint: Endpoint) -> bool:
        return endpoint.changed is self._beginning

    def _use_contract(self, endpoint: Endpoint, override: Mapping[str, Any]) -> None:
        declared = contract = endpoint.declared.contract
        refused_before = self._refused.pop(endpoint.name, None)
        if override:
            try:
                contract = overridden(endpoint.name, declared, override)
            except DeclarationError as error:
                # From a file, or from another deployment's operator. What was declared stands.
                override = {}
                self._refused[endpoint.name] = str(error)
                if str(error) != refused_before:
                    log.warning("cache %s: an override is not followed: %s", self._host.namespace, error)
        if contract.terms != endpoint.terms or override != endpoint.override:
            endpoint.use(contract, override)
            self._host.l1.judge_by(endpoint.table, contract.terms)

    def _use_shadow(self, endpoint: Endpoint, percent: float) -> None:
        if not percent:
            endpoint.shadow, endpoint.table.stamps = None, None
        elif endpoint.shadow is None or endpoint.shadow.percent != percent:
            endpoint.table.stamps = endpoint.table.stamps or {}
            endpoint.shadow = Shadow(
                endpoint, percent, chance=chance, now=self._host.clock.now, trusts=self._trusts
            )

    def _trusts(self, stored: Mapping[TagId, Generation]) -> bool:
        """Without a server a generation is a place in the log, and what the log has forgotten looks changed."""
        return self._host.shared is not None or self._host.l1.log.reaches(max(stored.values(), default=0))

    def changed_of(self, name: str) -> Any:
        """What the calls of an endpoint are to be asked about now."""
        return self._host.endpoints[name].changed

    # -- looking -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Have a thread look from now on, if there is none."""
        with self._lock:
            self._has_begun = True
            if self._watch is None:
                try:
                    self._watch = begin(self)
                except (
                    RuntimeError
                ):  # threads are wanting, or the interpreter ends; the next change tries again
                    log.warning("cache %s: no thread to look for control changes with", self._host.namespace)
            self._apply()

    def _as_now(self) -> Callable[[], None]:
        layer = self._code_layer
        return lambda: self._say(lambda _layer, _now: layer)

    def _wake(self) -> None:
        watch = self._watch
        if watch is not None:
            watch.bell.ring()

    def turn(self, watch: Watch) -> float | None:
        """One look of the thread at everything. See `watch.Looking`."""
        with self._lock:
            # Under the lock: (1) the thread is started (2) it asks whether it is the one, before anybody has noted that
            # it is (3) it ends, and nobody looks.
            if self._watch is not watch:
                return None
        self._look_at_file()
        self._look_at_fleet()
        with self._lock:
            if self._watch is not watch:
                return None
            self._apply()  # what has ended
            if not self._watches():
                # In one hold of the lock with the question: (1) it finds nothing to look at (2) something that ends is
                # set, and a thread is there (3) it goes: that would never end.
                self._watch = None
                return None
            end = next_end(self._layers(), self._host.clock.now())
        left_s = POLL_S if end is None else end - self._host.clock.now()
        return max(0.001, min(POLL_S, left_s))

    def _look_at_file(self) -> None:
        if self._file is None:
            return
        # One look at a time, until it is followed. Else: (1) the thread reads the file (2) it is replaced (3) an
        # operator's `look` reads the new one, and follows it (4) the thread follows the old one, and nobody reads the
        # new one again.
        with self._file_lock:
            again, self._file_again = self._file_again, False
            found = self._file.look(self._host.clock.now(), time.time(), again=again)
            if found is not None:
                self._follow_file(found)

    def _follow_file(self, found: Read) -> None:
        with self._lock:
            if found.layer is None:
                self._file_malformed += 1
                if self._file_problem != found.problem:
                    log.warning(
                        "cache %s: the control file is ignored, and what it said before stands: %s",
                        self._host.namespace,
                        found.problem,
                    )
                self._file_problem = found.problem
                return
            self._file_problem = None
            if found.layer != self._file_layer:
                self._file_layer = found.layer
                self._apply()

    def _look_at_fleet(self) -> None:
        if not self.fleet.is_there:
            return
        try:
            self.fleet.look()
            self._why_away = None
        except TierAway as away:
            self._why_away = away.brief

    # -- the life of it ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the thread. What was said stands; the next read starts another, where there is something to look at."""
        with self._lock:
            watch, self._watch = self._watch, None
            self._has_begun = False
            self._apply()
        if watch is not None:
            watch.join(JOIN_S)

    async def aclose(self) -> None:
        """As `close`, without holding up the event loop."""
        if self._watch is not None:
            await asyncio.to_thread(self.close)

    def _after_fork(self) -> None:
        """In the child: the thread stayed in the parent, and so may have whoever held the lock, in the middle of it."""
        self._lock = threading.RLock()
        self._file_lock = threading.Lock()
        self.fleet.forget()
        self._watch = None
        self._has_begun = False
        self._applied.clear()
        self._apply()


def _changed_by(found: InForce) -> Switched | None:
    if not found.kill and found.ramp >= 100.0:
        return None
    return Switched(found.kill, found.ramp)
