"""Between the question and its answer: what was known when it was asked, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cacheaside.flow.call import Call, Record
from cacheaside.flow.ports import Position
from cacheaside.stores.redis.wire.entry import Opened
from cacheaside.types import Generation, TagId

__all__ = ["Asking", "Found"]


class Asking(NamedTuple):
    """What was known when something was asked for: the log's position, the generation of the namespace, what was owed.

    What was owed then counts for the answer, paid or not. Else: (1) a write is not acknowledged, and owed (2) a read
    begins, and its question reaches the server (3) the invalidation does, is acknowledged, and nothing is owed any more
    (4) the answer arrives: current when it was given, and older than the write.
    """

    since: Position | None
    """Known only when the generation of the namespace is not."""
    known: Generation | None
    owing: frozenset[TagId]


class Found(NamedTuple):
    """What lay under the keys of calls, on its way to being judged."""

    calls: Sequence[Call]
    entries: Sequence[Opened | Record | None]
    current: dict[TagId, Generation | None]
    missing: list[TagId]
    owing: frozenset[TagId]
