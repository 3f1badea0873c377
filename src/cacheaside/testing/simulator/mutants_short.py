"""The short way to what the shared tier holds, broken on purpose. See `mutants`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cacheaside.testing.simulator.mutants import Make, Mutant

READ: Final = "cacheaside.flow.read"
PLAIN: Final = "cacheaside.stores.redis.plain"


def mutants(named: Make, other: Make) -> tuple[Mutant, ...]:  # noqa: ARG001 - as all files of mutants
    """All of this file."""
    return (
        other(
            "seen-and-kept",
            "L1 keeps what the short way saw, as if nothing had been heard while the answer travelled",
            "shared",
            (
                READ,
                "        since = ports.heard.position() if glance is None else None\n",
                "        since = ports.heard.position()\n",
            ),
            given="short=1.0,focus=1,lag=0.4,pauses=0.1,unavailable=0.0,failovers=0,cuts=0,stalls=0,connected=True,"
            "blind=False,behind_steps=5,views=outer,slow=0.0,processes=2,readers=6,reads=8,writers=2,writes=4,"
            "brackets=0.0,clock_steps=0,sweeping=0.0",
        ),
        other(
            "seen-before-it-came",
            "a read whose flow goes on from what was seen may be answered by any load that was under way",
            "shared",
            (PLAIN, "        arrived = self._moment()\n", "        arrived = 0\n"),
            given="short=1.0,focus=1,views=row,processes=2,readers=6,reads=8,writers=2,writes=4,slow=0.5,pauses=0.0,"
            "brackets=0.0,sweeping=0.0,unavailable=0.0,failovers=0,clock_steps=0,cuts=0,stalls=0,connected=True,"
            "evictions=6",
        ),
        other(
            "seen-and-paid",
            "what was owed when the short way asked, and paid since, does not count",
            "shared",
            (PLAIN, "        if owing or self._owed:\n", "        if self._owed:\n"),
            (
                PLAIN,
                "        asking = Asking(None, known, owing)\n",
                "        asking = Asking(None, known, frozenset())\n",
            ),
            given="short=1.0,processes=1,focus=1,views=row,brackets=0.0,sweeping=0.0,write_deadline_s=0.0,"
            "unavailable=0.3,lag=0.4,threads=True,readers=6,reads=10,writers=1,writes=10,pauses=0.0,"
            "hurry=0.0,slow=0.0,failing=0.0,evictions=0,flushes=0,fillings=0,cancels=0,kills=0,cuts=0,"
            "stalls=0,failovers=0,clock_steps=0,connected=True,blind=False",
        ),
        other(
            "seen-and-owed",
            "the short way hands on a value although a change of its tags is owed",
            "shared",
            (PLAIN, "        if owing or self._owed:\n", "        if False:\n"),
            given="short=1.0,processes=1,focus=1,views=row,brackets=0.0,sweeping=0.0,write_deadline_s=0.0,"
            "unavailable=0.3,threads=True,readers=5,reads=6,writers=1,writes=6,pauses=0.1,slow=0.0,"
            "cuts=0,stalls=0,failovers=0,connected=True",
        ),
    )
