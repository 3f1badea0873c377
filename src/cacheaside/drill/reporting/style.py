"""The style sheet of the page: light and dark, wide and narrow, screen and paper."""

from __future__ import annotations

from typing import Final

__all__ = ["STYLE"]

# The colours of series can be told apart by those who see few of them (after Okabe and Ito, 2008).
STYLE: Final = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #16202c; --soft: #5b6876; --line: #dfe4ea; --fault: #f3c9c0;
  --hit: #0072b2; --loaded: #56b4e9; --refused: #e6a117; --late: #d55e00; --failed: #8f2d56; --asked: #16202c;
  --source: #00785a; --p50: #0072b2; --p99: #d55e00; --good: #0a7a4b; --bad: #b3261e; --open: #7a6a00; }
@media (prefers-color-scheme: dark) { :root {
  --page: #11161c; --card: #1a212a; --ink: #e8edf2; --soft: #9aa7b4; --line: #2e3843; --fault: #4a2a27;
  --hit: #3d9bd6; --loaded: #8ecbf0; --refused: #e9b44c; --late: #ee7b30; --failed: #d56a9a; --asked: #e8edf2;
  --source: #35b891; --p50: #3d9bd6; --p99: #ee7b30; --good: #4cc38a; --bad: #ff8a80; --open: #d9c24a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1360px; margin: 0 auto; padding: 28px 24px 48px; }
h1 { margin: 0 0 8px; font-size: 30px; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 0 0 10px; font-size: 18px; }
p { margin: 4px 0; max-width: 92ch; }
code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.kind { color: var(--soft); font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.target, .means { color: var(--soft); }
.verdict { font-weight: 600; padding: 3px 12px; border-left: 4px solid var(--open); margin: 8px 0; }
.verdict.held { border-color: var(--good); color: var(--good); }
.verdict.broken { border-color: var(--bad); color: var(--bad); }
section { margin-top: 20px; }
section > ul, section > ol, .wide, figure, .tiles > div { background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 18px 0 0; }
.pair .tiles { grid-template-columns: repeat(3, 1fr); }
.tiles > div { padding: 12px 14px; min-width: 0; }
.tiles dt { color: var(--soft); font-size: 13px; }
.tiles dd { margin: 0; font-size: 24px; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.3; }
.tiles dd.than { color: var(--soft); font-size: 13px; font-weight: 400; }
.findings { list-style: none; margin: 0; padding: 4px 16px; }
.findings li { display: flex; gap: 12px; padding: 9px 0; border-top: 1px solid var(--line); }
.findings li:first-child { border-top: 0; }
.findings strong { font-weight: 600; display: inline-block; }
.findings strong::first-letter { text-transform: uppercase; }
.findings .mark { flex: none; width: 24px; height: 24px; border-radius: 50%; text-align: center; font-weight: 700;
  line-height: 24px; color: var(--card); background: var(--open); }
.findings .held .mark { background: var(--good); }
.findings .broken .mark { background: var(--bad); }
.charts, .pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; }
.heads h2 { margin-bottom: 4px; }
figure { margin: 0; padding: 12px 14px 6px; min-width: 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 2px 10px; align-items: baseline; margin-bottom: 4px; }
.unit, .keys { color: var(--soft); font-size: 13px; }
.keys { margin-left: auto; display: flex; flex-wrap: wrap; gap: 2px 12px; }
.key { white-space: nowrap; }
.key i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 5px;
  vertical-align: -1px; }
.key i.dash { height: 3px; vertical-align: 4px; width: 14px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font: 11px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--soft);
  font-variant-numeric: tabular-nums; }
svg .said { fill: var(--ink); font-weight: 600; paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
svg .grid { stroke: var(--line); }
svg .fault { fill: var(--fault); opacity: 0.75; }
svg .rule { stroke: var(--ink); stroke-dasharray: 2 4; opacity: 0.7; }
svg .mark { stroke: var(--ink); stroke-width: 1.2; opacity: 0.8; }
svg .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg .line.asked { stroke-width: 1.2; stroke-dasharray: 5 3; opacity: 0.7; }
svg .hover { fill: transparent; }
svg .hover:hover { fill: var(--ink); opacity: 0.08; }
.area.hit { fill: var(--hit); } .area.loaded { fill: var(--loaded); } .area.refused { fill: var(--refused); }
.area.late { fill: var(--late); } .area.failed { fill: var(--failed); }
.line.asked { stroke: var(--asked); } .line.source { stroke: var(--source); }
.line.p50 { stroke: var(--p50); } .line.p99 { stroke: var(--p99); }
i.hit { background: var(--hit); } i.loaded { background: var(--loaded); } i.refused { background: var(--refused); }
i.late { background: var(--late); } i.failed { background: var(--failed); } i.asked { background: var(--asked); }
i.source { background: var(--source); } i.p50 { background: var(--p50); } i.p99 { background: var(--p99); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 14px; text-align: right; white-space: nowrap; }
tbody tr { border-top: 1px solid var(--line); }
th { font-weight: 500; }
thead th { color: var(--soft); font-size: 13px; }
tbody th { text-align: left; }
ol { margin: 0; padding: 10px 16px 10px 36px; }
.setting { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; color: var(--soft); font-size: 14px;
  padding: 0 4px; }
.setting dd { margin: 0; }
@media (max-width: 900px) { .charts, .pair { grid-template-columns: minmax(0, 1fr); } main { padding: 18px 14px 36px; }
  .pair .tiles { grid-template-columns: repeat(2, 1fr); } .keys { margin-left: 0; } h1 { font-size: 25px; } }
@media print { body { background: #fff; } section, figure { break-inside: avoid; } }
"""
