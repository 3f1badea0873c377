"""Broken variants of the library, each of which the checkers must catch.

A mutant is an exact replacement in the shipped source. When its text is no longer found, a test fails and says so: then
the mutant is to be written again for the new text, not dropped.

The library is changed as it is imported, so nothing of it may be imported here: the mutants are in files beside this
one, which are run by their paths. Each has a function `mutants(named, other)`; see `Make`.
"""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

__all__ = ["HERD_MUTANTS", "MUTANTS", "Edit", "Make", "Mutant"]

World = Literal["embedded", "shared"]
FILES: Final = (
    "mutants_flows.py",
    "mutants_kept.py",
    "mutants_shared.py",
    "mutants_heard.py",
    "mutants_short.py",
)


@dataclass(frozen=True, slots=True)
class Edit:
    """`old`, found once in `module`, becomes `new`."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """what: what is wrong with it. world: where it must be caught. named: by the protocol itself. given: what the
    schedules that show it have in common, see `scenario.Sizes`."""

    name: str
    what: str
    world: World
    named: bool
    edits: tuple[Edit, ...]
    given: str = ""


class Make(Protocol):
    """Makes a mutant. edits: module, old text, new text."""

    def __call__(
        self, name: str, what: str, world: World, *edits: tuple[str, str, str], given: str = ""
    ) -> Mutant: ...


def _named(name: str, what: str, world: World, *edits: tuple[str, str, str], given: str = "") -> Mutant:
    """A variant that the protocol names."""
    return Mutant(name, what, world, True, tuple(Edit(*edit) for edit in edits), given)


def _other(name: str, what: str, world: World, *edits: tuple[str, str, str], given: str = "") -> Mutant:
    """A variant that seemed worth it."""
    return Mutant(name, what, world, False, tuple(Edit(*edit) for edit in edits), given)


def _those_in(file: str) -> tuple[Mutant, ...]:
    run: dict[str, Any] = runpy.run_path(str(Path(__file__).with_name(file)))
    made: tuple[Mutant, ...] = run["mutants"](_named, _other)
    return made


MUTANTS: Final = tuple(mutant for file in FILES for mutant in _those_in(file))
HERD_MUTANTS: Final = _those_in("mutants_herds.py")
"""Break no promise, only what keeps herds from the source: `given` names the case of `herd_cases` that shows each."""
