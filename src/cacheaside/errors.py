"""Every error that cacheaside raises, split by who must act.

```
CacheasideError
├── DeclarationError      the developer: a decorator, contract, tag or source was declared wrongly
├── KeyEncodingError      the caller: an argument cannot be part of a key
├── MissingFromBatch      the developer: a batch loader answered fewer keys than it was asked for
├── ValueEncodingError    the developer: a loaded value does not fit its endpoint's annotation
├── UsageError            the caller: the API was used where it cannot work (closed cache, wrong colour, wrong loop)
├── Unacknowledged        the shared tier, or whoever runs it: it did not say that a write's tags are invalidated
└── SourceError           the source, or whoever runs it
    ├── LoadTimeout       a load took longer than its source allows
    └── Overloaded        the source is at its limit; carries `retry_after_s`
```

What a loader raises is never wrapped: every caller of a shared load gets the loader's own exception.
Values never appear in a message; arguments appear only through the endpoint's key.
"""

from __future__ import annotations

__all__ = [
    "CacheasideError",
    "DeclarationError",
    "KeyEncodingError",
    "LoadTimeout",
    "MissingFromBatch",
    "Overloaded",
    "SourceError",
    "Unacknowledged",
    "UsageError",
    "ValueEncodingError",
]


class CacheasideError(Exception):
    """Base of every error of this library; catch it to catch them all."""


class DeclarationError(CacheasideError, TypeError):
    """A declaration that cannot work, found when it is declared: the message says what to write instead."""


class KeyEncodingError(CacheasideError, TypeError):
    """An argument has no canonical encoding, so two different calls could share a key."""


class MissingFromBatch(CacheasideError, LookupError):
    """A batch loader returned nothing for a key, and the endpoint's annotation has no None to say "no such row"."""


class ValueEncodingError(CacheasideError, TypeError):
    """A loaded value cannot be stored under its endpoint's return annotation."""


class UsageError(CacheasideError, RuntimeError):
    """The call cannot work here: the message says which one can."""


class Unacknowledged(CacheasideError):
    """The shared tier did not acknowledge what a write told it about `tags`.

    From `cache.invalidate`, or the end of `cache.changing`: the commit stands. This process knows that the tags changed
    and tries again behind the caller until it is acknowledged; others may serve what they hold, within its contract.
    From the beginning of `cache.changing`: nothing was written yet, and nothing is retried.

    written: False from the beginning of `changing`, whose block did not run: the caller may try again. True from
    `invalidate`, `invalidate_all`, `purge` and the end of `changing`: the change stands, and is not to be repeated.
    None from `change.add`: whether the block had written anything, it alone knows.
    """

    def __init__(
        self, message: str, *, tags: tuple[str, ...] = (), written: bool | None = None, why: str = ""
    ) -> None:
        super().__init__(message)
        self.tags = tags
        self.written = written
        self.why = why
        """What the tier said, without keys: for the log."""


class SourceError(CacheasideError):
    """The source did not answer. `endpoint` and `source` name what was asked."""

    def __init__(self, message: str, *, endpoint: str, source: str) -> None:
        super().__init__(message)
        self.endpoint = endpoint
        self.source = source


class LoadTimeout(SourceError, TimeoutError):
    """A load ran for its source's whole `timeout` without an answer."""


class Overloaded(SourceError):
    """The source is at its limit and so is the queue before it.

    `retry_after_s`: a delay after which trying again is reasonable, in seconds.
    """

    def __init__(self, message: str, *, endpoint: str, source: str, retry_after_s: float) -> None:
        super().__init__(message, endpoint=endpoint, source=source)
        self.retry_after_s = retry_after_s
