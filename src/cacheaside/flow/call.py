"""One key's read: what to look for, what it depends on, how to load it."""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum, auto
from typing import Any, Protocol

import msgspec

from cacheaside.contract import Terms
from cacheaside.tally import Tally
from cacheaside.types import Generation, TagId

__all__ = ["Call", "Packed", "Reads", "Record", "Standing"]


class Reads(Protocol):
    """What a flow needs to know of an endpoint."""

    @property
    def name(self) -> str: ...
    @property
    def terms(self) -> Terms: ...
    @property
    def tally(self) -> Tally: ...
    @property
    def tags_max(self) -> int: ...
    @property
    def timeout_s(self) -> float: ...

    def pack(self, value: Any) -> Packed:
        """`value` as the cache holds it; `ValueEncodingError` when it does not fit the return annotation."""

    def held_from(self, encoded: bytes) -> Any:
        """What the cache holds for bytes that a shared tier had; `ValueEncodingError` when they are no such value."""

    def unpack(self, held: Any) -> Any:
        """A value for one caller alone: shared when immutable, else copied or decoded."""

    def value_tags(self, value: Any) -> tuple[TagId, ...]:
        """The tags that the value itself names."""

    def report_unstorable(self, error: Exception) -> None:
        """Say, once, that a value of this endpoint cannot be stored, and why."""

    def report_failed_refresh(self, failure: str) -> None:
        """Say, now and then, that loads behind readers fail, and of which class their errors are."""


class Call(msgspec.Struct, eq=False):
    """A read of one key.

    slot: the key's place in its endpoint's table. key: the canonical key, also the id of its implicit tag.
    tags: the implicit tag, the namespace's, and those declared from the arguments, each once.
    """

    endpoint: Reads
    slot: Hashable
    key: TagId
    tags: tuple[TagId, ...]
    values: tuple[Any, ...]
    terms: Terms
    bypass: bool = False
    """The cache is disabled: load, look nowhere and store nothing."""
    unshared: bool = False
    """With `bypass`: not even a load is shared."""


class Packed(msgspec.Struct, frozen=True):
    """A value as the cache holds it: `held` in L1, `encoded` in L2."""

    held: Any
    encoded: bytes
    absent: bool


class Standing(Enum):
    """What the stamp of an entry is worth, by the tier that holds it."""

    CURRENT = auto()
    """Every tag that is declared now is in it, and every generation in it is the current one."""
    UNCERTAIN = auto()
    """As current, by a server that may have gone back to old data since: it counts as past its ttl."""
    OUTDATED = auto()
    """A generation in it has moved."""


class Record(msgspec.Struct, frozen=True):
    """An entry: a value with the stamp it was computed under.

    held: the value as the cache holds it, or a remembered exception. encoded: the same for a shared tier. ttl_s: how
    long it is fresh, before jitter. grace: whether grace applies to it. load_s: how long its load took.
    """

    held: Any
    size_bytes: int
    loaded_at: float
    ttl_s: float
    grace: bool
    is_error: bool
    tags: tuple[TagId, ...]
    generations: tuple[Generation, ...]
    load_s: float
    encoded: bytes = b""
    absent: bool = False
    standing: Standing = Standing.CURRENT
    salt: int = 0
    """What the jitter of an entry of a shared tier is drawn from."""
