"""A short text for a shape: equal for shapes that read each other's bytes alike, changed when the shape changes.

Shapes form a graph with cycles, so this is partition refinement (Hopcroft's problem, in Moore's simple form):
every shape starts with the hash of its own label and repeatedly takes in the hashes of its parts, until no round
tells more shapes apart than the one before. What is hashed at last is the stable partition with its transitions,
so that two graphs agree only if they unfold to the same tree. Order of fields, of union members and of discovery
does not matter, and neither do class and module names.
"""

from __future__ import annotations

import base64
from hashlib import blake2b

from cacheaside.values.shape import Kind, Shape, reachable

__all__ = ["VALUE_FORMAT", "fingerprint_of"]

VALUE_FORMAT = 1
"""The number of the way values are written. Raise it when bytes change that a shape alone does not show."""

_HASH_BYTES = 16
_TEXT_CHARS = 8  # of 5 bits each


def fingerprint_of(root: Shape) -> str:
    """Eight letters and digits, the same in every process and on every supported Python."""
    shapes = reachable(root)
    colors = {id(shape): _hash([shape.kind.name, shape.label]) for shape in shapes}
    while True:
        refined = {id(shape): _hash([colors[id(shape)], *_rule(shape, colors)]) for shape in shapes}
        if len(set(refined.values())) == len(set(colors.values())):
            break
        colors = refined
    rules = {" ".join([colors[id(shape)], *_rule(shape, colors)]) for shape in shapes}
    digest = bytes.fromhex(_hash([str(VALUE_FORMAT), colors[id(root)], *sorted(rules)]))
    return base64.b32encode(digest).decode("ascii").lower()[:_TEXT_CHARS]


def _rule(shape: Shape, colors: dict[int, str]) -> list[str]:
    """What a shape is made of, in terms of the current partition."""
    parts = [f"{part.wire_name!r}:{colors[id(part.shape)]}" for part in shape.parts]
    by_place = shape.ordered or shape.kind is Kind.TUPLE
    return [shape.label, "by place", *parts] if by_place else [shape.label, "by name", *sorted(parts)]


def _hash(texts: list[str]) -> str:
    return blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).hexdigest()
