"""What a checker says when a promise was broken."""

from __future__ import annotations

__all__ = ["Violation"]


class Violation(BaseException):
    """A promise was broken. Not an `Exception`: what is being checked must not swallow it.

    rule: G1, G2, G3, flight, error, mark, owed, books, stuck or order; "broken" when the simulator itself is.
    """

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule
        self.what = what
