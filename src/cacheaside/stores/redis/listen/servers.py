"""What this process knows of the servers of its shared tier: kept by the keeper, read by everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cacheaside.histogram import Histogram
from cacheaside.policy.timebase import Reading, Sampled, Timebase, sampled
from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.server import ServerAddress
from cacheaside.stores.redis.wire.generations import UNKNOWN_IDENTITY, Identity

__all__ = ["ServerState", "Servers"]


@dataclass(slots=True)
class ServerState:
    """A primary as it was last heard of.

    is_up: it is listened to, and its clock and identity are known; told by `Servers.say`. why: the reason when not.
    """

    address: ServerAddress
    is_up: bool = False
    identity: Identity = UNKNOWN_IDENTITY
    base: Timebase | None = None
    why: ConnectionAway | None = None
    clock_is_moved: bool = False

    @property
    def name(self) -> str:
        """What it is called in logs, and by who listens."""
        return str(self.address)

    def taken(self, reading: Reading) -> Sampled:
        """What to believe of its clock after `reading`.

        Where a test moves this process's clock, the server's goes along with it.
        """
        if self.clock_is_moved:
            return Sampled(Timebase(reading.received, 0.0, 0.0))
        return sampled(self.base, reading)


class Servers:
    """The primaries, in the order of the fleet. Replaced as a whole, so that who reads needs no lock.

    trusting: whichever history a server has, it counts as the same.
    """

    def __init__(self, *, trusting: bool = False) -> None:
        self.trusting = trusting
        self.fleet: Fleet | None = None
        self.states: tuple[ServerState, ...] = ()
        self.all_up = False
        """Whether every primary is up."""
        self.one_up = False
        """Whether there is one primary, and it is up."""
        self.why: ConnectionAway | None = None
        """Why there is no fleet."""
        self.clock_is_moved = False
        self.went_away = 0
        """How often a server that was up was found away."""
        self.heartbeat = Histogram()
        """Round trips of heartbeats."""

    def use(self, fleet: Fleet) -> None:
        """These are the primaries now; what is known of those that were primaries before is kept."""
        known = {state.address: state for state in self.states}
        gone = [state for state in self.states if state.address not in fleet.primaries]
        self.states = tuple([known.get(address) or self._new(address, gone) for address in fleet.primaries])
        self.fleet = fleet
        self._settle()

    def _new(self, address: ServerAddress, gone: Sequence[ServerState]) -> ServerState:
        """A primary that was none before, in place of those that are `gone`: it goes on with what they held.

        To this process that is one server, whose clock was set and whose history may be another: the first heartbeat is
        compared with the clock that was furthest ahead, and with the identity that vouched until now.
        """
        state = ServerState(address, clock_is_moved=self.clock_is_moved)
        if gone:
            state.identity = gone[0].identity
            bases = [one.base for one in gone if one.base is not None]
            state.base = max(bases, key=lambda base: base.high_s, default=None)
        if self.clock_is_moved:
            state.base = Timebase(0.0, 0.0, 0.0)
        return state

    @property
    def is_cluster(self) -> bool:
        """Whether keys of one command must share a slot."""
        return self.fleet is not None and self.fleet.is_cluster

    def say(self, state: ServerState, *, is_up: bool, why: ConnectionAway | None = None) -> None:
        """A server is up, or away because of `why`."""
        self.went_away += state.is_up and not is_up
        state.is_up = is_up
        state.why = why
        self._settle()

    def _settle(self) -> None:
        self.all_up = bool(self.states) and all(state.is_up for state in self.states)
        self.one_up = self.all_up and self.fleet is not None and not self.fleet.is_cluster

    def identity_of(self, name: str) -> Identity:
        """Of the server that holds `name`. Raises `ConnectionAway` when it is not up."""
        return UNKNOWN_IDENTITY if self.trusting else self.of(name).identity

    def of(self, name: str) -> ServerState:
        """The server that holds `name`. Raises `ConnectionAway` when it is not up."""
        fleet = self.fleet
        if fleet is None:
            raise self._away("the shared tier", self.why)
        state = self.states[0] if fleet.owners is None else self.states[fleet.place_of(name)]
        if not state.is_up:
            raise self._away(state.name, state.why)
        return state

    def _away(self, name: str, why: ConnectionAway | None) -> ConnectionAway:
        if why is not None:
            return ConnectionAway(why.message, endpoint=why.endpoint, reason=Away.BACKING_OFF)
        return ConnectionAway(
            "this process has not connected to it yet", endpoint=name, reason=Away.BACKING_OFF
        )

    def move_clock(self, moved: bool, now: float) -> None:
        """Ages are told by a clock that a test moves, or by the kernel's again."""
        self.clock_is_moved = moved
        for state in self.states:
            state.clock_is_moved = moved
            state.base = Timebase(now, 0.0, 0.0) if moved else None

    def forget(self) -> None:
        """In a child made by fork, or after closing: nothing is connected."""
        for state in self.states:
            state.is_up = False
        self.fleet = None
        self._settle()
