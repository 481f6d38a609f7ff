"""What Stellwerk exposes: names, types and labels against the catalog, and the text of a scrape."""

import re
import subprocess
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from stellwerk.adapters.metrics.family import Family, Metric, Sample, families
from stellwerk.adapters.metrics.text import exposed_text
from stellwerk.catalog.dcgm import dcgm_exporter
from stellwerk.catalog.series.kubernetes import SeriesFact, kube_state_series, kueue_series
from stellwerk.engine.partition.policy import POLICIES
from stellwerk.report.exposed.replay import Shown, exposed
from stellwerk.report.view import PageView, Progress
from stellwerk.sim.exposed.metrics import OWN, all_metrics
from stellwerk.sim.exposed.timeline import Timeline, moment_of, replayed
from stellwerk.sim.main_job import Arguments, prepare, run
from tests.servers.databases import PROMETHEUS, program
from tests.servers.fixtures import need
from tests.unit import report_sample as sample

BEGUN_NS = 1_793_577_600_000_000_000
HOUR_NS = 3_600_000_000_000
NEVER_KNOWN = {"pci_bus_id", "pod_uid", "uid", "node"}
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


@pytest.fixture(scope="module")
def timelines() -> dict[str, Timeline]:
    """The demo under each policy, once."""
    prepared = prepare(Arguments(demand="demo"))
    replay = run(prepared, lambda *_: None)
    names = [policy.name for policy in POLICIES]
    return {name: replayed(prepared.scenario, prepared.policies, replay, name) for name in names}


def scrapes(timelines: dict[str, Timeline]) -> Iterator[tuple[Family, ...]]:
    """Each policy every five hours of a week and a bit, so that all metrics are there."""
    view = PageView(title="demo", state="done", progress=Progress(1, 1), replay=sample.replay(sized=True))
    for timeline in timelines.values():
        for hours in range(0, 180, 5):
            moment = moment_of(BEGUN_NS, hours * HOUR_NS, 1, timeline.demand.period_ns)
            yield exposed(view, Shown(timeline, moment))


@pytest.fixture(scope="module")
def seen(timelines: dict[str, Timeline]) -> dict[str, tuple[Metric, set[tuple[str, ...]]]]:
    """Every metric that was exposed, and the sets of labels that its samples had."""
    found: dict[str, tuple[Metric, set[tuple[str, ...]]]] = {}
    for scrape in scrapes(timelines):
        for family in scrape:
            labels = found.setdefault(family.metric.name, (family.metric, set()))[1]
            labels.update(tuple(name for name, _ in one.labels) for one in family.samples)
    return found


def exporter_labels() -> set[str]:
    """All labels of a GPU's series that the catalog names: the word at the head of each entry."""
    groups = dcgm_exporter().labels
    entries = [*groups["always"], *groups["mig"], *groups["kubernetes"], *groups["label_metrics"]]
    words = {re.match(r"\w+", entry).group() for entry in entries}  # type: ignore[union-attr]
    return words | {"Hostname", "namespace", "container"}


def test_every_metric_is_exposed_by_some_policy(
    seen: dict[str, tuple[Metric, set[tuple[str, ...]]]],
) -> None:
    assert set(seen) == {metric.name for metric in all_metrics()}


def test_gpus_have_the_exporters_names_and_labels(
    seen: dict[str, tuple[Metric, set[tuple[str, ...]]]],
) -> None:
    known = {metric.name: metric for metric in dcgm_exporter().metrics}
    always = {re.match(r"\w+", entry).group() for entry in dcgm_exporter().labels["always"]}  # type: ignore[union-attr]
    assert {"gpu", "UUID", "device", "modelName"} == always - NEVER_KNOWN
    assert "Hostname" in dcgm_exporter().labels["hostname"]
    ours = {name: found for name, found in seen.items() if name.startswith("DCGM_")}
    assert len(ours) == 4
    for name, (metric, label_sets) in ours.items():
        assert known[name].kind == metric.kind and known[name].enabled_in["default-counters.csv"], name
        assert known[name].unit in metric.help
        for labels in label_sets:
            assert always - NEVER_KNOWN <= set(labels) <= exporter_labels(), (name, labels)
            assert ("GPU_I_ID" in labels) == ("GPU_I_PROFILE" in labels)
            assert ("GPU_I_ID" in labels) >= (name == "DCGM_FI_PROF_GR_ENGINE_ACTIVE")
            # The catalog: "DCGM_FI_DEV_GPU_UTIL is not reported for MIG instances".
            assert not (name == "DCGM_FI_DEV_GPU_UTIL" and "GPU_I_ID" in labels)
            assert {"namespace", "pod", "container"} <= set(labels) or "pod" not in labels


@pytest.mark.parametrize(
    "fact", [*kueue_series().metrics, *kube_state_series().metrics], ids=lambda f: f.name
)
def test_a_queues_and_a_pods_series_have_their_programs_labels(
    fact: SeriesFact, seen: dict[str, tuple[Metric, set[tuple[str, ...]]]]
) -> None:
    metric, label_sets = seen[fact.name]
    assert metric.kind == fact.kind
    assert set(metric.labels) == set(fact.labels) - NEVER_KNOWN
    for labels in label_sets:
        plain = {"label_*" if label.startswith("label_") else label for label in labels}
        assert plain == set(fact.labels) - NEVER_KNOWN, (fact.name, labels)


@pytest.mark.parametrize("metric", OWN, ids=lambda metric: metric.name)
def test_our_own_have_the_labels_that_they_are_described_with(
    metric: Metric, seen: dict[str, tuple[Metric, set[tuple[str, ...]]]]
) -> None:
    assert seen[metric.name][1] == {metric.labels}
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert metric.help.endswith(".")


def test_no_series_is_there_twice_and_none_without_a_description() -> None:
    metric = Metric(name="a", kind="gauge", labels=("b",), help="x")
    one = Sample("a", (("b", "1"),), 1)
    assert families([one], [metric]) == (Family(metric, (one,)),)
    with pytest.raises(AssertionError, match="twice"):
        families([one, one], [metric])
    with pytest.raises(AssertionError, match="not described"):
        families([Sample("c", (), 1)], [metric])


def test_the_text_says_what_the_families_say_in_both_forms(timelines: dict[str, Timeline]) -> None:
    scrape = list(scrapes({"mix": timelines["mix"]}))[12]
    told = {
        (one.name, frozenset((name, text) for name, text in one.labels if text), float(one.value))
        for family in scrape
        for one in family.samples
    }
    for accept, read in (("", parse_text), (OPENMETRICS, parse_openmetrics)):
        text, content_type = exposed_text(scrape, accept)
        assert content_type.startswith("application/openmetrics-text" if accept else "text/plain")
        parsed = [one for family in read(text.decode()) for one in family.samples]
        assert all(one.timestamp is None for one in parsed)
        ours = [one for one in parsed if not one.name.startswith("process_")]
        assert {(one.name, frozenset(one.labels.items()), one.value) for one in ours} == told
        assert len(ours) == len(told) < len(parsed)


def test_a_name_with_quotes_is_text_and_nothing_else() -> None:
    metric = Metric(name="a", kind="gauge", labels=("pod",), help="x")
    name = 'a"} 1\nb{c="\\'
    text, _ = exposed_text(families([Sample("a", (("pod", name),), 2)], [metric]))
    (family,) = [f for f in parse_text(text.decode()) if not f.name.startswith("process_")]
    assert [(one.labels, one.value) for one in family.samples] == [({"pod": name}, 2.0)]


def test_promtool_has_nothing_to_say_of_our_names(timelines: dict[str, Timeline]) -> None:
    need(PROMETHEUS)
    for name, timeline in timelines.items():
        text, _ = exposed_text(list(scrapes({name: timeline}))[12])
        done = subprocess.run(
            [program("promtool"), "check", "metrics"], input=text, capture_output=True, check=False
        )
        said = (done.stdout + done.stderr).decode().splitlines()
        # The exporter's labels are not in snake_case: that is all that promtool may find.
        others = [line for line in said if not (line.startswith("DCGM_FI_") and "snake_case" in line)]
        assert [line for line in others if line.strip()] == [], name
        ours = b"".join(line for line in text.splitlines(keepends=True) if b"DCGM_FI_" not in line)
        done = subprocess.run([program("promtool"), "check", "metrics"], input=ours, check=False)
        assert done.returncode == 0, name


def test_before_the_replay_is_done_it_says_how_far_it_is() -> None:
    view = PageView(title="demo", state="running", progress=Progress(2, 6, "mps"))
    values = {one.name: one.value for family in exposed(view, None) for one in family.samples}
    assert values == {
        "stellwerk_build_info": 1,
        "stellwerk_replay_done": 0,
        "stellwerk_replay_failed": 0,
        "stellwerk_replay_steps_done": 2,
        "stellwerk_replay_steps_planned": 6,
    }
    failed = exposed(PageView(title="demo", state="failed", error="x"), None)
    assert {one.name: one.value for family in failed for one in family.samples}[
        "stellwerk_replay_failed"
    ] == 1


def test_the_figures_are_those_of_the_report() -> None:
    replay = sample.replay(sized=True)
    found = exposed(PageView(title="demo", state="done", replay=replay), None)
    values = {(one.name, one.labels): one.value for family in found for one in family.samples}
    mps = ("policy", "mps")
    run_labels = mps, ("fleet", "smallest"), ("slowdown", "proportional")
    sized = replay.outcomes[2].sized
    assert sized is not None and replay.outcomes[2].policy == "mps"
    small = sized.runs[-1]
    month = replay.outcomes[0].runs[0].cost.month
    assert month is not None and small.cost.month is not None
    assert values["stellwerk_policy_gpus", (mps, ("fleet", "smallest"))] == sized.gpus
    assert values["stellwerk_policy_gpus", (mps, ("fleet", "declared"))] == replay.fleet.gpus
    saving = values["stellwerk_policy_month_saving", (mps, ("currency", "EUR"))]
    assert saving == month - small.cost.month
    wait = values["stellwerk_policy_wait_seconds", (*run_labels, ("percentile", "95"))]
    assert wait == small.waits.p95_ns // 1_000_000_000
    assert values["stellwerk_policy_jobs", (*run_labels, ("state", "finished"))] == small.jobs.finished
    used = values["stellwerk_policy_gpu_seconds", (*run_labels, ("part", "used"))]
    assert used == small.gpu_hours.used * 3600
    best = [labels for (name, labels), value in values.items() if name.endswith("recommended") and value]
    assert len(best) == 1


def test_without_a_price_there_is_no_cost_and_no_saving() -> None:
    found = exposed(PageView(title="demo", state="done", replay=sample.unpriced(sized=True)), None)
    assert not [family.metric.name for family in found if "cost" in family.metric.name]
    assert "stellwerk_policy_month_saving" not in {family.metric.name for family in found}
