"""Which drills there are, what each breaks, and what it takes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cacheaside.drill.settings import Settings

__all__ = ["DRILLS", "Drill", "budget_of", "steps_of"]


@dataclass(frozen=True, slots=True)
class Drill:
    """One way to break a cache.

    what: the fault in a sentence, with {places} of the settings. undo: what ends it; empty: nothing is left to undo.
    lasts: it goes on for the radius's seconds; else it is over at once. cold: it empties the cache, so recovery is
    bounded by loading the hot keys; else by `SETTLE_S`.
    slack_s: what recovery may take besides: the windows it is measured in, and connections that are made again. needs:
    what must be the drill's own, or be routed through its proxy, in the words of an error.
    """

    name: str
    title: str
    what: str
    undo: str
    lasts: bool
    cold: bool
    slack_s: float = 1.0
    needs: str = ""


SETTLE_S: Final = 5.0
"""How long a service may take to be as before, once a fault that leaves the cache warm is over."""
COLD_FACTOR: Final = 1.5
"""By how much recovery may exceed the time that loading every hot key once takes at full capacity."""

DRILLS: Final = {
    drill.name: drill
    for drill in (
        Drill(
            "flush",
            "Flush",
            "delete {share} of the keys of namespace {namespace}, found by SCAN, in batches of at most 500",
            "",
            lasts=False,
            cold=True,
        ),
        Drill(
            "eviction-storm",
            "Eviction storm",
            "lower maxmemory so that {share} of what the server holds has to go, and leave it so for {seconds:g} s",
            "set maxmemory to what it was",
            lasts=True,
            cold=True,
            needs="a server that holds nothing but the namespace",
        ),
        Drill(
            "l2-killed",
            "L2 killed",
            "end the server (SIGKILL), or refuse every connection at the proxy, for {seconds:g} s",
            "start the server again, empty; or let connections through",
            lasts=True,
            cold=True,
            slack_s=3.5,  # the next attempt to connect may be 2 s away, and loads begun without a server are not stored
            needs="a server that the drill started, or its proxy in front",
        ),
        Drill(
            "l2-slow",
            "L2 slow",
            "delay every message to and from the server by {delay_ms:g} ms for {seconds:g} s",
            "delay nothing",
            lasts=True,
            cold=False,
            needs="the drill's proxy in front of the server",
        ),
        Drill(
            "l2-frozen",
            "L2 frozen",
            "freeze the server (SIGSTOP), or pass nothing on at the proxy, for {seconds:g} s",
            "let it go on (SIGCONT)",
            lasts=True,
            cold=False,
            needs="a server that the drill started, or its proxy in front",
        ),
        Drill(
            "rolling-restart",
            "Rolling restart",
            "restart {processes} of the service's processes, one after the other, within {seconds:g} s",
            "route to all of them",
            lasts=True,
            cold=False,
            needs="processes that the drill started",
        ),
        Drill(
            "hot-key",
            "Hot-key expiry",
            "have the {hot_keys} most popular keys of namespace {namespace} expire at once",
            "",
            lasts=False,
            cold=False,
        ),
        Drill(
            "mass-invalidation",
            "Mass invalidation",
            "invalidate {share} of the tags of namespace {namespace}: their generations are deleted, in batches",
            "",
            lasts=False,
            cold=True,
        ),
        Drill(
            "source-slow",
            "Source slow",
            "have every query take {slowness:g} times as long for {seconds:g} s, on a cache that has just been flushed",
            "let queries take what they take",
            lasts=True,
            cold=True,
            needs="a source that the drill started, or its proxy in front",
        ),
    )
}


def steps_of(drill: Drill, settings: Settings, *, target: str, namespace: str) -> list[str]:
    """What a drill does, step by step, in words: what `--dry-run` prints, and what a report repeats."""
    radius = settings.radius
    places = {
        "share": f"{radius.share:.0%}",
        "namespace": namespace,
        "seconds": radius.seconds,
        "delay_ms": settings.delay_s * 1e3,
        "processes": f"{radius.processes:.0%}",
        "hot_keys": radius.hot_keys,
        "slowness": settings.slowness,
    }
    return [
        f"target: {target}, namespace {namespace}",
        f"watch for {settings.before_s:g} s while nothing is wrong",
        f"break: {drill.what.format(**places)}",
        str(settings.abort),
        *([f"restore: {drill.undo}"] if drill.undo else ["restore: nothing is left to undo"]),
        f"watch until it has recovered, {settings.after_s:g} s at most; then report",
    ]


def budget_of(drill: Drill, hot_keys: int, per_s: float | None) -> float | None:
    """How long recovery may take; None where nothing is known of the source's capacity."""
    if not drill.cold:
        return SETTLE_S
    return None if not per_s else COLD_FACTOR * hot_keys / per_s + drill.slack_s
