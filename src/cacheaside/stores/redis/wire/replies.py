"""What a server's replies mean, checked before anything relies on them.

A reply is what a driver makes of the protocol, undecoded: bytes, an integer, None, a list, or an exception, not raised,
for an error. What drivers make of "OK" and of a 0 or 1 (True, False) is taken as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from cacheaside.flow.ports import TierAway
from cacheaside.stores.redis.wire.generations import parsed_generation
from cacheaside.types import Generation

__all__ = [
    "Command",
    "StoreReplyError",
    "Unconfirmed",
    "count_in",
    "done",
    "error_code",
    "generations_in",
    "values_in",
    "was_set",
    "with_advice",
]

Command = tuple[str | bytes, ...]
"""A command's name and arguments. Numbers as text: hiredis packs an int by calling Python code, and crashes the process
when a signal's handler raises in that."""

_CODE: Final = re.compile(r"[A-Z]{2,20}(?![a-zA-Z])")
# redis-py takes the first word off the text; from version 7 on it keeps it as `status_code`.
_CODE_BY_CLASS: Final = {
    "AskError": "ASK",
    "AuthenticationError": "NOAUTH",
    "BusyLoadingError": "LOADING",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "NoPermissionError": "NOPERM",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "TryAgainError": "TRYAGAIN",
}
_ADVICE: Final = {
    "ASK": "the slot is moving; ask again",
    "DENIED": "the server is in protected mode; give it a password, or bind it to an address",
    "CLUSTERDOWN": "the cluster has slots without a primary",
    "LOADING": "the server is still reading its data",
    "MASTERDOWN": "this is a replica without its primary; connect to the primary",
    "MISCONF": "the server cannot save, and refuses writes",
    "MOVED": "another node has the slot now; ask for the topology again",
    "NOAUTH": "give the URL a user and password",
    "NOPERM": "the user's access list lacks this command or key",
    "NOREPLICAS": "too few replicas are connected for the server to take writes",
    "OOM": "the server is full and may not evict: raise maxmemory, or choose another maxmemory-policy",
    "READONLY": "this is a replica; connect to the primary",
    "TRYAGAIN": "the slot is moving; ask again",
    "WRONGPASS": "the URL's user or password is wrong",
    "WRONGTYPE": "another program uses this key; choose another namespace",
}


class Unconfirmed(TierAway):
    """A write took effect, and fewer replicas than are asked for said that they have it."""


class StoreReplyError(TierAway):
    """The server refused a command, or answered what it cannot mean.

    code: the error's first word, such as OOM or MOVED; empty for a reply of the wrong shape. The rest of the server's
    text is left out, since it may quote arguments, and so values. `reply` has it for who must act on it. verb: the
    command's name.
    """

    def __init__(self, command: Command, reply: Any, expected: str) -> None:
        self.code = error_code(reply)
        self.reply = reply
        self.verb = f"{command[0]!s}"
        if self.code:
            self._why = f"the server answered {with_advice(self.code)}."
        else:
            self._why = (
                f"the server answered {_shape(reply)} where {expected} was expected: is it Redis or Valkey, and "
                "nothing between that changes replies?"
            )
        what = f"{self.verb} {command[1]!s}" if len(command) > 1 else self.verb
        super().__init__(f"{what}: {self._why}")

    @property
    def brief(self) -> str:
        """Without the key."""
        return f"{self.verb}: {self._why}"


def with_advice(code: str) -> str:
    """The code of an error, and what to do about it where that is known."""
    advice = _ADVICE.get(code)
    return f"{code}: {advice}" if advice else code


def error_code(reply: Any) -> str:
    """The first word of an error reply; empty for any other reply."""
    if not isinstance(reply, BaseException):
        return ""
    given = getattr(reply, "status_code", None)
    if isinstance(given, str):
        return given
    found = _CODE.match(str(reply))
    return found[0] if found else _CODE_BY_CLASS.get(type(reply).__name__, "ERR")


def _shape(reply: Any) -> str:
    if isinstance(reply, (list, tuple)):
        return f"an array of {len(reply)}"
    return "nothing" if reply is None else f"{type(reply).__name__}"


def done(command: Command, reply: Any) -> None:
    """Check that `reply` is OK."""
    if reply is not True and reply not in (b"OK", "OK"):
        raise StoreReplyError(command, reply, "OK")


def was_set(command: Command, reply: Any) -> bool:
    """Whether a SET NX set anything."""
    if reply is None:
        return False
    done(command, reply)
    return True


def count_in(command: Command, reply: Any) -> int:
    """A count, 0 or more."""
    if not isinstance(reply, int) or reply < 0:
        raise StoreReplyError(command, reply, "a count")
    return int(reply)


def values_in(command: Command, reply: Any) -> list[bytes | None]:
    """The values of an MGET, one a key."""
    wanted = len(command) - 1
    if not isinstance(reply, (list, tuple)) or len(reply) != wanted:
        raise StoreReplyError(command, reply, f"an array of {wanted}")
    for value in reply:
        if value is not None and not isinstance(value, bytes):
            raise StoreReplyError(command, value, "bytes or nothing")
    return list(reply)


def generations_in(values: Sequence[bytes | None]) -> tuple[Generation | None, ...]:
    """Each value as a generation; None where it is none."""
    return tuple([parsed_generation(value) for value in values])
