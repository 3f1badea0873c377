"""Asking a server what it knows of others: one connection for it, with a share of the time there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from cacheaside.stores.redis.connect.away import Away, ConnectionAway, ErrorReply
from cacheaside.stores.redis.connect.connection_blocking import BlockingConnection
from cacheaside.stores.redis.connect.deadline import Deadline
from cacheaside.stores.redis.connect.forked import mend_after_fork
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress
from cacheaside.stores.redis.wire.replies import Command, with_advice

__all__ = ["ask", "first_answer", "port_in", "text", "unfit"]

T = TypeVar("T")

_REPLY_BYTES_MAX: Final = 16 * 1024 * 1024
_SHARES: Final = 4
_LEAST_S: Final = 0.001


def ask(address: ServerAddress, login: Login, deadline: Deadline, commands: Sequence[Command]) -> list[Any]:
    """The replies of a server, error replies among them. Raises `ConnectionAway`."""
    limits = Limits(deadline_s=max(deadline.left_s(), _LEAST_S), reply_bytes_max=_REPLY_BYTES_MAX)
    connection = BlockingConnection(address, limits)
    mend_after_fork(connection)
    try:
        connection.open(login, deadline)
        return connection.ask(commands, deadline)
    finally:
        connection.close()


def first_answer(
    servers: Sequence[ServerAddress],
    question: Callable[[ServerAddress, Deadline], T],
    deadline: Deadline,
    *,
    about: str,
) -> tuple[ServerAddress, T]:
    """The first server that has an answer, and that; raises `ConnectionAway` with what each of them said instead.

    None of them is given all the time while others are left to ask: one that is silent costs a share of it.
    """
    failures: list[ConnectionAway] = []
    for number, server in enumerate(servers):
        share_s = deadline.left_s() / min(_SHARES, len(servers) - number)
        try:
            return server, question(server, deadline.within(share_s))
        except ConnectionAway as away:
            failures.append(away)
    said = "; ".join(map(str, failures))
    raise ConnectionAway(f"nobody could tell ({said})", endpoint=about, reason=failures[-1].reason)


def unfit(server: ServerAddress, said: object, expected: str) -> ConnectionAway:
    """For a reply that is no answer: an error, or nothing of the kind."""
    if isinstance(said, ErrorReply):
        return ConnectionAway(
            f"it answered {with_advice(said.code)}, and not {expected}",
            endpoint=str(server),
            reason=Away.REFUSED,
        )
    return ConnectionAway(f"what it answered is not {expected}", endpoint=str(server), reason=Away.GARBLED)


def text(part: Any) -> str | None:
    """A part of a reply as text; None where it is none."""
    try:
        return part.decode() if isinstance(part, bytes) else part if isinstance(part, str) else None
    except UnicodeDecodeError:
        return None


def port_in(part: Any) -> int | None:
    """A part of a reply as a port, given as a number or as text; None where it is none."""
    said = part if isinstance(part, int) else text(part)
    if isinstance(said, str):
        said = int(said) if said.isascii() and said.isdigit() and len(said) <= len("65535") else None
    return said if said is not None and 0 < said <= 65_535 else None
