"""From an address to a connection that is logged in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.connection import Connection
from cacheaside.stores.redis.connect.login import Welcome, logging_in
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress

__all__ = ["open_connection"]


async def open_connection(
    address: ServerAddress,
    login: Login,
    limits: Limits,
    *,
    now: Callable[[], float],
    on_push: Callable[[list[Any]], None] | None = None,
    on_lost: Callable[[ConnectionAway], None] | None = None,
) -> tuple[Connection, int]:
    """A connection that is logged in, and the version of the protocol it speaks: 3, or 2 where 3 is not known.

    It has answered a PING within `deadline_s`. Raises `ConnectionAway` after `connect_s` at the latest. `on_lost` is
    told of a loss after that, not of a failure.
    """
    connection = Connection(str(address), limits, now, on_push)
    try:
        async with asyncio.timeout(limits.connect_s):
            await _connect(connection, address)
            protocol = await _log_in(connection, login)
    except TimeoutError:
        await connection.aclose()
        message = f"no connection with a login within {limits.connect_s:g} s"
        raise ConnectionAway(message, endpoint=str(address), reason=Away.LATE) from None
    except (OSError, ValueError) as error:  # a name that cannot be one is a ValueError
        await connection.aclose()
        raise ConnectionAway(
            f"no connection ({error})", endpoint=str(address), reason=Away.REFUSED
        ) from error
    except BaseException:
        await connection.aclose()
        raise
    if connection.gone is not None:
        raise connection.gone.again(maybe_sent=False)
    connection.on_lost = on_lost
    return connection, protocol


async def _connect(connection: Connection, address: ServerAddress) -> None:
    loop = asyncio.get_running_loop()
    tls_name = (address.tls_name or address.host) if address.tls is not None else None
    if address.path is not None:
        await loop.create_unix_connection(
            lambda: connection, address.path, ssl=address.tls, server_hostname=tls_name
        )
    else:
        await loop.create_connection(
            lambda: connection, address.host, address.port, ssl=address.tls, server_hostname=tls_name
        )


async def _log_in(connection: Connection, login: Login) -> int:
    steps = logging_in(login, connection.endpoint)
    try:
        commands = next(steps)
        while True:
            commands = steps.send(await connection.send(commands))
    except StopIteration as end:
        welcome: Welcome = end.value
        return welcome.protocol
