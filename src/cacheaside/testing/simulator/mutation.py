"""Runs the simulator over a library that was broken on purpose: `python -P mutation.py <mutant> <arguments>`.

The source is changed as it is imported, so this file must import nothing of the library: it is run by its path, and
reads `mutants.py` by its path too.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

__all__ = ["Finder", "main", "mutants"]


class _Loader(SourceFileLoader):
    """Compiles one module from its changed source, past every cache."""

    def __init__(self, name: str, path: str, edits: Sequence[tuple[str, str]]) -> None:
        super().__init__(name, path)
        self._edits = edits

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).decode()
        for old, new in self._edits:
            if source.count(old) != 1:
                sys.exit(f"mutation: {fullname} holds this text {source.count(old)} times, not once:\n{old}")
            source = source.replace(old, new)
        return compile(source, self.path, "exec", dont_inherit=True)


class Finder(MetaPathFinder):
    """Finds the modules that a mutant changes."""

    def __init__(self, edits: Sequence[Any]) -> None:
        self._edits: dict[str, list[tuple[str, str]]] = {}
        for edit in edits:
            self._edits.setdefault(edit.module, []).append((edit.old, edit.new))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        edits = self._edits.get(fullname)
        spec = None if edits is None else PathFinder.find_spec(fullname, path)
        if edits is None or spec is None or spec.origin is None:
            return None
        spec.loader = _Loader(fullname, spec.origin, edits)
        return spec


def mutants() -> dict[str, Any]:
    """The mutants by name."""
    spec = spec_from_file_location("cacheaside_mutants", Path(__file__).with_name("mutants.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return {mutant.name: mutant for mutant in (*module.MUTANTS, *module.HERD_MUTANTS)}


def main(name: str, arguments: list[str]) -> None:
    """Break the library as mutant `name` does, then run the simulator."""
    sys.meta_path.insert(0, Finder(mutants()[name].edits))
    sys.argv[1:] = arguments
    runpy.run_module("cacheaside.testing.simulator", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
