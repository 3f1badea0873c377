"""What a namespace may be: a name that leaves room, in every key, for what is read off the key again."""

from __future__ import annotations

from typing import Any

from cacheaside.errors import DeclarationError
from cacheaside.keys.limits import NAMESPACE_MAX_CHARS
from cacheaside.keys.text import escaped

__all__ = ["checked_namespace", "namespace_problem"]


def namespace_problem(namespace: Any) -> str | None:
    """What is wrong with it, as the end of a sentence that begins with a name; it quotes nothing."""
    if not isinstance(namespace, str) or not namespace:
        return "must be a name, such as the service's."
    chars = len(escaped(namespace))
    if chars > NAMESPACE_MAX_CHARS:
        return (
            f"takes {chars} characters in a key, and {NAMESPACE_MAX_CHARS} is the most: write a shorter name, such as "
            "the service's. Letters and digits of ASCII take one character each, others three for each byte of UTF-8."
        )
    return None


def checked_namespace(namespace: Any) -> str:
    """The namespace, or a `DeclarationError`."""
    problem = namespace_problem(namespace)
    if problem is None:
        return str(namespace)
    shown = (
        f"={namespace!r}" if not isinstance(namespace, str) or len(namespace) <= NAMESPACE_MAX_CHARS else ""
    )
    raise DeclarationError(f"namespace{shown} {problem}")
