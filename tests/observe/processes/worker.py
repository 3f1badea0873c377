"""A process of a service, as the tests command it: a line in, a line out. `worker.py FOLDER [CHILDREN]`.

With children it loads the application, and then forks them, as a prefork server does; each is commanded by its number.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from cacheaside import Cache, Contract
from cacheaside.observe.prometheus import CacheCollector

cache = Cache(namespace="shop")
collector = CacheCollector(cache, directory=sys.argv[1], every="50ms", environ={})
registry = CollectorRegistry()
registry.register(collector)


@cache.read("rows", Contract("60s"))
def rows(key: int) -> int:
    return key


def do(command: str, number: int) -> Any:
    if command == "read":
        for _ in range(number):
            rows(1)
    elif command == "scrape":
        return generate_latest(registry).decode()
    elif command == "written":  # a turn of the thread, without waiting for it
        assert collector._exporting is not None
        collector._exporting.turn()
    elif command == "reap":
        return os.waitpid(-1, 0)[0]  # its last thread is gone then, and with it what it had open
    elif command == "threads":
        return [thread.name for thread in threading.enumerate()]
    return os.getpid()


def children() -> list[tuple[int, int, int]]:
    """Fork them, each with pipes to command it: its pid, where to write, where to read."""
    made = []
    for _ in range(int(sys.argv[2])):
        in_child, to_child = os.pipe()
        from_child, out_child = os.pipe()
        pid = os.fork()
        if not pid:
            for descriptor in (to_child, from_child, *[one for _, *pipes in made for one in pipes]):
                os.close(
                    descriptor
                )  # the parent's ends: while one is open here, nobody sees the parent's end
            obey(in_child, out_child)
            os._exit(0)
        os.close(in_child)
        os.close(out_child)
        made.append((pid, to_child, from_child))
    return made


def obey(source: int, target: int) -> None:
    """Until the source ends."""
    with os.fdopen(source, "r") as lines, os.fdopen(target, "w") as answers:
        for line in lines:
            command, number = line.split()
            answers.write(json.dumps(do(command, int(number))) + "\n")
            answers.flush()


def main() -> None:
    made = {}
    for line in sys.stdin:
        whom, command, number = line.split()
        if command == "fork":
            made = {str(place): one for place, one in enumerate(children())}
            answer = json.dumps([pid for pid, _, _ in made.values()])
        elif whom == "-":
            answer = json.dumps(do(command, int(number)))
        else:
            _, to_child, from_child = made[whom]
            os.write(to_child, f"{command} {number}\n".encode())
            answer = ""
            while not answer.endswith("\n"):
                answer += os.read(from_child, 65536).decode()
        print(answer.strip(), flush=True)


if __name__ == "__main__":
    main()
