"""Tests say what they are for, and modules what they hold."""

from __future__ import annotations

import ast

from tests.shape.checkout import ROOT, under


def test_every_test_states_its_rule() -> None:
    """A test's docstring is the rule it holds, so every test has one, and it ends as a sentence does."""
    silent = []
    for path in under("tests"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                rule = ast.get_docstring(node) or ""
                if not rule.rstrip().endswith((".", "?", "!")):
                    silent.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}")
    assert silent == []


def test_every_module_says_what_it_holds() -> None:
    """A module with code in it opens with a docstring, so that a reader knows whether to read on."""
    silent = []
    for path in under("src"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if tree.body and not ast.get_docstring(tree):
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []
