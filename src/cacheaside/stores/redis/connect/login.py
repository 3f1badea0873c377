"""What is said to log in, and what the answers mean: for every way of connecting, and touching nothing."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple

from cacheaside.stores.redis.connect.away import Away, ConnectionAway, ErrorReply
from cacheaside.stores.redis.connect.server import Login, anybody
from cacheaside.stores.redis.wire.generations import Identity, identity_of
from cacheaside.stores.redis.wire.replies import Command, with_advice

__all__ = ["Welcome", "logging_in", "replication_of"]

_FIELD: Final = re.compile(rb"^(role|master_replid|redis_version):([^\r\n]*)", re.MULTILINE)


class Welcome(NamedTuple):
    """protocol: 3, or 2 where 3 is not known."""

    protocol: int
    identity: Identity | None


def replication_of(info: Any) -> tuple[Identity | None, bool, bytes]:
    """What INFO says: the identity, whether it takes writes, and the version; of what it does not say, None, True and
    nothing."""
    said = dict(_FIELD.findall(info)) if isinstance(info, bytes) else {}
    replid = said.get(b"master_replid", b"").strip().decode("ascii", "replace")
    is_primary = said.get(b"role", b"master").strip() == b"master"
    return (identity_of(replid) if replid else None), is_primary, said.get(b"redis_version", b"").strip()


def logging_in(login: Login, endpoint: str) -> Generator[list[Command], Sequence[Any], Welcome]:
    """Yields what to send together, is sent the replies; returns what the server said of itself.

    Raises `ConnectionAway` (LOGIN) where the server refuses. What it yields last ends with a PING: a server that took
    the login and answers no command is not there.
    """
    # Alone: a server that is full, or in protected mode, answers the first command and closes. What more was sent
    # along would be without an answer, and the reason lost in that.
    hello = _hello(login)
    (answer,) = yield [hello]
    protocol = 3
    rest: list[Command] = [("SELECT", str(login.database))] if login.database else []
    if isinstance(answer, ErrorReply) and _knows_no_3(answer, login):
        protocol, rest = 2, [*_in_2(login), *rest]
    else:
        _check(hello, answer, login, endpoint)
    asked: list[Command] = [("INFO", "replication")] if login.accepts is not anybody else []
    # Any answer to these will do: a user may have no right to them.
    answers = yield [*rest, *asked, ("PING",)]
    for command, answer in zip(rest, answers, strict=False):
        _check(command, answer, login, endpoint)
    identity, _, _ = replication_of(answers[len(rest)])
    if not login.accepts(endpoint, identity):
        message = "another server than the one whose changes are heard answers there"
        raise ConnectionAway(message, endpoint=endpoint, reason=Away.REFUSED)
    return Welcome(protocol, identity)


def _hello(login: Login) -> Command:
    hello: Command = ("HELLO", "3")
    if login.password is not None:
        hello += ("AUTH", login.username or "default", login.password)
    return (*hello, "SETNAME", login.client_name)


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


def _check(command: Command, answer: object, login: Login, endpoint: str) -> None:
    if isinstance(answer, ErrorReply):
        # Not what the server says: one that does not know the command quotes its arguments, and so the password.
        said = with_advice(answer.code)
        if answer.code == "ERR":
            said = f"ERR: {_advice(command, answer, login)}"
        message = f"the login was refused ({command[0]!s}: {said})"
        raise ConnectionAway(message, endpoint=endpoint, reason=Away.LOGIN)


def _advice(command: Command, answer: ErrorReply, login: Login) -> str:
    """What to do about an error without a code of its own."""
    if "max number of clients" in str(answer):
        return "the server has as many clients as its maxclients allows"
    if command[0] == "SELECT":
        return f"has the server a database {login.database}?"
    if login.password is not None:
        return "has the server a password for this user, and does it, or a proxy before it, know AUTH?"
    return "does it, or a proxy before it, know this command?"
