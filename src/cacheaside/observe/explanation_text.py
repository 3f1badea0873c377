"""An explanation in words: what the next read does and why comes first, what shows it after that.

Lines as data, so that a prompt and the command line say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from cacheaside.lookup import Forward, Served, Tier
from cacheaside.observe.brief import brief_bytes, brief_s
from cacheaside.observe.explanation import (
    CoherenceSeen,
    Does,
    EntrySeen,
    Explanation,
    LoadSeen,
    NextRead,
    SourceSeen,
    TagSeen,
    TagState,
)

__all__ = ["Line", "Tone", "lines_of", "text_of", "title_of"]

Tone = Literal["good", "bad", "note", "plain"]
"""good: as it should be. bad: look here. note: not wrong, and worth knowing."""


class Line(NamedTuple):
    """label: what it is about; empty where it goes on."""

    label: str
    words: str
    tone: Tone = "plain"


_REJECTED: Final = {
    "unsigned": "the process that stored it has no secrets, and this one has",
    "unknown_key": "signed with a secret that this process does not have: is CACHEASIDE_SECRETS here the service's?",
    "unknown_version": "another version of the library stored it",
    "other_tags": "stored by a declaration with other tags",
}
"""Why what lies in the shared tier is not taken, where a code alone sends nobody anywhere."""
_FORWARD: Final = {
    Forward.ABSENT: "nothing is held under this key",
    Forward.EVICTED: "what was held was removed for space, not long ago",
    Forward.EXPIRED: "what is held is older than the contract allows",
    Forward.INVALIDATED: "what was held is known to be out of date",
    Forward.STRONG: "the contract asks for the source itself",
    Forward.BYPASS: "the cache or this endpoint is switched off, or the key is outside its ramp",
    Forward.AWAY: "the shared tier does not answer, and nothing in this process can be shown to be valid without it",
    Forward.NESTED: "it is read inside another load",
}
_SERVED: Final = {
    Served.FRESH: "within its ttl",
    Served.GRACE: "past its ttl, within grace",
    Served.OUTDATED: "known to be out of date, as stale_after_invalidation allows",
}
_TIER: Final = {
    Tier.L1: "this process's memory (L1)",
    Tier.L2: "the shared tier (L2)",
    Tier.SOURCE: "the source",
}


def text_of(seen: Explanation) -> str:
    """The lines, aligned, under the call as it was understood."""
    lines = lines_of(seen)
    width = max(len(line.label) for line in lines)
    body = "\n".join(f"  {line.label:<{width}}  {line.words}" for line in lines)
    return f"{title_of(seen)}\n{body}"


def title_of(seen: Explanation) -> str:
    """The call as it was understood."""
    return f"{seen.endpoint}({', '.join(f'{name}={value}' for name, value in seen.arguments.items())})"


def lines_of(seen: Explanation) -> list[Line]:
    """What there is to say, the most urgent first."""
    made = [*_next(seen.next_read, seen), *_cause(seen)]
    made.append(_entry("in L1", seen.l1, seen))
    if seen.l2 is not None:
        made.append(_entry("in L2", seen.l2, seen))
    made += _tags(seen.tags)
    made.append(_loading(seen.load))
    if seen.source is not None:
        made.append(_source(seen.source))
    if seen.coherence is not None:
        made += _coherence(seen.coherence)
    made.append(
        Line(
            "contract",
            f"ttl {brief_s(seen.ttl_s)}, "
            + (f"grace {brief_s(seen.grace_s)}" if seen.grace_s else "no grace"),
        )
    )
    made.append(Line("key", seen.key))
    return made


def _next(read: NextRead, seen: Explanation) -> Iterator[Line]:
    why = "" if read.forward is None else _FORWARD[read.forward]
    match read.does:
        case Does.SERVE | Does.SERVE_AND_REFRESH:
            assert read.served is not None
            assert read.tier is not None
            yield Line(
                "next read",
                f"is served from {_TIER[read.tier]}: {_SERVED[read.served]}, {brief_s(read.age_s)} old, "
                f"bound {brief_s(read.bound_s)}",
                "good" if read.served is Served.FRESH else "note",
            )
            if read.does is Does.SERVE_AND_REFRESH:
                yield Line("", "and one load behind it brings a new one", "note")
            elif read.error is not None:
                yield Line("", f"no refresh just now: the last one failed ({read.error})", "bad")
        case Does.RAISE:
            yield Line("next read", f"raises {read.error}, which is remembered (error_ttl)", "bad")
        case Does.JOIN:
            yield Line("next read", f"waits for the load that is under way here, because {why}", "note")
        case Does.WAIT:
            yield Line(
                "next read",
                f"waits for another process, which loads it, {brief_s(read.waits_s)} at most; because {why}",
                "note",
            )
        case Does.LOAD:
            yield Line("next read", f"loads from the source, because {why}", "note")
    if not seen.enabled:
        yield Line("", "cache.enable() switches the cache on again, in this process", "bad")
    if seen.levers is not None:
        yield Line("levers", seen.levers, "bad")
    if seen.levers_unread is not None:
        yield Line("levers", f"{seen.levers_unread}: the service may follow what is not shown here", "bad")


def _cause(seen: Explanation) -> Iterator[Line]:
    """Which tag put it out of date, and what keeps it from being stored."""
    for one in seen.tags:
        if one.state is TagState.MOVED:
            gone = one.stamped is not None and one.current is None
            how = (
                "its generation is gone from the server (evicted, expired or deleted)"
                if gone
                else "invalidated"
            )
            yield Line("out of date", f"by {one.name}: {how}", "bad")
    for one in seen.tags:
        if one.writer:
            end = (
                ""
                if one.writer_ends_in_s is None
                else f", until it ends or for {brief_s(one.writer_ends_in_s)}"
            )
            yield Line("not stored", f"a write of {one.name} is under way{end}", "bad")
        if one.owed:
            yield Line(
                "owed", f"{one.name}: this process invalidated it, and no server acknowledged that yet", "bad"
            )


def _entry(label: str, entry: EntrySeen, seen: Explanation) -> Line:
    if not entry.looked:
        return Line(label, f"not looked at: {entry.why}", "note" if entry.tier is Tier.L1 else "bad")
    if not entry.held:
        by = "" if entry.invalidated_by is None else f" (by {_named(entry.invalidated_by, seen)})"
        size = "" if entry.size_bytes is None else f", {brief_bytes(entry.size_bytes)}"
        why = "nothing" if entry.why == Forward.ABSENT.value else f"nothing: {entry.why}"
        why += next((f" ({words})" for code, words in _REJECTED.items() if why.endswith(f": {code}")), "")
        return Line(label, f"{why}{by}{size}")
    kind = {"value": "a value", "error": f"a remembered {entry.error}"}.get(
        entry.kind or "", f"“{entry.kind}”"
    )
    return Line(
        label,
        ", ".join([kind, f"{entry.freshness}", *_ages(entry), *_sizes(entry)])
        + (f"; {entry.why}" if entry.why else ""),
        "good" if entry.freshness == "fresh" and not entry.why else "note",
    )


def _named(tag: str, seen: Explanation) -> str:
    return next((one.name for one in seen.tags if one.tag == tag), tag)


def _ages(entry: EntrySeen) -> Iterator[str]:
    yield f"{brief_s(entry.age_s)} old"
    if entry.fresh_left_s is not None and entry.fresh_left_s > 0:
        yield f"stale in {brief_s(entry.fresh_left_s)}"
    if entry.bound_left_s is not None:
        yield (
            f"of use for {brief_s(entry.bound_left_s)} (bound {brief_s(entry.bound_s)})"
            if (entry.bound_left_s > 0)
            else f"past its bound of {brief_s(entry.bound_s)}"
        )


def _sizes(entry: EntrySeen) -> Iterator[str]:
    if entry.size_bytes is not None:
        # L1 counts in blocks.
        yield ("up to " if entry.tier is Tier.L1 else "") + brief_bytes(entry.size_bytes)
    if entry.hits is not None:
        yield "1 hit" if entry.hits == 1 else f"{entry.hits} hits"


def _tags(tags: tuple[TagSeen, ...]) -> Iterator[Line]:
    label = "tags"
    for one in tags:
        if one.role in ("key", "everything") and one.state is not TagState.MOVED:
            continue
        words = {
            TagState.CURRENT: ": as when it was stored",
            TagState.MOVED: ": changed since it was stored",
            TagState.UNCERTAIN: ": as when it was stored, says a server that may have gone back to old data",
            TagState.UNKNOWN: "",
        }[one.state]
        generations = (
            f" ({one.stamped} → {one.current or 'gone'})"
            if one.stamped and one.state is TagState.MOVED
            else ""
        )
        where = ", found in the value" if one.role == "value" else ""
        yield Line(
            label,
            f"{one.name}{where}{words}{generations}",
            "bad" if one.state is TagState.MOVED else "plain",
        )
        label = ""


def _loading(load: LoadSeen) -> Line:
    words = []
    if load.here:
        words.append(f"under way in this process, {load.waiting} waiting")
    if load.lease in ("this process", "another process"):
        end = "" if load.lease_ends_in_s is None else f" for {brief_s(load.lease_ends_in_s)} at most"
        words.append(f"{load.lease} has the lease{end} ({load.holder})")
    elif load.lease == "everybody":
        words.append("no lease for a moment: what was loaded last could not be stored")
    if load.delayed_by is not None:
        words.append(f"the last refresh failed ({load.delayed_by}); the next waits")
    if not words:
        words.append("nobody" if load.lease is None else "nobody; the lease is free")
    return Line("loading", "; ".join(words), "bad" if load.delayed_by else "plain")


def _source(seen: SourceSeen) -> Line:
    waits = f", {seen.waiting} of {seen.waiting_max} wait for a turn" if seen.waiting else ""
    full = seen.held >= seen.limit
    return Line(
        "source",
        f"{seen.name}: {seen.held} of {seen.limit} loads under way{waits}",
        "bad" if full else "plain",
    )


def _coherence(seen: CoherenceSeen) -> Iterator[Line]:
    if seen.up:
        yield Line("server", f"{seen.server}, up", "good")
    else:
        yield Line("server", f"{seen.server}, away: {seen.why_away}", "bad")
    if seen.blind:
        yield Line(
            "in touch", "blind: a server does not tell of changes, so L1 is dropped every max_unsynced", "bad"
        )
    elif seen.in_touch_s is None:
        pass
    elif seen.in_touch_s > 0:
        yield Line("in touch", f"yes; heard everything up to {brief_s(seen.unsynced_s)} ago", "good")
    else:
        yield Line("in touch", "no: L1 does not answer by itself, every read asks the server", "bad")
    if seen.owed:
        yield Line("owed", f"{seen.owed} invalidations of this process are not acknowledged yet", "bad")
