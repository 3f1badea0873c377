"""The interpreter's exit and the event loop's end, with work of ours under way: in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

BEFORE = """
import asyncio, threading, time
from cacheaside import Cache, Contract

cache = Cache(namespace="exit")
now = 1000.0
cache._use_clock(lambda: now)
contract = Contract(ttl="60s", grace="5m", jitter=0)
never = threading.Event()
"""


def ends(program: str) -> tuple[str, str]:
    """What `program` prints and complains about, when it ends by itself in good time."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", BEFORE + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.strip()


def test_exit_does_not_wait_for_a_hung_refresh() -> None:
    """A refresh on a thread whose source hangs does not keep the process from ending."""
    said = ends(
        """
        loads = 0
        began = threading.Event()

        @cache.read("value", contract)
        def value(key: int) -> int:
            global loads
            loads += 1
            if loads > 1:
                began.set()
                never.wait()
            return loads

        value(1)
        now += 61
        assert value(1) == 1
        assert began.wait(10)
        print("ends")
        """
    )
    assert said == ("ends", "")


def test_exit_lets_a_refresh_finish_that_is_nearly_done() -> None:
    """A refresh that is under way when the process ends is not cut off at once: it gets a moment."""
    said = ends(
        """
        loads = 0
        began = threading.Event()

        @cache.read("value", contract)
        def value(key: int) -> int:
            global loads
            loads += 1
            if loads > 1:
                began.set()
                time.sleep(0.1)
                print("refreshed")
            return loads

        value(1)
        now += 61
        value(1)
        assert began.wait(10)
        """
    )
    assert said == ("refreshed", "")


@pytest.mark.parametrize("end", ["asyncio.run(main())", "loop.run_until_complete(main()); loop.close()"])
@pytest.mark.parametrize("turns", [0, 1, 3])
def test_a_loop_that_ends_with_refreshes_under_way_ends_in_silence(end: str, turns: int) -> None:
    """No task is reported as destroyed and no coroutine as never awaited, however the loop ends and when."""
    said = ends(
        f"""
        loads = 0

        @cache.read("value", contract)
        async def value(key: int) -> int:
            global loads
            loads += 1
            if loads > 3:
                await asyncio.sleep(3600)
            return loads

        async def main() -> None:
            global now
            for key in range(3):
                await value(key)
            now += 61
            for key in range(3):
                await value(key)
            for _ in range({turns}):
                await asyncio.sleep(0)
            print("ends")

        loop = asyncio.new_event_loop() if "loop" in {end!r} else None
        {end}
        """
    )
    assert said == ("ends", "")


def test_a_loop_that_ends_with_loads_under_way_ends_in_silence() -> None:
    """asyncio.run that ends while callers wait for a load cancels them and leaves nothing to complain about."""
    said = ends(
        """
        @cache.read("value", contract)
        async def value(key: int) -> int:
            await asyncio.sleep(3600)
            return key

        async def main() -> None:
            tasks = [asyncio.create_task(value(key % 3)) for key in range(30)]
            await asyncio.sleep(0.01)
            print("ends")

        asyncio.run(main())
        assert len(cache._host._async_flights) == 0
        """
    )
    assert said == ("ends", "")
