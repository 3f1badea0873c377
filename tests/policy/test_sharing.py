"""What one process may use of a limit that processes share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.policy.sharing import free_seat, share_of


@given(st.integers(1, 500), st.lists(st.booleans(), min_size=1, max_size=40))
def test_the_shares_of_all_are_what_is_shared(shared: int, taken: list[bool]) -> None:
    """Over all that are seated the shares add up to what is shared, and no two differ by more than one; where there are
    more processes than that, each has one."""
    seats = [bytes([number]) if one else None for number, one in enumerate(taken)]
    shares = [share_of(shared, seats, seat) for seat in seats if seat is not None]
    if not shares:
        return
    assert max(shares) - min(shares) <= 1
    assert sum(shares) == max(shared, len(shares))


def test_one_without_a_seat_counts_itself() -> None:
    """A process whose seat the server did not take acts as one more."""
    assert share_of(90, [b"a", None, b"b"], b"c") == 30
    assert share_of(90, [None], b"c") == 90


def test_a_free_seat_is_found_from_anywhere() -> None:
    """The search goes round, and finds none where all are taken."""
    assert free_seat([None, b"a", b"b"], 1) == 0
    assert free_seat([b"a", None, None], 2) == 2
    assert free_seat([b"a"], 0) is None
