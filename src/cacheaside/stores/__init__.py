"""Where values and generations are kept: L1 in this process, and the tier behind it."""
