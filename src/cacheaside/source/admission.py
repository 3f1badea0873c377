"""How loads are let in front of a source: what `limit=` of `cache.source` takes instead of a number."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from cacheaside.durations import Duration, seconds
from cacheaside.errors import DeclarationError
from cacheaside.observe.brief import brief_s

__all__ = ["Admission"]

QUEUE_PER_SLOT: Final = 16
FLOOR_SHARE: Final = 8
OVERLOADED_BY: Final[tuple[type[Exception], ...]] = (TimeoutError, ConnectionError)


@dataclass(frozen=True, slots=True)
class Admission:
    """The limit of a source, and how it is kept.

    limit: the ceiling, in weight of loads under way at once in this process (a load weighs 1 unless its contract says
        more). It always holds.
    adaptive: come down from it, and rise again, as the source's latency and errors tell (`policy.limiting`). False:
        the limit is the ceiling.
    floor: as far down as that goes; an eighth of the ceiling unless told.
    queue_max: loads that wait for a turn; the next is refused, or makes a lower priority leave. 16 for each of the
        ceiling unless told.
    queue_timeout: a load that waited so long is refused; half of the source's timeout unless told, so that it has the
        other half to run. No longer than that timeout, which counts from when the load begins to wait.
    overloaded_by: errors of loads that are signs of overload, such as your driver's for "too many connections". Other
        errors, such as a row that was not found, say nothing about the limit.
    shared_limit: what all processes of one namespace may have under way together, while their shared tier is up: each
        takes an even share, and follows within seconds when others come and go. None: they do not share.
    safe_share: what this process takes until it has learnt its share; `limit` unless told. What it has learnt it keeps
        while the tier is away.
    """

    limit: int = 64
    _: KW_ONLY
    adaptive: bool = True
    floor: int | None = None
    queue_max: int | None = None
    queue_timeout: Duration | None = None
    overloaded_by: tuple[type[Exception], ...] = OVERLOADED_BY
    shared_limit: int | None = None
    safe_share: int | None = None

    def __post_init__(self) -> None:
        _whole(self.limit, "limit", least=1)
        if self.floor is not None:
            _whole(self.floor, "floor", least=1)
            if self.floor > self.limit:
                raise DeclarationError(
                    f"floor={self.floor} is above limit={self.limit}: the limit moves between the two."
                )
        if self.queue_max is not None:
            _whole(self.queue_max, "queue_max", least=0)
        if self.queue_timeout is not None:
            seconds(self.queue_timeout, name="queue_timeout")
        if self.shared_limit is not None:
            _whole(self.shared_limit, "shared_limit", least=1)
        if self.safe_share is not None:
            _whole(self.safe_share, "safe_share", least=1)
            if self.shared_limit is None or self.safe_share > self.limit:
                raise DeclarationError(
                    f"safe_share={self.safe_share} is what is taken of a shared_limit while it is not known how many "
                    f"share it, and at most limit={self.limit}: declare shared_limit, or a smaller share."
                )
        kinds: Any = self.overloaded_by
        if not isinstance(kinds, tuple) or not all(
            isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds
        ):
            raise DeclarationError(
                f"overloaded_by={kinds!r} must be a tuple of exception classes: (TimeoutError, ConnectionError)."
            )

    @classmethod
    def of(cls, limit: Any, where: str) -> Admission:
        """What the user wrote as `limit=`; `where` begins the message about anything else."""
        if isinstance(limit, Admission):
            return limit
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise DeclarationError(
                f"{where}: limit={limit!r} must be a whole number of loads, at least 1, or an Admission."
            )
        return cls(limit)

    @property
    def lowest(self) -> int:
        """The floor, in loads."""
        return max(1, self.limit // FLOOR_SHARE) if self.floor is None else self.floor

    @property
    def waiting_max(self) -> int:
        """How many may wait."""
        return self.limit * QUEUE_PER_SLOT if self.queue_max is None else self.queue_max

    def queue_timeout_s(self, timeout_s: float, where: str) -> float:
        """How long one may wait, in seconds; a `DeclarationError`, begun by `where`, when that is longer than the
        source's timeout."""
        if self.queue_timeout is None:
            return timeout_s / 2
        wait_s = seconds(self.queue_timeout, name="queue_timeout")
        if wait_s > timeout_s:
            raise DeclarationError(
                f"{where}: queue_timeout={self.queue_timeout!r} is longer than the source's timeout of "
                f"{brief_s(timeout_s)}, which counts from when a load begins to wait: none would wait so long. Shorten "
                "queue_timeout, or lengthen timeout."
            )
        return wait_s


def _whole(value: Any, name: str, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DeclarationError(f"{name}={value!r} must be a whole number of loads, at least {least}.")
