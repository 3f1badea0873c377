"""Faults around the server: of the network to it, of the service's processes, of the source."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Final, Protocol

from cacheaside.drill.faults.kind import Evidence
from cacheaside.drill.journal import Undo

__all__ = ["Cut", "Restarting", "RollingRestart", "Silent", "SlowSource", "SlowWire", "Wire"]

_PING: Final = b"PING\r\n"
_SILENCE_S: Final = 0.3


class Wire(Protocol):
    """A proxy in front of a server, as `cacheaside.testing.proxy.Proxy` is one."""

    @property
    def address(self) -> tuple[str, int]: ...

    def delay(self, seconds: float) -> None: ...

    def black_hole(self) -> None: ...

    def refuse(self) -> None: ...

    def reset(self) -> None: ...

    def heal(self) -> None: ...


class Restarting(Protocol):
    """Restarts processes behind the caller."""

    def begin(self) -> None: ...

    def end(self) -> int:
        """Begin no other, wait for the one under way; how many were restarted."""


class _OnTheWire:
    """What a proxy does, and no longer does. Its proxy ends with this process, or heals when this process is gone."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._said: list[Evidence] = []

    def undo(self) -> Undo | None:
        return None

    def halt(self) -> None:
        return None

    def end(self) -> None:
        self._wire.heal()
        took_s = self._ping(1.0)
        self._said.append(Evidence(took_s is not None, "a PING through the proxy is answered again"))

    def evidence(self) -> list[Evidence]:
        return self._said

    def _ping(self, within_s: float) -> float | None:
        """Until something came back through the proxy; an error is an answer too. None: nothing did."""
        began = time.monotonic()
        try:
            with socket.create_connection(self._wire.address, within_s) as connection:
                connection.settimeout(within_s)
                connection.sendall(_PING)
                came = connection.recv(1)
        except OSError:
            return None
        return time.monotonic() - began if came else None


class SlowWire(_OnTheWire):
    """Every message takes longer."""

    def __init__(self, wire: Wire, delay_s: float) -> None:
        super().__init__(wire)
        self._delay_s = delay_s

    def begin(self) -> None:
        self._wire.delay(self._delay_s)
        took_s = self._ping(self._delay_s * 4 + 1.0)
        slow = took_s is not None and took_s >= self._delay_s
        said = "was not answered" if took_s is None else f"took {took_s * 1e3:.0f} ms"
        self._said.append(Evidence(slow, f"a PING through the proxy {said}"))


class Silent(_OnTheWire):
    """Nothing gets through, and nothing is closed: what a frozen server, or a cut cable, is like."""

    def begin(self) -> None:
        self._wire.black_hole()
        silent = self._ping(_SILENCE_S) is None
        self._said.append(
            Evidence(silent, f"no answer came through the proxy within {_SILENCE_S * 1e3:.0f} ms")
        )


class Cut(_OnTheWire):
    """Every connection is reset, and none is made: what a killed server is like."""

    def begin(self) -> None:
        self._wire.refuse()
        self._wire.reset()
        self._said.append(Evidence(self._ping(_SILENCE_S) is None, "the proxy refused connections"))


class RollingRestart:
    """Processes are replaced, one after the other, behind whoever begins it."""

    def __init__(self, restarting: Restarting) -> None:
        self._restarting = restarting
        self._done = 0

    def undo(self) -> Undo | None:
        return None  # the processes end with this one

    def begin(self) -> None:
        self._restarting.begin()

    def halt(self) -> None:
        return None

    def end(self) -> None:
        self._done = self._restarting.end()

    def evidence(self) -> list[Evidence]:
        return [
            Evidence(
                self._done > 0, f"{self._done} processes were replaced by new ones, with nothing in memory"
            )
        ]


class SlowSource:
    """Queries take longer. slow: told how many times. took_ms: how long they took, at the median, since a moment.

    first: emptied beforehand, or a warm cache would hide it.
    """

    def __init__(
        self,
        slow: Callable[[float], None],
        took_ms: Callable[[float], float | None],
        times: float,
        first: Callable[[], int],
    ) -> None:
        self._slow = slow
        self._took_ms = took_ms
        self._times = times
        self._first = first
        self._began = 0.0
        self._usual_ms: float | None = None
        self._said: list[Evidence] = []

    def undo(self) -> Undo | None:
        return None  # the source ends with this process

    def begin(self) -> None:
        self._usual_ms = self._took_ms(0.0)
        self._slow(self._times)
        self._began = time.monotonic()
        self._first()

    def halt(self) -> None:
        return None

    def end(self) -> None:
        self._slow(1.0)  # before anything is looked at
        took_ms = self._took_ms(self._began)
        usual = "" if self._usual_ms is None else f", {self._usual_ms:.0f} ms before"
        if took_ms is None:
            self._said = [Evidence(False, "no query ended meanwhile")]
        else:
            slower = self._usual_ms is None or took_ms >= self._usual_ms * self._times / 2
            self._said = [Evidence(slower, f"queries took {took_ms:.0f} ms at the median{usual}")]

    def evidence(self) -> list[Evidence]:
        return self._said
