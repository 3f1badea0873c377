"""What may be said of a lever, checked: whoever says it, the code, a file or a message."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Any, Final, cast

from cacheaside.contract import Contract
from cacheaside.durations import Duration, seconds
from cacheaside.errors import DeclarationError
from cacheaside.policy.levers import LEVERS, Lever

__all__ = ["ENDPOINTS_MAX", "LASTS_MAX_S", "checked_word", "lasting_s", "overridden", "plain_changes"]

ENDPOINTS_MAX: Final = 1000
"""Endpoints that one file or message may name."""
NAME_MAX: Final = 256
TEXT_MAX: Final = 64
LASTS_MAX_S: Final = 30 * 86_400.0
"""The longest that anything may last which ends by itself, and what the fleet is told lasts no longer: 30 days."""
_NOT_OVERRIDDEN: Final = {
    "error_ttl": "its exceptions are classes, which only code can name",
}
_OVERRIDABLE: Final = tuple(
    sorted(field.name for field in fields(Contract) if field.init and field.name not in _NOT_OVERRIDDEN)
)


def checked_word(endpoint: str, lever: str, to: Any) -> Any:
    """What lever of `endpoint` is set to, plain and checked; a `DeclarationError` says what is wrong, and what to
    write."""
    if not isinstance(endpoint, str) or not 0 < len(endpoint) <= NAME_MAX:
        raise DeclarationError(f"an endpoint's name is a text of 1 to {NAME_MAX} characters.")
    if lever not in LEVERS:
        raise DeclarationError(f"{endpoint}: {lever!r} is no lever: there are {', '.join(LEVERS)}.")
    if lever == "kill":
        if not isinstance(to, bool):
            raise DeclarationError(f"{endpoint}: kill is true or false, not a {type(to).__name__}.")
        return to
    if lever == "override":
        return plain_changes(endpoint, to)
    if isinstance(to, bool) or not isinstance(to, (int, float)) or not 0 <= to <= 100:
        raise DeclarationError(f"{endpoint}: {lever} is a share in percent, a number from 0 to 100.")
    return float(to)


def plain_changes(endpoint: str, changes: Any) -> dict[str, Any]:
    """Options of a contract as plain data, which a file and a message can hold."""
    if not isinstance(changes, Mapping) or not changes:
        raise DeclarationError(f'{endpoint}: an override names options of its contract: ttl="5s".')
    plain: dict[str, Any] = {}
    for name, value in changes.items():
        if name in _NOT_OVERRIDDEN:
            raise DeclarationError(f"{endpoint}: {name} cannot be overridden: {_NOT_OVERRIDDEN[name]}.")
        if name not in _OVERRIDABLE:
            raise DeclarationError(
                f"{endpoint}: Contract has no option {str(name)[:TEXT_MAX]!r}; it has {', '.join(_OVERRIDABLE)}."
            )
        plain[name] = _plain(endpoint, name, value)
    return plain


def _plain(endpoint: str, name: str, value: Any) -> Any:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    finite = isinstance(value, (int, float)) and math.isfinite(value)
    if value is None or finite or (isinstance(value, str) and len(value) <= TEXT_MAX):
        return value
    raise DeclarationError(
        f"{endpoint}: {name} is overridden by a number, a text such as '5s', true or false, not a "
        f"{type(value).__name__}."
    )


def overridden(endpoint: str, declared: Contract, changes: Mapping[str, Any]) -> Contract:
    """`declared` with `changes`; a `DeclarationError` where the two contradict each other.

    What was declared to fail closed, `consistency="strong"`, is not opened from outside: who declared it knows why.
    """
    if declared.terms.strong and changes.get("consistency", "strong") != "strong":
        raise DeclarationError(
            f"{endpoint}: its contract says consistency='strong', which an override does not loosen: change the code."
        )
    if not declared.terms.store and changes.get("store", False):
        raise DeclarationError(
            f"{endpoint}: its contract says store=False, which an override does not loosen: change the code."
        )
    try:
        return declared.using(**changes)
    except DeclarationError as error:
        raise DeclarationError(f"{endpoint}: the override and the contract do not fit: {error}") from None


def lasting_s(endpoint: str, lever: str, for_: Duration | None) -> float | None:
    """For how long a lever is set, in seconds; None: until it is reset."""
    if for_ is None:
        if lever == "override":
            raise DeclarationError(
                f'{endpoint}: an override makes windows other than declared, so it says when it ends: for_="10m".'
            )
        return None
    lasts_s = seconds(for_, name="for_")
    if not 0 < lasts_s <= LASTS_MAX_S:
        raise DeclarationError(
            f"{endpoint}: {lever} with for_={for_!r}: it lasts longer than nothing, and 30 days at most."
        )
    return lasts_s


def as_lever(name: str) -> Lever:
    """A lever by its name, which was checked."""
    return cast(Lever, name)
