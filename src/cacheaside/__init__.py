"""Cache-aside for Python services, made safe to run. Start with `Cache`, `Contract` and `@cache.read`."""

from cacheaside.cache import Cache
from cacheaside.contract import Contract
from cacheaside.control.state import ControlState
from cacheaside.endpoint.shadow import ShadowReport
from cacheaside.errors import (
    CacheasideError,
    DeclarationError,
    KeyEncodingError,
    LoadTimeout,
    MissingFromBatch,
    Overloaded,
    SourceError,
    Unacknowledged,
    UsageError,
    ValueEncodingError,
)
from cacheaside.lookup import Forward, Lookup, NotStored, Served, Tier
from cacheaside.observe.explanation import Explanation
from cacheaside.observe.stats import CacheStats, EndpointStats, SharedStats, SourceStats
from cacheaside.source import Admission, Source
from cacheaside.tags import Tag, TagFamily

__version__ = "0.1.0"

__all__ = [
    "Admission",
    "Cache",
    "CacheStats",
    "CacheasideError",
    "Contract",
    "ControlState",
    "DeclarationError",
    "EndpointStats",
    "Explanation",
    "Forward",
    "KeyEncodingError",
    "LoadTimeout",
    "Lookup",
    "MissingFromBatch",
    "NotStored",
    "Overloaded",
    "Served",
    "ShadowReport",
    "SharedStats",
    "Source",
    "SourceError",
    "SourceStats",
    "Tag",
    "TagFamily",
    "Tier",
    "Unacknowledged",
    "UsageError",
    "ValueEncodingError",
    "__version__",
]
