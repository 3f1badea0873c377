"""The database fails: within grace the last answer is served, and `lookup` says so; past it the error is told."""

from __future__ import annotations

import logging
import sys
import time

from cacheaside import Cache, Contract

cache = Cache(namespace="outage")
up = True


@cache.read("rate", Contract(ttl="50ms", grace="1h", jitter=0))
def rate(currency: str) -> float:
    if not up:
        raise ConnectionError("the database is gone")
    return 1.08


def main() -> None:
    global up
    logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
    print(rate("USD"))
    up = False
    time.sleep(0.06)
    while (found := rate.lookup("USD")).source_error is None:
        assert found.served in ("fresh", "grace")  # served meanwhile; the refresh behind it is about to fail
    print(
        f"{found.value} is served in {found.served}, {found.age_s:.2f} s old, because of a {found.source_error}"
    )
    try:
        rate.using(grace=0)("USD")
    except ConnectionError as error:
        print(f"without grace: {error}")


if __name__ == "__main__":
    main()
