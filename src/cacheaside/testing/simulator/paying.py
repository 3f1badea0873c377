"""What a process owes the shared tier: invalidations that were not acknowledged, tried again behind the writers.

As `stores.redis.shared` does it. And what that means for reads: until one is acknowledged, only its own process knows
of the write (the caller was told so); from then on it is promised like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cacheaside.coherence.hearing import Hearing
from cacheaside.flow.ports import Tier, TierAway
from cacheaside.stores.redis.owed import Owed
from cacheaside.testing.simulator.process import Process
from cacheaside.testing.simulator.promises import Promise, Versions
from cacheaside.testing.simulator.verdicts import Violation
from cacheaside.types import TagId

__all__ = ["Payer"]

FIRST_STEPS: Final = 20
PAY_EVERY_S: Final = 0.25


class Payer:
    """One process's."""

    def __init__(self, process: Process, owed: Owed, hearing: Hearing) -> None:
        self._process = process
        self._owed = owed
        self._hearing = hearing
        self._paying = False
        self._debts: list[tuple[Versions, tuple[TagId, ...], Promise]] = []
        self._since_the_try: list[TagId] = []
        self.tier: Tier | None = None
        hearing.owed = self.owe

    def owe(self, tags: Sequence[TagId]) -> None:
        """As `Shared` does."""
        self._owed.add(tags)
        self._since_the_try += tags
        if not self._paying:
            self._paying = True
            task = self._process.scheduler.spawn(self._pay(), "payer")
            task.nest = None

    def wrote(self, versions: Versions, tags: tuple[TagId, ...]) -> None:
        """A write changed these, and was told that its tags are not acknowledged."""
        process = self._process
        here = process.promises.make(versions, process.index, here_only=True)
        self._debts.append((versions, tags, here))
        self._settle()

    async def _pay(self) -> None:
        scheduler = self._process.scheduler
        assert self.tier is not None
        await scheduler.later(scheduler.pick(FIRST_STEPS))
        while self._owed:
            tags, number = self._owed.batch()
            self._since_the_try = []
            try:
                await self.tier.bump(tags)
            except TierAway:
                await scheduler.sleep(PAY_EVERY_S)
                continue
            self._owed.paid(tags, number)
            for tag in self._since_the_try:
                if not self._owed.any_of((tag,)):
                    raise Violation("owed", f"{tag} was owed after the try that paid for it was sent")
            self._hearing.hear(tags)
            self._settle()
        self._paying = False

    def _settle(self) -> None:
        """Promise to all what is owed no longer."""
        for debt in list(self._debts):
            versions, tags, here = debt
            if not self._owed.any_of(tags):
                self._debts.remove(debt)
                # Reads of this process that began before count on it still: what was owed then, paid or not.
                here.number = self._process.number_of(tags)
                self._process.acknowledged(versions, tags)
