"""The target in the user's own words: nothing that is not the drill's own is touched without them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from cacheaside.drill.faults.kind import CannotDrill

__all__ = ["consented", "words_for"]


def words_for(url: str, namespace: str) -> str:
    """What is to be said or typed: the namespace and the server."""
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2] or parts.path
    return f"{namespace}@{where}"


def consented(url: str, namespace: str, yes: str | None, typed: Callable[[str], str] | None) -> None:
    """Return when the user named this very target; `CannotDrill` otherwise.

    yes: what was given on the command line. typed: asks at a terminal; None: there is none.
    """
    wanted = words_for(url, namespace)
    if yes is None and typed is not None:
        yes = typed(f"This breaks a cache that is not the drill's own. Type {wanted} to go on: ").strip()
    if yes != wanted:
        given = "was not named" if not yes else f"is not {yes!r}"
        raise CannotDrill(f"The target {given}: --yes {wanted} says that it is meant. Nothing was touched.")
