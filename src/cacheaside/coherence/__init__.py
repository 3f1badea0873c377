"""Hearing changes: what this process knows of invalidations, and since when."""
