"""Plain hits: the value itself, without a record, where an entry and what is known of its server are the most usual.

Where nothing is kept in the process, most reads come to this; `flow.ports.Tier.fetch` is for all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from cacheaside.flow.ports import Clock
from cacheaside.stores.redis.listen.servers import Servers
from cacheaside.stores.redis.owed import Owed
from cacheaside.stores.redis.wire.entry import MASK, plain_opened, plain_stamp
from cacheaside.stores.redis.wire.generations import GENERATION_BYTES, UNKNOWN_IDENTITY, Identity
from cacheaside.tally import Tally
from cacheaside.types import Generation, TagId

__all__ = ["AWAY", "ELSE", "Else", "PlainHits", "Quick", "Wish"]


class Else:
    """Instead of a value: it takes a flow to answer."""


ELSE: Final = Else()
AWAY: Final = Else()
"""The same, and the tier was asked in vain: the flow is not to ask it again."""


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


class PlainHits:
    """What the values asked for are worth."""

    def __init__(self, servers: Servers, owed: Owed, clock: Clock, everything: TagId) -> None:
        self._servers = servers
        self._owed = owed
        self._clock = clock
        self._everything = everything
        self._said: tuple[Generation | None, Identity, bytes, bytes] = (None, UNKNOWN_IDENTITY, b"", b"")

    def answers(
        self,
        wishes: Sequence[Wish],
        values: Sequence[Any],
        known: Generation,
        owing: frozenset[TagId],
    ) -> list[tuple[Any, Any]]:
        """Who is to be told, and what: a value that is valid and surely fresh, counted as a hit; or `ELSE`.

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
        if base is None or owing or self._owed or self._servers.identity_of(everything) != identity:
            return [(waiting, ELSE) for _, _, _, waiting, _ in wishes]
        now = self._clock.now()
        began_s = now + base.lag_s(now)
        hit: tuple[Tally, float] | None = None
        answers: list[tuple[Any, Any]] = []
        for endpoint, key, at, waiting, more in wishes:
            data, generation = values[at], values[at + 1]
            answer: Any = ELSE
            if type(data) is bytes and type(generation) is bytes:
                if more:
                    others = values[at + 2 : at + 2 + len(more)]
                    if None in others:
                        # A missing generation matches nothing. Left out, it would match what depends on fewer tags:
                        # (1) an entry is stored that does not depend on a tag (2) the tag is invalidated, and its
                        # generation is evicted (3) a newer version of a service declares it, and reads that entry.
                        answers.append((waiting, ELSE))
                        continue
                    stamp = said_by + _in_order(
                        (key, everything, *more), (generation, generation_of_all, *others)
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
                        except Exception:  # noqa: BLE001 - classes of the value may raise anything; a flow says what
                            answer = ELSE
                        else:
                            tally = endpoint.tally
                            tally.fresh += 1
                            tally.shared_hits += 1
                            hit = tally, age_s
            answers.append((waiting, answer))
        if hit is not None:  # one of each batch stands for all
            hit[0].age_at_serve.record(hit[1])
        return answers


def _in_order(tags: Sequence[TagId], generations: Sequence[bytes]) -> bytes:
    """The generations in the order of the tags' ids."""
    return b"".join([generation for _, generation in sorted(zip(tags, generations, strict=True))])
