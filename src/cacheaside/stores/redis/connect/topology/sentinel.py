"""The primary that Sentinels name, once it has said itself that it is one."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any

from cacheaside.errors import DeclarationError
from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.deadline import Deadline
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.server import Login, ServerAddress
from cacheaside.stores.redis.connect.topology.asking import ask, first_answer, port_in, text, unfit

__all__ = ["SentinelTopology"]


class SentinelTopology:
    """Implements `fleet.Topology`: asks each Sentinel in turn, the one that was right last before the others.

    service: the name that the Sentinels know the primary by. sentinel_login: to the Sentinels, often none.
    login, tls, tls_name: to the servers they name. Their user needs the command ROLE.
    """

    def __init__(
        self,
        sentinels: Sequence[ServerAddress],
        service: str,
        *,
        sentinel_login: Login | None = None,
        login: Login | None = None,
        tls: ssl.SSLContext | None = None,
        tls_name: str | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        if not sentinels:
            raise DeclarationError("sentinels must name at least one Sentinel")
        self._sentinels = tuple(sentinels)
        self._service = service
        self._sentinel_login = sentinel_login or Login()
        self._login = login or Login()
        self._tls = tls
        self._tls_name = tls_name
        self._now = now

    def find(self, within_s: float) -> Fleet:
        """See `fleet.Topology`. A server that a Sentinel still names and that is a replica by now is not believed."""
        right, primary = first_answer(
            self._sentinels,
            self._primary_by,
            Deadline.after(within_s, self._now),
            about=f"the primary of {self._service}",
        )
        self._sentinels = (right, *[other for other in self._sentinels if other != right])
        return Fleet((primary,))

    def _primary_by(self, sentinel: ServerAddress, deadline: Deadline) -> ServerAddress:
        question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
        (named,) = ask(sentinel, self._sentinel_login, deadline, [question])
        if named is None:
            message = f"it knows no service {self._service}"
            raise ConnectionAway(message, endpoint=str(sentinel), reason=Away.REFUSED)
        host, port = (text(named[0]), port_in(named[1])) if _is_pair(named) else (None, None)
        if not host or port is None:
            raise unfit(sentinel, named, "a host and a port")
        primary = ServerAddress(host, port, tls=self._tls, tls_name=self._tls_name)
        self._check(primary, deadline)
        return primary

    def _check(self, primary: ServerAddress, deadline: Deadline) -> None:
        """1. A primary is replaced; 2. a Sentinel that was cut off, or is slow, still names it; 3. it came back as a
        replica. Writes would fail, and what is read there may be old."""
        (answer,) = ask(primary, self._login, deadline, [("ROLE",)])
        said = text(answer[0]) if isinstance(answer, list) and answer else None
        if said is None:
            raise unfit(primary, answer, "a role")
        if said != "master":
            role = "a replica" if said == "slave" else "something else"
            message = f"it was named the primary of {self._service} and says it is {role}"
            raise ConnectionAway(message, endpoint=str(primary), reason=Away.REFUSED)


def _is_pair(named: Any) -> bool:
    return isinstance(named, list) and len(named) == 2
