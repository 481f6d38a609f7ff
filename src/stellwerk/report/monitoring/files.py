"""All files of `stellwerk export monitoring`."""

from stellwerk.report.monitoring.counters import counter_files
from stellwerk.report.monitoring.dashboard import dashboard_files
from stellwerk.report.monitoring.rule_files import rule_files
from stellwerk.report.monitoring.scrapes import scrape_files
from stellwerk.report.monitoring.thresholds import Thresholds

NAMESPACE = "monitoring"  # Where both operators' objects go; the selectors look in any namespace.


def monitoring_files(thresholds: Thresholds) -> list[tuple[str, str]]:
    """(file name, text): counters, scrapes, rules, a dashboard; equal thresholds give equal bytes."""
    return [
        *counter_files(),
        *scrape_files(NAMESPACE),
        *rule_files(thresholds, NAMESPACE),
        *dashboard_files(),
    ]
