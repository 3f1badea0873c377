"""Why a server did not answer, and what it answered when it refused."""

from __future__ import annotations

from enum import StrEnum

from cacheaside.flow.ports import TierAway
from cacheaside.stores.redis.wire.replies import error_code

__all__ = ["Away", "ConnectionAway", "ErrorReply"]


class Away(StrEnum):
    """Why there is no answer."""

    REFUSED = "refused"
    """No connection could be made: nobody listens, or the name or the certificate is wrong."""
    BACKING_OFF = "backing off"
    """It was away a moment ago, and is not asked again yet."""
    LATE = "late"
    """It did not answer, or could not be connected to, within the deadline."""
    LOST = "lost"
    """The connection ended: the server went away, or the network reset it."""
    LOGIN = "login"
    """The server refused the name, the password or the database."""
    GARBLED = "garbled"
    """What came is not the protocol, or not an answer to anything, or larger than any answer may be."""
    FULL = "full"
    """More is under way than the limits allow."""
    CLOSED = "closed"
    """This side closed it."""


class ConnectionAway(TierAway):
    """A server did not answer.

    endpoint: which one. reason: why. maybe_sent: the commands may have reached the server, and may have taken effect;
    False is certain. Nothing is ever sent again by itself.
    """

    def __init__(self, message: str, *, endpoint: str, reason: Away, maybe_sent: bool = False) -> None:
        super().__init__(f"{endpoint}: {message}")
        self.message = message
        self.endpoint = endpoint
        self.reason = reason
        self.maybe_sent = maybe_sent

    def again(self, *, maybe_sent: bool) -> ConnectionAway:
        """The same for another caller: an exception that several raise would collect all their tracebacks."""
        return ConnectionAway(self.message, endpoint=self.endpoint, reason=self.reason, maybe_sent=maybe_sent)


class ErrorReply(Exception):
    """The server answered a command with an error. It stands among the replies; the transport does not raise it."""

    @property
    def code(self) -> str:
        """Its first word: WRONGTYPE, OOM, LOADING, MOVED, … All of it that may be said to people: servers, and what
        stands before them, quote arguments in the rest, and so passwords."""
        return error_code(self)
