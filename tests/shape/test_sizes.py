"""Files stay small enough to be read whole."""

from __future__ import annotations

from tests.shape.checkout import ROOT, under

LINES_MAX = 500


def test_every_module_can_be_read_whole() -> None:
    """No module of the library or the benchmark reaches 500 lines; a longer one holds a second idea."""
    counted = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in [*under("src"), *under("bench")]
    }
    assert counted, "no module found: is the layout still src/cacheaside?"
    assert {str(path.relative_to(ROOT)): n for path, n in counted.items() if n >= LINES_MAX} == {}
