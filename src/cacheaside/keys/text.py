"""Escaping: any string as printable ASCII that holds none of the characters this package gives a meaning.

Letters, digits and ``- _ . / @ +`` stand for themselves. Everything else, the percent sign
included, becomes ``%XX`` for each byte of its UTF-8, so the mapping is injective and its results never hold a
space, a quote, a glob character, a brace, or one of the marks ``: ~ , = ( ) # !``.
"""

from __future__ import annotations

__all__ = ["escaped"]

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./@+")
_of_byte = [chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in range(256)].__getitem__


def escaped(text: str) -> str:
    """`text`, injectively, in characters that mean nothing else. Lone surrogates are escaped as well."""
    if text.isalnum() and text.isascii():
        return text
    # "surrogatepass" keeps this injective: valid UTF-8 never holds the three bytes a lone surrogate gets.
    return "".join(map(_of_byte, text.encode("utf-8", "surrogatepass")))
