"""The source of truth: its resource, its limit, the loads that go to it."""

from cacheaside.source.admission import Admission
from cacheaside.source.source import Source

__all__ = ["Admission", "Source"]
