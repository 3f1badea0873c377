"""Settings from the environment."""

from __future__ import annotations

import base64
import inspect
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cacheaside import Cache, DeclarationError
from cacheaside.settings import SECRET_MIN_BYTES, Settings
from cacheaside.stores.redis.wire import seal
from cacheaside.testing.servers.binary import BINARY_VARIABLE
from tests.shape.checkout import ROOT

SECRET = "correct horse battery"
OTHER = "staple in every lamp"

FIELDS: dict[str, tuple[str, str, Any]] = {
    "CACHEASIDE_URL": ("url", "redis://:secret@cache/0", "redis://:secret@cache/0"),
    "CACHEASIDE_NAMESPACE": ("namespace", "shop", "shop"),
    "CACHEASIDE_SECRETS": ("secrets", SECRET, (SECRET.encode(),)),
    "CACHEASIDE_L1_ENTRIES": ("l1_entries", "1000", 1000),
    "CACHEASIDE_L1_BYTES": ("l1_bytes", "64MiB", 64 * 2**20),
    "CACHEASIDE_DEADLINE": ("deadline_s", "50ms", 0.05),
    "CACHEASIDE_MAX_UNSYNCED": ("max_unsynced_s", "2s", 2.0),
    "CACHEASIDE_DISABLED": ("disabled", "yes", True),
    "CACHEASIDE_CONTROL_FILE": ("control_file", "control.json", "control.json"),
}


OPTIONS = {name for name in inspect.signature(Cache).parameters if f"CACHEASIDE_{name.upper()}" not in FIELDS}


def refusal(environ: Mapping[str, str]) -> str:
    """What is said of an environment that cannot be used; one line, and nothing travels with it that quotes more."""
    with pytest.raises(DeclarationError) as raised:
        Settings.from_environ(environ)
    error = raised.value
    assert (error.__cause__, error.__context__) == (None, None)
    (line,) = str(error).splitlines()
    return line


def test_an_empty_environment_sets_nothing() -> None:
    """Whoever asks uses defaults of their own; variables of others are theirs."""
    assert Settings.from_environ({}) == Settings()
    assert Settings.from_environ({"PATH": "/bin", "CACHE_URL": "x", "CACHEASIDES": "x"}) == Settings()


@pytest.mark.parametrize("name", FIELDS)
def test_each_variable_sets_one_field(name: str) -> None:
    """Its value arrives checked and converted, and the other fields stay unset; white space around it is no part."""
    field, written, expected = FIELDS[name]
    assert Settings.from_environ({name: written}) == Settings(**{field: expected})
    assert Settings.from_environ({name: f" {written}\n"}) == Settings(**{field: expected})


def test_all_at_once() -> None:
    """The variables do not get into each other's way."""
    found = Settings.from_environ({name: written for name, (_, written, _) in FIELDS.items()})
    assert found == Settings(**{field: expected for field, _, expected in FIELDS.values()})


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        ("CACHEASIDE_L1_BYTES", "65536", 65_536),
        ("CACHEASIDE_L1_BYTES", "1.5 GB", 1_500_000_000),
        ("CACHEASIDE_DEADLINE", "1s500ms", 1.5),
        ("CACHEASIDE_DISABLED", "TRUE", True),
        ("CACHEASIDE_DISABLED", "1", True),
        ("CACHEASIDE_DISABLED", "on", True),
        ("CACHEASIDE_DISABLED", "No", False),
        ("CACHEASIDE_DISABLED", "0", False),
    ],
)
def test_other_ways_to_write_a_value(name: str, written: str, expected: Any) -> None:
    """Sizes with and without a unit, sums of durations, and switches in the usual words."""
    assert getattr(Settings.from_environ({name: written}), FIELDS[name][0]) == expected


@pytest.mark.parametrize(
    ("name", "written", "said"),
    [
        ("CACHEASIDE_L1_ENTRIES", "1e5", "is no number of entries"),
        ("CACHEASIDE_L1_ENTRIES", "-1", "is no number of entries"),
        ("CACHEASIDE_L1_ENTRIES", "٣", "is no number of entries"),
        ("CACHEASIDE_L1_ENTRIES", "9" * 5000, "is no number of entries"),
        ("CACHEASIDE_L1_BYTES", "0", 'is no size: write bytes (65536), or a number with its unit ("256MiB")'),
        ("CACHEASIDE_L1_BYTES", "much", "is no size"),
        ("CACHEASIDE_L1_BYTES", "9" * 5000, "is no size"),
        (
            "CACHEASIDE_DEADLINE",
            "50",
            'is no duration above zero: write a number with its unit ("50ms", "2s")',
        ),
        ("CACHEASIDE_DEADLINE", "0s", "is no duration above zero"),
        ("CACHEASIDE_DEADLINE", "-1s", "is no duration above zero"),
        ("CACHEASIDE_DEADLINE", "9" * 400 + "d", "is no duration above zero"),
        ("CACHEASIDE_DEADLINE", "0.5ms", "leaves a server no time to answer: 1 ms is the least."),
        ("CACHEASIDE_DEADLINE", "30d", "is longer than a read should wait for a cache: 60 s is the most."),
        ("CACHEASIDE_MAX_UNSYNCED", "50ms", "is too short to listen by: 100 ms is the least."),
        (
            "CACHEASIDE_MAX_UNSYNCED",
            "365d",
            "is longer than L1 may answer without having heard of writes: 1 h",
        ),
        ("CACHEASIDE_MAX_UNSYNCED", "soon", "is no duration above zero"),
        ("CACHEASIDE_DISABLED", "maybe", "is neither yes nor no: write 1, true, yes or on"),
    ],
)
def test_a_value_that_cannot_be_used(name: str, written: str, said: str) -> None:
    """The error names the variable, says what to write, and does not quote the value."""
    line = refusal({name: written})
    assert line.startswith(f"{name} {said}")


@pytest.mark.parametrize("name", [*FIELDS, "CACHEASIDE_SECRETS_FILE"])
@pytest.mark.parametrize("nothing", ["", " \n"])
def test_an_empty_variable_is_an_error(name: str, nothing: str) -> None:
    """What an interpolation left empty must not mean "no shared tier" or "no signatures" without a word."""
    assert refusal({name: nothing}) == f"{name} is empty: give it a value, or unset it."


class TestUnknownVariables:
    """A misspelt setting would not be in force."""

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("CACHEASIDE_URI", "CACHEASIDE_URL"),
            ("CACHEASIDE_SECRET", "CACHEASIDE_SECRETS"),
            ("CACHEASIDE_SECRETFILE", "CACHEASIDE_SECRETS_FILE"),
            ("CACHEASIDE_L1BYTES", "CACHEASIDE_L1_BYTES"),
            ("CACHEASIDE_DISABLE", "CACHEASIDE_DISABLED"),
            ("cacheaside_url", "CACHEASIDE_URL"),
        ],
    )
    def test_the_nearest_is_named(self, name: str, meant: str) -> None:
        """The error names the variable, and the one that was probably meant."""
        assert refusal({name: "x"}) == f"{name} is no setting of cacheaside: did you mean {meant}?"

    def test_without_a_near_one_all_are_named(self) -> None:
        """When nothing is near, the message lists what there is."""
        line = refusal({"CACHEASIDE_~~~~~~~~~~~~~~~~~~~~~": "x"})
        assert all(name in line for name in FIELDS)

    @pytest.mark.parametrize("option", sorted(OPTIONS))
    def test_an_option_of_the_class_is_named_as_one(self, option: str) -> None:
        """What can be given to `Cache` and is no variable is not mistaken for another variable."""
        name = f"CACHEASIDE_{option.upper()}"
        line = refusal({name: "x"})
        assert f"{option} is an option of `Cache(…)`, not a variable." in line
        assert f"write Cache.from_env({option}=…)" in line

    def test_what_the_librarys_own_tests_read_is_left_alone(self) -> None:
        """Who runs tests and benchmarks has variables that begin the same."""
        environ = {
            BINARY_VARIABLE: "valkey-server",
            "CACHEASIDE_TRACES": "traces",
            "CACHEASIDE_APP": "shop:cache",
        }
        assert Settings.from_environ(environ) == Settings()


class TestSecrets:
    """The key ring's secrets, from a variable or a file."""

    def test_in_their_order(self) -> None:
        """The first signs, so order is kept; spaces around a comma are no part of a secret."""
        found = Settings.from_environ({"CACHEASIDE_SECRETS": f"{SECRET}, {OTHER}"})
        assert found.secrets == (SECRET.encode(), OTHER.encode())

    def test_base64_is_said_and_not_guessed(self) -> None:
        """After base64: any bytes; a text that could be base64 of something is itself."""
        raw = bytes(range(200, 232))
        encoded = base64.b64encode(raw).decode()
        found = Settings.from_environ({"CACHEASIDE_SECRETS": f"base64:{encoded},{encoded}"})
        assert found.secrets == (raw, encoded.encode())

    def test_a_file(self, tmp_path: Path) -> None:
        """Separated by commas or line breaks; empty lines are nothing."""
        file = tmp_path / "secrets"
        file.write_text(f"{SECRET}\n\n{OTHER},{SECRET}2\n")
        found = Settings.from_environ({"CACHEASIDE_SECRETS_FILE": str(file)})
        assert found.secrets == (SECRET.encode(), OTHER.encode(), f"{SECRET}2".encode())

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            ("fifteen bytes..", "Secret 1 in CACHEASIDE_SECRETS has 15 bytes, fewer than 16: use 32 from a random"),
            (f"{SECRET},", "Secret 2 in CACHEASIDE_SECRETS has 0 bytes"),
            (f"{SECRET},base64:c2hvcnQ=", "Secret 2 in CACHEASIDE_SECRETS has 5 bytes"),
            ("base64:no base 64 at all", "Secret 1 in CACHEASIDE_SECRETS is neither UTF-8 nor base64"),
            ("base64:é", "Secret 1 in CACHEASIDE_SECRETS is neither UTF-8 nor base64"),
            ("not utf-8 \udcff\udcfe\udcfd", "Secret 1 in CACHEASIDE_SECRETS is neither UTF-8 nor base64"),
        ],
    )  # fmt: skip
    def test_a_secret_that_cannot_be_used(self, written: str, said: str) -> None:
        """One that is short, empty or no text is named by its place."""
        assert refusal({"CACHEASIDE_SECRETS": written}).startswith(said)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"short", "Secret 1 in CACHEASIDE_SECRETS_FILE has 5 bytes"),
            (b"\n \n", "Secret 1 in CACHEASIDE_SECRETS_FILE has 0 bytes"),
            (b"\xff" * 32, "CACHEASIDE_SECRETS_FILE names a file that is not UTF-8: write a secret of any"),
            (b"x" * 70_000, "CACHEASIDE_SECRETS_FILE names a file of more than 65536 bytes"),
        ],
    )  # fmt: skip
    def test_a_file_that_cannot_be_used(self, tmp_path: Path, content: bytes, said: str) -> None:
        """One without a secret, or that is something else, is an error: entries would go unsigned."""
        file = tmp_path / "secrets"
        file.write_bytes(content)
        assert refusal({"CACHEASIDE_SECRETS_FILE": str(file)}).startswith(said)

    @pytest.mark.parametrize("path", ["no/such/file", ".", "a\0b", SECRET])
    def test_a_file_that_is_not_there(
        self, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The variable is named, and not what it holds: it may be the secret itself, put there by mistake."""
        monkeypatch.chdir(tmp_path)
        line = refusal({"CACHEASIDE_SECRETS_FILE": path})
        assert line.startswith("CACHEASIDE_SECRETS_FILE names no file that can be read (")
        assert SECRET not in line

    def test_not_in_two_places(self) -> None:
        """Which of the two counts would be a guess."""
        line = refusal({"CACHEASIDE_SECRETS": SECRET, "CACHEASIDE_SECRETS_FILE": "x"})
        assert line == "CACHEASIDE_SECRETS and CACHEASIDE_SECRETS_FILE are both set: unset one of them."

    def test_what_passes_here_signs(self) -> None:
        """The key ring asks for no more bytes than the settings do."""
        assert SECRET_MIN_BYTES == seal.SECRET_MIN_BYTES
        seal.KeyRing(*Settings.from_environ({"CACHEASIDE_SECRETS": "s" * SECRET_MIN_BYTES}).secrets)


def test_every_variable_is_documented() -> None:
    """The guide to servers names the variables that there are, and no others."""
    guide = (ROOT / "docs" / "guides" / "servers.md").read_text(encoding="utf-8")
    table = guide.partition("## Environment variables")[2]
    named = re.findall(r"CACHEASIDE_[A-Z0-9_]+", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
    assert sorted(named) == sorted([*FIELDS, "CACHEASIDE_SECRETS_FILE"])


def test_what_is_printed_has_no_secret() -> None:
    """Neither the URL, which may have a password, nor a secret is in the repr."""
    shown = repr(Settings.from_environ({"CACHEASIDE_URL": "redis://:hidden@x", "CACHEASIDE_SECRETS": SECRET}))
    assert "hidden" not in shown
    assert SECRET not in shown


MARK = "Zq9xW"
"""What every value below begins with and ends in, and no message has."""
values = st.text(max_size=30).map(lambda text: f"{MARK}{text}{MARK}") | st.text(max_size=5).map(
    lambda text: f"{text},base64:{MARK}"
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "CACHEASIDE_SECRETS_FILE", "CACHEASIDE_OTHER"]), values))
@example({"CACHEASIDE_SECRETS": f"base64:{MARK}\x00"})
def test_no_value_is_ever_quoted(environ: dict[str, str]) -> None:
    """Whatever is put where, there are settings or a DeclarationError of one line, which names variables alone."""
    found = None
    with suppress(DeclarationError):
        found = Settings.from_environ(environ)
    if found is None:
        line = refusal(environ)
        assert MARK not in line
        assert re.search(r"\bCACHEASIDE_[A-Z0-9_]+\b", line)
