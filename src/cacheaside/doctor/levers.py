"""Checks of what operators changed at run time: what is meant for an hour is forgotten for a month."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cacheaside.control.state import EndpointControl
from cacheaside.doctor.facts import Facts
from cacheaside.doctor.findings import Finding, Severity
from cacheaside.observe.brief import brief_s
from cacheaside.policy.levers import Lever

__all__ = ["LEVER_CHECKS"]

WARNING, NOTE = Severity.WARNING, Severity.NOTE
_FIX: Final = {
    "file": "Take it out of the control file when it is not needed any more.",
    "fleet": "cacheaside control reset {name} {lever}, when it is not needed any more.",
    "code": 'cache.control.reset("{name}", "{lever}") in this process, when it is not needed any more.',
}


def changed(facts: Facts) -> Iterator[Finding]:
    """An endpoint that is killed, ramped, overridden or shadowed."""
    for one in facts.levers:
        if one.killed:
            yield _changed(one, "kill", WARNING, "is killed: every read goes to its source")
        if one.ramp < 100:
            share = "no key is" if one.ramp == 0 else f"{one.ramp:g} % of its keys are"
            yield _changed(one, "ramp", WARNING if one.ramp == 0 else NOTE, f"{share} cached")
        if one.override:
            options = ", ".join(f"{name}={value}" for name, value in one.override.items())
            yield _changed(one, "override", NOTE, f"its contract is changed, {options}")
        if one.shadow:
            yield _changed(
                one, "shadow", NOTE, f"{one.shadow:g} % of its hits are loaded as well, to be compared"
            )


def not_followed(facts: Facts) -> Iterator[Finding]:
    """What was said, and does not hold here."""
    for one in facts.levers:
        if one.refused is not None:
            yield Finding(
                "lever_refused", WARNING, one.name, f"an override of it is not followed: {one.refused.rstrip('.')}",
                "Say it anew as its contract allows, or reset it.",
            )  # fmt: skip
    if facts.levers_unread is not None:
        yield Finding(
            "levers_unread", WARNING, "levers",
            f"{facts.levers_unread.rstrip('.')}: the service may follow what is not shown here",
            "cacheaside control show, with the service's environment; cache.control.state() in a process.",
        )  # fmt: skip


def _changed(one: EndpointControl, lever: Lever, severity: Severity, what: str) -> Finding:
    by, ends_in_s = one.said_by[lever], one.ends_in_s.get(lever)
    ends = "until it is reset" if ends_in_s is None else f"for {brief_s(ends_in_s)} still"
    return Finding(
        f"lever_{lever}", severity, one.name, f"{what} (says the {by}, {ends})",
        _FIX[by].format(name=one.name, lever=lever),
    )  # fmt: skip


LEVER_CHECKS: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (changed, not_followed)
