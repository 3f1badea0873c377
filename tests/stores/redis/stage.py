"""A tier on a real server, with all that is said to it written down, for the tests of both colours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from cacheaside import Cache, Contract
from cacheaside.coherence.hearing import Hearing
from cacheaside.flow.call import Call, Record
from cacheaside.flow.ports import Lease
from cacheaside.policy.timebase import Timebase
from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.fleet import Fleet, Transport
from cacheaside.stores.redis.connect.server import ServerAddress
from cacheaside.stores.redis.counts import Counts
from cacheaside.stores.redis.listen.servers import Servers
from cacheaside.stores.redis.owed import Owed
from cacheaside.stores.redis.plain import Else
from cacheaside.stores.redis.wire.commands import Commands
from cacheaside.stores.redis.wire.envelope import PLAIN, Wire
from cacheaside.stores.redis.wire.generations import Identity
from cacheaside.stores.redis.wire.replies import Command
from cacheaside.types import Generation, TagId
from tests.coherence.near import Near
from tests.stores.redis.conftest import random_numbers

EVERYTHING = TagId("shop:tag~%2A:")
MINUTE = Contract("60s", grace="30s", absent_ttl="5s", jitter=0)


class Recorder:
    """A transport that writes down what is said, and fails when it is told to."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.said: list[tuple[Command, ...]] = []
        self.failures: list[ConnectionAway] = []
        self.answers: list[list[Any]] = []
        """Given in place of the server's, one list for each exchange."""

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        self.said.append(tuple(commands))
        if self.failures:
            raise self.failures.pop(0)
        if self.answers:
            return self.answers.pop(0)
        return await self.inner.execute(commands)

    def use(self, fleet: Fleet) -> None:
        self.inner.use(fleet)

    @property
    def verbs(self) -> list[list[str]]:
        """The names of the commands, by exchange."""
        return [[str(command[0]) for command in exchange] for exchange in self.said]


class Stage:
    """One process: what it knows, at a moment that is moved by hand, and two endpoints to read by."""

    def __init__(self, transport: Transport, address: tuple[str, int], wire: Wire = PLAIN) -> None:
        self.t = 1000.0
        self.moments = 0
        self.recorder = Recorder(transport)
        self.near = Near()
        self.counts = Counts()
        self.owed = Owed(EVERYTHING)
        self.near.log.unsettled = self.owed.any_of
        self.hearing = Hearing(
            self.near, self, (), lambda until: None, everything=EVERYTHING, max_unsynced_s=1e9
        )
        self.servers = Servers()
        fleet = Fleet((ServerAddress(*address),))
        self.servers.use(fleet)
        transport.use(fleet)
        (self.state,) = self.servers.states
        self.state.identity = Identity(7)
        self.state.base = Timebase(self.t, 0.0, 0.0)
        self.servers.say(self.state, is_up=True)
        self.hearing.expect((self.state.name,))
        self.hearing.listening(self.state.name)
        self.hearing.synced(self.state.name, self.t)
        self.commands = Commands(random_numbers(), 60_000)
        self.wire = wire
        self.doubts = 0
        self.pauses: list[float] = []
        self.cache = Cache(namespace="shop")
        tag = self.cache.tag("products", int)

        @self.cache.read("product", MINUTE, tags=lambda key: [tag(key)])
        def product(key: int) -> str | None:
            raise AssertionError("nothing is loaded here")

        @self.cache.read("row", MINUTE)
        def row(key: int) -> int:
            raise AssertionError("nothing is loaded here")

        self.product, self.row = product.endpoint, row.endpoint

    def now(self) -> float:
        return self.t

    def moment(self) -> int:
        """As `Flights` gives it."""
        self.moments += 1
        return self.moments

    @property
    def parts(self) -> tuple[Any, ...]:
        """What a tier is made of, after its transport."""
        return self.servers, self.commands, self.wire, self, self.hearing, self.owed, self.counts

    def options(self, pause: Callable[[float], Awaitable[None]], **others: Any) -> dict[str, Any]:
        return {
            "namespace": "shop",
            "everything": EVERYTHING,
            "forgets": False,
            "ready": self._ready,
            "doubt": self._doubt,
            "pause": pause,
            "pace": lambda: self.t,
            **others,
        }

    async def _ready(self) -> None:
        return

    def _doubt(self) -> None:
        self.doubts += 1

    async def pass_time(self, seconds: float) -> None:
        """As a pause, of the stage's own time."""
        self.pauses.append(seconds)
        self.t += seconds

    def call(self, key: int) -> Call:
        """A read of a product, which has a declared tag."""
        return self.product.call((key,))

    def plain(self, key: int) -> Call:
        """A read of a row, which has none."""
        return self.row.call((key,))

    def record(
        self,
        call: Call,
        value: Any,
        generations: Sequence[Generation],
        more: Sequence[tuple[TagId, Generation]] = (),
    ) -> Record:
        """As a fill makes it that began now; more: tags that only the value names."""
        packed = call.endpoint.pack(value)
        terms = call.terms
        tags = call.tags + tuple(tag for tag, _ in more)
        return Record(
            packed.held,
            len(packed.encoded),
            self.t,
            terms.absent_ttl_s if packed.absent else terms.ttl_s,
            not packed.absent,
            False,
            tags,
            (*generations, *[generation for _, generation in more]),
            0.5,
            packed.encoded,
            packed.absent,
        )

    def lease(self, call: Call, owner: str = "1") -> Lease:
        return Lease(call, owner, 5.0, self.t + 5.0)


def takes_a_flow(answer: Any) -> bool:
    """Whether it is no value, of a tier that was not asked in vain."""
    return type(answer) is Else and not answer.in_vain


def late(*, maybe_sent: bool = True) -> ConnectionAway:
    return ConnectionAway("no answer", endpoint="127.0.0.1:1", reason=Away.LATE, maybe_sent=maybe_sent)
