"""`python -m cacheaside`: the command line (`cacheaside.cli`)."""

from __future__ import annotations

import sys

from cacheaside.cli import main

if __name__ == "__main__":
    sys.exit(main())
