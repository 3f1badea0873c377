"""Processes that share a source's limit: each takes an even share, and what it learnt outlasts the server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from cacheaside import Admission, Cache, Contract
from cacheaside.source.source import Source
from cacheaside.testing.servers import Server
from tests.live.child import Child
from tests.live.service import until

CODE = """
from cacheaside import Admission
import contextlib

cache = Cache(sys.argv[1], namespace="seats", deadline="5s")
db = cache.source("db", open=contextlib.nullcontext, limit=Admission(64, shared_limit=90, safe_share=5))

@cache.read("row", Contract("60s"), source=db)
def row(resource, key: int) -> int:
    return key

say(db.stats().share)
row(1)
while True:
    listen()
    say(db.stats().share)
"""


def declared(url: str) -> tuple[Cache, Source[None], Any]:
    cache = Cache(url, namespace="seats", deadline="5s")
    source = cache.source(
        "db", open=contextlib.nullcontext, limit=Admission(64, shared_limit=90, safe_share=5)
    )

    @cache.read("row", Contract("60s"), source=source)
    async def row(resource: None, key: int) -> int:
        return key

    return cache, source, row


async def test_processes_share_a_limit_and_follow_each_other(victim: Server) -> None:
    """One process alone has what its own ceiling lets it; with two others it has a third; when one of them is killed,
    half; and when the server is killed, what it had."""
    cache, source, row = declared(victim.url)
    async with cache:
        assert source.stats().share == 5  # until it knows
        await row(1)
        await until(lambda: source.stats().share == 64)
        with Child(CODE, victim.url) as one, Child(CODE, victim.url) as two:
            assert (await one.line(), await two.line()) == ("5", "5")
            await until(lambda: source.stats().share == 30)

            async def has_a_third(child: Child) -> bool:
                child.tell("?")
                return await child.line() == "30"

            await until(lambda: has_a_third(one))
            await until(lambda: has_a_third(two))
            await asyncio.to_thread(two.kill)
            await until(lambda: source.stats().share == 45)
            await asyncio.to_thread(victim.kill)
            await row(2)
            assert source.stats().share == 45
            assert source.limit.allowed == 45
