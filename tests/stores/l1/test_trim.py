"""A dict that sees as many deletions as insertions stays small."""

from __future__ import annotations

import sys

import pytest

from cacheaside.stores.l1.trim import BYTES_PER_KEY_MAX, trim


def churned(keys: int) -> dict[int, int]:
    """A dict of `keys` keys, after four times as many insertions."""
    entries = {key: key for key in range(keys)}
    for key in range(keys, 4 * keys):
        entries[key] = key
        del entries[key - keys]
    return entries


@pytest.mark.parametrize("keys", [1_500, 8_000, 50_000])
def test_a_churned_dict_is_shrunk_and_keeps_its_content(keys: int) -> None:
    """Above the bound a dict is shrunk below it, in place, with the same items in the same order."""
    entries = churned(keys)
    before = dict(entries)
    assert sys.getsizeof(entries) > BYTES_PER_KEY_MAX * keys
    assert trim(entries)
    assert sys.getsizeof(entries) <= BYTES_PER_KEY_MAX * keys
    assert list(entries.items()) == list(before.items())
    assert not trim(entries)


def test_a_dict_that_was_emptied_is_shrunk() -> None:
    """After a mass invalidation the few keys left do not keep the room of all."""
    entries = {key: key for key in range(100_000)}
    for key in range(99_990):
        del entries[key]
    assert trim(entries)
    assert sys.getsizeof(entries) < 10_000
    assert len(entries) == 10


def test_a_dict_of_tight_size_is_left_alone() -> None:
    """Small dicts, dicts without room to gain, and those whose copy would at once be full again are not
    copied.
    """
    assert not trim(dict.fromkeys(range(100)))
    assert not trim(dict.fromkeys(range(50_000)))
    assert not trim(churned(87_000))
