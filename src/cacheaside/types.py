"""Small shared names."""

from __future__ import annotations

from typing import NewType

__all__ = ["Generation", "TagId"]

TagId = NewType("TagId", str)
"""The canonical name of a tag: what stores and logs know it by."""

Generation = NewType("Generation", int)
"""The opaque unique mark that a tag carries now: 64 random bits, never reused. Compared for equality only."""
