"""Escaping: any string as printable ASCII that holds none of the characters this package gives a meaning.

Letters, digits and ``- _ . / @ +`` stand for themselves. Everything else, the percent sign
included, becomes ``%XX`` for each byte of its UTF-8, so the mapping is injective and its results never hold a
space, a quote, a glob character, a brace, or one of the marks ``: ~ , = ( ) # !``.
"""

from __future__ import annotations

import re

__all__ = ["escaped"]

_UNSAFE = re.compile(r"[^A-Za-z0-9\-_./@+]")
_has_unsafe = _UNSAFE.search


def escaped(text: str) -> str:
    """`text`, injectively, in characters that mean nothing else. Lone surrogates are escaped as well."""
    if text.isalnum() and text.isascii():
        return text
    if _has_unsafe(text) is None:
        return text
    return _UNSAFE.sub(_escaped_character, text)


def _escaped_character(found: re.Match[str]) -> str:
    # "surrogatepass" keeps this injective: valid UTF-8 never holds the three bytes a lone surrogate gets.
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))
