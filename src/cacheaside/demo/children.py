"""The parent's end: starting a child process, hearing its reports, and never leaving it behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import msgspec
from msgspec import Struct

from cacheaside.demo.messages import line

__all__ = ["Child", "ChildFailed"]

R = TypeVar("R")

_LONGEST_LINE_BYTES: Final = 64 * 1024 * 1024
_PATIENCE_S: Final = 3.0


class ChildFailed(Exception):
    """A child process ended before it was told to. The message carries the end of what it printed."""


class Child(Generic[R]):
    """A module of this package run as a process of its own, from entry to exit of an `async with`.

    On exit its orders end, which it takes as the order to stop; if it is still there after 3 seconds it is killed.
    environment: variables that it finds besides those of this process.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        reports: Any,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._module = module
        self._arguments = arguments
        self._environment = {**os.environ, **(environment or {})}
        self._decoder: msgspec.json.Decoder[R] = msgspec.json.Decoder(reports)
        self._process: asyncio.subprocess.Process | None = None
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  # closed in __aexit__

    async def __aenter__(self) -> Self:
        # A session of its own keeps the terminal's Ctrl-C from it: the parent ends it in order.
        own_group: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if os.name == "nt"
            else {"start_new_session": True}
        )
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self._module, *self._arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            limit=_LONGEST_LINE_BYTES,
            env=self._environment,
            **own_group,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        process = self._running
        self.hang_up()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _PATIENCE_S)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            self._printed.close()

    def tell(self, order: Struct) -> None:
        """Give an order."""
        stdin = self._running.stdin
        assert stdin is not None
        stdin.write(line(order))

    def hang_up(self) -> None:
        """End its orders, which it takes as the order to stop."""
        stdin = self._running.stdin
        assert stdin is not None
        stdin.close()

    async def reports(self) -> AsyncIterator[R]:
        """What it says, until it closes its pipe by ending; `ChildFailed` when it ended in error."""
        stdout = self._running.stdout
        assert stdout is not None
        while report := await stdout.readline():
            yield self._decoder.decode(report)
        if code := await self._running.wait():
            raise ChildFailed(
                f"{self._module} ended with code {code}:\n{await asyncio.to_thread(self._last_words)}"
            )

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._running.returncode

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "a child is used inside `async with`"
        return self._process

    def _last_words(self) -> str:
        self._printed.seek(0)
        return self._printed.read()[-4000:].decode(errors="replace").strip()
