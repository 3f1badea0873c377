"""Why stored bytes are no entry. Each is a miss, and counted by its reason."""

from __future__ import annotations

from enum import Enum

__all__ = ["Rejected"]


class Rejected(Enum):
    """What is wrong with bytes found under an entry's key."""

    FOREIGN = "foreign"
    """Not written by this library: another program uses the key."""
    UNKNOWN_VERSION = "unknown_version"
    """Of a format, or with a feature, that this version does not know; a newer one is running beside it."""
    CORRUPT = "corrupt"
    """Cut, damaged, or stored under another key."""
    TOO_LARGE = "too_large"
    """Larger than this process takes, before or after decompression."""
    OTHER_TAGS = "other_tags"
    """Stamped for other tags than the call declares now: its declaration has changed."""
    UNSIGNED = "unsigned"
    """This process has keys, and takes nothing without a signature."""
    UNKNOWN_KEY = "unknown_key"
    """Signed with a key that this process does not have."""
    BAD_MAC = "bad_mac"
    """Signed, and not by who has the key: forged, damaged, or moved from another key."""
