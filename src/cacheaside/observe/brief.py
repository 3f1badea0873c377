"""Durations and sizes as people read them; everything else reads the numbers."""

from __future__ import annotations

__all__ = ["brief_bytes", "brief_s"]


def brief_s(seconds: float | None, *, none: str = "–") -> str:
    """A duration as contracts write them (`1h30m`, `250ms`), of two units at most."""
    if seconds is None:
        return none
    if seconds < 0:
        return f"-{brief_s(-seconds)}"
    if seconds < 1:
        return f"{round(seconds * 1000)}ms" if seconds >= 0.001 or not seconds else "<1ms"
    if seconds < 60:
        return f"{seconds:.3g}s"
    left = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return "".join(parts[:2])


def brief_bytes(count: int | None, *, none: str = "–") -> str:
    """A size in bytes with a unit, of about three digits."""
    if count is None:
        return none
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{count}B" if unit == "B" else f"{size:.3g}{unit}"
