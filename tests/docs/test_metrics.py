"""The page on metrics names what there is, all of it, and nothing else: in its tables, queries and alerts."""

from __future__ import annotations

import re
from pathlib import Path

from cacheaside.lookup import Forward
from cacheaside.observe.catalog import METRICS
from cacheaside.observe.metrics import Kind

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "metrics.md").read_text(encoding="utf-8")
QUERIES = "".join(re.findall(r"^```(?:promql|yaml)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL))
TABLES = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `cacheaside_"))
NAME = re.compile(r"(?<![\w:])cacheaside_\w+")
RECORDED = re.compile(r"cache_endpoint:cacheaside_\w+:\w+")


def shown() -> dict[str, tuple[str, ...]]:
    """Every series' name with its labels."""
    found = {"cacheaside_info": ("cache", "version")}
    for metric in METRICS.values():
        name = metric.prometheus_name
        if metric.kind is Kind.COUNTER:
            found[f"{name}_total"] = metric.labels
        elif metric.kind is Kind.GAUGE:
            found[name] = metric.labels
        else:
            found |= {f"{name}_bucket": (*metric.labels, "le"), f"{name}_count": metric.labels}
            found |= {f"{name}_sum": metric.labels, name: metric.labels}
    return found


def test_every_metric_is_in_a_table_and_every_name_there_is_a_metric() -> None:
    """Whoever meets a metric finds what it means, under its own name and type."""
    told = set(NAME.findall(TABLES))
    whole = {name for name in shown() if not name.endswith(("_bucket", "_count", "_sum"))}
    assert told == whole
    kinds = {metric.prometheus_name: metric.kind.value for metric in METRICS.values()}
    for line in TABLES.splitlines():
        for name in NAME.findall(line.split("|")[1]):
            assert line.split("|")[2].strip() == kinds.get(name.removesuffix("_total"), "gauge"), line


def test_queries_and_alerts_ask_for_what_there_is() -> None:
    """A query that is copied finds series: names, labels and label values are those that are exported."""
    names = set(NAME.findall(QUERIES))
    assert len(names) >= 12
    assert names <= set(shown())
    for name, selected in re.findall(r"(?<![\w:])(cacheaside_\w+)\{([^}]*)\}", QUERIES):
        for label, _, values in re.findall(r'(\w+)(=~?)"([^"]*)"', selected):
            assert label in shown()[name], (name, label)
            if label == "outcome":
                assert set(values.split("|")) <= OUTCOMES
            elif label == "reason":
                assert set(values.split("|")) <= {reason.value for reason in Forward}
            else:
                assert label == "le"
                assert values in {repr(edge / 1e6) for edge in METRICS["cacheaside.age_at_serve"].edges_us}
    for grouped in re.findall(r"by \(([^)]*)\)", QUERIES):
        assert set(re.split(r",\s*", grouped)) <= {
            "cache",
            "cache_endpoint",
            "cache_source",
            "outcome",
            "reason",
            "priority",
            "le",
        }


OUTCOMES = {"l1", "l2", "grace", "outdated", "remembered", "loaded", "collapsed", "failed"}


def test_what_rules_record_is_what_rules_use() -> None:
    """Each recorded series is recorded once; whatever an alert takes is one of them."""
    recorded = re.findall(r"record: (\S+)", QUERIES)
    assert len(recorded) == len(set(recorded)) == 6
    assert set(RECORDED.findall(QUERIES)) == set(recorded)


def test_the_page_says_how_many_series_an_endpoint_has() -> None:
    """The figure by which a reader sizes Prometheus is right."""
    reasons = {"outcome": len(OUTCOMES), "reason": 8}
    each = 0
    for metric in METRICS.values():
        if "cache_endpoint" in metric.labels:
            each += reasons.get(metric.labels[-1], len(metric.edges_us) + 3 if metric.edges_us else 1)
    match = re.search(r"an endpoint has some (\d+) series", PAGE)
    assert match is not None
    assert abs(int(match[1]) - each) < 5
