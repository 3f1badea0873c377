"""Endpoints: what `@cache.read` makes of a function."""
