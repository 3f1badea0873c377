"""Logging in, from loops and from threads: users, databases, names, both protocols, TLS and unix sockets."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.server import Login, ServerAddress
from cacheaside.stores.redis.connect.transport_aio import AioTransport
from cacheaside.testing.proxy import Proxy
from cacheaside.testing.servers import Server
from tests.stores.redis.conftest import PATIENT, ask, pool_of, say, threads_to

if TYPE_CHECKING:
    from collections.abc import Iterator

TLS = Path(__file__).parents[1] / "tls"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server with a password, and a user who may read some keys."""
    with Server(
        password="s3cret", config={"user": "app on >p4ss ~app:* +@read +select +client|info"}
    ) as started:
        yield started


@pytest.fixture(scope="module")
def old() -> Iterator[Server]:
    """A server that knows no HELLO, as before version 6."""
    with Server(password="s3cret", config={"rename-command": 'HELLO ""'}) as started:
        yield started


@pytest.fixture(params=["asyncio", "threads"])
def way(request: pytest.FixtureRequest) -> str:
    """Each rule holds for both ways of connecting."""
    return str(request.param)


async def who_is(way: str, address: ServerAddress, login: Login) -> tuple[dict[str, str], int | None]:
    """How the server describes a connection with this login, and the protocol's version."""
    if way == "threads":
        return await asyncio.to_thread(_seen_by_thread, address, login)
    transport = AioTransport(address, login, PATIENT)
    try:
        return _parsed(await ask(transport, "CLIENT", "INFO")), transport.link().protocol
    finally:
        await transport.aclose()


def _seen_by_thread(address: ServerAddress, login: Login) -> tuple[dict[str, str], int | None]:
    with threads_to(address, login=login) as transport:
        described = say(transport, "CLIENT", "INFO")
        (connection,) = pool_of(transport)._idle
        return _parsed(described), connection.protocol


def _parsed(described: bytes) -> dict[str, str]:
    return dict(part.split("=", 1) for part in described.decode().split())


async def test_the_default_users_password(way: str, guarded: Server) -> None:
    """A password alone logs in as the default user, in protocol 3, under the client's name."""
    shown, protocol = await who_is(way, ServerAddress(*guarded.address), Login(password="s3cret"))
    assert (shown["user"], shown["name"], shown["db"], shown["resp"]) == ("default", "cacheaside", "0", "3")
    assert protocol == 3


async def test_a_user_and_a_database(way: str, guarded: Server) -> None:
    """A named user with few rights logs in, and works in the database that was asked for."""
    login = Login("app", "p4ss", database=3, client_name="shop")
    shown, _ = await who_is(way, ServerAddress(*guarded.address), login)
    assert (shown["user"], shown["name"], shown["db"]) == ("app", "shop", "3")


async def test_a_server_without_protocol_3(way: str, old: Server) -> None:
    """Where HELLO is unknown, protocol 2 is spoken, with password, name and database all the same."""
    shown, protocol = await who_is(way, ServerAddress(*old.address), Login(password="s3cret", database=1))
    assert (shown["name"], shown["db"], shown["resp"]) == ("cacheaside", "1", "2")
    assert protocol == 2


@pytest.mark.parametrize(
    "login", [Login("app", "wr0ng"), Login(password="wr0ng"), Login(), Login(password="s3cret", database=999)]
)
async def test_a_refused_login_says_so_without_the_password(way: str, guarded: Server, login: Login) -> None:
    """A wrong password, none, or a database that is not there: the reason is the login, and no secret is told."""
    with pytest.raises(ConnectionAway) as raised:
        await who_is(way, ServerAddress(*guarded.address), login)
    assert raised.value.reason is Away.LOGIN
    assert "wr0ng" not in str(raised.value)
    assert str(guarded.port) in str(raised.value)


async def test_a_unix_socket(way: str, server: Server) -> None:
    """The path of a socket is dialled as a host and a port are."""
    _, protocol = await who_is(way, ServerAddress(path=str(server.socket_path)), Login())
    assert protocol == 3


@pytest.fixture
def encrypted(server: Server) -> Iterator[Proxy]:
    """A server that speaks TLS, and shows a certificate for cache.test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    with Proxy(server.address, tls=context) as started:
        yield started


async def test_tls(way: str, encrypted: Proxy) -> None:
    """With a context that trusts the server's certificate the connection is encrypted."""
    trusting = ssl.create_default_context(cafile=TLS / "certificate.pem")
    address = ServerAddress(encrypted.host, encrypted.port, tls=trusting, tls_name="cache.test")
    _, protocol = await who_is(way, address, Login())
    assert protocol == 3


@pytest.mark.parametrize(("trusted", "name"), [(False, "cache.test"), (True, "another.test")])
async def test_a_certificate_that_does_not_fit(way: str, encrypted: Proxy, trusted: bool, name: str) -> None:
    """An unknown certificate, or one for another name, is refused, and nothing is sent to its holder."""
    context = ssl.create_default_context(cafile=TLS / "certificate.pem" if trusted else None)
    address = ServerAddress(encrypted.host, encrypted.port, tls=context, tls_name=name)
    with pytest.raises(ConnectionAway, match="certificate") as raised:
        await who_is(way, address, Login())
    assert raised.value.reason is Away.REFUSED
    assert encrypted.passed["to server"] == 0
