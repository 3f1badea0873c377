"""A process that is measured: one cache, asked line by line for what a section's `Work` can do.

    python -m bench.shared.worker SECTION NAME KIND URL

A line in is `{"do": method, ...arguments}`, a line out `{"did": result}` or `{"failed": traceback}`. Between two
requests the event loop goes on, so that what a cache does in the background is done. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TextIO

from bench.shared.peers import SharedPeer


class Section(Protocol):
    """What a section's module has for its worker."""

    PEERS: list[SharedPeer]

    @staticmethod
    def Work(peer: SharedPeer, url: str) -> Any:  # noqa: N802  it is a class
        """Its public methods are coroutines that take and give what JSON can say."""


async def serve(section: Section, name: str, kind: str, url: str, answers: TextIO) -> None:
    (peer,) = [peer for peer in section.PEERS if (peer.name, peer.kind) == (name, kind)]
    loop = asyncio.get_running_loop()
    reading = ThreadPoolExecutor(1)
    work: Any = None
    while line := await loop.run_in_executor(reading, sys.stdin.readline):
        request = json.loads(line)
        try:
            work = work or section.Work(peer, url)
            answer: Mapping[str, Any] = {"did": await getattr(work, request.pop("do"))(**request)}
        except Exception:  # noqa: BLE001  the asking process says what became of the row
            answer = {"failed": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os._exit(0)  # a caller that hangs in a peer must not keep the process


def main(section: str, name: str, kind: str, url: str) -> None:
    logging.disable()  # a cache that logs every failure would be measured by the speed of a terminal
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a peer prints is no answer
    module: Any = importlib.import_module(f"bench.shared.{section}")
    asyncio.run(serve(module, name, kind, url, answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
