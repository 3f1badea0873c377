"""The bracket around a write: `async with cache.changing(products(42)) as change: …commit inside…`."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

from cacheaside.endpoint.host import Host, WhenAway
from cacheaside.errors import Unacknowledged, UsageError
from cacheaside.flow import write as writing
from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.ports import Ports
from cacheaside.tags import Tag
from cacheaside.types import TagId

__all__ = ["BlockingChange", "Change", "Changing"]

TagIds = Callable[[tuple[Tag, ...]], tuple[TagId, ...]]


class _Write:
    """The tags of one write under way. marked: those of them whose mark stands."""

    def __init__(self, tag_ids: TagIds) -> None:
        self.tag_ids = tag_ids
        self.writer = os.urandom(12).hex()
        self.tags: dict[TagId, None] = {}
        """In their order; as a set, since there may be many."""
        self.marked: frozenset[TagId] = frozenset()
        self.rolled_back = False
        self.ended = False
        self._said = False
        self.when_away: WhenAway = "raise"
        self.say: Callable[[Unacknowledged], None] = lambda error: None
        """Log what is tried again."""

    def added(self, tags: tuple[Tag, ...]) -> tuple[TagId, ...]:
        """Take in `tags`, so that the end of the block invalidates them whatever follows; their ids."""
        self.check_open()
        ids = self.tag_ids(tags)
        self.add(ids)
        return ids

    def add(self, ids: tuple[TagId, ...]) -> None:
        """Take in tags by id."""
        self.tags |= dict.fromkeys(ids)

    def say_once(self, error: Unacknowledged) -> None:
        """Its end says no more than its beginning did."""
        if not self._said:
            self._said = True
            self.say(error)

    def check_open(self) -> None:
        """A mark that is set after the end would keep its tag from being stored for nothing."""
        if self.ended:
            raise UsageError("change.add(…) after its block has ended: the write is over; make a new one.")

    async def begin(self, ids: tuple[TagId, ...], ports: Ports, *, opens: bool = False) -> None:
        """Mark those of `ids` that are not marked yet. opens: the block has not begun."""
        self.check_open()
        new = tuple(tag for tag in ids if tag not in self.marked)
        try:
            # Where it goes on without a mark, the block is about to write.
            written = False if opens and self.when_away == "raise" else None
            await writing.begin(new, self.writer, ports, written=written)
        except Unacknowledged as error:
            if self.when_away == "raise":
                for tag in new:
                    self.tags.pop(tag, None)
                raise
            # Without a mark, other processes may store what they load until the end of the block.
            ports.heard.owe(new)
            self.say_once(error)
            return
        self.marked |= set(new)


class Change:
    """A write under way, awaited."""

    def __init__(self, write: _Write, ports: Ports) -> None:
        self._write = write
        self._ports = ports

    def add(self, *tags: Tag) -> Coroutine[Any, Any, None]:
        """The write changes these as well; before the commit.

        Await it: from then on nothing is stored for them. Where that is forgotten they are invalidated all the same
        when the block ends, and Python warns of it.
        """
        begun = self._write.begin(self._write.added(tags), self._ports)
        begun.__qualname__ = "Change.add"  # type: ignore[attr-defined]  # what the warning names
        return begun

    def rolled_back(self) -> None:
        """The transaction is known to be rolled back. Without this, leaving the block by an exception means that
        the outcome is unknown: nothing is stored for these tags until the commit can no longer be under way."""
        self._write.rolled_back = True


class BlockingChange:
    """A write under way, in sync code."""

    def __init__(self, write: _Write, ports: Ports) -> None:
        self._write = write
        self._ports = ports

    def add(self, *tags: Tag) -> None:
        """The write changes these as well; before the commit."""
        run_blocking(self._write.begin(self._write.added(tags), self._ports))

    def rolled_back(self) -> None:
        """The transaction is known to be rolled back; see `Change.rolled_back`."""
        self._write.rolled_back = True


class Changing:
    """What `cache.changing(…)` returns: a context manager for `async with` and for `with`; used once.

    Commit inside the block. From its beginning until it ends, nothing is stored for the tags; when it has ended, no
    read that starts later returns a value older than the commit. A process that dies inside leaves nothing stale.
    """

    def __init__(self, tags: tuple[Tag, ...], host: Host, when_away: WhenAway | None = None) -> None:
        self._write = _Write(lambda tags: host.tag_ids(tags, "cache.changing"))
        self._write.when_away = host.when_away if when_away is None else when_away
        self._write.say = host.say_retried
        self._first = self._write.tag_ids(tags)
        self._ports = host.ports
        self._blocking_ports = host.blocking_ports
        self._entered = False

    def _enter(self) -> tuple[TagId, ...]:
        if self._entered:
            raise UsageError("cache.changing(…) was entered before: make a new one for each write.")
        self._entered = True
        self._write.add(self._first)
        return self._first

    async def __aenter__(self) -> Change:
        await self._write.begin(self._enter(), self._ports, opens=True)
        return Change(self._write, self._ports)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        write = self._write
        tags = () if write.rolled_back else tuple(write.tags)
        await writing.to_its_end(self._end(kind is not None, self._ports), tags, self._ports)

    def __enter__(self) -> BlockingChange:
        run_blocking(self._write.begin(self._enter(), self._blocking_ports, opens=True))
        return BlockingChange(self._write, self._blocking_ports)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        run_blocking(self._end(kind is not None, self._blocking_ports))

    async def _end(self, failed: bool, ports: Ports) -> None:
        try:
            await self._told(failed, ports)
        except Unacknowledged as error:
            if not failed and self._write.when_away == "raise":
                raise
            self._write.say_once(
                error
            )  # the block's own error says more; what is owed is tried again either way

    async def _told(self, failed: bool, ports: Ports) -> None:
        write = self._write
        write.ended = True
        tags = tuple(write.tags)
        if write.rolled_back:
            await writing.give_up(tags, write.writer, ports)
        elif failed:
            # The commit may have happened, or may be about to: the mark stays until it expires.
            await writing.invalidate(tags, ports)
        else:
            await writing.finish(tags, write.writer, ports)
