"""How deep stored bytes nest, found out before anything is built from them."""

from __future__ import annotations

__all__ = ["nests_within"]

# MessagePack (github.com/msgpack/msgpack, spec.md), first bytes: fixmap 80-8f, fixarray 90-9f, array dc-dd, map de-df.
_CONTAINERS = bytes([*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF])
_FIXED_SIZES = {
    0xC0: 0, 0xC1: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2,
    0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
# First byte: how many bytes tell the length, and how many follow the content's own.
_SIZED = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1), 0xD9: (1, 0), 0xDA: (2, 0),
    0xDB: (4, 0),
}  # fmt: skip


def nests_within(data: bytes, levels_max: int) -> bool:
    """Whether arrays and maps in `data` nest at most `levels_max` deep. Malformed bytes are left to the decoder."""
    # No more levels than bytes that could open one: answers for most data without looking at its structure.
    if len(data) - len(data.translate(None, _CONTAINERS)) <= levels_max:
        return True
    return _deepest_level(data, levels_max) <= levels_max


def _deepest_level(data: bytes, levels_max: int) -> int:
    """The deepest level, or the first one beyond `levels_max`."""
    open_items: list[int] = []  # items still to come at each level
    deepest = at = 0
    while at < len(data):
        size, items = _head(data, at)
        at += size
        if items:
            open_items.append(items)
            deepest = max(deepest, len(open_items))
            if deepest > levels_max:
                break
            continue
        while open_items:
            open_items[-1] -= 1
            if open_items[-1]:
                break
            open_items.pop()
    return deepest


def _head(data: bytes, at: int) -> tuple[int, int]:
    """Bytes to go on by, and the number of items that a container opened here holds."""
    first = data[at]
    if first < 0x80 or first >= 0xE0:
        return 1, 0
    if first < 0x90:
        return 1, 2 * (first - 0x80)
    if first < 0xA0:
        return 1, first - 0x90
    if first < 0xC0:
        return 1 + first - 0xA0, 0
    if first in _SIZED:
        width, extra = _SIZED[first]
        return 1 + width + extra + int.from_bytes(data[at + 1 : at + 1 + width], "big"), 0
    if first >= 0xDC:
        width = 2 if first in (0xDC, 0xDE) else 4
        items = int.from_bytes(data[at + 1 : at + 1 + width], "big")
        return 1 + width, items if first < 0xDE else 2 * items
    return 1 + _FIXED_SIZES[first], 0
