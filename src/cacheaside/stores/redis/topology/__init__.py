"""How the primaries are found."""
