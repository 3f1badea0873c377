"""The access list of a user who may do what this library does in one namespace, and nothing else.

    python -m cacheaside.stores.redis.access NAMESPACE [USER]

prints it. Servers from Redis 6.2 on, and Valkey. Every namespace and every user has a list of its own: services that
share a server then cannot read, change or announce what is another's.

What a list cannot hold back: CLIENT TRACKING tells a user the names of changed keys below any prefix, other
namespaces' too (never their values), and INFO describes the whole server.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Final

from cacheaside.errors import DeclarationError
from cacheaside.keys import checked_namespace
from cacheaside.stores.redis.wire.names import changes_prefix, everything_pattern

__all__ = ["COMMANDS", "PASSWORD_PLACEHOLDER", "access_list"]

COMMANDS: Final = (
    # Entries, generations and writers: what `commands` builds.
    "mget", "set", "del", "exists", "sadd", "srem", "pexpire", "pttl",
    # Logging in and being seen. AUTH is every user's.
    "hello", "select", "ping", "client|setname", "client|id",
    # Hearing of changes. The one channel carries nothing: a subscriber that no longer reads is cut off by the server's
    # client-output-buffer-limit for pubsub, where a client that is only tracking would grow without end.
    "client|tracking", "subscribe", "unsubscribe",
    # Which server this is, whether it is the primary, its clock, and how far its replicas are.
    "info", "role", "time", "wait",
    # Who has which slots, and whether the node that says so still hears from the others.
    "cluster|slots", "cluster|info",
)  # fmt: skip
"""What the library sends, as access lists write it."""

PASSWORD_PLACEHOLDER: Final = "#SHA256-OF-THE-PASSWORD"  # noqa: S105 - there to be replaced
"""Refused by every server until it is replaced, where a placeholder in plain text would become the password."""

_USER: Final = re.compile(r"[A-Za-z0-9_.@-]{1,100}")
_PASSWORD: Final = re.compile(r"[>#][!#-&(-\[\]-~]+")  # no quotes or backslashes: files read them differently


def access_list(namespace: str, user: str, *, password_placeholder: str = PASSWORD_PLACEHOLDER) -> str:
    """Two lines that say the same: the command ACL SETUSER, and `user …` for the server's aclfile or configuration.

    Either replaces whatever the user was allowed before. password_placeholder: a password as access lists write it,
    `>password` or `#` and its SHA-256 in hexadecimal. Raises `DeclarationError`.
    """
    namespace = checked_namespace(namespace)
    if not isinstance(user, str) or not _USER.fullmatch(user):
        raise DeclarationError(f"user={user!r} must be letters, digits and the signs _ . @ -, at most 100.")
    if not isinstance(password_placeholder, str) or not _PASSWORD.fullmatch(password_placeholder):
        # Not quoted; and a space or a line break would end the password and begin another rule.
        raise DeclarationError(
            "password_placeholder must be > and a password, or # and its SHA-256, in printable ASCII without spaces, "
            "quotes and backslashes."
        )
    rules = " ".join([
        "reset", "on", password_placeholder,
        f"~{everything_pattern(namespace)}",
        "resetchannels", f"&{changes_prefix(namespace)}*",
        "-@all", *(f"+{command}" for command in COMMANDS),
    ])  # fmt: skip
    return f"ACL SETUSER {user} {rules}\nuser {user} {rules}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the list; 0, or 2 for a name that cannot be in one."""
    parser = argparse.ArgumentParser(
        prog="python -m cacheaside.stores.redis.access",
        description="Print the access list of a user who may do what cacheaside does in a namespace, and nothing else.",
        epilog=f"Replace {PASSWORD_PLACEHOLDER} by # and what `printf %s PASSWORD | sha256sum` prints.",
    )
    parser.add_argument("namespace", help="the one that Cache is given")
    parser.add_argument("user", nargs="?", default="cacheaside", help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(access_list(options.namespace, options.user))
    except DeclarationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
