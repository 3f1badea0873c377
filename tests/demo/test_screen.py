"""The screens show every stage of a run, in the width of a narrow terminal."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from cacheaside.demo.dataset import FLIGHT_ROWS
from cacheaside.demo.drawing import print_report
from cacheaside.demo.gathered import Gathered
from cacheaside.demo.judgement import Findings
from cacheaside.demo.messages import Failure
from cacheaside.demo.screen import LiveScreen, PlainScreen
from cacheaside.demo.stages import Turn, turns
from tests.demo.pulses import answer, load, outage, phase, report, service, shared_report, sound_side

WIDTH = 80
HEIGHT = 24


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), color_system=None, width=WIDTH, height=HEIGHT, legacy_windows=False)


def drawn(console: Console, screen: LiveScreen) -> str:
    with console.capture() as capture:
        console.print(screen._draw())
    return capture.get()


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def live_through(
    screen: LiveScreen | PlainScreen, turn: Turn, gathered: Gathered, *, ends: bool = True
) -> None:
    """The stages of a turn, each with a few answers, one failure and something found."""
    screen.turn(turn)
    for stage in turn.stages:
        now = time.monotonic()
        gathered.begin(stage.name, now)
        screen.stage(stage)
        gathered.service_pulse(0, service(now, owed=3))
        sources = ("l1", "l2", "source", "joined")
        served = [answer(now, source=sources[n % 4]) for n in range(40)]
        gathered.load_pulse(load(*served, failures=(Failure(now, "refused"),)))
        gathered.stages[stage.name].watched.add(Findings(checked=12, stale=1, beyond=1))
        if ends:
            screen.stage_ends(stage)
    gathered.end(time.monotonic())


def test_a_run_with_outages_fits_a_small_terminal(console: Console) -> None:
    """From reading rows to the last stage everything is drawn in 80 columns and 24 lines: the stages so far, where
    answers came from, queries, errors, what is too old, what the stage means, and what is owed."""
    screen = LiveScreen(console, "the heading")
    assert "the heading" in drawn(console, screen)
    screen.preparing(FLIGHT_ROWS // 2)
    assert f"{FLIGHT_ROWS // 2:,}" in drawn(console, screen)
    planned = turns(26.0, tier="Valkey", max_unsynced_s=2.0)
    gathered = {False: Gathered(), True: Gathered()}
    screen.starting(planned, gathered)
    assert "starting" in drawn(console, screen)
    for turn in planned:
        live_through(screen, turn, gathered[turn.cache])
    shown = drawn(console, screen)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) <= HEIGHT
    assert re.search(r"^ Valkey thawed .* of 26 s", shown, flags=re.MULTILINE)
    for name in ("without the cache", "with the cache", "Valkey killed", "Valkey back", "Valkey frozen"):
        assert re.search(rf"^ {name} .* 25% +25% +50% .* [12] +[12] *$", shown, flags=re.MULTILINE), name
    assert "It holds what it held" in shown
    assert "96 answers checked so far · 6 invalidations owed" in shown
    screen.judging()
    assert "Every answer is compared" in drawn(console, screen)


def test_a_run_in_one_process_is_drawn_as_a_comparison(console: Console) -> None:
    """Without a shared tier both sides stand beside each other, as far as they are known."""
    screen = LiveScreen(console, "the heading")
    planned = turns(30.0, tier=None, max_unsynced_s=2.0)
    gathered = {False: Gathered(), True: Gathered()}
    screen.starting(planned, gathered)
    live_through(screen, planned[0], gathered[False])
    shown = drawn(console, screen)
    assert re.search(r"^ without the cache .* 0 of 30 s", shown, flags=re.MULTILINE)
    assert re.search(r"^ stale serves / checked +1 / 12", shown, flags=re.MULTILINE)
    live_through(screen, planned[1], gathered[True], ends=False)
    assert re.search(r"^ with the cache .* 0 of 30 s", drawn(console, screen), flags=re.MULTILINE)


def test_lines_of_text_tell_what_a_stage_means_once_and_how_it_went(console: Console) -> None:
    """Without a terminal each stage has a line when it ends, and one before it when its name is new."""
    planned = turns(26.0, tier="Valkey", max_unsynced_s=2.0)
    gathered = {False: Gathered(), True: Gathered()}
    with PlainScreen(console, "the heading") as screen:
        screen.preparing(FLIGHT_ROWS)
        screen.starting(planned, gathered)
        for turn in planned:
            live_through(screen, turn, gathered[turn.cache])
        screen.judging()
    lines = printed(console).splitlines()
    assert lines[0] == "the heading"
    assert [line for line in lines if line.startswith("Valkey killed: SIGKILL")]
    assert len([line for line in lines if line.startswith("with the cache: ")]) == 1
    assert len([line for line in lines if re.match(r"with the cache +\d\.\d s  ", line)]) == 2
    assert "1 errors, 1 too old" in next(line for line in lines if line.startswith("Valkey frozen "))


def test_the_report_ends_with_the_verdict(console: Console) -> None:
    """After the tables comes one sentence, and after it what was found against it."""
    stale = phase(findings=Findings(checked=9, stale=1, beyond=1, examples=["flight: the first finding"]))
    print_report(console, report(phase(cache=False), stale), "the heading")
    words = printed(console)
    assert words.index("1 stale serves beyond the contract") < words.index("the first finding")


def test_the_end_of_a_report_with_outages_fits_a_small_terminal(console: Console) -> None:
    """What is seen without scrolling is what matters: all stages, the verdict, and what was checked, in 24 lines."""
    whole = shared_report(sound_side(), Findings(checked=50), outage(), outage(emptied=False))
    print_report(console, whole, "the heading")
    lines = printed(console).splitlines()
    assert max(map(len, lines)) <= WIDTH
    begins = next(number for number, line in enumerate(lines) if "too old" in line)
    assert len(lines) - begins + 1 < HEIGHT, "one line is the prompt's, and one stage is the other side's"
    assert any(line.startswith("No stale serve beyond the contract, and no error") for line in lines)
