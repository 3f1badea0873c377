"""Two processes share what they load; one writes, the other sees it; their server is killed and comes back, and no read
fails."""

from __future__ import annotations

import asyncio
import logging
import sys
import time

from cacheaside import Cache, Contract
from cacheaside.errors import Unacknowledged
from cacheaside.testing.servers import Server  # a Valkey of its own on loopback; yours is there already

ROWS = {42: 1900}
loads = 0


class Process:
    """What each process of a service makes once, at import. Two of them in one program stand for two processes."""

    def __init__(self, url: str) -> None:
        # A deadline is 50 ms unless told; this may run on a busy machine.
        self.cache = Cache(url, namespace="shop", deadline="1s")
        self.prices = self.cache.tag("prices", int)

        @self.cache.read(
            "price", Contract(ttl="60s", grace="5m"), tags=lambda product_id: [self.prices(product_id)]
        )
        async def price(product_id: int) -> int:
            global loads
            loads += 1
            await asyncio.sleep(0.05)  # the database
            return ROWS[product_id]

        self.price = price

    def settle(self) -> None:
        """Return when it is in touch with the server, with nothing left to tell it."""
        while (shared := self.cache.stats().shared) is None or shared.owed or not shared.up:
            time.sleep(0.01)


async def main() -> None:
    logging.basicConfig(stream=sys.stdout, format="  %(name)s %(levelname)s %(message)s", level=logging.INFO)
    with Server() as server:
        web, worker = Process(server.url), Process(server.url)
        async with web.cache, worker.cache:
            await asyncio.gather(*[one.price(42) for one in (web, worker) for _ in range(100)])
            print(f"200 callers in two processes, loads: {loads}")

            async with web.cache.changing(web.prices(42)):
                ROWS[42] = 2100  # the commit
            old = 0
            while await worker.price(42) != 2100:
                old += 1
                await asyncio.sleep(0.001)
            print(
                f"the other process read the old price {old} times more, a millisecond apart, then the new one"
            )

            await asyncio.to_thread(server.kill)
            found = await worker.price.lookup(42)
            print(f"the server is gone; the price is {found.value}, from {found.tier}")
            try:
                async with web.cache.changing(web.prices(42)):
                    ROWS[42] = 1  # not reached
            except Unacknowledged as error:
                print(f"a write is refused before it begins, written={error.written}: {error}")
            async with web.cache.changing(web.prices(42), when_away="retry"):
                ROWS[42] = 1800  # this one goes on, and is told later
            print(web.cache.stats().shared)

            await asyncio.to_thread(server.start)
            for process in (web, worker):
                await asyncio.to_thread(process.settle)
            print(f"the server is back, by itself: {web.cache.stats().shared}")
            print(f"the other process has {await worker.price(42)}")


if __name__ == "__main__":
    asyncio.run(main())
