"""The live screen draws every stage of a run."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from cacheaside.demo.dataset import FLIGHT_ROWS
from cacheaside.demo.history import Findings
from cacheaside.demo.messages import LoadPulse
from cacheaside.demo.screen import LiveScreen, print_report
from tests.demo.test_report import endpoint, phase, report, service

PULSE = LoadPulse(
    requests=500, absent=1, overlapping=2, failed=0, span_s=0.25, p50_ms=3.0, p99_ms=9.0, served=[]
)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), color_system=None, width=80, height=40, legacy_windows=False)


def drawn(console: Console, screen: LiveScreen) -> str:
    with console.capture() as capture:
        console.print(screen._draw())
    return capture.get()


def test_every_stage_of_a_run_is_drawn(console: Console) -> None:
    """From reading rows to the turns of both sides, the screen shows what is under way and what is known so far."""
    screen = LiveScreen(console, "the heading")
    assert "the heading" in drawn(console, screen)
    screen.preparing(FLIGHT_ROWS // 2)
    assert f"{FLIGHT_ROWS // 2:,}" in drawn(console, screen)
    screen.starting(seconds=15)
    assert "starting" in drawn(console, screen)
    screen.turn(cache=False)
    screen.load_pulse(PULSE)
    screen.service_pulse(service(flight=endpoint()), Findings(checked=12, stale=1, beyond=1))
    shown = drawn(console, screen)
    assert re.search(r"^ without the cache .* 0 of 30 s", shown, flags=re.MULTILINE)
    assert "2,000" in shown  # requests/s
    assert "1 / 12" in shown  # stale serves so far
    screen.turn_ends()
    screen.turn(cache=True)
    assert re.search(r"^ with the cache .* 0 of 30 s", drawn(console, screen), flags=re.MULTILINE)


def test_the_report_ends_with_the_verdict(console: Console) -> None:
    """After the tables comes one sentence, and after it what was found against it."""
    stale = phase(findings=Findings(checked=9, stale=1, beyond=1, examples=["flight: the first finding"]))
    with console.capture() as capture:
        print_report(console, report(phase(cache=False), stale), "the heading")
    words = capture.get()
    assert words.index("1 stale serves beyond the contract") < words.index("the first finding")
