"""What a service writes by hand on redis-py and msgspec: the floor that decorated reads are held against."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, get_type_hints
from urllib.parse import urlsplit

import msgspec

CONNECTIONS = 2_000
"""Room in a pool for every caller: redis-py's own limit is 100, past which it raises."""

Load = Callable[[int], Any]


def place(url: str) -> dict[str, Any]:
    """Host and port as clients take them. A redis-py client made from a URL would be one without its usual retries."""
    parts = urlsplit(url)
    return {"host": parts.hostname, "port": parts.port}


def _codec(load: Load) -> tuple[Callable[[Any], bytes], Callable[[Any], Any]]:
    kind = get_type_hints(load)["return"]
    return msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(kind).decode


def one_get(url: str, load: Load, ttl_s: float, **options: Any) -> Load:
    """asyncio, one GET a call. options: of the client, whose timeouts are else the default ones."""
    from redis.asyncio import Redis

    client = Redis(**place(url), max_connections=CONNECTIONS, **options)
    encode, decode = _codec(load)

    async def read(k: int) -> Any:
        key = f"{load.__name__}:{k}"
        packed = await client.get(key)
        if packed is not None:
            return decode(packed)
        value = await load(k)
        await client.set(key, encode(value), px=int(ttl_s * 1e3))
        return value

    return read


def one_mget_a_tick(url: str, load: Load, ttl_s: float) -> Load:
    """asyncio, the keys that were asked for in one turn of the event loop in one MGET."""
    from redis.asyncio import Redis

    client = Redis(**place(url), max_connections=CONNECTIONS)
    encode, decode = _codec(load)
    asked: list[tuple[str, asyncio.Future[Any]]] = []
    fetching: set[asyncio.Task[None]] = set()

    async def fetch(batch: list[tuple[str, asyncio.Future[Any]]]) -> None:
        try:
            packed = await client.mget([key for key, _ in batch])
        except Exception as error:  # noqa: BLE001  whatever it was, every caller gets it
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for (_, answer), value in zip(batch, packed, strict=True):
                if not answer.done():
                    answer.set_result(value)

    def turn() -> None:
        task = asyncio.ensure_future(fetch(asked.copy()))
        asked.clear()
        fetching.add(task)
        task.add_done_callback(fetching.discard)

    async def read(k: int) -> Any:
        key = f"{load.__name__}:{k}"
        loop = asyncio.get_running_loop()
        if not asked:
            loop.call_soon(turn)
        answer: asyncio.Future[Any] = loop.create_future()
        asked.append((key, answer))
        packed = await answer
        if packed is not None:
            return decode(packed)
        value = await load(k)
        await client.set(key, encode(value), px=int(ttl_s * 1e3))
        return value

    return read


def one_get_sync(url: str, load: Load, ttl_s: float, **options: Any) -> Load:
    """Threads, one GET a call."""
    from redis import Redis

    client = Redis(**place(url), max_connections=CONNECTIONS, **options)
    encode, decode = _codec(load)

    def read(k: int) -> Any:
        key = f"{load.__name__}:{k}"
        packed = client.get(key)
        if packed is not None:
            return decode(packed)
        value = load(k)
        client.set(key, encode(value), px=int(ttl_s * 1e3))
        return value

    return read


def watched(url: str, load: Load, ttl_s: float) -> tuple[Load, Load]:
    """asyncio, one GET a call and nothing kept in the process: the endpoint, and what deletes a key."""
    from redis.asyncio import Redis

    client = Redis(**place(url), max_connections=CONNECTIONS)

    async def delete(k: int) -> None:
        await client.delete(f"{load.__name__}:{k}")

    return one_get(url, load, ttl_s), delete
