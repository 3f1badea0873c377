"""The fixed request streams on which eviction is compared.

Every stream is a sequence of integer keys of unit size, drawn from `random.Random(seed).random()` alone
(the one generator whose sequence Python promises to keep), so the same stream comes out on every machine.
The seeds and parameters below were written down before the policy was tuned; change one only together with
the table in docs/decisions/0003-l1-eviction.md.
"""

from __future__ import annotations

import lzma
import random
import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate, islice
from pathlib import Path

KEYS = 50_000
REQUESTS = 300_000

SEEDS = {
    "zipf-0.7": 7001,
    "zipf-0.9": 9001,
    "zipf-1.1": 11001,
    "scan": 20130,
    "shift": 31337,
    "drift": 31415,
    "loop": 0,
    "loop-zipf": 27182,
}


def zipf(rng: random.Random, alpha: float, keys: int = KEYS) -> Iterator[int]:
    """Ranks 0..keys-1 without end, rank r drawn in proportion to 1 / (r + 1) ** alpha."""
    cumulative = list(accumulate((rank + 1) ** -alpha for rank in range(keys)))
    total = cumulative[-1]
    while True:
        yield bisect_right(cumulative, rng.random() * total)


def static(seed: int, alpha: float) -> list[int]:
    """One popularity, never changing."""
    return list(islice(zipf(random.Random(seed), alpha), REQUESTS))


def scan(seed: int) -> list[int]:
    """Zipf 0.9; after every 20,000 requests a scan reads the next 10,000 of 40,000 other keys, in order."""
    requests: list[int] = []
    popular = zipf(random.Random(seed), 0.9)
    position = 0
    while len(requests) < REQUESTS:
        requests.extend(islice(popular, 20_000))
        requests.extend(KEYS + (position + step) % 40_000 for step in range(10_000))
        position += 10_000
    return requests[:REQUESTS]


def shift(seed: int) -> list[int]:
    """Zipf 0.9 whose popular keys are replaced all at once after every 50,000 requests."""
    rng = random.Random(seed)
    popular = zipf(rng, 0.9)
    requests: list[int] = []
    for phase in range(REQUESTS // 50_000):
        requests.extend((rank * 7919 + phase * 17_389) % KEYS for rank in islice(popular, 50_000))
    return requests


def drift(seed: int) -> list[int]:
    """Zipf 0.9 in which after every 20 requests a new key takes the top rank and all others move down."""
    popular = zipf(random.Random(seed), 0.9)
    return [KEYS + moment // 20 - rank for moment, rank in enumerate(islice(popular, REQUESTS))]


def loop(seed: int) -> list[int]:
    """20,000 keys read in order again and again."""
    return [moment % 20_000 for moment in range(seed, seed + REQUESTS)]


def loop_zipf(seed: int) -> list[int]:
    """Every second request from a loop over 20,000 keys, the others Zipf 0.9 over other keys."""
    popular = zipf(random.Random(seed), 0.9)
    return [next(popular) if moment % 2 else KEYS + moment // 2 % 20_000 for moment in range(REQUESTS)]


def recorded(path: Path) -> list[int]:
    """A recorded trace: xz of big-endian 32-bit key numbers."""
    keys = array("I")
    keys.frombytes(lzma.decompress(path.read_bytes()))
    if sys.byteorder == "little":
        keys.byteswap()
    return list(keys)


STREAMS: dict[str, Callable[[], list[int]]] = {
    "zipf-0.7": lambda: static(SEEDS["zipf-0.7"], 0.7),
    "zipf-0.9": lambda: static(SEEDS["zipf-0.9"], 0.9),
    "zipf-1.1": lambda: static(SEEDS["zipf-1.1"], 1.1),
    "scan": lambda: scan(SEEDS["scan"]),
    "shift": lambda: shift(SEEDS["shift"]),
    "drift": lambda: drift(SEEDS["drift"]),
    "loop": lambda: loop(SEEDS["loop"]),
    "loop-zipf": lambda: loop_zipf(SEEDS["loop-zipf"]),
}
