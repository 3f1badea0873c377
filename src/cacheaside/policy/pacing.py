"""How many refreshes may load behind readers: who waits for a load comes first."""

from __future__ import annotations

__all__ = ["may_refresh", "refreshes_at_once"]


def refreshes_at_once(most: int) -> int:
    """Of `most` loads that a source bears at once, those that refreshes may be while nobody waits: all but a quarter,
    rounded up, which is kept free for readers that have nothing to be served."""
    return most - -(-most // 4)


def may_refresh(refreshing: int, holding: int, waiting: int, most: int) -> bool:
    """Whether another refresh may begin, beside `refreshing` others.

    holding, waiting: loads that have a turn at the source, and that wait for one; of `most` turns. While readers wait
    for their turn one refresh goes on, so that a source that is always busy does not stop them all. Where there is one
    turn alone, a refresh takes it only when nobody else wants it.
    """
    if most == 1:
        return not (refreshing or holding or waiting)
    if not refreshing:
        return True
    return not waiting and holding < most and refreshing < refreshes_at_once(most)
