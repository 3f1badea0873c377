"""What gives the shared tier its form touches nothing."""

from __future__ import annotations

import ast

import pytest

from tests.shape.checkout import SOURCE

WIRE = SOURCE / "stores" / "redis" / "wire"
PURE = sorted(module.stem for module in WIRE.glob("*.py"))
ALLOWED = {
    "__future__", "binascii", "collections", "dataclasses", "enum", "functools", "hashlib", "hmac", "math", "re",
    "struct", "typing", "zlib", "msgspec", "cacheaside.errors", "cacheaside.flow", "cacheaside.keys",
    "cacheaside.types", "cacheaside.values",
}  # fmt: skip


@pytest.mark.parametrize("name", PURE)
def test_the_form_touches_nothing(name: str) -> None:
    """No driver, socket, clock, thread or chance: what these modules know, they are told."""
    tree = ast.parse((WIRE / f"{name}.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    own = {f"cacheaside.stores.redis.wire.{other}" for other in PURE}
    foreign = {
        module
        for module in imported - own
        if module not in ALLOWED and not any(module.startswith(f"{allowed}.") for allowed in ALLOWED)
    }
    assert foreign == set()
