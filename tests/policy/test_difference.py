"""Stale, or merely changed."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside.policy.difference import Difference, Evidence, explain
from cacheaside.types import Generation, TagId

TAG, OTHER = TagId("shop:tag~products:i1"), TagId("shop:product:1~k:i1")
OLD, NEW = Generation(1), Generation(2)


def evidence(**changes: Any) -> Evidence:
    usual: dict[str, Any] = {
        "age_s": 1.0,
        "bound_s": 60.0,
        "outdated": False,
        "stored_under": {TAG: OLD, OTHER: OLD},
        "loaded_under": {TAG: OLD, OTHER: OLD},
        "moved": False,
        "still": True,
    }
    return Evidence(**{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "why", "tags"),
    [
        ({}, Difference.WITHIN_WINDOW, ()),
        ({"age_s": 61.0}, Difference.VIOLATION, ()),
        ({"age_s": 61.0, "outdated": True}, Difference.VIOLATION, ()),
        ({"outdated": True, "loaded_under": {TAG: NEW, OTHER: OLD}}, Difference.WITHIN_WINDOW, ()),
        ({"loaded_under": {TAG: NEW, OTHER: OLD}}, Difference.VIOLATION, (TAG,)),
        ({"loaded_under": {TAG: NEW, OTHER: OLD}, "still": False}, Difference.CHANGED_BETWEEN, (TAG,)),
        ({"moved": True}, Difference.CHANGED_BETWEEN, ()),
        ({"loaded_under": None}, Difference.UNEXPLAINED, ()),
        ({"loaded_under": None, "moved": True}, Difference.UNEXPLAINED, ()),
        ({"stored_under": None}, Difference.UNEXPLAINED, ()),
        ({"stored_under": None, "still": False}, Difference.CHANGED_BETWEEN, ()),
        ({"loaded_under": {OTHER: OLD}}, Difference.VIOLATION, (TAG,)),
    ],
)
def test_the_reason_follows_from_what_was_heard(
    changes: dict[str, Any], why: Difference, tags: tuple[TagId, ...]
) -> None:
    """Only a value too old, or served although a change of its tags had been heard before, is a violation."""
    assert explain(evidence(**changes)) == (why, tags)
