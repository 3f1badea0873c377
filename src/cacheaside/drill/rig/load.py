"""Who asks the service that is drilled: an open load, impatient, from a process of its own.

`python -m cacheaside.drill.rig.load`; started by `ground`, which gives the orders. Requests come as a Poisson process
of the given rate, whether or not the last was answered: latencies are those of whoever comes (no coordinated omission).
A caller waits for `--patience`, and then asks again, up to `--tries` times in all: that is what keeps a source
overloaded that lost its cache. It does not repeat what was refused with a time to retry after.
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
from cacheaside.drill.rig.messages import ASK, CHANGE, Ask, Connect, FillFirst, Filled, Listening, LoadPulse, Rest, ToLoad
from cacheaside.drill.rig.promised import Changes, Promised
from cacheaside.drill.rig.wire import Asking, dialled
from cacheaside.drill.series import Answer, How

__all__ = ["keys_of", "main"]

UNDER_WAY_MAX: Final = 20_000
"""Requests under way; whoever comes then fails at once."""
_PULSE_S: Final = 0.1
_AGAIN_S: Final = 0.05
"""How long a caller rests before it asks again."""


class _Load:
    """Callers, and those who change rows."""

    def __init__(self, options: argparse.Namespace, keys: Sequence[int], parent: Parent[ToLoad]) -> None:
        self._options = options
        self._parent = parent
        self._random = Random(options.seed)
        self._keys = list(keys)
        self._random.shuffle(self._keys)
        self._popular = Zipf(self._keys, options.exponent, self._random)
        self._promised = Promised(options.bound, options.max_unsynced)
        self._services: list[Asking] = []
        self._turn = 0
        self._answers: list[Answer] = []
        self._changes: dict[int, Changes] = {}
        self._came = self._changed = self._unacknowledged = 0
        self._under_way: set[asyncio.Task[None]] = set()

    async def connect(self, ports: Sequence[int]) -> None:
        """Ask these from now on; what the others were asked is still waited for."""
        before = self._services
        self._services = [await dialled(port) for port in ports]
        await asyncio.sleep(0)
        for asking in before:
            asyncio.get_running_loop().call_later(self._options.patience, asking.close)

    async def fill(self, rate: float) -> None:
        """Ask for everything once."""
        began, answered = time.monotonic(), 0
        for number, key in enumerate(self._keys):
            await _until(began + number / rate)
            self._spawn(self._asked(key))
        while self._under_way:
            await asyncio.wait(self._under_way)
        answered = sum(one.answered for one in self._answers)
        self._answers.clear()
        self._parent.tell(Filled(answered))

    async def ask(self, rate: float) -> None:
        """Callers come."""
        due = time.monotonic()
        while True:
            due += self._random.expovariate(rate)
            await _until(due)
            self._came += 1
            self._spawn(self._asked(self._popular.draw()))

    async def write(self, rate: float) -> None:
        """Rows change, popular ones most."""
        due = time.monotonic()
        while rate:
            due += self._random.expovariate(rate)
            await _until(due)
            self._spawn(self._written(self._popular.draw()))

    async def tell(self) -> None:
        """Report."""
        self._parent.tell(LoadPulse(time.monotonic(), 0, [], 0, 0))
        while True:
            await asyncio.sleep(_PULSE_S)
            answers, self._answers = self._answers, []
            self._parent.tell(LoadPulse(time.monotonic(), self._came, answers, self._changed, self._unacknowledged))

    def _spawn(self, work: object) -> None:
        task = asyncio.ensure_future(cast("asyncio.Future[None]", work))
        self._under_way.add(cast("asyncio.Task[None]", task))
        task.add_done_callback(lambda done: self._under_way.discard(cast("asyncio.Task[None]", done)))

    async def _asked(self, key: int) -> None:
        began = time.monotonic()
        how, version, asked_at, tries = cast(How, "failed"), 0, began, 0
        if len(self._under_way) <= UNDER_WAY_MAX:
            for tries in range(1, self._options.tries + 1):
                asked_at = time.monotonic()
                how, version = await self._once(key)
                if how not in ("late", "failed"):
                    break
                await asyncio.sleep(_AGAIN_S * (1 + self._random.random()))
        ended = time.monotonic()
        stale = version > 0 and key in self._changes and self._promised.is_stale(version, asked_at, self._changes[key])
        self._answers.append(Answer(began, ended, how, key, stale, tries))

    async def _once(self, key: int) -> tuple[How, int]:
        try:
            async with asyncio.timeout(self._options.patience):
                reply = await self._next().ask(ASK, key)
        except TimeoutError:
            return "late", 0
        except ConnectionError:
            return "failed", 0
        return cast(How, reply.how), reply.version

    async def _written(self, key: int) -> None:
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(self._options.patience):
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


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))


def keys_of(database: Path, number: int) -> list[int]:
    """The flights that are asked for: the first of the replayed day."""
    with closing(connect(database)) as connection:
        rows = connection.execute(
            "SELECT id FROM flights WHERE sched_dep >= ? ORDER BY sched_dep, id LIMIT ?", (REPLAY_START, number)
        )
        return [row[0] for row in rows]


async def _main(options: argparse.Namespace) -> None:
    parent: Parent[ToLoad] = Parent(ToLoad)
    load = _Load(options, keys_of(options.database, options.keys), parent)
    parent.tell(Listening())
    async with asyncio.TaskGroup() as group:
        working: list[asyncio.Task[None]] = []
        async for order in parent.orders():
            match order:
                case Connect(ports):
                    await load.connect(ports)
                case FillFirst(rate):
                    await load.fill(rate)
                case Ask(rate, writes):
                    working += [group.create_task(work) for work in (load.ask(rate), load.write(writes), load.tell())]
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
