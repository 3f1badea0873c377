"""For tests, yours and ours: what ships with the library so that the code around a cache can be tested too.

- `Clock`: time stands still, and moves when the test says so.
- `isolated`: every cache of the process is empty before and after; `pytest_plugin` has it as a fixture.
- `disabled`: a cache that is not there. `strict`: a value that cannot be stored is an error.
- `faults`: sources that fail, hang, are slow, time out or are overloaded.

Nothing here is imported by the library itself. docs/testing.md shows how it is used.
"""

from cacheaside.testing import faults
from cacheaside.testing.clock import Clock
from cacheaside.testing.isolation import isolated
from cacheaside.testing.modes import disabled, strict

__all__ = ["Clock", "disabled", "faults", "isolated", "strict"]
