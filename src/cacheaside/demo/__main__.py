"""`python -m cacheaside.demo`."""

from __future__ import annotations

import sys

try:
    from cacheaside.demo.run import main
except KeyboardInterrupt:  # Ctrl-C while modules are still being imported
    sys.exit(130)
except ModuleNotFoundError as error:
    sys.exit(
        f"The demo needs {error.name}: `python3 dev.py demo` installs it; by hand: pip install cacheaside[demo]"
    )

sys.exit(main())
