"""The command line: two ways to run, each with defaults of its own."""

from __future__ import annotations

import pytest

from cacheaside.demo.options import parse


def test_by_default_several_processes_share() -> None:
    """Without arguments there are several processes and a server, under a load that leaves the machine some room."""
    settings = parse([]).settings
    assert settings.shared
    assert settings.processes == 3
    assert settings.rate > 0
    assert settings.max_unsynced_s == 2.0


def test_without_the_server_there_is_one_process() -> None:
    """With --no-l2 it is one process that works as fast as it can, on a database next to it."""
    settings = parse(["--no-l2"]).settings
    assert (settings.shared, settings.processes, settings.rate, settings.distance_ms) == (False, 1, 0.0, 0.0)


def test_what_is_asked_for_is_done() -> None:
    """An argument takes the place of the default, of either way to run."""
    settings = parse(["--no-l2", "--seconds", "4", "--rate", "50", "--seed", "7", "--distance", "1"]).settings
    assert (settings.seconds, settings.rate, settings.seed, settings.distance_ms) == (4.0, 50.0, 7, 1.0)
    assert parse(["--processes", "2", "--rate", "0"]).settings.processes == 2


def test_seeds_are_drawn_unless_given() -> None:
    """Two runs ask for different things, unless they are told the same seed."""
    assert len({parse([]).settings.seed for _ in range(20)}) > 1
    assert parse(["--seed", "5"]) == parse(["--seed", "5"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seconds", "0"], "not above 0"),
        (["--seconds", "inf"], "not above 0"),
        (["--connections", "0"], "not between 1 and"),
        (["--processes", "17"], "not between 1 and 16"),
        (["--rate", "-1"], "below 0"),
        (["--no-l2", "--processes", "2"], "--no-l2 is one process"),
        (["--no-l2", "--with-deaf-process"], "needs another process"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Arguments that cannot be meant are named, and the exit code is 2."""
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
