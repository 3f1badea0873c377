"""Keep a dict that sees as many deletions as insertions from taking twice the room it needs.

CPython sizes a full dict anew for three times its live keys, whatever number it had to hold before: at a
constant 100,000 keys it goes from 52 to 105 bytes a key, and up to 120 at the worst number. A copy is sized
for one and a half times.
"""

from __future__ import annotations

import sys
from typing import Any, Final

KEYS_MIN: Final = 1_000
"""A dict no larger than one of so many keys may be is not worth the work."""
BYTES_PER_KEY_MAX: Final = 70
"""More than a copy takes: 30 to 60, and at most 68 where a copy would be too tight."""


def trim(entries: dict[Any, Any]) -> bool:
    """Shrink `entries` when it takes more than `BYTES_PER_KEY_MAX`; whether it was done.

    Constant time when not. Otherwise some 50 ns a key, as CPython's own resizing. The object stays the
    same. A reader without a lock may find it empty for an instant, and sees a miss. The caller holds the
    lock of all who write.
    """
    keys = len(entries)
    bound = max(keys, KEYS_MIN) * BYTES_PER_KEY_MAX
    size = sys.getsizeof(entries)
    if size <= bound:
        return False
    places = 1 << (keys * 3 // 2).bit_length()
    if size <= 2 * bound and places * 2 // 3 - keys < keys // 8:
        # A copy would be full again after a few insertions.
        return False
    copy = dict(entries)
    entries.clear()
    entries.update(copy)
    return True
