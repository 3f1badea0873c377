"""Keys: an injective, printable encoding of arguments, and which raw arguments may stand for it."""

from __future__ import annotations

from cacheaside.keys.encodable import encodable
from cacheaside.keys.encode import encode
from cacheaside.keys.key import KEY_FORMAT, arguments_key, arguments_prefix, key_under, keys_of_one, tag_key
from cacheaside.keys.limits import DEPTH_MAX_LEVELS, ENCODED_MAX_CHARS, KEY_MAX_CHARS
from cacheaside.keys.namespace import checked_namespace, namespace_problem
from cacheaside.keys.plain import plain_types

__all__ = [
    "DEPTH_MAX_LEVELS",
    "ENCODED_MAX_CHARS",
    "KEY_FORMAT",
    "KEY_MAX_CHARS",
    "arguments_key",
    "arguments_prefix",
    "checked_namespace",
    "encodable",
    "encode",
    "key_under",
    "keys_of_one",
    "namespace_problem",
    "plain_types",
    "tag_key",
]
