"""How a phase stands while it runs, put together from the pulses so far in the form of its final report."""

from __future__ import annotations

from cacheaside.demo.history import Findings
from cacheaside.demo.messages import LoadEnded, LoadPulse, ServicePulse
from cacheaside.demo.report import Phase, phase_report

__all__ = ["Standing"]


class Standing:
    """One phase in progress. Rates and latencies are those of the last moments, counts those of the whole phase."""

    def __init__(self, *, cache: bool, seconds: float) -> None:
        self.cache = cache
        self.seconds = seconds
        self.elapsed_s = 0.0
        self.clock: float | None = None
        self.rates: list[float] = []
        """Requests per second, a number for each pulse."""
        self._requests = 0
        self._failed = 0
        self._last_load: LoadPulse | None = None
        self._last_service: ServicePulse | None = None
        self._watched = Findings()

    def load_pulse(self, pulse: LoadPulse) -> None:
        """Take in the load's report."""
        self.elapsed_s += pulse.span_s
        self.rates.append(pulse.requests / pulse.span_s)
        self._requests += pulse.requests
        self._failed += pulse.failed
        self._last_load = pulse

    def service_pulse(self, pulse: ServicePulse, watched: Findings) -> None:
        """Take in the service's report."""
        self.clock = pulse.clock
        self._last_service = pulse
        self._watched = watched

    def phase(self) -> Phase | None:
        """The report as it would be now; None before both processes were heard."""
        load, service = self._last_load, self._last_service
        if load is None or service is None or not load.requests:
            return None
        so_far = LoadEnded(
            requests={"all": self._requests},
            absent=load.absent,
            overlapping=load.overlapping,
            failed=self._failed,
            failures=[],
            span_s=self.elapsed_s,
            p50_ms={"all": load.p50_ms},
            p99_ms={"all": load.p99_ms},
        )
        return phase_report(cache=self.cache, load=so_far, service=service, findings=self._watched)
