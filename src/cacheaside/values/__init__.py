"""Values: typed bytes by return annotation, and how one stored value serves many readers."""

from __future__ import annotations

from cacheaside.values.codec import LEVELS_MAX, VALUE_MAX_BYTES, Codec, codec_for
from cacheaside.values.fingerprint import VALUE_FORMAT
from cacheaside.values.sharing import Copier, Sharing

__all__ = ["LEVELS_MAX", "VALUE_FORMAT", "VALUE_MAX_BYTES", "Codec", "Copier", "Sharing", "codec_for"]
