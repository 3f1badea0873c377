"""What befalls the server and the connections on which its changes are heard, each at a moment of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from cacheaside.testing.simulator.scenario import Scenario
from cacheaside.testing.simulator.scheduler import Scheduler

if TYPE_CHECKING:
    from cacheaside.testing.simulator.listening import Listener
    from cacheaside.testing.simulator.shared import Shared

__all__ = ["begin"]

PATIENCE_STEPS: Final = 200
PATIENCE_S: Final = 6.0
STALL_MAX_S: Final = 6.0
FULL_MAX_S: Final = 2.0
BEAT_DUE: Final = 0.3
"""How often a heartbeat happens to be due just then: time alone brings one only when nobody has anything to do."""


def begin(shared: Shared, scheduler: Scheduler, scenario: Scenario) -> None:
    """Have everything happen that the scenario asks for."""
    server, steps_s = shared.server, scenario.clock_steps_s

    def listener() -> Listener:
        return shared.processes[scheduler.pick(len(shared.processes))].listener

    def room(*, full: bool) -> None:
        server.is_full = full

    def fill() -> None:
        room(full=True)
        scheduler.at(scheduler.clock.time + scheduler.random() * FULL_MAX_S, lambda: room(full=False))

    what: tuple[tuple[int, str, Callable[[], None]], ...] = (
        (scenario.evictions, "a key is evicted", lambda: server.evict(marks=False)),
        (scenario.marks_evicted, "a mark is evicted", lambda: server.evict(marks=True)),
        (scenario.flushes, "the server is flushed", server.flush),
        (scenario.fillings, "the server is full", fill),
        (scenario.cuts, "a connection is cut", lambda: listener().cut(noticed=scheduler.chance(0.5))),
        (scenario.stalls, "a connection stalls", lambda: listener().stall(scheduler.random() * STALL_MAX_S)),
        (
            scenario.clock_steps,
            "the server's clock is set",
            lambda: server.set_clock(steps_s[scheduler.pick(len(steps_s))]),
        ),
        (scenario.failovers, "another server takes over", shared.fail_over),
    )
    for number, name, happens in what:
        for _ in range(number):
            _some_time(shared, scheduler, name, happens)


def _some_time(shared: Shared, scheduler: Scheduler, name: str, happens: Callable[[], None]) -> None:
    def now() -> None:
        if shared.say is not None:
            shared.say(name)
        happens()
        for process in shared.processes:
            if scheduler.chance(BEAT_DUE):
                process.listener.beat()

    if scheduler.chance(shared.scenario.timed):
        scheduler.at(scheduler.clock.time + scheduler.random() * PATIENCE_S, now)
    else:
        scheduler.after(scheduler.pick(PATIENCE_STEPS), now)
