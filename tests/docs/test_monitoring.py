"""The page on monitoring names every file, series and alert that is exported, with threshold and meaning."""

from stellwerk.catalog.published.xid import xids
from stellwerk.report.monitoring.alerts import alert_rules
from stellwerk.report.monitoring.files import monitoring_files
from stellwerk.report.monitoring.recording import recording_rules
from stellwerk.report.monitoring.thresholds import LONGEST_WAIT_S, Thresholds, promql_duration
from tests.docs.pages import REFERENCE, code, rows, sections

PAGE = sections(REFERENCE / "monitoring.md")
DEFAULTS = Thresholds()


def test_every_file_is_there_and_no_other() -> None:
    named = [name for row in rows(PAGE["Files"]) for name in code(row[0])]
    assert sorted(named) == sorted(name for name, _ in monitoring_files(DEFAULTS))


def test_every_recording_rule_is_there_with_its_meaning() -> None:
    stated = [(f"`{rule.record}`", rule.meaning) for rule in recording_rules(DEFAULTS)]
    assert [tuple(row) for row in rows(PAGE["Recording rules"])] == stated


def test_every_alert_is_there_with_its_severity_and_how_long_it_waits() -> None:
    given = {"--idle-after": DEFAULTS.idle_after_s, "--wait-target": DEFAULTS.wait_target_s, "at once": 0}
    stated = {}
    for name, severity, meaning, waits in rows(PAGE["Alerts"])[: len(alert_rules(DEFAULTS))]:
        assert meaning
        wait = waits.strip("`")
        stated[name.strip("`")] = (severity, promql_duration(given[wait]) if wait in given else wait)
    assert stated == {
        rule.alert: (rule.severity, promql_duration(rule.wait_s)) for rule in alert_rules(DEFAULTS)
    }


def test_every_threshold_is_there() -> None:
    """A number after a comparison in an alert is in its row, as a percentage; 0 needs no words."""
    meanings = {row[0].strip("`"): row[2] for row in rows(PAGE["Alerts"])}
    shown = {
        "StellwerkSliceMemoryPressure": ("0.95", "95 %"),
        "StellwerkGpuThermalThrottling": ("0.05", "5 %"),
        "StellwerkGpuPowerThrottling": ("0.5", "50 %"),
        "StellwerkGpuUsedByNoPod": ("0.1", "10 %"),
    }
    for rule in alert_rules(DEFAULTS):
        if rule.alert in shown:
            number, words = shown[rule.alert]
            assert f"> {number}" in rule.expr and words in meanings[rule.alert], rule.alert
    assert f"{LONGEST_WAIT_S:,} s" in PAGE["Alerts"]
    assert f"`--idle-below` ({DEFAULTS.idle_below_percent} %)" in PAGE["Alerts"]


def test_every_xid_is_there_in_its_class() -> None:
    lost, own, quiet = (row[2] for row in rows(PAGE["XID errors"]))
    assert lost == ", ".join(str(xid.code) for xid in xids() if xid.device_lost)
    assert own == ", ".join(str(xid.code) for xid in xids() if not xid.device_lost and not xid.quiet)
    assert quiet == ", ".join(str(xid.code) for xid in xids() if xid.quiet)
