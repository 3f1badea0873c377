"""What URLs name."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cacheaside.stores.redis.connect.server import Login, ServerAddress
from cacheaside.stores.redis.connect.url import Kind, Target, parse_url
from cacheaside.testing.servers import Server
from tests.stores.redis.mistyped import refusal

CERTIFICATE = Path(__file__).parents[1] / "tls" / "certificate.pem"
KEY = Path(__file__).parents[1] / "tls" / "key.pem"
ENCRYPTED_KEY = Path(__file__).parents[1] / "tls" / "encrypted.pem"


def one(host: str = "cache", port: int = 6379, **login: object) -> Target:
    """A single server."""
    return Target(Kind.SINGLE, (ServerAddress(host, port),), Login(**login))  # type: ignore[arg-type]


class TestOneServer:
    """redis://, valkey:// and unix://."""

    @pytest.mark.parametrize(
        ("url", "target"),
        [
            ("redis://cache", one()),
            ("redis://cache/", one()),
            ("redis://cache:6380", one(port=6380)),
            ("redis://cache:6380/3", one(port=6380, database=3)),
            ("redis://cache?db=3", one(database=3)),
            ("redis://cache/?db=3&client_name=shop", one(database=3, client_name="shop")),
            ("redis://:secret@cache", one(password="secret")),
            ("redis://app:secret@cache:1/2", one(port=1, username="app", password="secret", database=2)),
            ("redis://app:@cache", one(username="app", password="")),
            ("redis://10.0.0.7:65535", one("10.0.0.7", 65_535)),
            ("redis://cache-1.shop_net.example.", one("cache-1.shop_net.example.")),
            ("redis://[::1]", one("::1")),
            ("redis://[2001:db8::7]:6380/1", one("2001:db8::7", 6380, database=1)),
            ("redis://[fe80::1%25eth0]:6380", one("fe80::1%eth0", 6380)),
            ("valkey://app:secret@cache:1/2", one(port=1, username="app", password="secret", database=2)),
            ("REDIS://cache", one()),
        ],
    )
    def test_host_port_login_and_database(self, url: str, target: Target) -> None:
        """Each part is where the grammar has it, and what is not written has its default."""
        assert parse_url(url) == target

    @pytest.mark.parametrize(
        ("url", "path", "login"),
        [
            ("unix:///run/valkey.sock", "/run/valkey.sock", Login()),
            ("unix:///run/a%20b.sock?db=4", "/run/a b.sock", Login(database=4)),
            (
                "unix://:secret@/run/x?db=0&client_name=shop",
                "/run/x",
                Login(password="secret", client_name="shop"),
            ),
            ("unix://app:secret@/run/x", "/run/x", Login("app", "secret")),
        ],
    )
    def test_a_socket(self, url: str, path: str, login: Login) -> None:
        """The path is the socket's, and the database is an option."""
        assert parse_url(url) == Target(Kind.SINGLE, (ServerAddress(path=path),), login)

    @given(
        st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"), min_size=1)
    )
    @example("app", "p@ss:w/rd?#%+ &=")
    def test_any_name_and_password_can_be_written(self, username: str, password: str) -> None:
        """Percent-encoded, every user and password arrives as it is; a plus sign needs no encoding."""
        url = f"redis://{quote(username, safe='+')}:{quote(password, safe='+')}@cache"
        assert parse_url(url).login == Login(username, password)

    def test_what_a_server_of_the_tests_calls_itself(self, server: Server) -> None:
        """The URLs that test servers are asked for lead to them."""
        assert parse_url(server.url).addresses == (ServerAddress(*server.address),)
        assert parse_url(server.unix_url).addresses == (ServerAddress(path=str(server.socket_path)),)


class TestSeveralServers:
    """redis+sentinel:// and redis+cluster://."""

    def test_sentinels(self) -> None:
        """Their addresses in order, the service, the database, and a login each for servers and Sentinels."""
        target = parse_url(
            "redis+sentinel://app:secret@s1:26380,[::1],s3/shop%2Dprimary/2"
            "?sentinel_username=watcher&sentinel_password=a+b%26c&client_name=shop"
        )
        assert target == Target(
            Kind.SENTINEL,
            (ServerAddress("s1", 26_380), ServerAddress("::1", 26_379), ServerAddress("s3", 26_379)),
            Login("app", "secret", 2, "shop"),
            "shop-primary",
            Login("watcher", "a+b&c", client_name="shop"),
        )

    @pytest.mark.parametrize(
        ("url", "database"),
        [
            ("valkey+sentinel://s/shop", 0),
            ("valkey+sentinel://s/shop/", 0),
            ("valkey+sentinel://s/shop?db=1", 1),
        ],
    )
    def test_a_service_without_more(self, url: str, database: int) -> None:
        """The servers' login is not the Sentinels', and a database may be an option."""
        target = parse_url(url)
        assert (target.service, target.login, target.sentinel_login) == (
            "shop",
            Login(database=database),
            Login(),
        )

    @pytest.mark.parametrize("end", ["", "/", "/0", "?db=0"])
    def test_a_cluster(self, end: str) -> None:
        """Its nodes in order; database 0 may be written."""
        assert parse_url(f"redis+cluster://:secret@n1:7000,n2,n3:7002{end}") == Target(
            Kind.CLUSTER,
            (ServerAddress("n1", 7000), ServerAddress("n2", 6379), ServerAddress("n3", 7002)),
            Login(password="secret"),
        )


class TestTls:
    """The schemes that encrypt, and whom they trust."""

    @pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
    @pytest.mark.parametrize("kind", Kind)
    def test_every_server_is_verified(self, scheme: str, kind: Kind) -> None:
        """Without an option, the certificate and the name of each server are verified, and one context serves all."""
        suffix = "" if kind is Kind.SINGLE else f"+{kind}"
        hosts = "a" if kind is Kind.SINGLE else "a,b"
        target = parse_url(f"{scheme}{suffix}://{hosts}/{'shop' if kind is Kind.SENTINEL else ''}")
        assert target.kind is kind
        (context,) = {address.tls for address in target.addresses}
        assert context is not None
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert {address.tls_name for address in target.addresses} == {None}

    def test_plain_schemes_do_not_encrypt(self) -> None:
        """redis:// and a socket have no context."""
        assert parse_url("redis://cache").addresses[0].tls is None
        assert parse_url("unix:///run/x").addresses[0].tls is None

    def test_an_authority_of_ones_own(self) -> None:
        """With ca= nobody else is trusted; server_name= is the name to be found in the certificate."""
        (address,) = parse_url(f"rediss://10.0.0.7?ca={CERTIFICATE}&server_name=cache.test").addresses
        assert address.tls is not None
        assert [found["subject"] for found in address.tls.get_ca_certs()] == [
            ((("commonName", "cache.test"),),)
        ]
        assert address.tls_name == "cache.test"

    @pytest.mark.parametrize(("verify", "mode"), [("yes", ssl.CERT_REQUIRED), ("no", ssl.CERT_NONE)])
    def test_verification_ends_only_when_told_so(self, verify: str, mode: ssl.VerifyMode) -> None:
        """verify=no, spelt so, trusts whoever answers."""
        (address,) = parse_url(f"rediss://cache?verify={verify}").addresses
        assert address.tls is not None
        assert (address.tls.verify_mode, address.tls.check_hostname) == (mode, mode is ssl.CERT_REQUIRED)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ("ca=/no/such.pem", "TLS: the file named by ca gives no certificate (No such file or directory)"),
            (f"ca={KEY}", "TLS: the file named by ca gives no certificate (no certificate or crl found)"),
            ("ca=%00", "TLS: the file named by ca gives no certificate (no path)"),
            (
                "cert=/no/such.pem",
                "TLS: the files named by cert and key are not loaded (No such file or directory)",
            ),
            (f"cert={CERTIFICATE}", "TLS: the files named by cert and key are not loaded"),
            (f"key={KEY}", "TLS: there is a key alone; write the file of its certificate as cert="),
            ("verify=false", "TLS: verify is yes or no"),
            ("verify=No", "TLS: verify is yes or no"),
            (f"verify=no&ca={CERTIFICATE}", "TLS: ca says whom to trust, and verify=no trusts everyone"),
            ("server_name=a..b", "server_name is no host name"),
        ],
    )
    def test_what_cannot_be_trusted(self, options: str, said: str) -> None:
        """A file that is not there or is something else, and options that contradict each other, are errors."""
        assert said in refusal(f"rediss://cache?{options}")

    def test_a_key_that_is_encrypted(self) -> None:
        """Nobody is asked for its passphrase on a terminal: it is an error that says so."""
        assert "without a passphrase" in refusal(f"rediss://cache?cert={CERTIFICATE}&key={ENCRYPTED_KEY}")
