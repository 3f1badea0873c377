"""What an endpoint promises about the age of what it returns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from cacheaside.durations import Duration, Size, byte_count, seconds
from cacheaside.errors import DeclarationError

__all__ = ["PRIORITIES", "Consistency", "Contract", "OnOverload", "Priority", "Terms"]

Consistency = Literal["bounded", "strong"]
Priority = Literal["high", "normal", "low"]
OnOverload = Literal["stale", "fail"]
PRIORITIES: Final = ("high", "normal", "low")
"""From the one that is served first; `Terms.priority` is a place in it."""
_CONSISTENCIES: Final = ("bounded", "strong")
_ON_OVERLOAD: Final = ("stale", "fail")
_WEIGHT_MAX: Final = 1_000_000
_MISSING: Final[Any] = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A contract resolved to plain numbers; what the rest of the library reads. Durations in seconds."""

    ttl_s: float
    grace_s: float
    absent_ttl_s: float
    stale_after_invalidation_s: float
    jitter: float
    early_refresh: float
    max_bytes: int | None
    strong: bool
    store: bool
    accepts: Callable[[Any], bool] | None
    error_ttls_s: tuple[tuple[type[Exception], float], ...]
    priority: int
    weight: int
    fails_on_overload: bool

    @property
    def bound_s(self) -> float:
        """The greatest age that a read may return, from the start of the load."""
        return max(self.ttl_s + self.grace_s, self.stale_after_invalidation_s)


@dataclass(frozen=True, slots=True)
class Contract:
    """The correctness window of an endpoint. There is no default ttl: a cached value always has a bound.

    Age runs from the start of the load. No read returns a value older than the contract allows (G3).

    ttl: fresh this long.
    grace: served this much longer while one caller refreshes it, or while the source fails; never after an
        invalidation.
    absent_ttl: how long "no such row" (the loader returned None) is fresh. 0, the default: not stored.
    stale_after_invalidation: a value known to be out of date may still be served, up to this age, while one
        caller loads the new one or while the source fails; at most ttl + grace. 0, the default: never.
    consistency: "bounded" (the above), or "strong": every read loads from the source.
    jitter: the share of ttl, 0 to 1, by which single entries become stale earlier, so that entries filled
        together do not expire together; between that moment and ttl they are refreshed behind their readers.
    early_refresh: β of XFetch (Vattani, Chierichetti, Lowenstein, VLDB 2015): above 0, a fresh value is
        refreshed behind its readers before it becomes stale, by one process of all; 2 to 5 loads before, times β, as
        a rule, and at most half of its fresh life.
    max_bytes: a larger encoded value is returned but not stored.
    store: False: load each time, share only concurrent loads. A function of the value: store when it says True.
    error_ttl: exceptions to remember, by class, and for how long; by default none is. `Overloaded` only where it is
        named itself.
    priority: "high", "normal" or "low": whose loads go first when the source is at its limit.
    weight: for how many loads one of this endpoint counts at its source's limit.
    on_overload: past that limit, "stale": what the cache has within this contract is served; "fail": what is past its
        ttl no longer is once its refresh was refused. Either way a read for which there is nothing is `Overloaded`.

    Durations are seconds, `timedelta` or strings ("60s", "1h30m"). A contract that contradicts itself is a
    `DeclarationError` when it is made.
    """

    if TYPE_CHECKING:
        ttl: Duration
    else:
        ttl: Duration = (
            _MISSING  # so that a missing ttl is an error of ours, which says why there is no default
        )
    _: KW_ONLY
    grace: Duration = 0
    absent_ttl: Duration = 0
    stale_after_invalidation: Duration = 0
    consistency: Consistency = "bounded"
    jitter: float = 0.1
    early_refresh: float = 0.0
    max_bytes: Size | None = None
    store: bool | Callable[[Any], bool] = True
    error_ttl: Mapping[type[Exception], Duration] = field(default_factory=dict[type[Exception], Duration])
    priority: Priority = "normal"
    weight: int = 1
    on_overload: OnOverload = "stale"
    terms: Terms = field(init=False, repr=False, compare=False)
    """The contract in plain numbers, resolved once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", _resolve(self))

    def __hash__(self) -> int:
        return hash(self.terms)

    def using(self, **changes: Any) -> Contract:
        """The same contract with some options changed; an unknown option is a `DeclarationError`."""
        known = {f.name for f in fields(self) if f.init}
        if unknown := sorted(set(changes) - known):
            raise DeclarationError(
                f"Contract has no option {', '.join(unknown)}; it has {', '.join(sorted(known))}."
            )
        return replace(self, **changes)

    @classmethod
    def fresh_first(cls, ttl: Duration) -> Contract:
        """Fresh within `ttl`, else from the source; when the source fails, so does the read."""
        return cls(ttl)

    @classmethod
    def available_first(cls, ttl: Duration, *, grace: Duration) -> Contract:
        """Fresh within `ttl`; up to `grace` longer while it is refreshed or the source fails, and refreshed early."""
        return cls(ttl, grace=grace, early_refresh=1.0)

    @classmethod
    def never_stale(cls) -> Contract:
        """Every read loads from the source and fails when the source fails: for what must fail closed."""
        return cls(1, consistency="strong", store=False)


def _resolve(c: Contract) -> Terms:
    ttl_s = _ttl_s(c.ttl)
    grace_s = seconds(c.grace, name="grace")
    stale_s = seconds(c.stale_after_invalidation, name="stale_after_invalidation")
    strong = _is_strong(c.consistency)
    keeps, accepts = _storing(c.store)
    _refuse_contradictions(ttl_s, grace_s, stale_s, strong=strong, keeps=keeps)
    return Terms(
        ttl_s=ttl_s,
        grace_s=grace_s,
        absent_ttl_s=seconds(c.absent_ttl, name="absent_ttl"),
        stale_after_invalidation_s=stale_s,
        jitter=_number(c.jitter, "jitter", 1.0),
        early_refresh=_number(c.early_refresh, "early_refresh", 100.0),
        max_bytes=None if c.max_bytes is None else byte_count(c.max_bytes, name="max_bytes"),
        strong=strong,
        store=keeps,
        accepts=accepts,
        error_ttls_s=_error_ttls(c.error_ttl),
        priority=PRIORITIES.index(_one_of(c.priority, "priority", PRIORITIES)),
        weight=_weight(c.weight),
        fails_on_overload=_one_of(c.on_overload, "on_overload", _ON_OVERLOAD) == "fail",
    )


# These take Any: what users write is checked whatever a type checker would have said.


def _ttl_s(ttl: Any) -> float:
    if ttl is _MISSING or ttl is None:
        raise DeclarationError(
            'A contract needs a ttl: Contract(ttl="60s"). There is no cached value without a bound.'
        )
    ttl_s = seconds(ttl, name="ttl")
    if ttl_s == 0:
        raise DeclarationError("ttl=0 caches nothing: use Contract.never_stale(), or store=False with a ttl.")
    return ttl_s


def _is_strong(consistency: object) -> bool:
    if consistency not in _CONSISTENCIES:
        raise DeclarationError(f"consistency={consistency!r} must be one of {', '.join(_CONSISTENCIES)}.")
    return consistency == "strong"


def _storing(store: Any) -> tuple[bool, Callable[[Any], bool] | None]:
    if isinstance(store, bool):
        return store, None
    accepts: Callable[[Any], bool] = store
    if not callable(accepts):
        raise DeclarationError(f"store={store!r} must be True, False or a function of the value.")
    if inspect.iscoroutinefunction(accepts):
        raise DeclarationError(
            "store= is an `async def`, and a coroutine counts as True: decide with a plain function of the value."
        )
    return True, accepts


def _refuse_contradictions(
    ttl_s: float, grace_s: float, stale_s: float, *, strong: bool, keeps: bool
) -> None:
    if strong and (grace_s or stale_s):
        raise DeclarationError(
            "consistency='strong' never serves a stored value, so grace and stale_after_invalidation contradict it."
        )
    if not keeps and (grace_s or stale_s):
        raise DeclarationError(
            "store=False keeps nothing, so grace and stale_after_invalidation contradict it."
        )
    if stale_s > ttl_s + grace_s:
        raise DeclarationError(
            f"stale_after_invalidation ({stale_s:g} s) is longer than ttl + grace ({ttl_s + grace_s:g} s): a value "
            "known to be out of date would be served longer than one that is not. Shorten it, or lengthen grace."
        )


def _number(value: Any, name: str, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise DeclarationError(f"{name}={value!r} must be a number from 0 to {most:g}.")
    return float(value)


def _one_of(value: Any, name: str, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        raise DeclarationError(f"{name}={value!r} must be one of {', '.join(known)}.")
    return value


def _weight(weight: Any) -> int:
    if isinstance(weight, bool) or not isinstance(weight, int) or not 1 <= weight <= _WEIGHT_MAX:
        raise DeclarationError(f"weight={weight!r} must be a whole number from 1 to {_WEIGHT_MAX:,}.")
    return weight


def _error_ttls(ttls: Any) -> tuple[tuple[type[Exception], float], ...]:
    if not isinstance(ttls, Mapping):
        raise DeclarationError(
            f'error_ttl={ttls!r} must map exception classes to durations: error_ttl={{NotFound: "5s"}}.'
        )
    return tuple((_error_class(kind), seconds(ttl, name="error_ttl")) for kind, ttl in ttls.items())


def _error_class(kind: object) -> type[Exception]:
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        raise DeclarationError(f"error_ttl: {kind!r} is not an Exception class.")
    return kind
