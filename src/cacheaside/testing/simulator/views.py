"""The cached functions of a simulated service: one for each way in which a value can depend on what it read.

Rows are things that may not exist and belong to a group; groups are things too. `row` reads one row; `joined` a row and
its group, which only the value names; `pair` two rows in one snapshot; `keyed` a thing without a tag; `outer` a group
and, through another cached function, a row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final

from cacheaside.contract import Terms
from cacheaside.endpoint.generated import hit_path
from cacheaside.endpoint.parameters import parameters_of
from cacheaside.flow.call import Call, Packed
from cacheaside.policy.freshness import surely_fresh_s
from cacheaside.stores.l1.table import Table
from cacheaside.tally import Tally
from cacheaside.testing.simulator.rows import ABSENT, NOWHERE, Rows, SourceFailed, Value
from cacheaside.testing.simulator.scheduler import POINT, Scheduler
from cacheaside.types import TagId

__all__ = [
    "EVERYTHING",
    "GROUPS",
    "KEYED",
    "NAMES",
    "NAMESPACE",
    "ROWS",
    "THINGS",
    "Reading",
    "View",
    "first_thing",
    "hit",
    "tag_of",
    "thing_of",
    "things_behind",
]

ROWS: Final = 2
GROUPS: Final = (2, 3)
KEYED: Final = 4
THINGS: Final = (2, 3, NOWHERE, NOWHERE, NOWHERE)
"""What each thing holds at first: rows 0 and 1 belong to groups 2 and 3."""
NAMES: Final = ("row", "joined", "pair", "keyed", "outer")
NAMESPACE: Final = "sim"
EVERYTHING: Final = TagId("sim:everything")
TAGS_MAX: Final = 8

_TAGS: Final = tuple(
    TagId(f"sim:{'row' if thing < ROWS else 'group'}:{thing}") for thing in range(len(THINGS))
)
_SIZES: Final = tuple(64 * n for n in (1, 2, 3))
_HEAD: Final = Struct(">dIbB")
_PART: Final = Struct(">BH")


def _view(thing: int) -> object: ...


_PARAMETERS: Final = parameters_of(_view, where="view", has_source=False, ignore=(), varied=(), names={})


def tag_of(thing: int) -> TagId:
    """The tag of a row or a group."""
    return _TAGS[thing]


def thing_of(tag: TagId) -> int | None:
    """What a tag stands for, where it is a row's or a group's."""
    return _TAGS.index(tag) if tag in _TAGS else None


@dataclass(slots=True)
class Reading:
    """What loaders have: the source, and how slow and unreliable it is."""

    scheduler: Scheduler
    rows: Rows
    slow: float
    failing: float
    delays_s: tuple[float, ...]
    read: Callable[[str, int], Awaitable[Any]]
    """Read a view from inside a load."""

    async def delay(self) -> None:
        """The source takes its time."""
        await self.scheduler.sleep(self.delays_s[self.scheduler.pick(len(self.delays_s))])


class _Name(str):
    """A name that every process hashes alike: L1 remembers evicted keys by a hash of it, and a seed must replay."""

    __slots__ = ()

    def __hash__(self) -> int:
        return len(self)


class View:
    """Implements `flow.call.Reads` and `stores.redis.plain.Quick`."""

    def __init__(self, name: str, terms: Terms, timeout_s: float) -> None:
        self.kind = name
        self.name = _Name(name)
        self.terms = terms
        self.tally = Tally()
        self.tags_max = TAGS_MAX
        self.timeout_s = timeout_s
        # As an endpoint's: what the value names is not known beforehand.
        self.quick_for_s = 0.0 if name == "joined" else surely_fresh_s(terms)
        self.table = Table(self.name, terms, self.tally, absent=ABSENT, absent_is_slow=False)
        self._load = _LOADERS[name]

    def call(self, thing: int) -> Call:
        """The read of one thing."""
        key = TagId(f"sim:{self.name}({thing})")
        return Call(self, thing, key, (key, EVERYTHING, *_tags(self.name, thing)), (thing,), self.terms)

    def pack(self, value: Value) -> Packed:
        """As it is, and in bytes; its size changes with its version."""
        packed = [_HEAD.pack(value.born, value.born_step, value.content, len(value.parts))]
        packed += [_PART.pack(*part) for part in value.parts]
        return Packed(value, b"".join(packed).ljust(_SIZES[value.parts[0][1] % 3], b"."), value.absent)

    def held_from(self, encoded: bytes) -> Value:
        """The value again."""
        born, born_step, content, count = _HEAD.unpack_from(encoded)
        ends = range(_HEAD.size, _HEAD.size + count * _PART.size, _PART.size)
        parts = tuple([_PART.unpack_from(encoded, at) for at in ends])
        return Value(parts, born, born_step, content)

    decode = held_from

    def unpack(self, held: Any) -> Any:
        """Values are immutable."""
        return held

    def value_tags(self, value: Value) -> tuple[TagId, ...]:
        """The tags of what only the value names."""
        return (_TAGS[value.content],) if self.name == "joined" else ()

    def report_unstorable(self, error: Exception) -> None:
        """Every value can be stored, so this cannot happen."""
        raise error

    def report_failed_refresh(self, failure: str) -> None:
        """Simulated sources fail on purpose."""

    async def load(self, call: Call, reading: Reading) -> Value:
        """Ask the source: the question travels, may take long or fail, and the answer travels back."""
        scheduler = reading.scheduler
        await POINT
        slow = scheduler.chance(reading.slow)
        after = slow and scheduler.chance(0.5)
        if slow and not after:
            await reading.delay()
        value = await self._load(call.values[0], reading)
        if after:
            await reading.delay()
        if scheduler.chance(reading.failing):
            # Only a value can name its group, so an error of `joined` depends on the row alone.
            parts = value.parts[:1] if self.name == "joined" else value.parts
            raise SourceFailed(self.name, call.key, parts, value.born, value.born_step)
        await POINT
        return value


def _snapshot(things: tuple[int, ...], content: int, reading: Reading) -> Value:
    versions = reading.rows.versions
    parts = tuple([(thing, versions[thing]) for thing in things])
    return Value(parts, reading.scheduler.clock.time, reading.scheduler.steps, content)


async def _row(thing: int, reading: Reading) -> Value:
    return _snapshot((thing,), reading.rows.content[thing], reading)


async def _joined(thing: int, reading: Reading) -> Value:
    group = reading.rows.content[thing]
    return _snapshot((thing,) if group == NOWHERE else (thing, group), group, reading)


async def _pair(_: int, reading: Reading) -> Value:
    return _snapshot((0, 1), GROUPS[0], reading)


async def _keyed(thing: int, reading: Reading) -> Value:
    return _snapshot((thing,), GROUPS[0], reading)


async def _outer(thing: int, reading: Reading) -> Value:
    group = GROUPS[thing % len(GROUPS)]
    before = reading.scheduler.chance(0.5)
    own = _snapshot((group,), group, reading)
    inner: Value = await reading.read("joined" if thing else "row", thing)
    if not before:
        own = _snapshot((group,), group, reading)
    return Value(
        own.parts + inner.parts, min(own.born, inner.born), min(own.born_step, inner.born_step), group
    )


_LOADERS: Final[dict[str, Callable[[int, Reading], Awaitable[Value]]]] = {
    "row": _row,
    "joined": _joined,
    "pair": _pair,
    "keyed": _keyed,
    "outer": _outer,
}


def _tags(name: str, thing: int) -> tuple[TagId, ...]:
    match name:
        case "pair":
            return _TAGS[:ROWS]
        case "keyed":
            return ()
        case "outer":
            return (_TAGS[GROUPS[thing % len(GROUPS)]],)
        case _:
            return (_TAGS[thing],)


def first_thing(call: Call) -> int:
    """What the first part of every value of `call` is about."""
    thing: int = call.values[0]
    return GROUPS[thing % len(GROUPS)] if call.endpoint.name == "outer" else thing


def things_behind(name: str, thing: int) -> tuple[int, ...]:
    """What a value may be computed from, as far as tags can tell of it."""
    match name:
        case "row":
            return (thing,)
        case "joined":
            return (thing, *GROUPS)
        case "pair":
            return (0, 1)
        case "outer":
            return (GROUPS[thing % len(GROUPS)], thing)
        case _:
            return ()


_hits: dict[tuple[int, str], tuple[Callable[[int], Awaitable[Any]], dict[str, Any]]] = {}


def hit(process: int, name: str, world: dict[str, Any]) -> Callable[[int], Awaitable[Any]]:
    """The shipped hit path of a view, compiled once and bound to `world`: entries, now, gate, scope, slow."""
    known = _hits.get((process, name))
    if known is None:
        bound: dict[str, Any] = dict(world)
        function = hit_path(
            _PARAMETERS, name=name, is_async=True, bound=False, varied=0, take="_e.value", world=bound
        )
        known = _hits[process, name] = function, bound
    known[1].update(world)
    return known[0]
