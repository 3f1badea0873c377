"""Hearing of changes, broken on purpose. See `mutants`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cacheaside.testing.simulator.mutants import Make, Mutant

HEARING: Final = "cacheaside.coherence.hearing"
_CLEAR: Final = "            self._near.clear()\n            self._synced[node] = -math.inf\n"
_LOST: Final = (
    '        """The connection to `node` is gone. What was proved up to now holds until it is too old."""\n'
)


def mutants(named: Make, other: Make) -> tuple[Mutant, ...]:
    """All of this file."""
    return (
        named(
            "value-tags-by-bumps-alone",
            "of marks, and that they expire, nothing is heard",
            "shared",
            (
                "cacheaside.stores.redis.wire.names",
                '    tag = name[len(prefix) + 1 :].removesuffix(b"!")\n',
                "    tag = name[len(prefix) + 1 :]\n",
            ),
            given="views=joined,focus=1,slow=0.5,deaths=0.6",
        ),
        named(
            "heartbeat-answered-after",
            "a heartbeat shows that all was heard until it was answered",
            "shared",
            (HEARING, "max(self._synced[node], sent_at)", "max(self._synced[node], self._clock.now())"),
            given="processes=2,focus=0,views=joined,brackets=0.0,sweeping=0.0,lag=0.2,behind_steps=200,"
            "apart_steps=40,slow=0.0,pauses=0.0,cuts=0,stalls=0,failing=0.0,unavailable=0.0,flushes=0,"
            "fillings=0,failovers=0,clock_steps=0,connected=True,blind=False",
        ),
        named(
            "revalidate-before-listening",
            "what is held is dropped when a connection is lost, not when the next one listens; and the tier is asked meanwhile",
            "shared",
            (HEARING, _CLEAR, "            self._synced[node] = -math.inf\n"),
            (HEARING, _LOST, _LOST + "        self._near.clear()\n"),
            (
                "cacheaside.testing.simulator.listening",
                "        self._servers.say(state, is_up=False, why=why)\n",
                "",
            ),
            given="processes=2,focus=1,views=row,cuts=4,stalls=0,pauses=0.3,lag=0.0,failovers=0,clock_steps=0,"
            "unavailable=0.3,readers=5,reads=6,connected=True,blind=False,behind_steps=5",
        ),
        other(
            "gate-never-closing",
            "L1 answers for ever once it has heard",
            "shared",
            (
                HEARING,
                "        self._open_until(self._known_until)\n",
                "        self._open_until(math.inf)\n",
            ),
            given="processes=2,focus=1,views=row,brackets=0.0,writers=1,writes=2,cuts=3,stalls=2,"
            "max_unsynced_s=1.0,beat_s=1.0,pauses=0.8,hurry=0.1,slow=0.0,failing=0.0,unavailable=0.0,"
            "flushes=0,fillings=0,failovers=0,clock_steps=0,connected=True,blind=False",
        ),
        other(
            "everything-believed-although-it-moved",
            "the generation of the namespace is known although a change of it was heard",
            "shared",
            (
                HEARING,
                "        return known if self._near.log.unchanged(self._everything_tags, number) else None\n",
                "        return known\n",
            ),
        ),
        other(
            "everything-believed-late",
            "the generation of the namespace is believed although it was heard to change while it travelled",
            "shared",
            (
                HEARING,
                (
                    "            if self._near.log.unchanged(self._everything_tags, since.number):\n"
                    "                self._everything = generation, since.number\n"
                ),
                "            self._everything = generation, self._near.log.number\n",
            ),
            given="processes=2,focus=1,views=row,brackets=0.0,sweeping=0.9,writers=3,writes=2,lag=0.4,"
            "behind_steps=5,pauses=0.0,slow=0.0,unavailable=0.0,cuts=0,stalls=0,failovers=0,"
            "clock_steps=0,connected=True,blind=False",
        ),
        other(
            "everything-known-for-ever",
            "the generation of the namespace is known however long nothing was heard",
            "shared",
            (
                HEARING,
                "        if known is None or self._clock.now() > self._known_until:\n",
                "        if known is None:\n",
            ),
            given="processes=2,focus=1,views=row,brackets=0.0,sweeping=1.0,writers=1,writes=2,cuts=3,stalls=0,"
            "max_unsynced_s=1.0,beat_s=1.0,pauses=0.8,hurry=0.1,slow=0.0,unavailable=0.0,failovers=0,"
            "clock_steps=0,connected=True,blind=False",
        ),
        other(
            "blind-and-held",
            "where a server tells of nothing, what is held is dropped once, and never again",
            "shared",
            (
                HEARING,
                "                self._near.clear()\n                self._blind_since = self._clock.now()\n",
                "                self._blind_since = self._clock.now()\n",
            ),
            given="blind=True,processes=2,focus=1",
        ),
        other(
            "blind-and-still",
            "where a server tells of nothing, tags found in a value count as unchanged",
            "shared",
            (HEARING, "return not self._blind and self._near", "return self._near"),
            given="processes=2,focus=0,views=joined,brackets=0.0,sweeping=0.0,lag=0.2,apart_steps=40,slow=0.0,"
            "failing=0.0,pauses=0.0,unavailable=0.0,failovers=0,clock_steps=0,connected=True,blind=True",
        ),
        other(
            "flush-unheard",
            "that everything may have changed is not heard",
            "shared",
            (HEARING, "        self._near.changed_all()\n", "        return\n"),
            (HEARING, "            self._near.clear()\n            return\n", "            return\n"),
            given="flushes=1,failovers=2",
        ),
    )
