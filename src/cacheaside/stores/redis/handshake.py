"""From an address to a connection that is logged in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cacheaside.stores.redis.away import Away, ConnectionAway, ErrorReply
from cacheaside.stores.redis.connection import Command, Connection
from cacheaside.stores.redis.server import Limits, Login, ServerAddress

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

    Raises `ConnectionAway` after `connect_s` at the latest. `on_lost` is told of a loss after that, not of a failure.
    """
    connection = Connection(str(address), limits, now, on_push)
    try:
        async with asyncio.timeout(limits.connect_s):
            await _connect(connection, address)
            protocol = await _log_in(connection, login)
    except TimeoutError:
        await connection.aclose()
        message = f"not connected and logged in within connect_s={limits.connect_s:g}"
        raise ConnectionAway(message, endpoint=str(address), reason=Away.LATE) from None
    except OSError as error:
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
    hello: Command = ("HELLO", 3)
    if login.password is not None:
        hello += ("AUTH", login.username or "default", login.password)
    hello += ("SETNAME", login.client_name)
    (answer,) = await connection.send([hello])
    if isinstance(answer, ErrorReply) and _knows_no_3(answer, login):
        await _ask(connection, _in_2(login))
        protocol = 2
    else:
        _check(connection, answer)
        protocol = 3
    if login.database:
        await _ask(connection, [("SELECT", login.database)])
    return protocol


def _knows_no_3(answer: ErrorReply, login: Login) -> bool:
    """Servers from before version 6, proxies, and servers without the command answer HELLO like this.

    NOAUTH to a HELLO that logs in comes from one that asks for a login before it says that it knows no such command.
    """
    return (
        answer.code == "NOPROTO"
        or "unknown command" in str(answer).lower()
        or (answer.code == "NOAUTH" and login.password is not None)
    )


def _in_2(login: Login) -> list[Command]:
    commands: list[Command] = []
    if login.password is not None:
        named = (login.username,) if login.username is not None else ()
        commands.append(("AUTH", *named, login.password))
    return [*commands, ("CLIENT", "SETNAME", login.client_name)]


async def _ask(connection: Connection, commands: list[Command]) -> None:
    for answer in await connection.send(commands):
        _check(connection, answer)


def _check(connection: Connection, answer: object) -> None:
    if isinstance(answer, ErrorReply):
        message = f"the login was refused ({answer})"  # what servers say of a login quotes neither name nor password
        raise ConnectionAway(message, endpoint=connection.endpoint, reason=Away.LOGIN)
