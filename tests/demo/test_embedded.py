"""The embedded server, what befalls it, and the line that says that there is none."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from cacheaside.demo.children import ChildFailed
from cacheaside.demo.embedded import Embedded, TierUnavailable, embedded_tier
from cacheaside.demo.stages import Event
from cacheaside.testing.servers import BINARY_VARIABLE, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def embedded() -> Iterator[Embedded]:
    with embedded_tier() as embedded:
        yield embedded


def test_it_says_what_it_is(embedded: Embedded) -> None:
    """The name and the version are the server's own, and the URL is where it listens."""
    assert embedded.name in ("Valkey", "Redis")
    assert embedded.version.split(".")[0].isdigit()
    assert embedded.url.startswith("redis://127.0.0.1:")
    assert embedded.outages == []


async def test_a_kill_empties_it_and_its_moments_enclose_no_answer(embedded: Embedded) -> None:
    """Killed and started again it is empty, where it was; between the moments of its outage it answered nothing."""
    server = embedded._server
    await asyncio.to_thread(server.ask, "SET", "key", "value")
    before = time.monotonic()
    await embedded.befall(Event.KILL)
    assert embedded.outages[0].returned_at == float("inf")
    with pytest.raises(Unreachable):
        await asyncio.to_thread(server.ask, "GET", "key")
    unanswered = time.monotonic()
    await embedded.befall(Event.RETURN)
    (outage,) = embedded.outages
    assert before < outage.began_at < unanswered < outage.returned_at < time.monotonic()
    assert outage.emptied
    assert await asyncio.to_thread(server.ask, "GET", "key") is None


async def test_a_freeze_keeps_what_it_held(embedded: Embedded) -> None:
    """Frozen and thawed it answers again, with what it held."""
    server = embedded._server
    await asyncio.to_thread(server.ask, "SET", "key", "value")
    await embedded.befall(Event.FREEZE)
    await embedded.befall(Event.THAW)
    (outage,) = embedded.outages
    assert outage.began_at < outage.returned_at < time.monotonic()
    assert not outage.emptied
    assert await asyncio.to_thread(server.ask, "GET", "key") == "value"


async def test_a_server_that_does_not_come_back_ends_the_run(embedded: Embedded) -> None:
    """When it cannot be started again, the error says so and why."""
    await embedded.befall(Event.KILL)
    configuration = embedded._server.folder / "server.conf"
    await asyncio.to_thread(configuration.write_text, "no such directive\n")
    with pytest.raises(ChildFailed, match="did not come back"):
        await embedded.befall(Event.RETURN)


@pytest.mark.parametrize("program", ["missing", "broken"])
def test_without_a_server_one_line_says_what_to_do(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no server, or it does not start, one line says why, how to get one, and the way without."""
    path = tmp_path / program
    if program == "broken":
        path.write_text("#!/bin/sh\nexit 1\n")
        path.chmod(0o700)
    monkeypatch.setenv(BINARY_VARIABLE, str(path))
    with pytest.raises(TierUnavailable) as missing, embedded_tier():
        pass
    line = str(missing.value)
    assert "\n" not in line
    assert "`python3 dev.py demo` installs one" in line
    assert "--no-l2" in line
