"""Changing a running service: ramp, kill switch, overrides of contracts and shadow mode, for one process or a fleet."""
