"""Decisions: values in, verdict out. Nothing here knows the time, a lock, a log or chance; it is told."""
