"""Shadow mode of one endpoint: a share of its hits is loaded as well, behind the reader, and the two are compared.

No value is kept, logged or reported: what is counted is how often they differ, why, in which fields, and under tags of
which names.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from cacheaside.endpoint.fields import different_fields
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Ports, Position
from cacheaside.flow.shadowing import Compared, load_to_compare
from cacheaside.lookup import Lookup, Served
from cacheaside.policy.difference import Difference, Evidence, explain
from cacheaside.source.nest import scope
from cacheaside.tags import family_of
from cacheaside.types import Generation, TagId

__all__ = ["Example", "Shadow", "ShadowReport"]

AT_ONCE_MAX: Final = 4
"""Loads of one endpoint's shadow under way at once; what is sampled meanwhile is left out, and counted."""
EXAMPLES_MAX: Final = 20
FIELDS_MAX: Final = 64
"""Names of fields that are counted apart."""
SAME_LOAD_S: Final = 0.1
"""Two moments at which a load began are those of one load when they are no further apart: L1 rounds them."""
OVERDUE_S: Final = 5.0


class Example(msgspec.Struct, frozen=True):
    """One difference. fields: the top-level ones that differ; empty where the value has no named fields. age_s: of what
    was served. changed: names of tags that changed; tags: names of all that it depends on, without arguments."""

    why: str
    fields: tuple[str, ...]
    age_s: float
    changed: tuple[str, ...]
    tags: tuple[str, ...]


class ShadowReport(msgspec.Struct, frozen=True):
    """What was compared since shadow mode was switched on. same + the differences + failed == compared.

    differences: by their reason (`policy.difference`); `violation` should be 0. fields: how often each top-level
    field differed. failed: loads that raised, by the class of their error. left_out: sampled, and not loaded,
    because too many comparisons were under way, or less than half of the source's turns were free. examples: the last
    differences.
    """

    percent: float
    compared: int
    same: int
    differences: Mapping[str, int]
    fields: Mapping[str, int]
    failed: Mapping[str, int]
    left_out: int
    examples: tuple[Example, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made


class Shadowed(Protocol):
    """What is needed of an endpoint."""

    name: str
    timeout_s: float
    codec: Any
    table: Any
    source: Any

    def unpack(self, held: Any) -> Any:
        """A value for one caller."""


class Shadow:
    """Thread-safe. chance: from 0 to below 1. now: the clock that ages are told by. trusts: whether generations that an
    entry was stored under can be compared with those of now."""

    def __init__(
        self,
        endpoint: Any,
        percent: float,
        *,
        chance: Callable[[], float],
        now: Callable[[], float],
        trusts: Callable[[Mapping[TagId, Generation]], bool],
    ) -> None:
        self._endpoint: Shadowed = endpoint
        self.percent = percent
        self._chance = chance
        self._now = now
        self._trusts = trusts
        self._same = 0
        self._left_out = 0
        self._differences: Counter[Difference] = Counter()
        self._fields: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._examples: deque[Example] = deque(maxlen=EXAMPLES_MAX)
        self._lock = threading.RLock()
        self._under_way: dict[object, float] = {}

    def seen(self, call: Call, answer: Lookup[Any], since: Position, ports: Ports) -> None:
        """One read was answered; `since` was taken before. If it is a hit, and drawn, it is compared behind its
        reader."""
        if not answer.hit or self._chance() * 100.0 >= self.percent or call.bypass:
            return
        now = self._now()
        mark = self._begin(now)
        if mark is None:
            return
        try:
            # Before the reader has it: it is the reader's to change from then on.
            served = self._endpoint.codec.encode(answer.value)
            stored = self._stored_under(call, now - answer.age_s)
            begun = ports.crew.behind(self._compare(mark, call, answer, served, stored, since, ports))
        except BaseException as error:
            self._under_way.pop(mark, None)
            if not isinstance(error, Exception):
                raise
            self._count_failed(error)  # a reader gets its value, whatever becomes of the comparison
            return
        if not begun:
            with self._lock:
                self._under_way.pop(mark, None)
                self._left_out += 1

    def _begin(self, now: float) -> object | None:
        with self._lock:
            if len(self._under_way) >= AT_ONCE_MAX:
                # One that was cancelled before its first step has run nothing, its `finally` included. Over a copy:
                # others end meanwhile, on their threads.
                for mark, until in list(self._under_way.items()):
                    if until <= now:
                        self._under_way.pop(mark, None)
            if len(self._under_way) >= AT_ONCE_MAX or not self._has_room():
                self._left_out += 1
                return None
            mark = object()
            self._under_way[mark] = now + self._endpoint.timeout_s + OVERDUE_S
            return mark

    def _has_room(self) -> bool:
        """Whether half of the source's turns are free, and nobody waits for one: a turn that a comparison has is one
        that a reader, or a refresh behind one, has to wait for."""
        limit = self._endpoint.source.limit
        taken = max(limit.held, len(self._under_way))  # those that were just begun have asked for none yet
        return not len(limit) and taken < max(1, limit.allowed // 2)

    def _stored_under(self, call: Call, loaded_at: float) -> Mapping[TagId, Generation] | None:
        """The generations of the entry that answered, if it is the one that is noted: it may have been replaced
        since."""
        noted = self._endpoint.table.stamp_of(call.slot)
        if noted is None or abs(noted.loaded_at - loaded_at) > SAME_LOAD_S:
            return None
        return dict(zip(noted.tags, noted.generations, strict=True))

    async def _compare(
        self,
        mark: object,
        call: Call,
        answer: Lookup[Any],
        served: bytes,
        stored: Mapping[TagId, Generation] | None,
        since: Position,
        ports: Ports,
    ) -> None:
        # The reader may stand in another load, and a task begins where it was made. This is none of that load's: it
        # would borrow the turn of one that does not wait for it meanwhile, and so go round the limit.
        scope.set(None)
        try:
            compared = await load_to_compare(call, since, ports)
            if compared.error is not None:
                self._count_failed(compared.error)
            else:
                self._count(call, answer, served, stored, compared)
        except Exception as error:  # noqa: BLE001 - nobody waits for it
            self._count_failed(error)
        finally:
            self._under_way.pop(mark, None)

    def _count_failed(self, error: BaseException) -> None:
        with self._lock:
            self._failed[type(error).__name__] += 1

    def _count(
        self,
        call: Call,
        answer: Lookup[Any],
        served: bytes,
        stored: Mapping[TagId, Generation] | None,
        compared: Compared,
    ) -> None:
        endpoint = self._endpoint
        loaded = endpoint.unpack(compared.value) if compared.packed else compared.value
        before = endpoint.codec.decode_own(served)
        if endpoint.codec.encode(loaded) == served or before == loaded:
            with self._lock:
                self._same += 1
            return
        if stored is not None and not self._trusts(stored):
            stored = None
        evidence = Evidence(
            answer.age_s,
            answer.bound_s,
            answer.served is Served.OUTDATED,
            stored,
            compared.stamp,
            compared.moved,
            compared.still,
        )
        why, changed = explain(evidence)
        fields = different_fields(before, loaded)
        names = tuple(dict.fromkeys(map(family_of, stored or call.tags)))
        example = Example(why.value, fields, answer.age_s, tuple(map(family_of, changed)), names)
        with self._lock:
            self._differences[why] += 1
            for field in fields:
                if field in self._fields or len(self._fields) < FIELDS_MAX:
                    self._fields[field] += 1
            self._examples.append(example)

    def report(self) -> ShadowReport:
        """What was found so far."""
        with self._lock:
            differences = {why.value: self._differences[why] for why in Difference}
            failed = dict(self._failed)
            return ShadowReport(
                self.percent,
                self._same + sum(differences.values()) + sum(failed.values()),
                self._same,
                differences,
                dict(self._fields.most_common()),
                failed,
                self._left_out,
                tuple(self._examples),
            )

    def forget(self) -> None:
        """After a fork: whoever held the lock, or compared, may have stayed in the parent."""
        self._lock = threading.RLock()
        self._under_way.clear()
