"""The rules of the protocol, and who cites them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATED = re.compile(r"\*\*\(R(\d+)\)")
CITED = re.compile(r"docs/protocol\.md, (R[^)]*)\)")
RANGE = re.compile(r"R(\d+) to R(\d+)")


def stated() -> list[int]:
    """The numbers of the rules, in the order of the page."""
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    return [int(match[1]) for match in STATED.finditer(text)]


def cited_in(text: str) -> set[int]:
    """The numbers that a module cites; a range cites all between its ends."""
    found: set[int] = set()
    for match in CITED.finditer(" ".join(text.split())):
        found |= {int(number) for number in re.findall(r"R(\d+)", match[1])}
        for first, last in RANGE.findall(match[1]):
            found |= set(range(int(first), int(last) + 1))
    return found


def test_the_rules_are_numbered_without_a_gap() -> None:
    """Each rule is stated once, and none is missing between the first and the last."""
    assert sorted(stated()) == list(range(1, len(stated()) + 1))


def test_every_rule_that_the_code_cites_is_stated() -> None:
    """Whoever follows a citation from the code finds the rule."""
    sources = sorted((ROOT / "src").rglob("*.py"))
    cited = {path: cited_in(path.read_text(encoding="utf-8")) for path in sources}
    assert {19, 20, 24} <= set().union(*cited.values())
    missing = {str(path.relative_to(ROOT)): rules - set(stated()) for path, rules in cited.items()}
    assert {path: rules for path, rules in missing.items() if rules} == {}
