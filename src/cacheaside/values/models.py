"""Pydantic models as values, without importing pydantic: the classes at hand bring everything that is needed.

A model is stored as its fields under their own names, and read back through its validators by those names.
Serialisers and aliases are for the outside and may lose what they leave out, so they take no part.
"""

from __future__ import annotations

import inspect
import json
from typing import Any

from cacheaside.errors import DeclarationError

__all__ = ["is_model", "model_fields", "model_from", "model_schema"]

_SCHEMA_NOTES = frozenset({"title", "description", "examples", "default", "deprecated"})
_TEXTUAL = {("pathlib", "PurePath"), ("ipaddress", "_IPAddressBase"), ("pydantic", "_BaseUrl"),
            ("pydantic", "_BaseMultiHostUrl"), ("pydantic_core", "Url"), ("pydantic_core", "MultiHostUrl")}  # fmt: skip


def is_model(cls: Any) -> bool:
    """Whether `cls` is a pydantic model class."""
    return (
        isinstance(cls, type) and hasattr(cls, "__pydantic_core_schema__") and hasattr(cls, "model_validate")
    )


def model_fields(value: Any) -> Any:
    """What is stored of a model, or of a value that only a model may hold; `TypeError` for anything else."""
    cls = type(value)
    if is_model(cls):
        fields = {**value.__dict__, **(value.__pydantic_extra__ or {})}
        return fields["root"] if cls.__pydantic_root_model__ else fields
    if _TEXTUAL & {(base.__module__.partition(".")[0], base.__name__) for base in cls.__mro__}:
        return str(value)
    raise TypeError(f"a {cls.__qualname__} has no typed encoding")


def model_from(cls: Any, stored: Any) -> Any:
    """The model that `model_fields` was asked for, validated again."""
    # Not strict: a date in a strict model was stored as text, and is a date again only if text may become one.
    return cls.model_validate(stored, strict=False, by_alias=False, by_name=True)


def model_schema(cls: Any) -> str:
    """A text that changes when the fields of a model, or of a model in it, change."""
    if "by_name" not in inspect.signature(cls.model_validate).parameters:
        raise DeclarationError(
            f"{cls.__qualname__}: models are cached with pydantic 2.11 or later: upgrade it."
        )
    try:
        schema = cls.model_json_schema(by_alias=False)
    except Exception:  # noqa: BLE001 a field of a type that JSON schema does not know
        schema = {
            name: [str(known.annotation), known.is_required()] for name, known in cls.model_fields.items()
        }
    return json.dumps(_without_notes(schema), sort_keys=True, default=str)


def _without_notes(schema: Any) -> Any:
    """A schema without what people read in it, which may change while the stored data stay the same."""
    if isinstance(schema, dict):
        return {
            name: _without_notes(part)
            for name, part in schema.items()
            if name not in _SCHEMA_NOTES or isinstance(part, dict)  # a dict: a field that is called `title`
        }
    if isinstance(schema, list):
        return [_without_notes(part) for part in schema]
    return schema
