"""URLs as they are dialled: over TLS, with certificates and without, into a login and a database."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.handshake import open_connection
from cacheaside.stores.redis.connect.server import Limits
from cacheaside.stores.redis.connect.url import parse_url
from cacheaside.testing.proxy import Proxy
from cacheaside.testing.servers import Server
from tests.stores.redis.conftest import PATIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

TLS = Path(__file__).parents[1] / "tls"
CERTIFICATE, KEY = TLS / "certificate.pem", TLS / "key.pem"
TRUSTING = f"ca={CERTIFICATE}&server_name=cache.test"
PASSWORD = "p@ss:w/rd?#% +"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server whose default user has a password that needs encoding."""
    with Server(password=PASSWORD) as started:
        yield started


def serving(*, asks: bool) -> ssl.SSLContext:
    """Shows the certificate for cache.test; asks: lets in only who shows one that it knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CERTIFICATE)
    return context


@pytest.fixture
def encrypted(guarded: Server) -> Iterator[Proxy]:
    """The server, speaking TLS."""
    with Proxy(guarded.address, tls=serving(asks=False)) as started:
        yield started


@pytest.fixture
def asking(guarded: Server) -> Iterator[Proxy]:
    """The server, speaking TLS with those who have a certificate."""
    with Proxy(guarded.address, tls=serving(asks=True)) as started:
        yield started


async def described(url: str, limits: Limits = PATIENT) -> dict[str, str]:
    """How the server describes the connection that the first address of a URL leads to."""
    target = parse_url(url)
    connection, _ = await open_connection(target.addresses[0], target.login, limits, now=time.monotonic)
    try:
        (answer,) = await connection.send([("CLIENT", "INFO")])
    finally:
        await connection.aclose()
    return dict(part.split("=", 1) for part in answer.decode().split())


def over_tls(proxy: Proxy, options: str) -> str:
    return over_tls_to(proxy.host, proxy.port, options)


def over_tls_to(host: str, port: int, options: str) -> str:
    return f"rediss://:{quote(PASSWORD, safe='')}@{host}:{port}/2?{options}"


async def test_without_tls(guarded: Server) -> None:
    """Host, password, database and name arrive at the server; a socket as well as a port."""
    secret = quote(PASSWORD, safe="")
    shown = await described(f"valkey://:{secret}@127.0.0.1:{guarded.port}/3?client_name=shop-web")
    assert (shown["user"], shown["db"], shown["name"]) == ("default", "3", "shop-web")
    shown = await described(f"unix://default:{secret}@{guarded.socket_path}?db=1")
    assert (shown["user"], shown["db"], shown["name"]) == ("default", "1", "cacheaside")


async def test_with_an_authority_and_a_name(encrypted: Proxy) -> None:
    """ca= trusts the server's certificate, and server_name= is looked for in it."""
    assert (await described(over_tls(encrypted, TRUSTING)))["db"] == "2"


async def test_with_a_certificate_to_show(asking: Proxy) -> None:
    """A server that asks who connects is shown cert= and key=."""
    assert (await described(over_tls(asking, f"{TRUSTING}&cert={CERTIFICATE}&key={KEY}")))["db"] == "2"


async def test_without_a_certificate_to_show(asking: Proxy) -> None:
    """That server lets nobody in who shows none."""
    with pytest.raises(ConnectionAway):
        await described(over_tls(asking, TRUSTING))
    assert asking.passed["to server"] == 0


@pytest.mark.parametrize("options", ["", "server_name=cache.test", f"ca={CERTIFICATE}", f"{TRUSTING}x"])
async def test_a_server_that_is_not_verified_is_told_nothing(encrypted: Proxy, options: str) -> None:
    """Unless its certificate and its name are both right, there is no connection and no password is sent."""
    with pytest.raises(ConnectionAway, match="certificate") as raised:
        await described(over_tls(encrypted, options))
    assert raised.value.reason is Away.REFUSED
    assert encrypted.passed["to server"] == 0


async def test_verification_can_be_given_up(encrypted: Proxy) -> None:
    """verify=no takes any certificate."""
    assert (await described(over_tls(encrypted, "verify=no")))["db"] == "2"


async def test_a_plain_server_is_told_nothing_in_plain(guarded: Server) -> None:
    """Where the URL says TLS and the server does not speak it, it is silent: there is no connection in time."""
    brief = Limits(connect_s=0.3)
    with pytest.raises(ConnectionAway) as raised:
        await described(over_tls_to(*guarded.address, "verify=no"), brief)
    assert raised.value.reason is Away.LATE
