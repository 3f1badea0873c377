"""Which tags a changed row touches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from cacheaside.errors import DeclarationError, UsageError
from cacheaside.tags import Tag, TagFamily

__all__ = ["Row", "Rows"]

Row = Mapping[str, Any]
"""A row as a mapping from column to value."""


@dataclass(frozen=True, slots=True)
class _Rule:
    family: Callable[..., Tag]
    columns: tuple[str, ...]
    when: frozenset[str] | None


class Rows:
    """The rows of one table, and the tags that a change of one touches.

        flights_rows = Rows("flights").tag(flights, "id").tag(boards, "origin", when=["origin", "status"])
        flights_rows.changed(before, after)        # the tags to invalidate

    A row that moves from one collection to another touches both: tags are made from the old values and the new.
    """

    def __init__(self, table: str) -> None:
        self.table = table
        self._rules: list[_Rule] = []

    def tag(self, family: TagFamily[Any], *columns: str, when: list[str] | None = None) -> Self:
        """Rows touch the tag made from these columns; with `when`, only by a change of one of those, an insert or a
        delete. A change of the tag's own columns always counts."""
        if not isinstance(family, TagFamily):
            raise DeclarationError(f"table {self.table!r}: a tag's kind is expected, made with cache.tag(…).")
        if isinstance(when, str):
            raise DeclarationError(
                f"table {self.table!r}: when= takes a list of columns, such as when=[{when!r}]."
            )
        self._rules.append(_Rule(family, columns, None if when is None else frozenset(when) | set(columns)))
        return self

    def changed(self, before: Row | None, after: Row | None) -> tuple[Tag, ...]:
        """The tags that this change touches, each once. `before` is None for an insert, `after` for a delete.

        A column that a rule needs and a row lacks is a `UsageError`: without it a tag would be missed.
        """
        if before is None and after is None:
            raise UsageError(f"table {self.table!r}: a change has a row before it, after it, or both.")
        return tuple(dict.fromkeys(self._touched(before, after)))

    def _touched(self, before: Row | None, after: Row | None) -> Iterator[Tag]:
        for rule in self._rules:
            if before is not None and after is not None and not self._counts(rule, before, after):
                continue
            for row in (before, after):
                if row is not None:
                    yield rule.family(*(self._of(row, name) for name in rule.columns))

    def _counts(self, rule: _Rule, before: Row, after: Row) -> bool:
        return rule.when is None or any(self._of(before, name) != self._of(after, name) for name in rule.when)

    def _of(self, row: Row, column: str) -> Any:
        try:
            return row[column]
        except KeyError:
            raise UsageError(
                f"table {self.table!r}: a changed row came without its column {column!r}, which a tag is made from. "
                "Give whole rows, old and new."
            ) from None
