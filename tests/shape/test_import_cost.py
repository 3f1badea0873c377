"""What `import cacheaside` brings along."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

PROBE = """
import json, sys
before = set(sys.modules)
import cacheaside
added = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(added)))
"""
FEW_NEED: Final = {"csv", "glob", "shutil", "tempfile"}


def added() -> set[str]:
    done = subprocess.run([sys.executable, "-I", "-c", PROBE], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def test_importing_the_library_imports_only_its_core() -> None:
    """`import cacheaside` loads msgspec and nothing else beside the standard library: not even redis."""
    foreign = {name for name in added() - set(sys.stdlib_module_names) if not name.startswith("_")}
    assert (
        foreign - {"cacheaside", "msgspec", "typing_extensions"} == set()
    )  # the last: msgspec, where it is there
    assert "cacheaside" in foreign


def test_what_few_need_is_imported_by_those_who_do() -> None:
    """Lists of keys in CSV and files that are replaced as a whole bring modules along that a cache does without."""
    assert added() & FEW_NEED == set()
