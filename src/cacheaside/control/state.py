"""What is changed at the moment, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cacheaside.endpoint.shadow import ShadowReport
from cacheaside.observe.brief import brief_s

__all__ = ["ControlState", "EndpointControl", "FileState", "FleetState"]


class EndpointControl(msgspec.Struct, frozen=True):
    """One endpoint. said_by: "file", "fleet" or "code", for each lever that one of them set. ends_in_s: for each
    that ends by itself. refused: why an override from outside is not followed here. shadow_report: what shadow mode
    found."""

    name: str
    killed: bool
    ramp: float
    override: Mapping[str, Any]
    shadow: float
    said_by: Mapping[str, str]
    ends_in_s: Mapping[str, float]
    refused: str | None
    shadow_report: ShadowReport | None

    @property
    def is_changed(self) -> bool:
        """Whether anything is other than declared."""
        return bool(self.said_by)

    def __str__(self) -> str:
        return f"{self.name}: {self.words}"

    @property
    def words(self) -> str:
        """What is changed, by whom, and when that ends; without its name."""
        words = ["KILLED"] if self.killed else []
        words += [f"ramp {self.ramp:g} %"] if "ramp" in self.said_by else []
        words += [f"{name}={value!r}" for name, value in self.override.items()]
        words += [f"shadow {self.shadow:g} %"] if "shadow" in self.said_by else []
        said = ", ".join(dict.fromkeys(self.said_by.values()))
        ends = f", ends in {brief_s(min(self.ends_in_s.values()))}" if self.ends_in_s else ""
        return (", ".join(words) or "as declared") + (f" (by the {said}{ends})" if said else "")


class FleetState(msgspec.Struct, frozen=True):
    """What the fleet is told. version: of the message that is followed; None: there is none. ignored: messages that
    were not followed, by reason. why_away: why the shared tier could not be asked, at the last look."""

    version: int | None
    ignored: Mapping[str, int]
    why_away: str | None


class FileState(msgspec.Struct, frozen=True):
    """The control file. malformed: how often it said what cannot be; problem: what is wrong with it now."""

    path: str
    malformed: int
    problem: str | None


class ControlState(msgspec.Struct, frozen=True):
    """`cache.control.state()`: each endpoint; the fleet and the file, where there are such."""

    namespace: str
    endpoints: Mapping[str, EndpointControl]
    fleet: FleetState | None
    file: FileState | None

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made

    def __str__(self) -> str:
        changed = [str(one) for one in self.endpoints.values() if one.is_changed]
        return "\n".join([f"cache {self.namespace}: {len(changed)} endpoints changed", *changed])
