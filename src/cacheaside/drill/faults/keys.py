"""Faults in the namespace: a flush, keys that expire at once, tags that are invalidated in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cacheaside.drill.faults.kind import Evidence
from cacheaside.drill.faults.scope import Scope, in_share
from cacheaside.drill.journal import Undo

__all__ = ["Flush", "HotKeys", "MassInvalidation"]


class _InTheNamespace:
    """Done at once, and never undone: what is gone from a cache is loaded again."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._done = 0

    def undo(self) -> Undo | None:
        return None

    def halt(self) -> None:
        self._scope.halt()

    def end(self) -> None:
        return None


class Flush(_InTheNamespace):
    """Deletes a share of the keys; with all of them the generations too, and so what processes hold in memory."""

    def __init__(self, scope: Scope, share: float) -> None:
        super().__init__(scope)
        self._share = share

    def begin(self) -> None:
        self._done = self._scope.delete(self._chosen())

    def evidence(self) -> list[Evidence]:
        return [Evidence(self._done > 0, f"{self._done:,} keys deleted")]

    def _chosen(self) -> Iterator[bytes]:
        if self._share >= 1.0:
            yield from self._scope.names()
            return
        for name in self._scope.entries():
            if in_share(name, self._share):
                yield name
                yield self._scope.own_generation(name)  # else memories would go on answering


class HotKeys(_InTheNamespace):
    """Has the most popular keys expire at once: their entries, and by their own generations what is in memories.

    hottest: asked when it begins, for names of entries, the most popular first.
    """

    def __init__(self, scope: Scope, hottest: Callable[[], Sequence[bytes]]) -> None:
        super().__init__(scope)
        self._hottest = hottest
        self._asked = 0

    def begin(self) -> None:
        names = list(self._hottest())
        self._asked = len(names)
        self._done = self._scope.expire(names)
        self._scope.expire([self._scope.own_generation(name) for name in names])

    def evidence(self) -> list[Evidence]:
        return [Evidence(self._done > 0, f"{self._done} of the {self._asked} hottest keys expired")]


class MassInvalidation(_InTheNamespace):
    """Deletes the generations of a share of the declared tags: what was computed from them is valid nowhere."""

    def __init__(self, scope: Scope, share: float) -> None:
        super().__init__(scope)
        self._share = share

    def begin(self) -> None:
        self._done = self._scope.delete(
            name for name in self._scope.declared() if in_share(name, self._share)
        )

    def evidence(self) -> list[Evidence]:
        return [Evidence(self._done > 0, f"{self._done:,} tags invalidated")]
