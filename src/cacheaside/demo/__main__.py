"""`python -m cacheaside.demo`."""

from __future__ import annotations

import os
import sys

for _name in [_name for _name in os.environ if _name.startswith("CACHEASIDE_")]:
    # The demo brings a server of its own; what a user has set for a service of theirs is not meant for it.
    if _name != "CACHEASIDE_TEST_SERVER":
        del os.environ[_name]

try:
    from cacheaside.demo.run import main
except KeyboardInterrupt:  # Ctrl-C while modules are still being imported
    sys.exit(130)
except ModuleNotFoundError as error:
    sys.exit(
        f"The demo needs {error.name}: `python3 dev.py demo` installs it; by hand: pip install cacheaside[demo]"
    )

sys.exit(main())
