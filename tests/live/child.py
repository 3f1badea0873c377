"""A real process of the service, to be talked to by lines, and killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from types import TracebackType
from typing import Final, Self

from tests.live.service import WAIT_S

__all__ = ["Child"]

PRELUDE: Final = """
import asyncio, os, sys, time
from cacheaside import Cache, Contract

def say(*words):
    print(*words, flush=True)

def listen():
    return sys.stdin.readline().strip()
"""


class Child:
    """Runs Python code that has `say(…)`, `listen()`, and `sys.argv[1:]`; killed at the end, if it still runs."""

    def __init__(self, code: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PRELUDE + code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    async def line(self) -> str:
        """The next line it says; empty at its end."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            return (await asyncio.to_thread(self._process.stdout.readline)).strip()

    def tell(self, line: str) -> None:
        """Have it hear a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    async def end(self) -> tuple[int, str]:
        """Wait for its end: its exit status, and what it complained of."""
        _, complaints = await asyncio.to_thread(self._process.communicate, None, WAIT_S)
        return self._process.returncode, complaints

    def kill(self) -> None:
        """SIGKILL; it is gone when this returns."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None and not stream.closed:
                stream.close()
