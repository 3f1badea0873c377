"""The keeper's thread: turn after turn, until its keeper is gone or has another. No error ends it."""

from __future__ import annotations

import selectors
import threading
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from cacheaside.bell import start
from cacheaside.stores.redis.listen.ear import Ear
from cacheaside.stores.redis.listen.waker import Waker

__all__ = ["Turning", "begin"]


class Turning(Protocol):
    """The keeper, as its thread knows it."""

    @property
    def thread(self) -> threading.Thread | None:
        """The thread that keeps; another one ends."""

    def before_wait(self, selector: selectors.BaseSelector, watched: dict[str, Ear]) -> float | None:
        """How long to wait, and by what; None: another thread keeps."""

    def after_wait(self, ears: Sequence[Ear], waker: Waker) -> None:
        """Do what has come, or is due."""

    def recover(self, error: Exception) -> float:
        """A turn failed: begin anew what may not be as it should. For how long to pause before the next."""


def begin(reference: weakref.ref[Turning], ears: dict[str, Ear]) -> tuple[threading.Thread, Waker]:
    """Start the thread. Raises OSError where descriptors are wanting, RuntimeError where threads are, with nothing left
    behind."""
    with ExitStack() as undone:
        waker = Waker()
        undone.callback(waker.close)
        selector = selectors.DefaultSelector()
        undone.callback(selector.close)
        selector.register(waker, selectors.EVENT_READ, None)
        thread = threading.Thread(
            target=_run, args=(reference, waker, selector, ears), name="cacheaside-keeper", daemon=True
        )
        start(thread)  # a signal may end this while it begins: it then sees that it is not the one, and ends
        undone.pop_all()
    return thread, waker


def _run(
    reference: weakref.ref[Turning], waker: Waker, selector: selectors.BaseSelector, ears: dict[str, Ear]
) -> None:
    """While it waits it holds no keeper, so that a cache that nobody refers to can go; but its ears, which it then
    closes."""
    watched: dict[str, Ear] = {}
    try:
        while True:
            try:
                if not _turn(reference, waker, selector, watched):
                    break
            except Exception as error:  # noqa: BLE001 - nobody else would keep in touch: reads would go to the source for ever
                if not _recover(reference, waker, error):
                    break
    finally:
        selector.close()
        waker.close()
        for ear in [*watched.values(), *(ears.values() if reference() is None else ())]:
            ear.close()


def _turn(
    reference: weakref.ref[Turning], waker: Waker, selector: selectors.BaseSelector, watched: dict[str, Ear]
) -> bool:
    """Wait for something to do, and do it; False when this thread is to end."""
    keeper = reference()
    wait_s = None if keeper is None else keeper.before_wait(selector, watched)
    del keeper
    if wait_s is None:
        return False
    ready = [key.data for key, _ in selector.select(wait_s)]
    waker.drain()
    keeper = reference()
    if keeper is None or keeper.thread is not threading.current_thread():
        return False
    keeper.after_wait([ear for ear in ready if ear is not None], waker)
    return True


def _recover(reference: weakref.ref[Turning], waker: Waker, error: Exception) -> bool:
    keeper = reference()
    if keeper is None:
        return False
    pause_s = keeper.recover(error)
    # Drained first, then asked whether to end. In the other order: (1) it is to go on (2) its keeper is closed, and
    # wakes it (3) that is drained, and whoever closes waits for the whole pause.
    waker.drain()
    if keeper.thread is not threading.current_thread():
        return False
    del keeper
    waker.pause(pause_s)
    return True
