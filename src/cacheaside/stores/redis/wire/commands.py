"""What each operation of the tier says to a server, and what it makes of the replies.

Plain commands only: MGET, SET, DEL, EXISTS, SADD, SREM, PEXPIRE, PTTL for old servers, and WAIT where it is asked for.
All of one exchange go out together, in their order. On a cluster each goes to the node of its first argument's slot,
and only the order within a slot holds; that is enough, since what must be in order concerns one tag, whose generation
and writers share a slot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from cacheaside.flow.ports import Leased
from cacheaside.stores.redis.wire.generations import RandomBytes, new_generations
from cacheaside.stores.redis.wire.names import (
    generation_name,
    lease_name,
    slot_of,
    waiting_name,
    writers_name,
)
from cacheaside.stores.redis.wire.replies import (
    Command,
    StoreReplyError,
    Unconfirmed,
    count_in,
    done,
    error_code,
    generations_in,
    values_in,
    was_set,
)
from cacheaside.types import Generation, TagId

__all__ = ["KEYS_MAX", "Commands", "Exchange", "Fetched", "Stored", "Wanted"]

R = TypeVar("R")

KEYS_MAX: Final = 256
"""How many keys one MGET asks for, so that none keeps a server from its other clients for long."""
_FULL: Final = "OOM"
_NO_END: Final = -1
"""What PTTL says of a key that stays."""
_EVERYBODYS: Final = b"-"
"""In place of the holder of a lease: nobody need wait for anybody. No holder's name is so short."""


@dataclass(frozen=True, slots=True)
class Exchange(Generic[R]):
    """Commands to send together, in order, and what their replies mean.

    resend: whether these commands may be sent a second time when no answer came. Where they may not, build the
    exchange anew: each transmission of a generation needs its own, and a mark must not come after its release.
    """

    commands: tuple[Command, ...]
    _read: Callable[[Sequence[Any]], R]
    resend: bool

    def read(self, replies: Sequence[Any]) -> R:
        """The result, from one reply for each command, errors as exception objects. Raises `StoreReplyError`."""
        if len(replies) != len(self.commands):
            about: Command = self.commands[0] if self.commands else ("nothing",)
            raise StoreReplyError(about, list(replies), f"an array of {len(self.commands)}")
        return self._read(replies)


class Wanted(NamedTuple):
    """An entry's key, and the tags whose generations it is to be checked by."""

    key: TagId
    tags: Sequence[TagId]


class Fetched(NamedTuple):
    """What is stored under a key, in bytes, and the generation of each tag."""

    entry: bytes | None
    generations: tuple[Generation | None, ...]


class Stored(NamedTuple):
    """The generations read after storing; and how many entries a full server did not take, which harms nobody."""

    generations: tuple[Generation | None, ...]
    refused: int


@dataclass(slots=True)
class Commands:
    """Builds the exchanges of one cache.

    random_bytes: `os.urandom`. lifetime_ms: how long a generation lives, None for ever: longer than any entry stamped
    with it, since its end costs the entry. It is not renewed by reading: a PEXPIRE would be announced to every
    process as a change. cluster: keys of one MGET must share a slot. lengthen: PEXPIRE takes NX and GT (Redis 7,
    Valkey), so that no writer shortens another's mark; without, all writers of a namespace must use one lifetime.
    """

    random_bytes: RandomBytes
    lifetime_ms: int | Callable[[TagId], int | None]
    cluster: bool = False
    lengthen: bool = True

    def _living(self, tag: TagId) -> tuple[str, ...]:
        """How long a generation of `tag` that is made now lives, as SET takes it."""
        lifetime_ms = self.lifetime_ms(tag) if callable(self.lifetime_ms) else self.lifetime_ms
        return () if lifetime_ms is None else ("PX", str(lifetime_ms))

    def stamp(self, tags: Sequence[TagId]) -> Exchange[tuple[Generation, ...]]:
        """The generation of each tag, made where missing: SET NX, then MGET, whoever's it is."""
        creations = self._creations(tags)
        reading = self.generations(tags)

        def read(replies: Sequence[Any]) -> tuple[Generation, ...]:
            return _made(creations, replies[: len(creations)], reading.read(replies[len(creations) :]))

        return Exchange((*creations, *reading.commands), read, resend=False)

    def _creations(self, tags: Sequence[TagId]) -> tuple[Command, ...]:
        new = new_generations(len(tags), self.random_bytes)
        return tuple([
            ("SET", generation_name(tag), fresh, "NX", *self._living(tag))
            for tag, fresh in zip(tags, new, strict=True)
        ])  # fmt: skip

    def writers(self, tags: Sequence[TagId]) -> Exchange[frozenset[TagId]]:
        """Those of `tags` that a writer is under way for."""
        commands: tuple[Command, ...] = tuple([("EXISTS", writers_name(tag)) for tag in tags])

        def read(replies: Sequence[Any]) -> frozenset[TagId]:
            standing = zip(tags, commands, replies, strict=True)
            return frozenset([tag for tag, command, reply in standing if count_in(command, reply)])

        return Exchange(commands, read, resend=True)

    def stamp_then_writers(
        self, tags: Sequence[TagId]
    ) -> Exchange[tuple[tuple[Generation, ...], frozenset[TagId]]]:
        """Both in one round trip. Writers first: a writer that comes in between is overlooked (`flow.fill`)."""
        return _in_turn(self.stamp(tags), self.writers(tags))

    def lease_and_stamp(
        self, wanted: Wanted, owner: str, lifetime_ms: int, tags: Sequence[TagId]
    ) -> Exchange[tuple[Leased, Fetched, tuple[Generation, ...], frozenset[TagId]]]:
        """Be the one that loads the key, unless another is; stamp; look for writers; and see what is stored. In one
        round trip."""
        key = wanted.key
        leasing: Command = ("SET", lease_name(key), owner, "NX", "PX", str(lifetime_ms))
        creations = self._creations(tags)
        reading, writing = self._peeking(wanted, tags), self.writers(tags)
        first, last = 1 + len(creations), 1 + len(creations) + len(reading.commands)

        def read(
            replies: Sequence[Any],
        ) -> tuple[Leased, Fetched, tuple[Generation, ...], frozenset[TagId]]:
            # A full server gives no leases, and so keeps nobody from loading.
            full = error_code(replies[0]) == _FULL
            mine = not full and was_set(leasing, replies[0])
            leased, fetched, found = reading.read(replies[first:last])
            stamp = _made(creations, replies[1:first], found)
            if mine or full:
                leased = Leased.MINE if mine else Leased.EVERYBODYS
            return leased, fetched, stamp, writing.read(replies[last:])

        return Exchange((leasing, *creations, *reading.commands, *writing.commands), read, resend=False)

    def peek(self, wanted: Wanted) -> Exchange[tuple[Leased, Fetched]]:
        """What is stored under a key, and who has its lease."""
        reading = self._peeking(wanted, ())
        return Exchange(reading.commands, lambda replies: reading.read(replies)[:2], resend=True)

    def ask_and_peek(self, wanted: Wanted, lifetime_ms: int) -> Exchange[tuple[Leased, Fetched]]:
        """Say that somebody waits for the one that loads the key, *then* peek (`flow.ports.Tier.peek`).

        NX: who says it second disturbs nobody; each change of it wakes all who wait.
        """
        asking: Command = ("SET", waiting_name(wanted.key), b"1", "NX", "PX", str(lifetime_ms))
        peeking = self.peek(wanted)

        def read(replies: Sequence[Any]) -> tuple[Leased, Fetched]:
            if error_code(replies[0]) != _FULL:
                was_set(asking, replies[0])
            return peeking.read(replies[1:])

        return Exchange((asking, *peeking.commands), read, resend=True)

    def _peeking(
        self, wanted: Wanted, tags: Sequence[TagId]
    ) -> Exchange[tuple[Leased, Fetched, tuple[Generation | None, ...]]]:
        key, lease = wanted.key, lease_name(wanted.key)
        own = [generation_name(tag) for tag in wanted.tags]
        others = [generation_name(tag) for tag in tags]
        asking = self._mget([key, lease, *own, *others])

        def read(replies: Sequence[Any]) -> tuple[Leased, Fetched, tuple[Generation | None, ...]]:
            values = asking.read(replies)
            holder = values[lease]
            leased = Leased.NOBODYS if holder is None else Leased.ANOTHERS
            if holder == _EVERYBODYS:
                leased = Leased.EVERYBODYS
            fetched = Fetched(values[key], generations_in([values[name] for name in own]))
            return leased, fetched, generations_in([values[name] for name in others])

        return Exchange(asking.commands, read, resend=True)

    def hand_back(self, key: TagId, *, held: bool, free_ms: int = 0) -> Exchange[None]:
        """Give the lease of `key` back, where it is still `held`, and tell who waits. To delete what is not there is
        announced to nobody. free_ms: for so long let everybody load it."""
        commands: list[Command] = []
        if free_ms:
            commands.append(("SET", lease_name(key), _EVERYBODYS, "PX", str(free_ms)))
        elif held:
            commands.append(("DEL", lease_name(key)))
        commands.append(("DEL", waiting_name(key)))

        def read(replies: Sequence[Any]) -> None:
            for command, reply in zip(commands, replies, strict=True):
                if command[0] == "DEL":
                    count_in(command, reply)
                elif error_code(reply) != _FULL:
                    done(command, reply)

        return Exchange(tuple(commands), read, resend=False)

    def generations(self, tags: Sequence[TagId]) -> Exchange[tuple[Generation | None, ...]]:
        """The generation of each tag; None where missing."""
        names = [generation_name(tag) for tag in tags]
        asking = self._mget(names)

        def read(replies: Sequence[Any]) -> tuple[Generation | None, ...]:
            values = asking.read(replies)
            return generations_in([values[name] for name in names])

        return Exchange(asking.commands, read, resend=True)

    def fetch(self, wanted: Sequence[Wanted]) -> Exchange[list[Fetched]]:
        """The entries stored under keys, and the generations of their tags, each key asked for once."""
        names = [(want.key, [generation_name(tag) for tag in want.tags]) for want in wanted]
        asking = self._mget([name for key, tags in names for name in (key, *tags)])

        def read(replies: Sequence[Any]) -> list[Fetched]:
            values = asking.read(replies)
            return [
                Fetched(values[key], generations_in([values[name] for name in tags])) for key, tags in names
            ]

        return Exchange(asking.commands, read, resend=True)

    def store(
        self,
        entries: Sequence[tuple[TagId, bytes, int]],
        recheck: Sequence[TagId],
        then: Exchange[None] | None = None,
    ) -> Exchange[Stored]:
        """Store each key's bytes for so many milliseconds, do `then`, then read the generations of `recheck`.

        Sent again, it stores the same under the same stamp: valid only while that is.
        """
        sets: tuple[Command, ...] = tuple(
            [("SET", key, entry, "PX", str(ttl_ms)) for key, entry, ttl_ms in entries]
        )
        further = () if then is None else then.commands
        reading = self.generations(recheck)

        def read(replies: Sequence[Any]) -> Stored:
            refused = 0
            for command, reply in zip(sets, replies, strict=False):
                if error_code(reply) == _FULL:
                    refused += 1
                else:
                    done(command, reply)
            if then is not None:
                then.read(replies[len(sets) : len(sets) + len(further)])
            return Stored(reading.read(replies[len(sets) + len(further) :]), refused)

        return Exchange((*sets, *further, *reading.commands), read, resend=then is None)

    def bump(self, tags: Sequence[TagId]) -> Exchange[None]:
        """A new generation for each tag."""
        new = new_generations(len(tags), self.random_bytes)
        commands: tuple[Command, ...] = tuple([
            ("SET", generation_name(tag), fresh, *self._living(tag))
            for tag, fresh in zip(tags, new, strict=True)
        ])  # fmt: skip

        def read(replies: Sequence[Any]) -> None:
            for command, reply in zip(commands, replies, strict=True):
                done(command, reply)

        return Exchange(commands, read, resend=False)

    def confirmed(self, exchange: Exchange[R], replicas: int, within_ms: int) -> Exchange[R]:
        """As `exchange`, and `replicas` have it too, or it does not count as acknowledged. Not on a cluster, where a
        WAIT has no key by which to find its node."""
        asking: Command = ("WAIT", str(replicas), str(within_ms))

        def read(replies: Sequence[Any]) -> R:
            result = exchange.read(replies[:-1])
            if count_in(asking, replies[-1]) < replicas:
                raise Unconfirmed(f"fewer than {replicas} replicas had it within {within_ms} ms")
            return result

        return Exchange((*exchange.commands, asking), read, resend=False)

    def unmake(self, tags: Sequence[TagId]) -> Exchange[None]:
        """No generation for each tag: what was stamped with one matches nothing. A full server that takes no SET takes
        this. Of one that is missing nobody is told, and nobody need be: they were when it went."""
        commands: tuple[Command, ...] = tuple([("DEL", generation_name(tag)) for tag in tags])
        return Exchange(commands, _counts(commands), resend=True)

    def enlist(self, tags: Sequence[TagId], writer: str, lifetime_ms: int) -> Exchange[None]:
        """Add `writer` to the writers under way of each tag, for `lifetime_ms` at least.

        What others have there is made to last *before* this writer joins it. After: (1) it joins a set that is about to
        end (2) the set ends, and it with the set (3) it is too late to make it last, and nothing says so. And once more
        after: (1) it joins, or begins, a set without an end (2) who looks for writers gives that an end, sooner than
        this writer's, as `give_end` does (3) NX finds an end there, and leaves it.

        Where the connection ends in between, a set without an end may be left: see `give_end`.
        """
        commands: list[Command] = []
        lifetime = str(lifetime_ms)
        for tag in tags:
            name = writers_name(tag)
            joining: Command = ("SADD", name, writer)
            if self.lengthen:
                longer: Command = ("PEXPIRE", name, lifetime, "GT")
                # NX: a new set has no end yet, which GT takes for the latest of all.
                commands += (longer, joining, ("PEXPIRE", name, lifetime, "NX"), longer)
            else:
                commands += (joining, ("PEXPIRE", name, lifetime))

        def read(replies: Sequence[Any]) -> None:
            for command, reply in zip(commands, replies, strict=True):
                changed = count_in(command, reply)
                # Without NX or GT, 0 means that the mark is gone already: evicted, and the writer not protected.
                if command[0] == "PEXPIRE" and len(command) == 3 and not changed:
                    raise StoreReplyError(command, reply, "1, for a mark just set")

        # Not again: landing after the release, it would stop stores until it expires.
        return Exchange(tuple(commands), read, resend=False)

    def endless(self, tags: Sequence[TagId]) -> Exchange[frozenset[TagId]]:
        """Those of `tags` whose writers have no end. For servers whose PEXPIRE knows no NX."""
        commands: tuple[Command, ...] = tuple([("PTTL", writers_name(tag)) for tag in tags])

        def read(replies: Sequence[Any]) -> frozenset[TagId]:
            for command, reply in zip(commands, replies, strict=True):
                if not isinstance(reply, int):
                    raise StoreReplyError(command, reply, "a time")
            return frozenset([tag for tag, reply in zip(tags, replies, strict=True) if reply == _NO_END])

        return Exchange(commands, read, resend=True)

    def give_end(self, tags: Sequence[TagId], lifetime_ms: int) -> Exchange[None]:
        """Have the writers of each tag end, `lifetime_ms` from now, where they have no end.

        (1) a writer's SADD arrives, and the connection or the process ends before its PEXPIRE does (2) the set has no
        end, so nothing is stored for its tag by anybody, for ever. Without NX ask before who is `endless`: else every
        look would make the mark of a dead writer last.
        """
        only = ("NX",) if self.lengthen else ()
        commands: tuple[Command, ...] = tuple(
            [("PEXPIRE", writers_name(tag), str(lifetime_ms), *only) for tag in tags]
        )
        return Exchange(commands, _counts(commands), resend=True)

    def enlist_then_bump(self, tags: Sequence[TagId], writer: str, lifetime_ms: int) -> Exchange[None]:
        """Both in one round trip. Bump first: a fill in between sees no writer, and keeps the old row (`flow.write`).

        There is no such pair for the end of a bracket: a release sent along would take effect even when the server
        refuses the bump.
        """
        both = _in_turn(self.enlist(tags, writer, lifetime_ms), self.bump(tags))
        return Exchange(both.commands, lambda replies: both.read(replies)[1], both.resend)

    def release(self, tags: Sequence[TagId], writer: str) -> Exchange[None]:
        """Remove `writer`, and no other, from the writers under way of each tag."""
        commands: tuple[Command, ...] = tuple([("SREM", writers_name(tag), writer) for tag in tags])
        return Exchange(commands, _counts(commands), resend=True)

    def remove(self, key: TagId) -> Exchange[None]:
        """Delete what is stored under `key`."""
        commands: tuple[Command, ...] = (("DEL", key),)
        return Exchange(commands, _counts(commands), resend=True)

    def _mget(self, names: Sequence[str]) -> Exchange[dict[str, bytes | None]]:
        commands = tuple(self._mgets(list(dict.fromkeys(names))))

        def read(replies: Sequence[Any]) -> dict[str, bytes | None]:
            found: dict[str, bytes | None] = {}
            for command, reply in zip(commands, replies, strict=True):
                found.update(zip(command[1:], values_in(command, reply), strict=True))  # type: ignore[arg-type]
            return found

        return Exchange(commands, read, resend=True)

    def _mgets(self, names: list[str]) -> Iterator[Command]:
        groups = [names]
        if self.cluster:
            by_slot: dict[int, list[str]] = {}
            for name in names:
                by_slot.setdefault(slot_of(name), []).append(name)
            groups = list(by_slot.values())
        for group in groups:
            for start in range(0, len(group), KEYS_MAX):
                yield ("MGET", *group[start : start + KEYS_MAX])


def _made(
    creations: Sequence[Command], replies: Sequence[Any], found: Sequence[Generation | None]
) -> tuple[Generation, ...]:
    for command, reply, generation in zip(creations, replies, found, strict=True):
        # A full server refuses to make one, and may still have one. Any other refusal says that this is not the server
        # to ask: a replica's generations are not current.
        if generation is None or error_code(reply) != _FULL:
            was_set(command, reply)
    return tuple([_there(*one) for one in zip(creations, found, strict=True)])


def _in_turn(first: Exchange[Any], second: Exchange[Any]) -> Exchange[Any]:
    """One after the other, in one round trip; a refusal of the first is raised, whatever became of the second."""
    size = len(first.commands)

    def read(replies: Sequence[Any]) -> tuple[Any, Any]:
        return first.read(replies[:size]), second.read(replies[size:])

    return Exchange(first.commands + second.commands, read, first.resend and second.resend)


def _counts(commands: tuple[Command, ...]) -> Callable[[Sequence[Any]], None]:
    def read(replies: Sequence[Any]) -> None:
        for command, reply in zip(commands, replies, strict=True):
            count_in(command, reply)

    return read


def _there(command: Command, generation: Generation | None) -> Generation:
    """Evicted as soon as it was made, or not made by this library."""
    if generation is None:
        raise StoreReplyError(command, None, "a generation of this library")
    return generation
