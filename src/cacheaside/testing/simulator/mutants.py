"""Broken variants of the library, each of which the checkers must catch.

A mutant is an exact replacement in the shipped source. When its text is no longer found, a test fails and says so: then
the mutant is to be written again for the new text, not dropped. Standard library only, see `mutation.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["MUTANTS", "Edit", "Mutant"]

FLOW: Final = "cacheaside.flow"


@dataclass(frozen=True, slots=True)
class Edit:
    """`old`, found once in `module`, becomes `new`."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """what: what is wrong with it. worlds: where it must be caught. rules: any of these catches it."""

    name: str
    what: str
    edits: tuple[Edit, ...]
    world: Literal["embedded", "shared"]
    rules: tuple[str, ...]


MUTANTS: Final = (
    Mutant(
        "keep-without-log",
        "L1 keeps what was loaded before a change that it has heard of since",
        (
            Edit(
                "cacheaside.stores.l1.store",
                "            if not self.log.unchanged(record.tags, since.number):\n",
                "            if False:\n",
            ),
        ),
        "embedded",
        ("G1", "mark"),
    ),
    Mutant(
        "blind-join",
        "a landing answers whoever joined, whatever changed meanwhile",
        (Edit(f"{FLOW}.flights", "return not landing.moved or flight.started > arrived", "return True"),),
        "embedded",
        ("G1",),
    ),
    Mutant(
        "clear-anothers-mark",
        "a writer that is done removes every mark of its tags",
        (Edit("cacheaside.stores.embedded", "writers.pop(writer, None)", "writers.clear()"),),
        "embedded",
        ("mark", "G1"),
    ),
)
