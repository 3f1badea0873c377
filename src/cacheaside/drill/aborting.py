"""When a drill is called off. Pure."""

from __future__ import annotations

from cacheaside.drill.series import Record, quantile, waits_ms
from cacheaside.drill.settings import Abort

__all__ = ["reason_to_abort"]


def reason_to_abort(abort: Abort, record: Record, began: float, now: float) -> str | None:
    """Why a drill is to be called off at the moment `now`, in words; None while it is not. What was before it `began`,
    the filling of a cache, is no reason."""
    since = max(began, now - abort.window_s)
    if abort.running is not None:
        running = max((one.running for one in record.latest_readings(since)), default=0)
        if running > abort.running:
            return f"{running} queries ran at once at the source, more than {abort.running}"
    answers = record.latest(since)
    if len(answers) < abort.answers_min:
        return None
    if abort.errors is not None:
        errors = sum(one.how in ("failed", "late") for one in answers) / len(answers)
        if errors > abort.errors:
            return f"{errors:.0%} of requests failed or came too late, more than {abort.errors:.0%}"
    if abort.p99_s is not None:
        p99_ms = quantile(waits_ms(answers), 0.99)
        if p99_ms is not None and p99_ms > abort.p99_s * 1e3:
            return f"p99 was {p99_ms / 1e3:.2f} s, more than {abort.p99_s:g} s"
    return None
