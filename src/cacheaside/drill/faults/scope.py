"""One server and one namespace: what a drill may touch there, and nothing else.

Every command that a drill sends goes through here. Keys are found with SCAN, in bounded batches, and each one that is
to be changed begins with the namespace; nothing here can flush a server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self
from zlib import crc32

import redis

from cacheaside.drill.faults.kind import CannotDrill
from cacheaside.drill.journal import without_password
from cacheaside.stores.redis.wire.names import changes_prefix, everything_pattern

__all__ = ["BATCH_MAX", "Scope", "in_share"]

BATCH_MAX: Final = 500
"""Keys asked for, and deleted, in one command."""
KEYS_MAX: Final = 20_000_000
"""Keys of a server that a drill looks through; it is not for larger ones."""
_ANSWER_S: Final = 5.0


def in_share(name: bytes, share: float) -> bool:
    """Whether a key belongs to a share of them all: always the same keys for the same share."""
    return share >= 1.0 or crc32(name) < share * 2**32


class Scope:
    """A connection to the server at `url`, for keys of `namespace` alone. `CannotDrill` says what is wrong with it."""

    def __init__(self, url: str, namespace: str) -> None:
        self.url, self.secret = without_password(url)
        self.namespace = namespace
        self._changes = changes_prefix(namespace).encode()
        self._pattern = everything_pattern(namespace)
        self._prefix = self._pattern.removesuffix("*").encode()
        self._halted = threading.Event()
        if not url.startswith(("redis://", "rediss://", "unix://", "valkey://", "valkeys://")):
            raise CannotDrill(
                f"{self.url}: a drill is for one server: name it by redis://, rediss:// or unix://."
            )
        url = url.replace("valkeys://", "rediss://", 1).replace("valkey://", "redis://", 1)
        try:
            self._client: Any = redis.Redis.from_url(
                url, socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S, retry=None
            )
        except ValueError as error:
            raise CannotDrill(f"{self.url} cannot be used: {type(error).__name__}.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def halt(self) -> None:
        """Change no further key, whatever is under way; from any thread."""
        self._halted.set()

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    # -- looking ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise `CannotDrill` unless the server answers, is alone, and holds something of the namespace."""
        try:
            server = self._client.info("server")
            replication = self._client.info("replication")
        except redis.RedisError as error:
            raise CannotDrill(f"{self.url} does not answer: {error}. Nothing was touched.") from error
        mode = server.get("redis_mode", server.get("server_mode"))  # Redis's word, and Valkey's
        if mode != "standalone":
            raise CannotDrill(f"{self.url} is part of a {mode}: a drill is for one server.")
        if replication.get("role") == "slave":
            raise CannotDrill(f"{self.url} is a replica: name its primary.")
        if next(self._names(), None) is None:
            raise CannotDrill(
                f"{self.url} holds no key of namespace {self.namespace!r}: a drill of nothing shows nothing. Is it "
                "the right server and namespace, and is the service under load?"
            )

    def count(self) -> tuple[int, int]:
        """Keys of the namespace, and keys of others."""
        mine = sum(1 for _ in self._names())
        return mine, max(0, self._client.dbsize() - mine) + self._elsewhere()

    def info(self, section: str) -> dict[str, Any]:
        """A section of INFO."""
        found: dict[str, Any] = self._client.info(section)
        return found

    def directive(self, name: str) -> str:
        """A directive of the server."""
        return str(self._client.config_get(name).get(name, ""))

    def entries(self) -> Iterator[bytes]:
        """Names of entries."""
        changes, leases = self._changes, self._prefix + b"?"
        return (name for name in self._names() if not name.startswith((changes, leases)))

    def names(self) -> Iterator[bytes]:
        """Names of everything in the namespace."""
        return self._names()

    def declared(self) -> Iterator[bytes]:
        """Names of the generations of declared tags."""
        start = self._changes + b"{" + self._prefix + b"tag~"
        return (name for name in self._names() if name.startswith(start) and name.endswith(b"}"))

    def own_generation(self, entry: bytes) -> bytes:
        """Where the generation of an entry's own tag is."""
        return self._changes + b"{" + entry + b"}"

    # -- changing --------------------------------------------------------------------------------------------

    def delete(self, names: Iterator[bytes] | Sequence[bytes]) -> int:
        """Delete keys of the namespace, in batches; how many there were."""
        return sum(self._client.unlink(*batch) for batch in self._batches(names))

    def expire(self, names: Iterator[bytes] | Sequence[bytes]) -> int:
        """Have keys of the namespace expire within a millisecond; how many there were."""
        return sum(int(self._client.pexpire(name, 1)) for batch in self._batches(names) for name in batch)

    def set_directive(self, name: str, value: str) -> None:
        """CONFIG SET. Raises `CannotDrill` when the server refuses."""
        try:
            self._client.config_set(name, value)
        except redis.RedisError as error:
            raise CannotDrill(f"{self.url} does not take CONFIG SET {name}: {error}.") from error

    # -- inside ----------------------------------------------------------------------------------------------

    def _names(self) -> Iterator[bytes]:
        found = self._client.scan_iter(match=self._pattern, count=BATCH_MAX)
        for number, name in enumerate(found):
            if number >= KEYS_MAX:
                raise CannotDrill(
                    f"{self.url} holds more than {KEYS_MAX:,} keys: a drill is not for that many."
                )
            if name.startswith(self._prefix):
                yield name

    def _batches(self, names: Iterator[bytes] | Sequence[bytes]) -> Iterator[list[bytes]]:
        rest = iter(names)
        while not self._halted.is_set() and (batch := list(islice(rest, BATCH_MAX))):
            if not all(name.startswith(self._prefix) for name in batch):
                raise CannotDrill(
                    f"a key that does not begin with {self._prefix.decode()} is of another namespace."
                )
            yield batch

    def _elsewhere(self) -> int:
        """Keys in the server's other databases."""
        here = self._client.connection_pool.connection_kwargs.get("db", 0) or 0
        spaces = self.info("keyspace")
        return sum(int(one["keys"]) for name, one in spaces.items() if name != f"db{here}")
