"""The shared tier broken on purpose: what is said to the server, and what is believed of it. See `mutants`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cacheaside.testing.simulator.mutants import Make, Mutant

COMMANDS: Final = "cacheaside.stores.redis.wire.commands"
ENTRY: Final = "cacheaside.stores.redis.wire.entry"
TIER: Final = "cacheaside.stores.redis.tier"
TIMEBASE: Final = "cacheaside.policy.timebase"
BELIEFS: Final = "cacheaside.stores.redis.listen.beliefs"


def mutants(named: Make, other: Make) -> tuple[Mutant, ...]:
    """All of this file."""
    return (
        named(
            "look-before-stamp",
            "a fill looks for writers before it reads the generations",
            "shared",
            (
                COMMANDS,
                "        return _in_turn(self.stamp(tags), self.writers(tags))\n",
                (
                    "        both = _in_turn(self.writers(tags), self.stamp(tags))\n"
                    "        return Exchange(both.commands, lambda replies: both.read(replies)[::-1], both.resend)\n"
                ),
            ),
            (
                COMMANDS,
                "        return Exchange((leasing, *creations, *reading.commands, *writing.commands), read, resend=False)\n",
                (
                    "        looks = 1 + len(writing.commands)\n"
                    "        return Exchange(\n"
                    "            (leasing, *writing.commands, *creations, *reading.commands),\n"
                    "            lambda replies: read([replies[0], *replies[looks:], *replies[1:looks]]),\n"
                    "            resend=False,\n"
                    "        )\n"
                ),
            ),
        ),
        named(
            "counter-generations",
            "generations are counted, and the count begins again after an eviction",
            "shared",
            (
                COMMANDS,
                '("SET", generation_name(tag), fresh, "NX", *self._living(tag))',
                '("SET", generation_name(tag), b"-------1", "NX", *self._living(tag))',
            ),
            given="evictions=6,clock_steps=0",
        ),
        named(
            "same-generation-resent",
            "a bump that is sent again carries the generation it carried before",
            "shared",
            (
                TIER,
                "        until = self._pace() + self._write_deadline_s\n",
                "        until = self._pace() + self._write_deadline_s\n        first = exchange()\n",
            ),
            (
                TIER,
                "                await self._say(exchange(), writes=True)\n",
                "                await self._say(first, writes=True)\n",
            ),
            given="processes=2,focus=1,views=row,brackets=0.0,sweeping=0.0,writers=3,writes=2,"
            "write_deadline_s=0.5,unavailable=0.3,lag=0.2,slow=0.0,evictions=0,fillings=0,cuts=0,"
            "stalls=0,failovers=0,clock_steps=0,connected=True",
        ),
        named(
            "mark-after-bump",
            "a bracket bumps before it marks",
            "shared",
            (
                COMMANDS,
                "        both = _in_turn(self.enlist(tags, writer, lifetime_ms), self.bump(tags))\n",
                "        both = _in_turn(self.bump(tags), self.enlist(tags, writer, lifetime_ms))\n",
            ),
            given="processes=2,focus=1,views=row,brackets=1.0,deaths=0.9,lag=0.0,slow=0.0,pauses=0.0,"
            "unavailable=0.0,failovers=0,clock_steps=0,connected=True",
        ),
        named(
            "old-identity-trusted",
            "what was stored under a server's older history counts as what it is under the new one",
            "shared",
            (ENTRY, "        if now >> 64 not in (identity, UNKNOWN_IDENTITY):\n", "        if False:\n"),
            given="failovers=2,lagging=8,clock_steps=0",
        ),
        other(
            "uncertain-without-grace",
            "what an older history vouches for is served within its ttl, grace or not",
            "shared",
            (
                "cacheaside.policy.freshness",
                "        age_s = max(age_s, held.ttl_s)  # without grace that is too old\n",
                "        return Freshness.STALE\n",
            ),
            given="failovers=2,lagging=8,clock_steps=0",
        ),
        other(
            "held-over-a-failover",
            "L1 goes on with what an older history vouched for",
            "shared",
            (
                BELIEFS,
                "    if has_another_history or taken.set_forward:\n        hearing.heard(None)\n",
                "",
            ),
            (
                "cacheaside.coherence.hearing",
                "            self._near.clear()\n            self._synced[node] = -math.inf\n",
                "            self._synced[node] = -math.inf\n",
            ),
            given="failovers=2,lagging=8,clock_steps=0",
        ),
        other(
            "dropped-before-the-identity",
            "what an older history vouched for is dropped before the new one is believed",
            "shared",
            (
                BELIEFS,
                "    state.identity = identity\n    if has_another_history or taken.set_forward:\n        hearing.heard(None)\n",
                "    if has_another_history or taken.set_forward:\n        hearing.heard(None)\n    state.identity = identity\n",
            ),
            given="failovers=4,lagging=2,focus=1,on_failover=distrust,tells_identity=True,"
            "unavailable=0.0,cuts=0,stalls=0,connected=True,blind=False,pauses=0.0,slow=0.0,"
            "readers=4,reads=6",
        ),
        other(
            "forget-not-forgotten",
            "after a failover everything is to be forgotten, and is not",
            "shared",
            (BELIEFS, "        on_new_identity()\n", "        pass\n"),
            given="failovers=2,on_failover=forget,tells_identity=True",
        ),
        other(
            "age-without-lag",
            "what a server's clock said counts as told by this process's clock at its earliest",
            "shared",
            (
                TIMEBASE,
                "        return self.high_s + DRIFT * abs(now - self.at) + self.slack_s\n",
                "        return self.low_s\n",
            ),
        ),
        other(
            "load-at-its-latest",
            "an entry is stored as loaded when the server's clock was at its latest",
            "shared",
            (
                TIMEBASE,
                "        return now + self.low_s - DRIFT * abs(now - self.at)\n",
                "        return now + self.high_s\n",
            ),
            given="processes=2,focus=1,brackets=0.0,writers=1,writes=1,pauses=0.7,lag=0.0,slow=0.0,"
            "unavailable=0.0,cuts=0,stalls=0,failovers=0,clock_steps=0,connected=True",
        ),
        other(
            "set-back-ignored",
            "a server's clock that was set back is believed at once",
            "shared",
            (
                TIMEBASE,
                "    step_s = old_high - low\n",
                "    return Sampled(Timebase(reading.received, low, high, *kept))\n    step_s = old_high - low\n",
            ),
            given="clock_steps=2,failovers=0",
        ),
        other(
            "set-back-not-forgotten",
            "nothing is forgotten when a server's clock was set back",
            "shared",
            (BELIEFS, "        on_set_back(set_back_s)\n", "        pass\n"),
            given="clock_steps=2,failovers=0",
        ),
        other(
            "set-back-believed-first",
            "a clock that was set back is believed before everything is forgotten",
            "shared",
            (
                BELIEFS,
                "    if set_back_s:\n        on_set_back(set_back_s)\n    state.base = taken.base\n",
                "    state.base = taken.base\n    if set_back_s:\n        hearing.heard(None)\n        on_set_back(set_back_s)\n",
            ),
            given="clock_steps=4,failovers=0,focus=1,unavailable=0.0,lag=0.0,connected=True,cuts=0,"
            "stalls=0,processes=2,behind_steps=5",
        ),
        other(
            "outdated-by-the-new-clock",
            "what is served though it is out of date is as old as a clock says that was set back since",
            "shared",
            (
                TIER,
                "        lag_s = base.lag_of_old_s(now) if standing is Standing.OUTDATED else base.lag_s(now)\n",
                "        lag_s = base.lag_s(now)\n",
            ),
            given="clock_steps=2,failovers=0",
        ),
        other(
            "new-primary-new-clock",
            "the clock of a new primary is not compared with the old one's",
            "shared",
            (
                "cacheaside.stores.redis.listen.servers",
                "            state.base = max(bases, key=lambda base: base.high_s, default=None)\n",
                "            state.base = None\n",
            ),
            given="processes=1,focus=1,views=row,failovers=2,stays=0.0,moves=True,lagging=0,ahead_s=4.0,"
            "on_failover=trust,writers=1,writes=1,pauses=0.6,slow=0.0,evictions=0,flushes=0,"
            "unavailable=0.0,cuts=0,stalls=0,clock_steps=0,connected=True,blind=False",
        ),
        other(
            "owed-tags-fetched",
            "what depends on a tag whose change is owed is served as it is stored",
            "shared",
            (
                TIER,
                "        if was_owed or self._owed.any_of(tags) or (standing is Standing.UNCERTAIN and self._forgets):\n",
                "        if standing is Standing.UNCERTAIN and self._forgets:\n",
            ),
            (
                TIER,
                "        if self._wire.ring is not None or self._owed:\n",
                "        if self._wire.ring is not None:\n",
            ),
            given="processes=1,focus=1,views=row,brackets=0.0,sweeping=0.0,write_deadline_s=0.0,"
            "unavailable=0.3,threads=True,readers=5,reads=6,writers=1,writes=6,pauses=0.1,slow=0.0,"
            "cuts=0,stalls=0,failovers=0,connected=True",
        ),
        other(
            "owed-tags-stored",
            "what depends on a tag whose change is owed is stored and kept under the generation it has",
            "shared",
            (
                TIER,
                "        if generation is None or self._owed.any_of((tag,)):\n",
                "        if generation is None:\n",
            ),
            (
                TIER,
                "[None if self._owed.any_of((tag,)) else current[tag] for tag in recheck]",
                "[current[tag] for tag in recheck]",
            ),
            (
                "cacheaside.coherence.log",
                "        return self.unsettled is None or not self.unsettled(tags)\n",
                "        return True\n",
            ),
            given="write_deadline_s=0.0,unavailable=0.3,focus=1,slow=0.5",
        ),
        other(
            "paid-by-an-older-try",
            "a try that was sent before a later write pays for that write too",
            "shared",
            (
                "cacheaside.stores.redis.owed",
                "                if self._tags.get(tag, number + 1) <= number:\n",
                "                if tag in self._tags:\n",
            ),
            given="write_deadline_s=0.0,unavailable=0.3,focus=1,writers=3,writes=2",
        ),
        other(
            "mark-joins-what-ends",
            "a writer joins a set of writers first, and makes it last after that",
            "shared",
            (
                COMMANDS,
                "                commands += (longer, joining, (",
                "                commands += (joining, longer, (",
            ),
            given="writers=3,writes=2,focus=1,hurry=0.5,failovers=0,clock_steps=0,unavailable=0.0,short=0.0,evictions=0,"
            "views=row",
        ),
        other(
            "own-bumps-unheard",
            "a process does not hear of its own bumps before they are acknowledged to it (NOLOOP)",
            "shared",
            (
                "cacheaside.testing.simulator.transport",
                "        self._fleet: Fleet | None = None\n",
                "        self._fleet: Fleet | None = None\n        self.own: set[bytes] = set()\n",
            ),
            (
                "cacheaside.testing.simulator.transport",
                "        server.tell()\n        return replies\n",
                (
                    "        self.own.update([str(one[1]).encode() for one in commands])\n"
                    "        server.tell()\n        return replies\n"
                ),
            ),
            (
                "cacheaside.testing.simulator.listening",
                "            tag = tag_in(name, self._prefix)\n",
                (
                    "            if name in self._transport.own:\n"
                    "                self._transport.own.discard(name)\n"
                    "                continue\n"
                    "            tag = tag_in(name, self._prefix)\n"
                ),
            ),
            given="processes=1,focus=0,views=joined,brackets=0.0,sweeping=0.0,readers=3,reads=2,writers=3,"
            "writes=1,apart_steps=100,lag=0.3,behind_steps=2,pauses=0.0,hurry=0.0,slow=0.0,failing=0.0,"
            "evictions=0,fillings=0,unavailable=0.0,cuts=0,stalls=0,failovers=0,clock_steps=0,"
            "connected=True,blind=False",
        ),
        other(
            "owed-when-it-arrives",
            "what was owed when something was asked for does not count once it is paid",
            "shared",
            (
                TIER,
                "Asking(since, known, self._owed.names())",
                "Asking(since, known, frozenset())",
            ),
            given="processes=1,focus=1,views=row,brackets=0.0,sweeping=0.0,write_deadline_s=0.0,"
            "unavailable=0.3,lag=0.4,threads=True,readers=6,reads=10,writers=1,writes=10,pauses=0.0,"
            "hurry=0.0,slow=0.0,failing=0.0,evictions=0,flushes=0,fillings=0,cancels=0,kills=0,cuts=0,"
            "stalls=0,failovers=0,clock_steps=0,connected=True,blind=False",
        ),
        other(
            "forgotten-once",
            "what was forgotten when a clock was set back is not forgotten once more after a failover",
            "shared",
            (
                BELIEFS,
                "taken.set_back_s or (taken.base.set_back_s if has_another_history else 0.0)",
                "taken.set_back_s",
            ),
            given="processes=1,focus=1,views=row,clock_steps=1,clock_steps_s=-3.0+-0.8,failovers=1,stays=1.0,"
            "lagging=8,timed=1.0,on_failover=trust,tells_identity=True,writers=1,writes=1,readers=5,"
            "reads=4,pauses=0.7,slow=0.0,failing=0.0,evictions=0,flushes=0,fillings=0,marks_evicted=0,"
            "unavailable=0.0,cuts=0,stalls=0,connected=True,blind=False",
        ),
        other(
            "lease-without-takeover",
            "who waits for another process's load waits until it is done, and a lease has no end",
            "shared",
            (
                "cacheaside.flow.turn",
                "            if landing is not None or seen.leased is not Leased.ANOTHERS or left_s <= 0:\n",
                "            if landing is not None or seen.leased is not Leased.ANOTHERS:\n",
            ),
            (
                COMMANDS,
                '("SET", lease_name(key), owner, "NX", "PX", str(lifetime_ms))',
                '("SET", lease_name(key), owner, "NX")',
            ),
        ),
    )
