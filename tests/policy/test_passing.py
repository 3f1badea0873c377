"""How long a key that left nothing to store is loaded without a lease."""

from __future__ import annotations

import pytest

from cacheaside.lookup import NotStored
from cacheaside.policy.passing import PASS_S, passes_for_s


@pytest.mark.parametrize("why", [None, *NotStored])
def test_what_lies_in_the_value_is_remembered_and_what_passes_is_not(why: NotStored | None) -> None:
    """A value that is not stored by its nature is remembered as such; one that only the moment kept from it is not."""
    by_nature = why in {
        NotStored.CONTRACT, NotStored.TOO_LARGE, NotStored.TOO_MANY_TAGS, NotStored.UNSTORABLE
    }  # fmt: skip
    assert passes_for_s(why, failed=False) == (PASS_S if by_nature else 0)


def test_a_failure_is_remembered_for_a_moment() -> None:
    """A load that failed may succeed when it is tried again."""
    assert 0 < passes_for_s(NotStored.CONTRACT, failed=True) < PASS_S
