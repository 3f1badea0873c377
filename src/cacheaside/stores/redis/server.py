"""Where a server is, how to log in, and what a connection to it may use: plain data."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from cacheaside.errors import DeclarationError
from cacheaside.stores.redis.generations import Identity

__all__ = ["Limits", "Login", "ServerAddress", "anybody"]


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A host and a port, or the path of a unix socket.

    tls: verifies the server and encrypts; None: plain. tls_name: the name in its certificate, where it is not `host`.
    """

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    tls: ssl.SSLContext | None = None
    tls_name: str | None = None

    def __str__(self) -> str:
        return self.path if self.path is not None else f"{self.host}:{self.port}"


def anybody(_endpoint: str, _identity: Identity | None) -> bool:
    """Accept whoever answers."""
    return True


@dataclass(frozen=True, slots=True)
class Login:
    """Who connects. A password without a user name is the default user's. `client_name` is what CLIENT LIST shows.

    accepts: whether the server that answers at an address, with an identity (None: it does not tell), is the one that
    is meant. An address may lead to another server than before, with older data, while a connection still leads to
    the one from before.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    client_name: str = "cacheaside"
    accepts: Callable[[str, Identity | None], bool] = field(default=anybody, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may take and hold. Past a limit, calls fail at once; they never wait for room.

    deadline_s: no caller waits longer, for an answer or for a connection. connect_s: for name resolution, connection,
    TLS and login together; they may go on after the caller that began them gave up.
    backoff_s, backoff_max_s: the pause after a first failure, and the longest; each failure doubles it, and chance
    takes off up to half.
    reply_bytes_max: how large one answer may be.
    """

    deadline_s: float = 0.05
    connect_s: float = 1.0
    backoff_s: float = 0.05
    backoff_max_s: float = 2.0
    unanswered_commands_max: int = 100_000
    unsent_bytes_max: int = 64 * 1024 * 1024
    reply_bytes_max: int = 256 * 1024 * 1024

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise DeclarationError(f"{name} must be above zero: {getattr(self, name)!r}")

    def pause_s(self, failures: int, chance: float) -> float:
        """How long to leave a server alone after so many failures in a row; `chance` is from 0 to 1."""
        longest = min(self.backoff_max_s, self.backoff_s * 2.0 ** min(failures - 1, 30))
        return longest * (1.0 - chance / 2.0)
