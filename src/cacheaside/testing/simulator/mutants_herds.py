"""What keeps herds from the source, broken on purpose. See `mutants.HERD_MUTANTS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cacheaside.testing.simulator.mutants import Make, Mutant

FILL: Final = "cacheaside.flow.fill"
FRESHNESS: Final = "cacheaside.policy.freshness"
PACING: Final = "cacheaside.policy.pacing"
READ: Final = "cacheaside.flow.read"
STORE: Final = "cacheaside.stores.l1.store"
TURN: Final = "cacheaside.flow.turn"


def mutants(_named: Make, other: Make) -> tuple[Mutant, ...]:
    """All of this file."""
    return (
        other(
            "early-at-the-end",
            "an early refresh begins by chance alone, often less than a load before the end",
            "shared",
            (FRESHNESS, "_LOADS_AHEAD: Final = 2.0", "_LOADS_AHEAD: Final = 0.0"),
            given="early",
        ),
        other(
            "early-by-own-loads",
            "a process knows how long loads take only from its own",
            "shared",
            (STORE, "            if not record.is_error:\n", "            if not record.encoded:\n"),
            given="early",
        ),
        other(
            "early-without-lease",
            "an early refresh asks for no lease",
            "shared",
            (
                TURN,
                "    lease = _lease(boarded, ports)\n",
                "    lease = None if one.early else _lease(boarded, ports)\n",
            ),
            given="early",
        ),
        other(
            "jitter-alike",
            "all entries are stale equally early",
            "shared",
            (
                FRESHNESS,
                "return ttl_s * (1.0 - jitter * _unit(salt, 0)) if jitter else ttl_s",
                "return ttl_s * (1.0 - jitter * 0.5) if jitter else ttl_s",
            ),
            given="jitter",
        ),
        other(
            "no-hit-for-miss",
            "what leaves nothing to store is waited for anew each time",
            "shared",
            (FILL, "this.lease, free=free)", "this.lease, free=False)"),
            (
                TURN,
                "if lease is not None and not one.early and ports.near.passes(one.call):",
                "if lease is not None and not lease.key:",
            ),
            given="passing",
        ),
        other(
            "hit-for-miss-by-the-server-alone",
            "a process does not remember that a key left nothing to store",
            "shared",
            (
                TURN,
                "if lease is not None and not one.early and ports.near.passes(one.call):",
                "if lease is not None and not lease.key:",
            ),
            (
                TURN,
                "                turn.lease = _unheld(lease)\n            return turn",
                "                pass\n            return turn",
            ),
            given="passing",
        ),
        other(
            "refreshes-take-all",
            "refreshes may have every turn of the source",
            "shared",
            (PACING, "return most - -(-most // 4)", "return most"),
            given="pacing",
        ),
        other(
            "refreshes-unpaced",
            "a refresh begins for every read of what is stale",
            "shared",
            (
                PACING,
                "    if not refreshing:\n        return True\n",
                "    if most > 1:\n        return True\n",
            ),
            given="pacing",
        ),
        other(
            "refreshes-not-counted-out",
            "a refresh that is over keeps its place",
            "shared",
            (READ, "        step.end()\n", "        del step\n"),
            given="pacing",
        ),
    )
