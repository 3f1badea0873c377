"""The few words that the servers' own keeper says to them: one command, one answer, blocking."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["ASKING_S", "ServerError", "Unreachable", "ask"]

ASKING_S: Final = 2.0
_CHUNK_BYTES: Final = 65_536


class ServerError(RuntimeError):
    """The server's answer was an error."""


class Unreachable(ConnectionError):
    """No answer: nobody listens, the connection broke, or it took too long."""


def ask(
    address: tuple[str, int] | Path,
    *words: str | bytes | int,
    password: str | None = None,
    within_s: float = ASKING_S,
) -> Any:
    """The answer to one command on a connection of its own: text as str, or bytes where it is no text.

    Raises `ServerError` for an error as the answer, `Unreachable` for none.
    """
    import hiredis

    reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")
    request = _packed(["AUTH", password] if password else []) + _packed(words)
    try:
        with _connected(address, within_s) as connection:
            connection.sendall(request)
            answer = None
            for _ in range(2 if password else 1):
                while (answer := reader.gets()) is False:
                    received = connection.recv(_CHUNK_BYTES)
                    if not received:
                        raise Unreachable(
                            f"{address} closed the connection without an answer to {words[0]!r}"
                        )
                    reader.feed(received)
                if isinstance(answer, hiredis.ReplyError):
                    raise ServerError(str(answer))
    except OSError as error:
        raise Unreachable(f"{address} gave no answer to {words[0]!r}: {error}") from error
    return answer


def _packed(words: Sequence[str | bytes | int]) -> bytes:
    """A command in the protocol's form; no words are no command."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    head = [b"*%d\r\n" % len(parts)] if parts else []
    return b"".join(head + [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


def _connected(address: tuple[str, int] | Path, within_s: float) -> socket.socket:
    if not isinstance(address, Path):
        return socket.create_connection(address, within_s)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(within_s)
    try:
        connection.connect(str(address))
    except BaseException:
        connection.close()
        raise
    return connection
