"""What kube-state-metrics says of nodes and of who waits: lives, cordons, pending workloads.

A series that pauses invents nothing: nobody is taken as cordoned or pending in the pause, and a node that
comes back with the same `kube_node_created` never went. Kueue's gauge counts workloads without pods yet.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from msgspec import Struct, field

from stellwerk.engine.joining.gaps import median_step
from stellwerk.engine.joining.identity import NAMESPACE_LABELS, POD_LABELS, first
from stellwerk.engine.joining.series import Findings, Series
from stellwerk.engine.usage import STALE_MS, Cluster, NodeLife, NodeObject

NODE_PREFIX, KUEUE_PREFIX, KUEUE_PENDING = "kube_node_", "kueue_", "kueue_pending_workloads"
CREATED, UNSCHEDULABLE = "kube_node_created", "kube_node_spec_unschedulable"
REQUESTS = "kube_pod_container_resource_requests"
_GPU_RESOURCES = "nvidia_com_"
Stretch = tuple[int, int]


class _Node(Struct):
    """A node's samples: when any was there, when it was created (ms), and whether it was cordoned."""

    seen: set[int] = field(default_factory=set)
    created: dict[int, int] = field(default_factory=dict)
    cordon: dict[int, int] = field(default_factory=dict)


class _Waiter(Struct):
    """A pod's samples: its phase Pending, the scheduler's `unschedulable`, and what shows its node."""

    pending: dict[int, int] = field(default_factory=dict)
    unschedulable: dict[int, int] = field(default_factory=dict)
    bound: set[int] = field(default_factory=set)
    bound_from: int | None = None


class _Pace(Struct, frozen=True):
    """How often kube-state-metrics was scraped, and how far apart samples may be without a pause."""

    interval_ms: int
    tolerance_ms: int


def cluster_of(
    series: Iterable[Series], measured: Mapping[str, Collection[int]], interval_ms: int, findings: Findings
) -> Cluster:
    """Lives and cordons of every node by name, and when something waited for GPUs.

    `measured`: when the GPUs of each node were scraped; `interval_ms`: theirs, if nothing shows another.
    """
    kept = [each for each in series if each.metric.startswith(("kube_", KUEUE_PENDING))]
    step = median_step(each.times_ms for each in kept) or interval_ms
    pace = _Pace(step, max(STALE_MS, 2 * step))
    nodes = _nodes(kept)
    _check(nodes, measured, findings)
    all_times = sorted(set[int]().union(*(node.seen for node in nodes.values())))
    found = {
        name: NodeObject(
            _lives(node, all_times, measured.get(name, ()), pace),
            _held(node.cordon, pace, (name, "cordon-gap"), findings),
        )
        for name, node in sorted(nodes.items())
    }
    return Cluster(found, _joined([*_pods_pending(kept, pace, findings), *_kueue(kept, pace, findings)]))


def _nodes(series: Iterable[Series]) -> dict[str, _Node]:
    nodes: dict[str, _Node] = {}
    for each in series:
        name = first(each.labels, ("exported_node", "node"))
        if not each.metric.startswith(NODE_PREFIX) or not name:
            continue
        node = nodes.setdefault(name, _Node())
        node.seen.update(each.times_ms)
        pairs = zip(each.times_ms, each.values_milli, strict=True)
        if each.metric == CREATED:
            node.created.update((time, value) for time, value in pairs if value)
        elif each.metric == UNSCHEDULABLE:
            node.cordon.update(pairs)
    return {name: node for name, node in nodes.items() if node.seen}


def _check(nodes: Mapping[str, _Node], measured: Mapping[str, Collection[int]], findings: Findings) -> None:
    """Name the measured nodes of which kube-state-metrics says too little."""
    for name in sorted(measured) if nodes else ():
        findings.add("node-unmatched", name, name not in nodes)
        findings.add("cordon-missing", name, name in nodes and not nodes[name].cordon)


def _lives(
    node: _Node, all_times: Sequence[int], measured: Collection[int], pace: _Pace
) -> tuple[NodeLife, ...]:
    """By the times at which the node was created; without these by pauses in which other nodes were seen."""
    times = sorted(node.seen)
    starts = sorted(set(node.created.values()))
    if starts:
        known = [(start, True) for start in starts]
    else:
        known = [(times[0], all_times[0] <= times[0] - pace.interval_ms)]
        known += [(after, True) for before, after in pairwise(times) if _went(before, after, all_times, pace)]
    lives: list[NodeLife] = []
    for at, (start, begun) in enumerate(known):
        until = known[at + 1][0] if at + 1 < len(known) else None
        last = max((t for t in times if t >= start and (until is None or t < until)), default=start)
        end = last + pace.interval_ms
        if until is not None:
            lives.append(NodeLife(start, min(end, until), begun, gone=True))
            continue
        gone = all_times[-1] >= end and not any(time > end for time in measured)
        lives.append(NodeLife(start, end, begun, gone))
    return tuple(lives)


def _went(before: int, after: int, all_times: Sequence[int], pace: _Pace) -> bool:
    """Whether the metrics went on in a pause of a node's series."""
    if after - before <= pace.tolerance_ms:
        return False
    at = bisect_left(all_times, before + pace.interval_ms)
    return at < len(all_times) and all_times[at] <= after - pace.interval_ms


def _pods_pending(series: Sequence[Series], pace: _Pace, findings: Findings) -> Iterable[Stretch]:
    """When a pod that asked for GPUs had no node: by its phase, or by the scheduler's word."""
    asked = {
        _pod(each)
        for each in series
        if each.metric == REQUESTS
        and each.labels.get("resource", "").startswith(_GPU_RESOURCES)
        and any(each.values_milli)
    }
    stated = any(each.metric == REQUESTS for each in series)
    # Where requests are there, what asked for no GPU is not looked at: most pods are such.
    for (name, _), waiter in sorted(_waiters(series, asked if stated else None).items()):
        if name not in asked:
            findings.add("pending-unmatched", name, not stated and any(waiter.pending.values()))
            continue
        values = {
            time: value
            for time, value in waiter.pending.items()
            if time not in waiter.bound and (waiter.bound_from is None or time < waiter.bound_from)
        }
        for time, value in waiter.unschedulable.items():
            values[time] = max(value, values.get(time, 0))
        # Where it has a node, or is seen in another phase, a sample says that it does not wait.
        yield from _held(dict.fromkeys(waiter.pending, 0) | values, pace, (name, "pending-gap"), findings)


def _waiters(series: Iterable[Series], asked: Collection[str] | None) -> dict[tuple[str, str], _Waiter]:
    """Pods by name and uid: what takes a name again is another pod."""
    waiters: dict[tuple[str, str], _Waiter] = {}
    for each in series:
        if each.metric.startswith("kube_pod_") and each.metric != REQUESTS and (name := _pod(each)):
            if asked is not None and name not in asked:
                continue
            _read(waiters.setdefault((name, each.labels.get("uid", "")), _Waiter()), each)
    return waiters


def _read(waiter: _Waiter, series: Series) -> None:
    labels, pairs = series.labels, zip(series.times_ms, series.values_milli, strict=True)
    match series.metric:
        case "kube_pod_status_phase" if labels.get("phase") == "Pending":
            _most(waiter.pending, pairs)
        case "kube_pod_status_unschedulable":
            _most(waiter.unschedulable, pairs)
        case "kube_pod_status_scheduled" if labels.get("condition") == "true":
            waiter.bound.update(time for time, value in pairs if value)
        case "kube_pod_info" if labels.get("exported_node" if "exported_pod" in labels else "node"):
            waiter.bound.update(series.times_ms)
        case "kube_pod_status_scheduled_time" | "kube_pod_start_time":
            since = [value for _, value in pairs if value]
            waiter.bound_from = min(
                [*since, *([waiter.bound_from] if waiter.bound_from else [])], default=None
            )


def _most(values: dict[int, int], pairs: Iterable[tuple[int, int]]) -> None:
    for time, value in pairs:
        values[time] = max(value, values.get(time, 0))


def _pod(series: Series) -> str:
    name = first(series.labels, POD_LABELS)
    return f"{first(series.labels, NAMESPACE_LABELS) or 'default'}/{name}" if name else ""


def _kueue(series: Iterable[Series], pace: _Pace, findings: Findings) -> Iterable[Stretch]:
    """When any ClusterQueue had pending workloads, active or inadmissible."""
    queues: dict[str, dict[int, int]] = {}
    for each in series:
        if each.metric == KUEUE_PENDING:
            name = f"{each.labels.get('cluster_queue', '')}/{each.labels.get('status', '')}"
            _most(queues.setdefault(name, {}), zip(each.times_ms, each.values_milli, strict=True))
    for name, values in sorted(queues.items()):
        yield from _held(values, pace, (name, "pending-gap"), findings)


def _held(
    values: Mapping[int, int], pace: _Pace, named: tuple[str, str], findings: Findings
) -> tuple[Stretch, ...]:
    """When a gauge was not 0: each sample until the next; before a pause and at the end one interval."""
    found: list[Stretch] = []
    times = sorted(values)
    for time, after in pairwise(times):
        paused = after - time > pace.tolerance_ms
        findings.add(named[1], named[0], paused and bool(values[time] or values[after]))
        if values[time]:
            found.append((time, time + pace.interval_ms if paused else after))
    if times and values[times[-1]]:
        found.append((times[-1], times[-1] + pace.interval_ms))
    return _joined(found)


def _joined(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """The same time as stretches that do not touch, in order."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)
