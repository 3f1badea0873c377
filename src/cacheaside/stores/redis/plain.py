"""Plain hits: the value itself, without a record, where an entry and what is known of its server are the most usual.

Where nothing is kept in the process, most reads come to this; `flow.ports.Tier.fetch` is for all others. What was asked
for and is no plain hit is given to the flow that goes on, so that it does not ask for the same again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from cacheaside.flow.call import Call, Record
from cacheaside.flow.ports import Clock, Glance
from cacheaside.stores.redis.asking import Asking
from cacheaside.stores.redis.listen.servers import Servers
from cacheaside.stores.redis.owed import Owed
from cacheaside.stores.redis.wire.entry import MASK, plain_opened, plain_stamp
from cacheaside.stores.redis.wire.generations import GENERATION_BYTES, UNKNOWN_IDENTITY, Identity
from cacheaside.tally import Tally
from cacheaside.types import Generation, TagId

__all__ = ["AWAY", "ELSE", "Else", "Glanced", "PlainHits", "Quick", "Wish"]


class Else:
    """Instead of a value: it takes a flow to answer.

    glance: what was seen. None: nothing that says more than the flow's own look. in_vain: the tier was asked, and did
    not answer: the flow is not to ask it again. Told from values by its class alone, so there is no other of its kind.
    """

    __slots__ = ("glance", "in_vain")

    def __init__(self, glance: Glance | None = None, *, in_vain: bool = False) -> None:
        self.glance = glance
        self.in_vain = in_vain


ELSE: Final = Else()
AWAY: Final = Else(in_vain=True)


class Quick(Protocol):
    """An endpoint, as far as a plain hit needs it."""

    tally: Tally
    quick_for_s: float
    """How long after the beginning of its load a value is surely fresh; 0 when it takes more to tell."""

    decode: Callable[[bytes], Any]
    """Raises for bytes that are no value of this endpoint."""


Wish = tuple[Quick, TagId, int, Any, Sequence[TagId]]
"""An endpoint, the key, its place among the names asked for, who is to be told, and the declared tags. At the place lie
the entry, the generation of the key, and those of the tags."""


class Judging(Protocol):
    """The tier, as far as what was seen needs it."""

    def fetch(self, call: Call) -> Awaitable[Record | None]: ...

    def said_by(self, known: Generation) -> bool:
        """Whether the servers are still those that said `known`."""

    async def judged(self, call: Call, values: Sequence[bytes | None], asking: Asking) -> Record | None:
        """The record of `call` by the entry and the generations that were asked for."""


class Glanced:
    """Implements `flow.ports.Glance`: the values that lay under a key and its tags when a plain hit was asked for."""

    __slots__ = ("_asking", "_tags", "_tier", "_values", "arrived")

    def __init__(
        self,
        tier: Judging,
        tags: tuple[TagId, ...],
        values: Sequence[bytes | None],
        asking: Asking,
        arrived: int,
    ) -> None:
        self._tier = tier
        self._tags = tags
        self._values = values
        self._asking = asking
        self.arrived = arrived

    async def record(self, call: Call) -> Record | None:
        known = self._asking.known
        assert known is not None, "plain hits are asked for only while the namespace's generation is known"
        # A function that gives tags or varied values may give others now. And what came from a server is labelled with
        # the identity that is known when it is judged: (1) it comes from A (2) B takes over (3) it would count as B's.
        if self._tags != call.tags or not self._tier.said_by(known):
            return await self._tier.fetch(call)
        if self._values[0] is None:
            return None
        return await self._tier.judged(call, self._values, self._asking)


class PlainHits:
    """What the values asked for are worth. moment: `flow.flights.Flights.moment` of who reads."""

    def __init__(
        self,
        servers: Servers,
        owed: Owed,
        clock: Clock,
        everything: TagId,
        tier: Judging,
        moment: Callable[[], int],
    ) -> None:
        self._servers = servers
        self._owed = owed
        self._clock = clock
        self._everything = everything
        self._tier = tier
        self._moment = moment
        self._said: tuple[Generation | None, Identity, bytes, bytes] = (None, UNKNOWN_IDENTITY, b"", b"")

    def answers(
        self,
        wishes: Sequence[Wish],
        values: Sequence[Any],
        known: Generation,
        owing: frozenset[TagId],
    ) -> list[tuple[Any, Any]]:
        """Who is to be told, and what: a value that is valid and surely fresh, counted as a hit; or an `Else`.

        known, owing: as in `tier.Asking`. One loop, and little in it: this is the hot path.
        """
        everything = self._everything
        said, identity, said_by, generation_of_all = self._said
        if said != known:
            identity, generation_of_all = (
                Identity(known >> 64),
                (known & MASK).to_bytes(GENERATION_BYTES, "big"),
            )
            said_by = plain_stamp(identity)
            self._said = known, identity, said_by, generation_of_all
        base = self._servers.states[0].base
        if base is None or self._servers.identity_of(everything) != identity:
            return [(waiting, ELSE) for _, _, _, waiting, _ in wishes]
        if owing or self._owed:
            return self._seen(wishes, values, known, owing)
        now = self._clock.now()
        began_s = now + base.lag_s(now)
        hit: tuple[Tally, float] | None = None
        answers: list[tuple[Any, Any]] = []
        others: list[Wish] = []
        for wish in wishes:
            endpoint, key, at, waiting, more = wish
            data, generation = values[at], values[at + 1]
            if type(data) is bytes and type(generation) is bytes:
                if more:
                    own = values[at + 2 : at + 2 + len(more)]
                    if None in own:
                        # A missing generation matches nothing. Left out, it would match what depends on fewer tags:
                        # (1) an entry is stored that does not depend on a tag (2) the tag is invalidated, and its
                        # generation is evicted (3) a newer version of a service declares it, and reads that entry.
                        others.append(wish)
                        continue
                    stamp = said_by + _in_order(
                        (key, everything, *more), (generation, generation_of_all, *own)
                    )
                elif key < everything:
                    stamp = said_by + generation + generation_of_all
                else:
                    stamp = said_by + generation_of_all + generation
                found = plain_opened(data, key, stamp)
                if found is not None:
                    age_s = began_s - found[1] * 1e-6
                    if 0.0 <= age_s < endpoint.quick_for_s:
                        try:
                            answer = endpoint.decode(found[0])
                        except Exception:  # noqa: BLE001, S110 - classes of the value may raise anything
                            pass  # a flow says what
                        else:
                            tally = endpoint.tally
                            tally.fresh += 1
                            tally.shared_hits += 1
                            hit = tally, age_s
                            answers.append((waiting, answer))
                            continue
            others.append(wish)
        if hit is not None:  # one of each batch stands for all
            hit[0].age_at_serve.record(hit[1])
        return answers + self._seen(others, values, known, owing) if others else answers

    def _seen(
        self, wishes: Sequence[Wish], values: Sequence[Any], known: Generation, owing: frozenset[TagId]
    ) -> list[tuple[Any, Any]]:
        """The same for what is no plain hit: a flow goes on from what was seen."""
        # After all of them came, and before any of them goes on: they may share what the first of them begins to load.
        arrived = self._moment()
        asking = Asking(None, known, owing)
        seen: list[tuple[Any, Any]] = []
        for _, key, at, waiting, more in wishes:
            own = values[at : at + 2 + len(more)]
            answer = ELSE
            if all(value is None or type(value) is bytes for value in own):
                answer = Else(Glanced(self._tier, (key, self._everything, *more), own, asking, arrived))
            seen.append((waiting, answer))
        return seen


def _in_order(tags: Sequence[TagId], generations: Sequence[bytes]) -> bytes:
    """The generations in the order of the tags' ids."""
    return b"".join([generation for _, generation in sorted(zip(tags, generations, strict=True))])
