"""The flows broken on purpose: fills, joining, writes, reads inside loads. See `mutants`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cacheaside.testing.simulator.mutants import Make, Mutant

FILL: Final = "cacheaside.flow.fill"
FLIGHTS: Final = "cacheaside.flow.flights"
NESTED: Final = "cacheaside.flow.nested"
READ: Final = "cacheaside.flow.read"
TURN: Final = "cacheaside.flow.turn"
WRITE: Final = "cacheaside.flow.write"
EMBEDDED: Final = "cacheaside.stores.embedded"

_LOAD: Final = "    loaded = await _load(boarded, ports, in_vain=this.stamp is None)\n"
_CLOSE: Final = "    ports.flights.close([one.flight for one in boarded])\n"
_TRY_BUMP: Final = "        try:\n            await ports.tier.bump(tags)\n"
_MARK: Final = "            await ports.tier.mark(tags, writer, ports.mark_lifetime_s)\n"


def mutants(named: Make, other: Make) -> tuple[Mutant, ...]:
    """All of this file."""
    return (
        named(
            "stamp-after-load",
            "generations are read after the load",
            "shared",
            (
                FILL,
                _LOAD,
                _LOAD
                + "    if this.stamp is not None:\n"
                + "        try:\n"
                + "            stamped = await ports.tier.stamp(tuple(this.stamp))\n"
                + "        except TierAway:\n"
                + "            this.stamp = None\n"
                + "        else:\n"
                + "            this.stamp = dict(zip(this.stamp, stamped.generations, strict=True))\n"
                + "            this.writers = stamped.writers\n",
            ),
        ),
        named(
            "bump-before-commit-only",
            "a bracket bumps before its commit, and that is all",
            "embedded",
            (WRITE, _MARK, "            await ports.tier.bump(tags)\n"),
            (
                WRITE,
                "        await invalidate(tags, ports)\n        await give_up(tags, writer, ports)\n",
                "        await give_up(tags, writer, ports)\n",
            ),
        ),
        named(
            "release-on-unknown-outcome",
            "a bracket that ends with an error releases its mark",
            "embedded",
            (
                "cacheaside.endpoint.changing",
                "            await writing.invalidate(tags, ports)\n",
                "            await writing.finish(tags, write.writer, ports)\n",
            ),
        ),
        named(
            "blind-join",
            "a landing answers whoever joined, whatever changed meanwhile",
            "embedded",
            (FLIGHTS, "return not landing.moved or flight.started > arrived", "return True"),
        ),
        named(
            "join-open-during-recheck",
            "a flight takes joiners while its fill reads the generations once more",
            "embedded",
            (FILL, _CLOSE, ""),
            given="views=joined,focus=1,brackets=0.0,sweeping=0.0,lag=0.4,apart_steps=20,after=True,"
            "before=False,slow=0.0,pauses=0.0",
        ),
        named(
            "drop-before-acknowledgement",
            "the writer's own process drops before the bump is acknowledged",
            "shared",
            (
                WRITE,
                _TRY_BUMP + "            ports.heard.hear(tags, calls)\n",
                "        ports.heard.hear(tags, calls)\n" + _TRY_BUMP,
            ),
            given="processes=1,focus=1,lag=0.4,behind_steps=200,deaths=0.0,slow=0.0,hurry=0.0,pauses=0.0,"
            "unavailable=0.0,failovers=0,connected=True,blind=False",
        ),
        named(
            "l1-deaf-to-marks",
            "L1 does not hear that a bracket has begun",
            "embedded",
            (WRITE, "        ports.heard.hear(tags)\n", ""),
        ),
        named(
            "nested-read-through-l1",
            "a read inside a load is answered by L1",
            "shared",
            (
                READ,
                "        return await read_nested(call, nest, ports)\n",
                "        return serve(call, ports)[0] or await read_nested(call, nest, ports)\n",
            ),
            given="views=outer",
        ),
        named(
            "clear-anothers-mark",
            "a writer that is done removes every mark of its tags",
            "shared",
            (
                "cacheaside.stores.redis.wire.commands",
                '[("SREM", writers_name(tag), writer) for tag in tags]',
                '[("DEL", writers_name(tag)) for tag in tags]',
            ),
        ),
        other(
            "clear-anothers-mark-here",
            "the same, where the tier is this process alone",
            "embedded",
            (EMBEDDED, "writers.pop(writer, None)", "writers.clear()"),
        ),
        other(
            "look-before-stamp-here",
            "a fill looks for writers before it reads the generations, where the tier is this process alone",
            "embedded",
            (
                EMBEDDED,
                "        return Stamped(self._generations(tags), await self.writers(tags))\n",
                (
                    "        writers = await self.writers(tags)\n"
                    "        return Stamped(self._generations(tags), writers)\n"
                ),
            ),
        ),
        other(
            "flight-not-closed-on-hearing",
            "a load goes on taking joiners after one of its tags was heard to change",
            "embedded",
            (EMBEDDED, "            flights.close_touching(tags)\n", "            continue\n"),
        ),
        other(
            "lost-wake-up",
            "a landing wakes all who wait but the first",
            "embedded",
            (FLIGHTS, "        for wake in waiters:\n", "        for wake in waiters[1:]:\n"),
        ),
        other(
            "abandoned-flight-never-landed",
            "a fill that is cancelled leaves its flights in the air",
            "embedded",
            (
                FILL,
                "            ports.flights.land(one.flight, broken)\n",
                "            if broken is not None:\n                ports.flights.land(one.flight, broken)\n",
            ),
            (
                "cacheaside.flow.lead",
                "        for flight in flights:\n            ports.flights.land(flight, None)\n",
                "",
            ),
        ),
        other(
            "leader-cancels-followers",
            "one who leaves counts as all who wait",
            "embedded",
            (FLIGHTS, "            flight.waiting -= 1\n", "            flight.waiting = 0\n"),
        ),
        other(
            "nested-age-not-joined",
            "a value computed from a cached one counts as new",
            "embedded",
            (NESTED, "strict=True)), record.loaded_at)", "strict=True)), now)"),
        ),
        other(
            "expiry-not-logged",
            "a mark that expires leaves no trace in the log",
            "embedded",
            (EMBEDDED, "            if over:\n", "            if over and not now:\n"),
            given="views=joined,focus=1,slow=0.5,deaths=0.6",
        ),
        other(
            "recheck-ignored",
            "a landing does not say that a generation moved",
            "shared",
            (FILL, "if generation != stamp[tag])\n", "if not stamp)\n"),
            given="processes=2,focus=1,slow=0.8,pauses=0.1,unavailable=0.0,behind_steps=200,hurry=0.1,deaths=0.0,"
            "lag=0.0,readers=6,reads=3,failovers=0,connected=True",
        ),
        other(
            "join-under-a-mark",
            "a load under a writer's mark answers those who joined it",
            "shared",
            (FILL, "    moved = moved or not this.writers.isdisjoint(draft.tags)\n", ""),
            given="processes=1,focus=1,views=row,brackets=1.0,deaths=0.9,writers=1,writes=1,slow=0.8,"
            "delays_s=4.0,threads=False,pauses=0.5,hurry=0.0,failing=0.0,unavailable=0.0,cuts=0,stalls=0,"
            "flushes=0,marks_evicted=0,failovers=0,clock_steps=0,cancels=0,stops=0,kills=0,"
            "connected=True,blind=False",
        ),
        other(
            "join-before-late-tags-are-known",
            "a load answers those who joined it although the tags in its value may have moved",
            "embedded",
            (
                FILL,
                "    moved = moved_tags is None or not draft.held_still or not",
                "    moved = moved_tags is None or not",
            ),
            given="views=joined,focus=1,slow=0.8,pauses=0.1,hurry=0.1",
        ),
        other(
            "join-unvouched",
            "a load answers those who joined it although what it read inside cannot be vouched for",
            "embedded",
            (
                FILL,
                "    if stamp is None or not (this.vouched or this.lease):\n        return None\n",
                "    if stamp is None or not this.vouched:\n        return None if stamp is None else frozenset()\n",
            ),
            given="views=outer,focus=1,slow=0.8,pauses=0.1,hurry=0.1,deaths=0.6,readers=6",
        ),
        other(
            "late-tags-without-heartbeat",
            "tags found in the value are looked up in the log without hearing what was acknowledged",
            "shared",
            (FILL, "        await ports.heard.sync()\n", ""),
            given="processes=2,focus=1,views=joined,brackets=0.0,sweeping=0.0,lag=0.2,behind_steps=200,"
            "slow=0.0,failing=0.0,pauses=0.0,unavailable=0.0,cuts=0,stalls=0,fillings=0,failovers=0,"
            "clock_steps=0,connected=True,blind=False",
        ),
        other(
            "late-tags-from-after-the-load",
            "what late tags must not miss is counted from after the load",
            "embedded",
            (FILL, _LOAD, _LOAD + "    this.since = ports.heard.position()\n"),
        ),
        other(
            "shown-after-the-recheck",
            "what is kept must have been quiet only since the generations were read once more, not since before",
            "shared",
            (
                FILL,
                "    if not this.vouched:\n        return None\n    return frozenset(",
                (
                    "    if not this.vouched:\n        return None\n    this.shown = ports.heard.position()\n"
                    "    return frozenset("
                ),
            ),
            given="focus=1,lag=0.4,pauses=0.0,unavailable=0.0,failovers=0",
        ),
        other(
            "fetched-without-position",
            "what was fetched is kept although a change was heard while it travelled",
            "shared",
            (
                READ,
                "        ports.near.keep(call, record, since)\n",
                "        ports.near.keep(call, record, ports.heard.position())\n",
            ),
            given="focus=1,lag=0.4,pauses=0.1,unavailable=0.0,failovers=0,cuts=0,connected=True,"
            "blind=False,behind_steps=5,views=row,slow=0.0,processes=2",
        ),
        other(
            "unvouched-inner-load",
            "an outer value is stored although what it read inside was loaded under a mark",
            "shared",
            (
                NESTED,
                "        nest.unvouched()\n",
                "        nest.joined(landing.stamp or {}, landing.loaded_at)\n",
            ),
            given="views=outer",
        ),
        other(
            "as-of-ignored",
            "what another process has stored answers whoever joined, whenever it was fetched",
            "shared",
            (FLIGHTS, "        return arrived < landing.as_of\n", "        return True\n"),
            given="processes=3,focus=1,views=row,lag=0.4,behind_steps=200,slow=0.3,hurry=0.02,"
            "pauses=0.4,readers=5,reads=6",
        ),
        other(
            "as-of-the-end",
            "what another process has stored counts as valid when it arrived, not when it was fetched",
            "shared",
            (TURN, "None, as_of=as_of)", "None, as_of=ports.flights.moment())"),
            given="processes=3,focus=1,views=row,lag=0.4,behind_steps=200,slow=0.3,hurry=0.02,"
            "pauses=0.4,readers=5,reads=6",
        ),
        other(
            "unacknowledged-and-unheard",
            "a process does not take in its own write when it is not acknowledged",
            "shared",
            (
                WRITE,
                "        except TierAway as away:\n            ports.heard.owe(tags, calls)\n",
                "        except TierAway as away:\n",
            ),
            given="unavailable=0.3,processes=1",
        ),
        other(
            "interrupted-and-unheard",
            "a thread does not take in its own write when its invalidation is interrupted",
            "shared",
            (
                WRITE,
                "        except BaseException:\n            ports.heard.owe(tags, calls)\n            raise\n",
                "",
            ),
            given="threads=True,cancels=3,processes=1,focus=1,lag=0.4,readers=6,short=0.0,failovers=0,clock_steps=0,"
            "evictions=0,unavailable=0.0,views=row,writers=3,writes=4,reads=8",
        ),
        other(
            "cancelled-and-unheard",
            "a caller that is cancelled leaves its invalidation to whoever may never be",
            "shared",
            (
                WRITE,
                "        if tags:\n            ports.heard.owe(tags, calls)\n        raise\n",
                "        raise\n",
            ),
            given="threads=False,cancels=3,processes=1,focus=1,lag=0.4,readers=6,short=0.0,failovers=0,clock_steps=0,"
            "evictions=0,unavailable=0.0,views=row",
        ),
    )
