"""A load's result on its way to being stored: packed, tagged, judged. Nothing here waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cacheaside.errors import Overloaded, ValueEncodingError
from cacheaside.flow.call import Call, Packed, Record
from cacheaside.flow.flights import Flight
from cacheaside.flow.ports import Failure
from cacheaside.lookup import NotStored
from cacheaside.policy import storing
from cacheaside.types import Generation, TagId

__all__ = ["Boarded", "Draft", "draft_of", "record_of", "verdict_on"]


class Boarded(msgspec.Struct):
    """A call with the flight that it leads."""

    call: Call
    flight: Flight
    again: bool = False
    """The read that leads has been loaded for before."""
    reloads: bool = False
    """That, or another load of the key was under way when this one began."""
    in_vain: bool = False
    """The tier was asked for it, and did not answer: a read that waited for it once asks it no more."""
    replaces: float | None = None
    """A refresh: when the load of what it is to replace began."""
    early: bool = False
    """What it is to replace is still fresh: without a lease it is not worth a load."""


class Draft(msgspec.Struct):
    """What is known of one call's result before it is stored.

    value: raw. packed: as the cache holds it; None for an error and for what does not fit its annotation.
    remembered_s: how long an error is remembered, if it is. tags: all that the entry depends on.
    late: those of them found in the value. tagged: False when the value's tags could not be read.
    held_still: the late tags were shown not to have changed since the load began.
    """

    boarded: Boarded
    value: Any
    packed: Packed | None
    error: BaseException | None
    remembered_s: float | None
    tags: tuple[TagId, ...]
    late: tuple[TagId, ...] = ()
    tagged: bool = True
    accepted: bool = True
    held_still: bool = True

    @property
    def call(self) -> Call:
        """The call that was loaded for."""
        return self.boarded.call


def draft_of(boarded: Boarded, result: Any, nested: Sequence[TagId]) -> Draft:
    """The draft of one result: a value or a `Failure`. `nested` are the tags read through other endpoints."""
    call = boarded.call
    tags = call.tags + tuple(tag for tag in nested if tag not in call.tags)
    if isinstance(result, Failure):
        call.endpoint.tally.loads_failed += 1
        remembered_s = next(
            (ttl for kind, ttl in call.terms.error_ttls_s if _is_meant(result.error, kind)), None
        )
        if remembered_s == 0:
            remembered_s = None  # the first class that fits decides: this one is not to be remembered
        return Draft(boarded, None, None, result.error, remembered_s, tags)
    draft = Draft(boarded, result, None, None, None, tags)
    try:
        draft.packed = call.endpoint.pack(result)
    except ValueEncodingError as error:
        call.endpoint.report_unstorable(error)
        return draft
    if not draft.packed.absent:
        _ask_the_value(draft)
    return draft


def _is_meant(error: BaseException, kind: type[Exception]) -> bool:
    """Whether `error_ttl` of `kind` is about `error`. A refusal is of the moment and of who was refused, so only who
    names it has it remembered: what a warm-up was refused would be told to readers for whom there is room."""
    return isinstance(error, kind) and (not isinstance(error, Overloaded) or issubclass(kind, Overloaded))


def _ask_the_value(draft: Draft) -> None:
    call = draft.call
    try:
        draft.late = tuple(tag for tag in call.endpoint.value_tags(draft.value) if tag not in draft.tags)
        draft.tags += draft.late
        draft.accepted = call.terms.accepts is None or bool(call.terms.accepts(draft.value))
    except Exception as error:  # noqa: BLE001 - the user's own functions; a read must not fail by them
        draft.tagged = False
        call.endpoint.report_unstorable(error)


def verdict_on(draft: Draft, writers: frozenset[TagId], *, moved: bool) -> NotStored | None:
    """None when the draft may be stored, else why not."""
    packed = draft.packed
    loaded = storing.Loaded(
        absent=packed is not None and packed.absent,
        accepted=draft.accepted,
        size_bytes=0 if packed is None else len(packed.encoded),
        writer=not writers.isdisjoint(draft.tags),
        moved=moved,
        held_still=draft.held_still,
        tags=len(draft.tags),
        tags_max=draft.call.endpoint.tags_max,
        unstorable=not draft.tagged or (packed is None and draft.error is None),
    )
    refused = storing.may_store(loaded, draft.call.terms)
    if refused is None and draft.error is not None and draft.remembered_s is None:
        return NotStored.CONTRACT
    return refused


def record_of(draft: Draft, stamp: Mapping[TagId, Generation], loaded_at: float, load_s: float) -> Record:
    """The entry that the draft becomes."""
    terms = draft.call.terms
    packed = draft.packed
    absent = packed is not None and packed.absent
    return Record(
        held=draft.error if packed is None else packed.held,
        size_bytes=0 if packed is None else len(packed.encoded),
        loaded_at=loaded_at,
        ttl_s=terms.absent_ttl_s if absent else draft.remembered_s or terms.ttl_s,
        grace=not absent and draft.error is None,
        is_error=draft.error is not None,
        tags=draft.tags,
        generations=tuple(stamp[tag] for tag in draft.tags),
        load_s=load_s,
        encoded=b"" if packed is None else packed.encoded,
        absent=absent,
    )
