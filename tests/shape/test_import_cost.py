"""What `import cacheaside` brings along."""

from __future__ import annotations

import json
import subprocess
import sys

PROBE = """
import json, sys
before = set(sys.modules)
import cacheaside
added = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(added - set(sys.stdlib_module_names))))
"""


def test_importing_the_library_imports_only_its_core() -> None:
    """`import cacheaside` loads msgspec and nothing else beside the standard library: not even redis."""
    done = subprocess.run([sys.executable, "-I", "-c", PROBE], check=True, capture_output=True, text=True)
    foreign = {name for name in json.loads(done.stdout) if not name.startswith("_")}
    assert (
        foreign - {"cacheaside", "msgspec", "typing_extensions"} == set()
    )  # the last: msgspec, where it is there
    assert "cacheaside" in foreign
