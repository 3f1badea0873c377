"""The shared tier of one cache, put together: what listens, what remembers what is owed, and a tier in each colour."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

from cacheaside.bell import Bell
from cacheaside.coherence.hearing import Hearing, HeldHere
from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.call import Call
from cacheaside.flow.flights import Flights
from cacheaside.flow.ports import Clock, TierAway
from cacheaside.observe.stats import Distribution, SharedStats
from cacheaside.stores.redis.aio_tier import AioTier
from cacheaside.stores.redis.blocking_tier import BlockingTier
from cacheaside.stores.redis.complaints import Unanswered, say_untold
from cacheaside.stores.redis.connect.chance import chance
from cacheaside.stores.redis.connect.fleet import Fleet, Topology
from cacheaside.stores.redis.connect.routing_aio import AioFleet
from cacheaside.stores.redis.connect.server import Limits, Login
from cacheaside.stores.redis.connect.transport_blocking import BlockingTransport
from cacheaside.stores.redis.counts import Counts
from cacheaside.stores.redis.kept import Kept
from cacheaside.stores.redis.listen.ear import Start
from cacheaside.stores.redis.listen.heard import AioHeard, BlockingHeard, waker
from cacheaside.stores.redis.listen.keeper import Keeper
from cacheaside.stores.redis.listen.servers import Servers
from cacheaside.stores.redis.looking import FarSeen, LookingTier
from cacheaside.stores.redis.owed import Owed
from cacheaside.stores.redis.seats import Seats
from cacheaside.stores.redis.tier import ENTRY_MAX_S
from cacheaside.stores.redis.wire.commands import Commands
from cacheaside.stores.redis.wire.envelope import PLAIN, Wire
from cacheaside.stores.redis.wire.generations import UNKNOWN_IDENTITY, Identity
from cacheaside.stores.redis.wire.names import generation_name, is_declared
from cacheaside.types import TagId

__all__ = ["OnFailover", "Options", "Shared"]

log = logging.getLogger("cacheaside")

OnFailover = Literal["distrust", "forget", "trust"]
REACHED_EVERY_S: Final = 0.02
_PAY_EVERY_S: Final = 0.25
_PAY_MAX_S: Final = 5.0
OWN_GENERATION_MIN_S: Final = 3600.0
GENERATIONS_PER_BOUND: Final = 2.0
"""How often the longest bound of any entry a generation lives."""
SHARED_GENERATION_S: Final = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a cache uses its shared tier.

    max_unsynced_s: for how long L1 answers after the last proof that it has heard all (G2).
    on_failover: what to do with entries that another history of the servers vouched for: "distrust" them (past their
    ttl, within grace while they are refreshed), "forget" them all, or "trust" them until their ttl ends.
    wait_replicas: how many replicas must have an invalidation before it counts as acknowledged.
    """

    topology: Topology
    login: Login
    limits: Limits
    wire: Wire = PLAIN
    max_unsynced_s: float = 2.0
    on_failover: OnFailover = "distrust"
    wait_replicas: int = 0


class Shared:
    """Thread-safe; connects to nothing before it is used, and again when it is used after `close` or a fork.

    flights: of event loops, and of threads.
    """

    def __init__(
        self,
        namespace: str,
        options: Options,
        near: HeldHere,
        clock: Clock,
        flights: Sequence[Flights],
        open_until: Callable[[float], None],
        *,
        everything: TagId,
        mark_lifetime_s: float,
        bound_s: Callable[[], float],
    ) -> None:
        self.namespace = namespace
        self.options = options
        self.counts = Counts()
        self.servers = Servers(trusting=options.on_failover == "trust")
        self.owed = Owed(everything)
        self._clock = clock
        self._everything = everything
        self._pay_at = float("-inf")
        self._pay_failures = 0
        near.log.unsettled = self.owed.any_of
        self.hearing = Hearing(
            near, clock, flights, open_until, everything=everything, max_unsynced_s=options.max_unsynced_s
        )
        self.hearing.owed = self._owe
        this = weakref.ref(self)

        def accepts(endpoint: str, identity: Identity | None) -> bool:
            shared = this()
            return shared is None or shared._accepts(endpoint, identity)  # noqa: SLF001 - its own

        login, limits = replace(options.login, accepts=accepts), options.limits
        self._aio = AioFleet(login, limits)
        self._blocking = BlockingTransport(login, limits)
        # A cache that is dropped, or left to the end of its process, without being closed leaves no connection behind.
        weakref.finalize(self, _end, self._aio, self._blocking, namespace, self.owed)
        self.seats = Seats(
            namespace,
            lambda commands: run_blocking(self._blocking.execute(commands)),
            time.monotonic,
            lambda: os.urandom(16),
        )
        self._unanswered = Unanswered(namespace, self.counts, limits.deadline_s, time.monotonic)
        self.keeper = Keeper(
            options.topology,
            options.login,
            limits,
            self.servers,
            self.hearing,
            namespace=namespace,
            touched=generation_name(everything),
            now=clock.now,
            pace=time.monotonic,
            chance=chance,
            max_unsynced_s=options.max_unsynced_s,
        )
        self.keeper.on_fleet = self._use
        self.keeper.on_end = self._blocking.close
        self.keeper.on_start = self._start
        self.keeper.on_set_back = self._forget_everything
        self.keeper.on_new_identity = self._new_identity
        self.keeper.on_up = self._unanswered.begin
        self.keeper.on_turn = self._turn
        self._bound_s = bound_s
        self.commands = Commands(os.urandom, self._generation_ms)
        what = self.servers, self.commands, options.wire, clock, self.hearing, self.owed, self.counts
        self.blocking_tier = BlockingTier(
            self._blocking,
            *what,
            namespace=namespace,
            everything=everything,
            forgets=options.on_failover == "forget",
            moment=flights[1].moment,
            ready=self._ready_blocking,
            pause=_sleep,
            doubt=self.keeper.doubt,
            wait_replicas=options.wait_replicas,
            mark_lifetime_s=mark_lifetime_s,
        )
        self.tier = AioTier(
            self._aio,
            *what,
            namespace=namespace,
            direct=self._aio,
            moment=flights[0].moment,
            attend=self.keeper.watch_from,
            everything=everything,
            forgets=options.on_failover == "forget",
            confirming=self.blocking_tier if options.wait_replicas else None,
            ready=self._ready_aio,
            pause=asyncio.sleep,
            doubt=self.keeper.doubt,
            wait_replicas=options.wait_replicas,
            mark_lifetime_s=mark_lifetime_s,
        )
        self.kept = Kept(namespace, self.blocking_tier)
        # A plain entry is an unsigned one: where entries are signed, each is looked at as a whole.
        self.quick = None if options.wire.ring is not None else (self.tier.value, self.blocking_tier.value)
        self._looking = partial(
            LookingTier,
            self._blocking,
            *what[:-1],
            namespace=namespace,
            everything=everything,
            forgets=options.on_failover == "forget",
            pause=_sleep,
            doubt=self.keeper.doubt,
            mark_lifetime_s=mark_lifetime_s,
        )
        self.heard = AioHeard(self.hearing, clock, limits.deadline_s)
        self.blocking_heard = BlockingHeard(self.hearing, clock, limits.deadline_s)

    # -- coming to be ready ------------------------------------------------------------------------------------

    async def _ready_aio(self) -> None:
        """Wait for the first attempt to reach the servers, for the deadline at most; and have this loop hear."""
        loop = asyncio.get_running_loop()
        self.keeper.start()
        self.keeper.watch_from(loop)
        tried = loop.create_future()

        if self.keeper.when_tried(waker(loop, tried)):
            await asyncio.wait([tried], timeout=self.options.limits.deadline_s)
            if not tried.done():
                self.keeper.waited_in_vain()

    async def _ready_blocking(self) -> None:
        self.keeper.start()
        tried = Bell()
        if self.keeper.when_tried(tried.ring) and not tried.wait(self.options.limits.deadline_s):
            self.keeper.waited_in_vain()

    def reached(self, within_s: float) -> bool:
        """Whether its servers are up, or come to be within that time. Blocks."""
        until, tried = time.monotonic() + within_s, Bell()
        if self.keeper.when_tried(tried.ring):
            tried.wait(within_s)
        while not self.servers.all_up and (left_s := until - time.monotonic()) > 0:
            tried.wait(min(left_s, REACHED_EVERY_S))
        return self.servers.all_up

    def look(self, call: Call, within_s: float) -> FarSeen:
        """What lies there for `call`; nothing is changed by it. Blocks, for `within_s` at most when the servers were
        not reached yet, and for a deadline a round trip. Raises `TierAway`."""

        async def ready() -> None:
            self.keeper.start()
            tried = Bell()
            if self.keeper.when_tried(tried.ring):
                tried.wait(within_s)

        return run_blocking(self._looking(Counts(), ready=ready).look(call))

    def owned(self, holder: str) -> bool:
        """Whether the lease that `holder` signed is this process's."""
        return holder.partition("-")[0] in (self.tier.process, self.blocking_tier.process)

    def _generation_ms(self, tag: TagId) -> int | None:
        """A generation outlives every entry that is stamped with it: its end is theirs. An entry's own need live no
        longer; a tag that many share, long enough that its end is rare, and not that of others; everything's, for
        ever."""
        if tag == self._everything:
            return None
        lifetime_s = max(OWN_GENERATION_MIN_S, GENERATIONS_PER_BOUND * min(self._bound_s(), ENTRY_MAX_S))
        if is_declared(tag):
            lifetime_s = max(SHARED_GENERATION_S * (1.0 + chance()), lifetime_s)
        return int(lifetime_s * 1000)

    def _accepts(self, endpoint: str, identity: Identity | None) -> bool:
        """Whether a data connection leads to the server whose changes are heard: (1) they are heard from A (2) the
        address moves to B, which has older data (3) a connection is made again and reaches B: what it says would count
        as said by A, for as long as A is heard."""
        state = next((state for state in self.servers.states if state.name == endpoint), None)
        if state is None or identity is None or self.options.on_failover == "trust":
            return True
        if state.identity in (UNKNOWN_IDENTITY, identity):
            return True
        self.keeper.suspect(endpoint)
        return False

    # -- what the keeper tells ---------------------------------------------------------------------------------

    def _use(self, fleet: Fleet) -> None:
        self.commands.cluster = fleet.is_cluster
        self._aio.use(fleet)
        self._blocking.use(fleet)

    def _start(self, start: Start) -> None:
        self.commands.lengthen = start.lengthens

    def _forget_everything(self, why: str) -> None:
        log.warning("cache %s: everything is forgotten, because %s", self.namespace, why)
        self._owe((self._everything,))
        self.hearing.hear((self._everything,))

    def _new_identity(self, name: str) -> None:
        if self.options.on_failover == "forget":
            self._forget_everything(f"{name} may have gone back to old data")

    def _owe(self, tags: Sequence[TagId]) -> None:
        self.owed.add(tags)

    def _turn(self) -> None:
        """Run by the keeper's thread, again and again while the servers are up."""
        self._unanswered.look()
        self._pay()
        self.seats.turn()

    def _pay(self) -> None:
        """Try again what is owed."""
        if not self.owed or time.monotonic() < self._pay_at:
            return
        tags, number = self.owed.batch()
        try:
            run_blocking(self.blocking_tier.bump(tags))
        except TierAway:
            self._pay_failures += 1
            pause_s = min(_PAY_MAX_S, _PAY_EVERY_S * 2.0 ** min(self._pay_failures - 1, 10))
            self._pay_at = time.monotonic() + pause_s
            return
        self.owed.paid(tags, number)
        self._pay_failures = 0
        self.hearing.hear(tags)
        log.info("cache %s: %d invalidations got through after all", self.namespace, len(tags))

    def server_now_s(self) -> float | None:
        """The earliest that the clock of the server of `kept` can say now; None when it is not known."""
        if not self.servers.all_up:
            return None
        base = self.servers.of(self.kept.name).base
        return None if base is None else base.earliest_s(self._clock.now())

    # -- seeing ------------------------------------------------------------------------------------------------

    def stats(self) -> SharedStats:
        """How things stand."""
        counts, servers = self.counts, self.servers
        away = next((state.why for state in servers.states if not state.is_up), servers.why)
        through = self.hearing.synced_through
        return SharedStats(
            up=servers.all_up,
            why_away=None if servers.all_up or away is None else str(away),
            blind=self.hearing.is_blind,
            unsynced_s=None if math.isinf(through) else max(0.0, self._clock.now() - through),
            owed=len(self.owed),
            unanswered=counts.away,
            refused=counts.refused,
            entries_refused=counts.stores_refused,
            entries_unstorable=counts.unstorable,
            entries_rejected={why.value: number for why, number in counts.rejected.items()},
            from_the_future=counts.from_the_future,
            servers=len(servers.states),
            servers_up=sum(state.is_up for state in servers.states),
            went_away=servers.went_away,
            lag=Distribution.of(self.hearing.lag),
            heartbeat=Distribution.of(servers.heartbeat),
        )

    # -- the life of it ----------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Close what this loop and the process's threads have open. Never waits for a server."""
        await asyncio.to_thread(self.keeper.close, asyncio.get_running_loop())
        await self._aio.aclose()
        self._aio.sweep()
        say_untold(self.namespace, self.owed)

    def close(self) -> None:
        """As `aclose`, without a loop: the connections of loops that still run are closed by them."""
        self.keeper.close()
        self._aio.sweep()
        say_untold(self.namespace, self.owed)

    def after_fork(self) -> None:
        """The child begins with no connection, and hears nothing until it has some."""
        self.owed.forget()
        self.seats.forget()
        self.keeper.after_fork()


def _end(aio: AioFleet, blocking: BlockingTransport, namespace: str, owed: Owed) -> None:
    aio.retire()
    blocking.close()
    say_untold(namespace, owed)


async def _sleep(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - it runs on a thread that may be blocked, and suspends nobody
