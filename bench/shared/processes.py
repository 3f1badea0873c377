"""The measured processes as the benchmark's own one sees them."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.shared.peers import SharedPeer

ANSWER_S_MAX = 120.0
"""How long one request may take, before the run ends with an error."""
ENDING_S_MAX = 2.0
ROOT = Path(__file__).resolve().parents[2]


class RowFailed(RuntimeError):
    """A process that was to be measured could not do what it was asked; the message ends with its own error."""


class Process:
    """One cache in a process of its own. `ask` sends, `answer` waits: so several can work at the same time."""

    def __init__(self, section: str, peer: SharedPeer, url: str) -> None:
        self.peer = peer
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  closed by `close`
        self._child = subprocess.Popen(
            [sys.executable, "-m", "bench.shared.worker", section, peer.name, peer.kind, url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def ask(self, do: str, **arguments: Any) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise RowFailed(f"{self.peer.name}: its process ended: {self._last_words()}") from None

    def answer(self, within_s: float = ANSWER_S_MAX) -> Any:
        try:
            line = self._lines.get(timeout=within_s)
        except queue.Empty:
            raise RowFailed(f"{self.peer.name}: no answer within {within_s:g} s") from None
        if not line:
            raise RowFailed(f"{self.peer.name}: its process ended: {self._last_words()}")
        answer = json.loads(line)
        if "failed" in answer:
            raise RowFailed(
                f"{self.peer.name}: {answer['failed'].strip().splitlines()[-1]}\n{answer['failed']}"
            )
        return answer["did"]

    def do(self, do: str, **arguments: Any) -> Any:
        """Ask and wait."""
        self.ask(do, **arguments)
        return self.answer()

    def close(self) -> None:
        """End it; one that hangs is killed."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.close()
            self._child.wait(ENDING_S_MAX)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._child.kill()
            self._child.wait()
        self._listening.join()
        self._child.stdout.close()
        self._said.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _listen(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _last_words(self) -> str:
        self._said.seek(0)
        return (self._said.read().strip().splitlines() or ["it said nothing"])[-1]


@contextmanager
def processes(section: str, peers: Sequence[SharedPeer], url: str) -> Iterator[list[Process]]:
    """A process for each of `peers`, at the same time; they end with the block."""
    with ExitStack() as ending:
        yield [ending.enter_context(Process(section, peer, url)) for peer in peers]


def together(asked: Sequence[Process], do: str, **arguments: Any) -> list[Any]:
    """The answers of several that work at the same time, in their order."""
    for process in asked:
        process.ask(do, **arguments)
    return [process.answer() for process in asked]


def all_at_once(jobs: Sequence[Any]) -> list[Any]:
    """Run functions that mostly wait, in threads of their own; their results in order."""
    with ThreadPoolExecutor(max(1, len(jobs))) as pool:
        return list(pool.map(lambda job: job(), jobs))
