"""What a URL names: the servers, the login, and whom TLS trusts.

    redis://[user:password@]host[:port][/database]                              one server
    unix://[user:password@]/path/of/its/socket                                  the same, on this machine
    redis+sentinel://[user:password@]host[:port][,host…]/service[/database]     the primary that Sentinels name
    redis+cluster://[user:password@]host[:port][,host…]                         a cluster, found from any of its nodes

`valkey` means the same as `redis`; `rediss` and `valkeys` speak TLS, with Sentinels too. `:password@` is the default
user's. After a `?`, joined by `&`: `db`, `client_name`; with TLS `ca`, `cert`, `key`, `server_name`, `verify=no`; with
Sentinel `sentinel_username`, `sentinel_password`. Whatever means something in a URL is written as %XX in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NamedTuple

from cacheaside.stores.redis.connect.server import Login, ServerAddress
from cacheaside.stores.redis.connect.tls import tls_context
from cacheaside.stores.redis.connect.url_text import (
    CONTROL,
    decoded,
    host_and_port,
    is_host,
    number_in,
    options_in,
    parts_of,
    wrong,
)

__all__ = ["Kind", "Target", "parse_url"]


class Kind(StrEnum):
    """How the primaries are found."""

    SINGLE = "single"
    """There is one server."""
    SENTINEL = "sentinel"
    """Sentinels name the primary of a service."""
    CLUSTER = "cluster"
    """The nodes say who has which slots."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL names.

    addresses: of the server, of the Sentinels, or of the nodes to begin with, in the order written. A server that
    these name later has the `tls` and `tls_name` of the first.
    login: to the servers. service, sentinel_login: with Sentinel, the name it knows the primary by, and the login to
    the Sentinels themselves.
    """

    kind: Kind
    addresses: tuple[ServerAddress, ...]
    login: Login
    service: str | None = None
    sentinel_login: Login = field(default_factory=Login)


_OPTIONS: Final = ("client_name", "db")
_TLS_OPTIONS: Final = ("ca", "cert", "key", "server_name", "verify")
_SENTINEL_OPTIONS: Final = ("sentinel_password", "sentinel_username")
_ONLY_WITH: Final = dict.fromkeys(_TLS_OPTIONS, "TLS; write rediss:// or valkeys://") | dict.fromkeys(
    _SENTINEL_OPTIONS, "Sentinel; write redis+sentinel://"
)

_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_DATABASE_MAX: Final = 2**31 - 1
_CLIENT_NAME: Final = re.compile(r"[!-~]+")


class _Form(NamedTuple):
    """What a scheme stands for."""

    kind: Kind
    is_secure: bool = False
    is_socket: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        return (
            _OPTIONS
            + (_TLS_OPTIONS if self.is_secure else ())
            + (_SENTINEL_OPTIONS if self.kind is Kind.SENTINEL else ())
        )


_SUFFIXES: Final = {Kind.SINGLE: "", Kind.SENTINEL: "+sentinel", Kind.CLUSTER: "+cluster"}
_FORMS: Final = {
    f"{brand}{secure}{suffix}": _Form(kind, is_secure=bool(secure))
    for kind, suffix in _SUFFIXES.items()
    for brand in ("redis", "valkey")
    for secure in ("", "s")
} | {"unix": _Form(Kind.SINGLE, is_socket=True)}


def parse_url(url: str) -> Target:
    """The target that `url` names. The files of certificates are read here; nothing is connected.

    Raises `DeclarationError` for whatever is wrong, with one line that says what to write, and quotes nothing.
    """
    parts = parts_of(url)
    form = _FORMS.get(parts.scheme)
    if form is None:
        raise wrong(f"it begins with none of {', '.join(f'{scheme}://' for scheme in _FORMS)}")
    options = options_in(parts.query, form.options, _ONLY_WITH)
    username, password = _credentials(parts.credentials)
    client_name = options.get("client_name", Login().client_name)
    if not _CLIENT_NAME.fullmatch(client_name):
        raise wrong("client_name is one word of printable ASCII characters, such as client_name=shop-web")
    addresses: tuple[ServerAddress, ...]
    if form.is_socket:
        service, database, addresses = None, "", (_socket(parts.hosts, parts.path),)
    else:
        service, database = _service_and_database(parts.path, form.kind)
        addresses = _servers(parts.hosts, form, options)
    login = Login(username, password, _database(database, options, form.kind), client_name)
    if form.kind is not Kind.SENTINEL:
        return Target(form.kind, addresses, login)
    return Target(form.kind, addresses, login, service, _sentinel_login(options, client_name))


# -- who ---------------------------------------------------------------------------------------------------------


def _credentials(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    username, colon, password = text.partition(":")
    if not colon:
        raise wrong(
            "there is one word before the @; write user:password@, or :password@ for the default user, or user:@ "
            "for a user without a password"
        )
    if not username and not password:
        raise wrong("there is neither a user nor a password before the @; write them, or leave out the :@")
    return decoded(username, "the user") or None, decoded(password, "the password")


def _sentinel_login(options: Mapping[str, str], client_name: str) -> Login:
    username, password = options.get("sentinel_username"), options.get("sentinel_password")
    if username is not None and password is None:
        raise wrong("there is a sentinel_username alone; write sentinel_password= too")
    return Login(username, password, client_name=client_name)


# -- where -------------------------------------------------------------------------------------------------------


def _service_and_database(path: str, kind: Kind) -> tuple[str | None, str]:
    """The service, if there is to be one, and the database as it is written, which may be not at all."""
    first, *more = path.removeprefix("/").split("/")
    service = None
    if kind is Kind.SENTINEL:
        service = decoded(first, "the service")
        if not service or CONTROL.search(service):
            raise wrong(
                "it names no service; write what the Sentinels call it, as in redis+sentinel://host/service"
            )
        first, *more = more or [""]
    if any(more):
        raise wrong("there is something after the database; write the number last, as in /0")
    return service, first


def _database(text: str, options: Mapping[str, str], kind: Kind) -> int:
    if text and "db" in options:
        raise wrong("the database is given twice; write it after the last / or as db=, not both")
    database = number_in(text or options.get("db", "0"), _DATABASE_MAX)
    if database is None:
        raise wrong("the database is no whole number; write 0 for the first, as in /0 or ?db=0")
    if kind is Kind.CLUSTER and database:
        raise wrong(
            "a cluster has no database but 0; leave it out, and tell services apart by their namespaces"
        )
    return database


def _socket(hosts: str, path: str) -> ServerAddress:
    found = decoded(path, "the path of the socket")
    if hosts or len(found) < 2 or CONTROL.search(found):
        raise wrong(
            "it names no socket; write its whole path after the two slashes, as in unix:///run/valkey.sock"
        )
    return ServerAddress(path=found)


def _servers(hosts: str, form: _Form, options: Mapping[str, str]) -> tuple[ServerAddress, ...]:
    written = hosts.split(",")
    if form.kind is Kind.SINGLE and len(written) > 1:
        raise wrong("it names several hosts; write one, or redis+sentinel://… or redis+cluster://…")
    found = []
    for number, text in enumerate(written, 1):
        host, port = host_and_port(text, f"host {number}" if len(written) > 1 else "the host")
        found.append(ServerAddress(host, port or (_SENTINEL_PORT if form.kind is Kind.SENTINEL else _PORT)))
    if not form.is_secure:
        return tuple(found)
    tls_name = options.get("server_name")
    if tls_name is not None and not is_host(tls_name):
        raise wrong(
            "server_name is no host name; write the one in the certificate, such as cache.example.com"
        )
    tls = tls_context(options.get("ca"), options.get("cert"), options.get("key"), options.get("verify"))
    return tuple([replace(address, tls=tls, tls_name=tls_name) for address in found])
