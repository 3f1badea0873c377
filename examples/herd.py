"""A thousand callers miss the same key at once: one load. The first of them is cancelled: still one load."""

from __future__ import annotations

import asyncio

from cacheaside import Cache, Contract

cache = Cache(namespace="herd")


@cache.read("report", Contract(ttl="60s"))
async def report(day: str) -> str:
    await asyncio.sleep(0.05)  # a heavy query
    return f"report of {day}"


async def main() -> None:
    callers = [asyncio.create_task(report("monday")) for _ in range(1000)]
    await asyncio.sleep(0.01)
    callers[0].cancel()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    gone = sum(isinstance(answer, asyncio.CancelledError) for answer in answers)
    print(f"{answers.count('report of monday')} answered, {gone} gone")
    numbers = cache.stats().endpoints["report"]
    print(f"{numbers.loads} load, {numbers.collapsed} shared it")
    assert numbers.loads == 1


if __name__ == "__main__":
    asyncio.run(main())
