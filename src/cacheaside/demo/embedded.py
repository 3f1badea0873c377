"""The shared tier of the demo: a server of its own on loopback, and what is done to it on purpose."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cacheaside.demo.children import ChildFailed
from cacheaside.demo.promises import Outage
from cacheaside.demo.stages import Event
from cacheaside.testing.servers import Server, ServerFailed, ServerMissing

__all__ = ["Embedded", "TierUnavailable", "embedded_tier"]

_NAMES: Final = {"valkey": "Valkey", "redis": "Redis"}


class TierUnavailable(Exception):
    """There is no server to share over. One line: why, and what to do."""


class Embedded:
    """A running server, and the outages that it had.

    name: Valkey or Redis. The moments of its outages are such that it answered nothing in between: the beginning is
    noted when the server stands still, the end before it is let go on.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.outages: list[Outage] = []
        told = str(server.ask("INFO", "server"))
        facts = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
        self.name = _NAMES.get(facts.get("server_name", "redis"), "Redis")
        self.version = facts.get(f"{self.name.lower()}_version", "")

    @property
    def url(self) -> str:
        """Where it is."""
        return self._server.url

    async def befall(self, event: Event) -> None:
        """Do it to the server, and note the moment."""
        match event:
            case Event.KILL:
                await asyncio.to_thread(self._server.kill)
                self.outages.append(Outage(time.monotonic(), emptied=True))
            case Event.FREEZE:
                await asyncio.to_thread(self._server.freeze)
                self.outages.append(Outage(time.monotonic(), emptied=False))
            case Event.RETURN:
                self._over()
                try:
                    await asyncio.to_thread(self._server.start)
                except ServerFailed as error:
                    raise ChildFailed(f"{self.name} did not come back: {error}") from error
            case Event.THAW:
                self._over()
                self._server.thaw()

    def _over(self) -> None:
        self.outages[-1] = dataclasses.replace(self.outages[-1], returned_at=time.monotonic())


@contextmanager
def embedded_tier() -> Iterator[Embedded]:
    """A server that is gone when the block ends, or when this process does. Raises `TierUnavailable`."""
    server = Server()
    try:
        try:
            embedded = Embedded(server.start())
        except (ServerMissing, ServerFailed, OSError) as error:
            raise TierUnavailable(
                f"No server for the demo's processes to share over: {error}. `python3 dev.py demo` installs one;"
                " --no-l2 runs the service as one process, without."
            ) from error
        yield embedded
    finally:
        server.close()
