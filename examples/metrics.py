"""Three workers behind one port: whichever is scraped answers for all, and one that is killed leaves what it counted.

Needs the extra `prometheus`.
"""

from __future__ import annotations

import os
import signal
import tempfile

from prometheus_client import CollectorRegistry, generate_latest

from cacheaside import Cache, Contract
from cacheaside.observe.prometheus import CacheCollector

cache = Cache(namespace="shop")


@cache.read("product", Contract(ttl="60s"))
def product(number: int) -> str:
    return f"product {number}"


def scraped(collector: CacheCollector) -> list[str]:
    registry = CollectorRegistry()
    registry.register(collector)
    wanted = (
        'cacheaside_reads_total{cache="shop",cache_endpoint="product",outcome="l1"}',
        "cacheaside_processes{",
    )
    return [line for line in generate_latest(registry).decode().splitlines() if line.startswith(wanted)]


def worker(reads: int, say: int) -> None:
    """What a prefork server runs in each of its children."""
    for _ in range(reads):
        product(42)
    os.write(say, b".")
    signal.pause()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        collector = CacheCollector(cache, directory=folder, every="50ms")
        product(42)
        hear, say = os.pipe()
        workers = []
        for _ in range(3):
            if not (pid := os.fork()):
                worker(100, say)
            workers.append(pid)
        for _ in workers:
            os.read(hear, 1)
        while "300.0" not in scraped(collector)[0]:
            pass  # each writes its numbers within 50 ms
        print(*scraped(collector), sep="\n")
        os.kill(workers[0], signal.SIGKILL)
        os.waitpid(workers[0], 0)
        print("one is killed:", *scraped(collector), sep="\n")
        for pid in workers[1:]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        collector.close()


if __name__ == "__main__":
    main()
