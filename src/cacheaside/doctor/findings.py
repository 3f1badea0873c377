"""What the doctor says: plain data. How grave, about what, what was found, what to do."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

__all__ = ["Finding", "Severity"]


class Severity(StrEnum):
    """How grave a finding is."""

    ERROR = "error"
    """A promise does not hold, or reads and writes fail or go past the cache. To be mended now."""
    WARNING = "warning"
    """It works, and will not on a bad day."""
    NOTE = "note"
    """As it may be meant; worth knowing."""

    @property
    def rank(self) -> int:
        """The gravest first."""
        return list(Severity).index(self)


class Finding(msgspec.Struct, frozen=True):
    """check: the name of what was checked, always the same. about: a server, an endpoint, a source or a setting. found:
    what is so, and what it means. fix: what to do."""

    check: str
    severity: Severity
    about: str
    found: str
    fix: str

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made
