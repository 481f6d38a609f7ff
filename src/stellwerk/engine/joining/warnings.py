"""What was found in the series, as Reasons with counts and names; nothing that matters stays silent."""

from collections import Counter
from collections.abc import Iterable

from stellwerk.engine.decision import Reason
from stellwerk.engine.joining.series import Findings
from stellwerk.engine.usage import Hole

_NAMES_SHOWN = 5
_MS_PER_MIN = 60_000

# Code -> what it means; `count` is how often, `things` is how many names, `names` are the first of them.
WARNINGS = (
    ("history-short", "the database has no reading of a GPU on {things} of the days asked for: {names}"),
    (
        "answer-partial",
        "the database's answers may lack something on {things} days, by its own word or its count: {names}",
    ),
    (
        "times-back",
        "the time went back {count} times, a clock's jump or a file's order, at {names}: samples were sorted",
    ),
    (
        "clock-forward",
        "the clock jumped forward on {things} nodes, for the energy counter shows no such time; "
        "what ran then is taken to be longer than it was: {names}",
    ),
    (
        "clock-back",
        "the clock went back on {things} nodes, for the energy counter grew on; "
        "what ran then is taken to be shorter than it was: {names}",
    ),
    (
        "off-grid",
        "after a hole on {things} nodes scrapes came at other seconds: perhaps no hole but a jump of the "
        "clock, or a new address of the exporter: {names}",
    ),
    (
        "values-conflict",
        "{count} samples had another value at the same time, at {names}: the last one counts",
    ),
    (
        "values-differ",
        "{count} values of one shared GPU differ between its pods, at {names}: the largest counts",
    ),
    (
        "sum-incomplete",
        "{count} scrapes lack a pod of a shared GPU, at {names}: the GPU's sum is left out there",
    ),
    ("sample-blank", "{count} samples hold no reading (NaN, infinite, negative, DCGM's blank): {names}"),
    (
        "counter-reset",
        "the energy counter began anew {count} times: exporter, driver or node restarted: {names}",
    ),
    ("device-gap", "{count} scrapes of a node lack one of its GPUs: {names}"),
    ("pod-gap", "{count} scrapes lack a pod that came back later; it is taken to have held its GPU: {names}"),
    (
        "pod-seen-once",
        "{things} pods are in one scrape only, so their length is a guess of one interval: {names}",
    ),
    ("pod-moved", "{things} pods moved from one GPU to another; each stay is told apart: {names}"),
    ("pod-not-scraped", "{things} pods asked for GPUs and ran, but no GPU was seen with them: {names}"),
    (
        "shared-not-split",
        "{things} pods share a GPU whose values are not per pod: counted once, not split: {names}",
    ),
    (
        "pods-in-turn",
        "{things} pods were seen in turn with others on one GPU: they are taken to share it: {names}",
    ),
    ("board-value", "{things} GPUs are cut by MIG: power at an instance is the whole board's: {names}"),
    ("two-nodes", "{things} GPUs were seen under two names of a node: the first by name counts: {names}"),
    ("device-unnamed", "{count} series have neither UUID nor gpu and were left out: {names}"),
    ("metric-ignored", "{count} series are neither DCGM's nor of kube-state-metrics or Kueue: {names}"),
    (
        "clusters-merged",
        "the series are of {things} clusters and are read as one, so pods of one name count as one: {names}",
    ),
    ("exporter-pod", "{count} series name the exporter's own pod, which holds no GPU: {names}"),
    ("model-unknown", "{things} GPU models are not in the catalog: {names}"),
    ("model-missing", "{things} GPUs have no modelName, so their model is unknown: {names}"),
    (
        "compute-missing",
        "{things} GPUs have no utilization (GPU_UTIL, GR_ENGINE_ACTIVE or SM_ACTIVE): {names}",
    ),
    ("memory-missing", "{things} GPUs have no FB_USED, so memory is unknown: {names}"),
    ("power-missing", "{things} GPUs have no POWER_USAGE, so energy is unknown: {names}"),
    ("kind-unknown", "{things} pods have a workload kind that is none of ours: {names}"),
    ("owner-missing", "{things} pods have no owner in kube-state-metrics (kube_pod_owner): {names}"),
    (
        "node-unmatched",
        "{things} nodes with GPUs are not in kube-state-metrics by name, though others are: {names}",
    ),
    (
        "cordon-missing",
        "{things} nodes have no kube_node_spec_unschedulable, so cordons are unknown: {names}",
    ),
    (
        "cordon-gap",
        "{count} times the samples of a cordoned node paused: it is not taken as cordoned then: {names}",
    ),
    (
        "pending-gap",
        "{count} times the samples of what was pending paused: it is not taken as pending then: {names}",
    ),
    (
        "pending-unmatched",
        "{things} pods were Pending, and no kube_pod_container_resource_requests says who for GPUs: {names}",
    ),
    ("study-table", "{names} has one GPU per pod by assumption; it names no model, node, owner or power"),
)


def warnings_of(findings: Findings, holes: Iterable[Hole], interval_ms: int | None) -> tuple[Reason, ...]:
    """The warnings in the order of the table; `interval_ms` is given where it was assumed, not measured."""
    found = [*_interval(interval_ms), *_holes(tuple(holes))]
    for code, text in WARNINGS:
        if code in findings.counts:
            found.append(_reason(code, text, findings.counts[code]))
    return tuple(found)


def _reason(code: str, template: str, counts: Counter[str]) -> Reason:
    return Reason(code, template, {"count": counts.total(), "things": len(counts), "names": _names(counts)})


def _interval(interval_ms: int | None) -> Iterable[Reason]:
    if interval_ms is not None:
        yield Reason(
            "interval-assumed",
            "nothing was scraped twice: the interval is taken to be {seconds} s",
            {"seconds": interval_ms // 1000},
        )


def _holes(holes: tuple[Hole, ...]) -> Iterable[Reason]:
    if holes:
        minutes = sum(hole.end_ms - hole.start_ms for hole in holes) // _MS_PER_MIN
        yield Reason(
            "hole",
            "nothing was scraped {count} times, {minutes} minutes in all, on: {names}",
            {
                "count": len(holes),
                "minutes": minutes,
                "names": _names(Counter(hole.node or "*" for hole in holes)),
            },
        )


def _names(counts: Counter[str]) -> str:
    """The first names, in order; the rest is told by the count."""
    # A label may hold what a terminal must not obey.
    names = sorted("".join(c if c.isprintable() else "?" for c in name) or "-" for name in counts)
    return ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
