"""The metastable case in virtual time: a load that a warm cache bears, a flush, and what the source's limit is for.

What runs is the library; callers, source and time are modelled, so that half a minute takes seconds, and the same
seed gives the same figures. `cacheaside drill metastable` does it with real processes.
"""

from __future__ import annotations

from dataclasses import replace

from cacheaside.drill.capacity import Capacity
from cacheaside.drill.report import Report
from cacheaside.drill.settings import Load, Settings
from cacheaside.drill.virtual.model import metastable_simulated


def main() -> None:
    settings = replace(
        Settings(seed=7),
        before_s=2.0,
        after_s=15.0,
        timeout_s=3.0,
        capacity=Capacity(slots=4, service_s=0.1),  # 40 queries a second
        load=Load(rate=200.0, keys=120, patience_s=1.0, tries=3),
    )
    found = metastable_simulated(settings)
    print(f"shown: {found.why}")
    for name, report in (("with admission", found.protected), ("without", found.unprotected)):
        print(f"\n{name}: {report.peak_running} queries at once, at most")
        for second in range(0, 12, 2):
            print(
                f"  {second:3} s after the flush: {answered(report, second):4.0f} of {settings.load.rate:.0f} answered"
            )


def answered(report: Report, second: int) -> float:
    """Answers a second in the second that begins then."""
    windows = [p for p in report.points if second <= p.at - report.fault_began < second + 1]
    return sum(p.answered for p in windows) / len(windows)


if __name__ == "__main__":
    main()
