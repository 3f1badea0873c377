"""Who asks the service that is drilled, and who changes its rows, from a process of their own.

`python -m cacheaside.drill.rig.load`; started by `ground`, which gives the orders. The callers are `callers.Callers`.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Final, cast

from cacheaside.demo.build import REPLAY_START
from cacheaside.demo.database import connect
from cacheaside.demo.pipes import Parent, leave_signals_to_the_parent
from cacheaside.demo.popularity import Zipf
from cacheaside.drill.callers import Callers
from cacheaside.drill.rig.messages import (
    ASK,
    CHANGE,
    Ask,
    Connect,
    Filled,
    FillFirst,
    Listening,
    LoadPulse,
    Rest,
    ToLoad,
)
from cacheaside.drill.rig.promised import Changes, Promised
from cacheaside.drill.rig.wire import Asking, dialled
from cacheaside.drill.series import How
from cacheaside.drill.settings import Load

__all__ = ["keys_of", "main"]

_PULSE_S: Final = 0.1


class _Everybody:
    """Callers, and those who change rows."""

    def __init__(
        self, load: Load, promised: Promised, keys: Sequence[int], seed: int, parent: Parent[ToLoad]
    ) -> None:
        self._load = load
        self._promised = promised
        self._parent = parent
        self._random = Random(seed)
        self._keys = list(keys)
        self._random.shuffle(self._keys)
        self._popular = Zipf(self._keys, load.exponent, self._random)
        self._callers = Callers(load, self._random, self._ask, self._is_stale)
        self._services: list[Asking] = []
        self._turn = 0
        self._changes: dict[int, Changes] = {}
        self._changed = self._unacknowledged = 0

    async def connect(self, ports: Sequence[int]) -> None:
        """Ask these from now on; what the others were asked is still waited for."""
        before = self._services
        self._services = [await dialled(port) for port in ports]
        for asking in before:
            asyncio.get_running_loop().call_later(self._load.patience_s, asking.close)

    async def fill(self, rate: float) -> None:
        """Ask for everything once."""
        answered = await self._callers.all_of(self._keys, rate)
        self._callers.taken()
        self._parent.tell(Filled(answered))

    async def ask(self, rate: float) -> None:
        """Callers come."""
        await self._callers.come(rate, self._popular.draw)

    async def write(self, rate: float) -> None:
        """Rows change, popular ones most."""
        due = time.monotonic()
        while rate:
            due += self._random.expovariate(rate)
            await self._callers.until(due)
            self._callers.begin(self._written(self._popular.draw()))

    async def tell(self) -> None:
        """Report."""
        while True:
            self._parent.tell(
                LoadPulse(
                    time.monotonic(),
                    self._callers.came,
                    self._callers.taken(),
                    self._changed,
                    self._unacknowledged,
                )
            )
            await asyncio.sleep(_PULSE_S)

    async def _ask(self, key: int) -> tuple[How, int]:
        reply = await self._next().ask(ASK, key)
        return cast(How, reply.how), reply.version

    def _is_stale(self, key: int, version: int, asked_at: float) -> bool:
        return key in self._changes and self._promised.is_stale(version, asked_at, self._changes[key])

    async def _written(self, key: int) -> None:
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(self._load.patience_s):
                reply = await self._next().ask(CHANGE, key)
            if reply.version:
                self._changed += 1
                self._unacknowledged += not reply.acknowledged
                changes = self._changes.setdefault(key, Changes())
                changes.done(reply.version, time.monotonic(), acknowledged=reply.acknowledged)

    def _next(self) -> Asking:
        for _ in self._services:
            self._turn += 1
            service = self._services[self._turn % len(self._services)]
            if not service.closed:
                return service
        raise ConnectionError("no service is there")


def keys_of(database: Path, number: int) -> list[int]:
    """The flights that are asked for: the first of the replayed day."""
    with closing(connect(database)) as connection:
        rows = connection.execute(
            "SELECT id FROM flights WHERE sched_dep >= ? ORDER BY sched_dep, id LIMIT ?",
            (REPLAY_START, number),
        )
        return [row[0] for row in rows]


async def _main(options: argparse.Namespace) -> None:
    parent: Parent[ToLoad] = Parent(ToLoad)
    load = Load(
        keys=options.keys, exponent=options.exponent, patience_s=options.patience, tries=options.tries
    )
    keys = keys_of(options.database, load.keys)
    promised = Promised(options.bound, options.max_unsynced)
    everybody = _Everybody(load, promised, keys, options.seed, parent)
    parent.tell(Listening())
    async with asyncio.TaskGroup() as group:
        working: list[asyncio.Task[None]] = []
        async for order in parent.orders():
            match order:
                case Connect(ports):
                    await everybody.connect(ports)
                case FillFirst(rate):
                    await everybody.fill(rate)
                case Ask(rate, writes):
                    coming = (everybody.ask(rate), everybody.write(writes), everybody.tell())
                    working += [group.create_task(work) for work in coming]
                case Rest():
                    _cancel(working)
        _cancel(working)


def _cancel(working: list[asyncio.Task[None]]) -> None:
    while working:
        working.pop().cancel()


def main() -> None:
    """Run the load process."""
    leave_signals_to_the_parent()
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--keys", type=int, required=True)
    parser.add_argument("--exponent", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--patience", type=float, required=True)
    parser.add_argument("--tries", type=int, required=True)
    parser.add_argument("--bound", type=float, required=True)
    parser.add_argument("--max-unsynced", type=float, required=True)
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
