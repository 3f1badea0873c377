"""From changed rows to tags."""

from __future__ import annotations

import pytest

from cacheaside import Cache, DeclarationError, UsageError
from cacheaside.mapping import Rows

cache = Cache(namespace="mapping")
flights = cache.tag("flights", int)
boards = cache.tag("boards", str)
ROWS = Rows("flights").tag(flights, "id").tag(boards, "origin", when=["status"])
OLD = {"id": 1, "origin": "JFK", "status": "scheduled", "note": "a"}


def test_an_insert_touches_the_row_and_the_collection_it_joins() -> None:
    """An insert names no row that anybody has read, so its collections' tags are what finds the readers."""
    assert ROWS.changed(None, OLD) == (flights(1), boards("JFK"))


def test_a_delete_touches_what_the_row_was_in() -> None:
    """A deleted row leaves its collections."""
    assert ROWS.changed(OLD, None) == (flights(1), boards("JFK"))


def test_a_row_that_moves_touches_both_collections() -> None:
    """Old values and new values both count."""
    assert ROWS.changed(OLD, OLD | {"origin": "EWR"}) == (flights(1), boards("JFK"), boards("EWR"))


def test_a_column_outside_when_leaves_the_collection_alone() -> None:
    """A change that the collection does not show does not invalidate it."""
    assert ROWS.changed(OLD, OLD | {"note": "b"}) == (flights(1),)


def test_a_column_named_in_when_touches_the_collection() -> None:
    """A change that the collection shows does."""
    assert ROWS.changed(OLD, OLD | {"status": "departed"}) == (flights(1), boards("JFK"))


def test_a_missing_column_is_an_error_because_a_tag_would_be_missed() -> None:
    """A partial row is refused rather than mapped to fewer tags."""
    with pytest.raises(UsageError, match="without its column 'origin'"):
        ROWS.changed(None, {"id": 1})


def test_a_change_needs_a_row() -> None:
    """Neither before nor after is no change."""
    with pytest.raises(UsageError, match="before it, after it, or both"):
        ROWS.changed(None, None)


def test_mistakes_in_the_declaration_say_what_to_write() -> None:
    """A tag instead of its kind, and a string instead of a list, are found when declared."""
    with pytest.raises(DeclarationError, match="kind is expected"):
        Rows("t").tag(flights(1), "id")  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match=r"when=\['status'\]"):
        Rows("t").tag(flights, "id", when="status")  # type: ignore[arg-type]
