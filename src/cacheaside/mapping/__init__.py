"""From changed rows to tags: declared once per table, used by whatever sees rows change."""

from cacheaside.mapping.rows import Rows

__all__ = ["Rows"]
