"""Pictures of a run as SVG text: time to the right, the fault's span shaded. Pure; no library, script or font.

Colours are classes, which the page's style sheet gives a colour for light and for dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

__all__ = ["Chart", "Line", "Rule", "svg_of"]

WIDTH: Final = 640
HEIGHT: Final = 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 26
_TICKS: Final = 4


@dataclass(frozen=True, slots=True)
class Line:
    """A series: a value for each window, None where there is none. kind: the class of its colour."""

    name: str
    kind: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A value to compare with, drawn across."""

    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One picture. at: the middle of each window, in seconds after the fault began. stacked: areas on one another;
    lines: on top. span: from when to when the fault lasted; marked: a moment with a name. least: what the axis shows
    at least. log: its scale is logarithmic. until: where time ends, when later than the last window."""

    title: str
    unit: str
    at: Sequence[float]
    stacked: Sequence[Line] = ()
    lines: Sequence[Line] = ()
    rules: Sequence[Rule] = ()
    span: tuple[float, float] = (0.0, 0.0)
    marked: Sequence[tuple[float, str]] = field(default_factory=tuple)
    least: float = 1.0
    log: bool = False
    until: float | None = None

    @property
    def top(self) -> float:
        """The greatest value in it."""
        sums = [sum(line.values[i] or 0.0 for line in self.stacked) for i in range(len(self.at))]
        values = [value for line in self.lines for value in line.values if value is not None]
        return max([self.least, *sums, *values, *(rule.value for rule in self.rules)])


def svg_of(chart: Chart, top: float | None = None) -> str:
    """The picture. top: the end of its axis, where it is to be that of another one."""
    scale = _Scale.of(chart, chart.top if top is None else max(top, chart.top))
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}">',
        *_span(chart, scale),
        *_grid(scale),
        *_areas(chart, scale),
        *(_path(line, chart, scale) for line in chart.lines),
        *_rules(chart, scale),
        *_marks(chart, scale),
        *_hover(chart, scale),
        "</svg>",
    ]
    return "\n".join(parts)


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to places."""

    first: float
    last: float
    bottom: float
    top: float
    log: bool

    @classmethod
    def of(cls, chart: Chart, top: float) -> _Scale:
        half = (chart.at[1] - chart.at[0]) / 2 if len(chart.at) > 1 else 0.5
        first, last = (chart.at[0] - half, chart.at[-1] + half) if chart.at else (0.0, 1.0)
        last = last if chart.until is None else max(last, chart.until)
        if chart.log:
            return cls(
                first, last, 0.1 if chart.least < 1 else 1.0, 10 ** math.ceil(math.log10(top * 1.05)), True
            )
        step = _step(top)
        return cls(first, last, 0.0, step * math.ceil(top * 1.02 / step), False)

    def x(self, at: float) -> float:
        share = (at - self.first) / (self.last - self.first)
        return round(_LEFT + min(1.0, max(0.0, share)) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        if self.log:
            low, high = math.log10(self.bottom), math.log10(self.top)
            share = (math.log10(max(value, self.bottom)) - low) / (high - low)
        else:
            share = value / self.top
        return round(HEIGHT - _BOTTOM - min(1.0, max(0.0, share)) * (HEIGHT - _TOP - _BOTTOM), 1)

    def ticks(self) -> list[float]:
        if self.log:
            powers = range(round(math.log10(self.bottom)), round(math.log10(self.top)) + 1)
            return [10.0**power for power in powers]
        step = _step(self.top)
        return [step * place for place in range(round(self.top / step) + 1)]


def _step(top: float) -> float:
    """A round number of which about four make `top`."""
    raw = top / _TICKS
    power = 10 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)


def _span(chart: Chart, scale: _Scale) -> list[str]:
    began, ended = scale.x(chart.span[0]), scale.x(chart.span[1])
    width = max(2.0, ended - began)
    return [
        f'<rect class="fault" x="{began}" y="{_TOP}" width="{width:.1f}" height="{HEIGHT - _TOP - _BOTTOM}"/>'
    ]


def _grid(scale: _Scale) -> list[str]:
    parts = []
    for tick in scale.ticks():
        y = scale.y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{_label(tick)}</text>'
        )
    step = _step((scale.last - scale.first) * 0.6)
    at = math.ceil(scale.first / step) * step
    while at <= scale.last:
        x = scale.x(at)
        parts.append(
            f'<line class="grid" x1="{x}" x2="{x}" y1="{HEIGHT - _BOTTOM}" y2="{HEIGHT - _BOTTOM + 4}"/>'
        )
        parts.append(f'<text class="tick" x="{x}" y="{HEIGHT - 8}" text-anchor="middle">{at:g} s</text>')
        at = round(at + step, 6)
    return parts


def _label(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


def _areas(chart: Chart, scale: _Scale) -> list[str]:
    """Steps, as what they show are counts of windows; each on the sum of those before."""
    below = [0.0] * len(chart.at)
    parts = []
    for line in chart.stacked:
        above = [low + (value or 0.0) for low, value in zip(below, line.values, strict=True)]
        if any(line.values):
            there = [f"{x},{scale.y(v)}" for x, v in _steps(chart, scale, above)]
            back = [f"{x},{scale.y(v)}" for x, v in reversed(_steps(chart, scale, below))]
            parts.append(f'<polygon class="area {line.kind}" points="{" ".join(there + back)}"/>')
        below = above
    return parts


def _steps(chart: Chart, scale: _Scale, values: Sequence[float]) -> list[tuple[float, float]]:
    half = (chart.at[1] - chart.at[0]) / 2 if len(chart.at) > 1 else 0.5
    return [
        (scale.x(at + side), value)
        for at, value in zip(chart.at, values, strict=True)
        for side in (-half, half)
    ]


def _path(line: Line, chart: Chart, scale: _Scale) -> str:
    """A line, broken where there is no value."""
    words, drawing = [], False
    for at, value in zip(chart.at, line.values, strict=True):
        if value is None:
            drawing = False
            continue
        words.append(f"{'L' if drawing else 'M'}{scale.x(at)} {scale.y(value)}")
        drawing = True
    return f'<path class="line {line.kind}" d="{" ".join(words)}"/>'


def _rules(chart: Chart, scale: _Scale) -> list[str]:
    parts = []
    for rule in chart.rules:
        y = scale.y(rule.value)
        parts.append(f'<line class="rule" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text class="said" x="{WIDTH - _RIGHT - 4}" y="{y - 4}" text-anchor="end">{escape(rule.name)}</text>'
        )
    return parts


def _marks(chart: Chart, scale: _Scale) -> list[str]:
    parts = []
    for at, name in chart.marked:
        x = scale.x(at)
        end = x > WIDTH - 120
        parts.append(f'<line class="mark" x1="{x}" x2="{x}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        parts.append(
            f'<text class="said" x="{x - 5 if end else x + 5}" y="{_TOP + 11}"'
            f' text-anchor="{"end" if end else "start"}">{escape(name)}</text>'
        )
    return parts


def _hover(chart: Chart, scale: _Scale) -> list[str]:
    """A title for each window, which browsers show under the pointer."""
    parts = []
    half = (chart.at[1] - chart.at[0]) / 2 if len(chart.at) > 1 else 0.5
    for place, at in enumerate(chart.at):
        said = [f"{at:.1f} s"]
        for line in (*chart.lines, *chart.stacked):
            value = line.values[place]
            if value is not None and (value or line in chart.lines):
                said.append(f"{line.name}: {value:,.3g} {chart.unit}")
        left, right = scale.x(at - half), scale.x(at + half)
        parts.append(
            f'<rect class="hover" x="{left}" y="{_TOP}" width="{right - left:.1f}" height="{HEIGHT - _TOP - _BOTTOM}">'
            f"<title>{escape(chr(10).join(said))}</title></rect>"
        )
    return parts
