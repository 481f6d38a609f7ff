"""A few lively days of a cluster, as exposition text: whatever a figure may rest on happens in them, by seed.

Nodes come, go and are cordoned, pods wait for GPUs (also over midnight), share them, end between two scrapes,
bear a name again; owners have owners; exporter and kube-state-metrics are scraped at seconds of their own, with
jitter, holes and values that are no reading. Pods without GPUs wait as well: that must count for nothing.
"""

from collections.abc import Iterator
from random import Random

from msgspec import Struct

DAY_S = 86_400
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
MODEL = "NVIDIA H100 PCIe"


class Spelling(Struct, frozen=True):
    """How Prometheus was told to scrape: with honorLabels false the exporter's labels get exported_."""

    honor_labels: bool = True
    hostname: str = "Hostname"


class Pod(Struct, frozen=True, kw_only=True):
    """A pod: Pending from `asked_ms`, on its devices from `start_ms` to `end_ms`, an object until `kept_ms`."""

    namespace: str
    name: str
    uid: str
    node: str
    gpus: tuple[str, ...]
    profile: str = ""
    asked_ms: int
    start_ms: int
    end_ms: int
    kept_ms: int
    util: int
    memory_mib: int
    kind: str
    owner: tuple[str, str]


class Node(Struct, frozen=True, kw_only=True):
    """A node's object from `created_ms` to `gone_ms`; cordoned in `cordon`."""

    name: str
    created_ms: int
    gone_ms: int
    cordon: tuple[int, int] = (0, 0)
    uuids: tuple[str, ...] = ()


class Days(Struct, frozen=True, kw_only=True):
    """The lively days: what was there, and how it was scraped."""

    start_ms: int
    end_ms: int
    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    interval_ms: int
    holes: tuple[tuple[int, int], ...]
    seed: int


def lively_days(seed: int, end_ms: int, days: int = 2) -> Days:
    """Three GPU nodes of two GPUs, one CPU node, some forty pods."""
    draw = Random(seed)
    start_ms = end_ms - days * DAY_S * 1000
    span = days * DAY_S * 1000
    back = start_ms + span * 2 // 3
    nodes = (
        Node(name="gpu-a", created_ms=start_ms - HOUR_MS, gone_ms=end_ms, uuids=("GPU-a0", "GPU-a1")),
        Node(
            name="gpu-b.example",
            created_ms=start_ms - HOUR_MS,
            gone_ms=end_ms,
            # Cordoned over a midnight.
            cordon=(start_ms + DAY_S * 1000 - 3 * HOUR_MS, start_ms + DAY_S * 1000 + 2 * HOUR_MS),
            uuids=("GPU-b0", "GPU-b1"),
        ),
        Node(name="gpu-c", created_ms=start_ms - HOUR_MS, gone_ms=start_ms + span // 3, uuids=("GPU-c0",)),
        Node(name="gpu-c", created_ms=back, gone_ms=end_ms, uuids=("GPU-c0",)),
        Node(name="cpu", created_ms=start_ms - HOUR_MS, gone_ms=end_ms),
    )
    pods = tuple(_pods(draw, nodes[:4], start_ms, end_ms))
    hole = start_ms + draw.randrange(span * 3 // 4)
    return Days(
        start_ms=start_ms,
        end_ms=end_ms,
        nodes=nodes,
        pods=pods,
        interval_ms=60_000,
        holes=((hole, hole + draw.randrange(2, 90) * MINUTE_MS),),
        seed=seed,
    )


def _pods(draw: Random, nodes: tuple[Node, ...], start_ms: int, end_ms: int) -> Iterator[Pod]:
    number = 0
    for node in nodes:
        first, last = max(start_ms, node.created_ms), min(end_ms, node.gone_ms)
        for uuid in node.uuids:
            shared, cut = draw.random() < 0.3, draw.random() < 0.3
            for lane in range(3 if cut else 2 if shared else 1):
                at = first - draw.randrange(2 * HOUR_MS)
                while at < last:
                    wait = draw.choice((0, 20_000, 7 * MINUTE_MS, 5 * HOUR_MS))
                    length = draw.choice((15_000, 9 * MINUTE_MS, 3 * HOUR_MS, 26 * HOUR_MS))
                    number += 1
                    end = min(at + length, last)
                    yield Pod(
                        namespace=draw.choice(("vision", "language")),
                        # Two pods in a row may bear one name.
                        name=f"job.{lane}-{uuid[-2:]}" if draw.random() < 0.1 else f"pod-{number}",
                        uid=f"uid-{number}",
                        node=node.name,
                        gpus=(uuid,),
                        profile="2g.20gb" if cut else "",
                        asked_ms=at - wait,
                        start_ms=at,
                        end_ms=end,
                        kept_ms=end + draw.choice((0, HOUR_MS)),
                        util=draw.randrange(0, 101),
                        memory_mib=draw.randrange(500, 40_000),
                        kind=draw.choice(("inference", "training", "batch", "")),
                        owner=draw.choice((("ReplicaSet", f"web-{lane}-6f"), ("Job", f"run-{number}"), ("", ""))),
                    )
                    at = end + draw.choice((1_000, 25_000, 2 * HOUR_MS))
                    if shared and draw.random() < 0.5:
                        at += draw.randrange(HOUR_MS)


def exposition(days: Days, spelling: Spelling) -> Iterator[str]:
    """Lines in order of time, with timestamps in ms."""
    draw = Random(days.seed + 1)
    step = days.interval_ms
    energy = {uuid: draw.randrange(10**9) for node in days.nodes for uuid in node.uuids}
    for at in range(days.start_ms, days.end_ms, step):
        if not any(begin <= at < end for begin, end in days.holes):
            # The first scrape of a day falls on midnight itself.
            stamp = at + (draw.randrange(40) if at % HOUR_MS else 0)
            yield from _gpus(days, spelling, stamp, (draw, energy))
        stamp = at + 11_000 + draw.randrange(40)
        if at % (step * 2) == 0:
            yield from _objects(days, spelling, stamp)


def _gpus(days: Days, spelling: Spelling, stamp: int, state: tuple[Random, dict[str, int]]) -> Iterator[str]:
    draw, energy = state
    for node in days.nodes:
        if not node.created_ms <= stamp < node.gone_ms:
            continue
        for index, uuid in enumerate(node.uuids):
            device = (
                f'gpu="{index}",UUID="{uuid}",device="nvidia{index}",modelName="{MODEL}",'
                f'{spelling.hostname}="{node.name}"'
            )
            here = [p for p in days.pods if uuid in p.gpus and p.node == node.name and p.start_ms <= stamp < p.end_ms]
            power = 60 + 2 * sum(pod.util for pod in here)
            energy[uuid] = 0 if draw.random() < 0.0005 else energy[uuid] + power * days.interval_ms
            yield f"DCGM_FI_DEV_POWER_USAGE{{{device}}} {power}.{draw.randrange(10)} {stamp}"
            yield f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{device}}} {energy[uuid]} {stamp}"
            for slot, pod in enumerate(here):
                labels = device
                if pod.profile:
                    labels += f',GPU_I_PROFILE="{pod.profile}",GPU_I_ID="{slot + 1}"'
                labels += "," + _named(spelling, namespace=pod.namespace, pod=pod.name, container="main")
                labels += f',pod_uid="{pod.uid}"' if pod.name.startswith("job.") else ""
                util = "NaN" if draw.random() < 0.002 else str(min(100, pod.util + draw.randrange(3)))
                metric = "DCGM_FI_PROF_GR_ENGINE_ACTIVE" if pod.profile else "DCGM_FI_DEV_GPU_UTIL"
                shown = util if not pod.profile or util == "NaN" else f"{int(util) / 100:.2f}"
                yield f"{metric}{{{labels}}} {shown} {stamp}"
                yield f"DCGM_FI_DEV_FB_USED{{{labels}}} {pod.memory_mib + draw.randrange(9)} {stamp}"
            if not here:
                yield f"DCGM_FI_DEV_GPU_UTIL{{{device}}} 0 {stamp}"
                yield f"DCGM_FI_DEV_FB_USED{{{device}}} 0 {stamp}"


def _objects(days: Days, spelling: Spelling, stamp: int) -> Iterator[str]:
    for node in days.nodes:
        if node.created_ms <= stamp < node.gone_ms:
            labels = _named(spelling, node=node.name)
            yield f"kube_node_created{{{labels}}} {node.created_ms // 1000} {stamp}"
            cordoned = int(node.cordon[0] <= stamp < node.cordon[1])
            yield f"kube_node_spec_unschedulable{{{labels}}} {cordoned} {stamp}"
    for pod in days.pods:
        if pod.asked_ms <= stamp < pod.kept_ms:
            yield from _pod_lines(pod, spelling, stamp)
    for number in range(3):  # Of no GPU, and often Pending.
        labels = _named(spelling, namespace="web", pod=f"cpu-{number}") + f',uid="cpu-{number}"'
        pending = int((stamp // HOUR_MS + number) % 3 == 0)
        yield f'kube_pod_status_phase{{{labels},phase="Pending"}} {pending} {stamp}'
        yield f"kube_pod_status_unschedulable{{{labels}}} {pending} {stamp}"
        resource = 'resource="cpu",unit="core",container="main"'
        yield f"kube_pod_container_resource_requests{{{labels},{resource}}} 2 {stamp}"
    for queue in ("gpus", "cpus"):
        waiting = (stamp // (5 * HOUR_MS)) % 4 == 1 and queue == "gpus"
        yield f'kueue_pending_workloads{{cluster_queue="{queue}",status="active"}} {int(waiting)} {stamp}'


def _pod_lines(pod: Pod, spelling: Spelling, stamp: int) -> Iterator[str]:
    labels = _named(spelling, namespace=pod.namespace, pod=pod.name) + f',uid="{pod.uid}"'
    pending, running = stamp < pod.start_ms, pod.start_ms <= stamp < pod.end_ms
    asked = "nvidia_com_mig_2g_20gb" if pod.profile else "nvidia_com_gpu"
    container = 'container="main",unit="integer"'
    yield f'kube_pod_container_resource_requests{{{labels},{container},resource="{asked}"}} 1 {stamp}'
    yield f'kube_pod_status_phase{{{labels},phase="Pending"}} {int(pending)} {stamp}'
    yield f'kube_pod_status_phase{{{labels},phase="Running"}} {int(running)} {stamp}'
    kind, owner = pod.owner
    if kind:
        yield f'kube_pod_owner{{{labels},owner_kind="{kind}",owner_name="{owner}"}} 1 {stamp}'
        above = ("replicaset", "Deployment") if kind == "ReplicaSet" else ("job_name", "CronJob")
        metric = "kube_replicaset_owner" if kind == "ReplicaSet" else "kube_job_owner"
        named = _named(spelling, namespace=pod.namespace, **{above[0]: owner})
        name = owner.rpartition("-")[0]
        yield f'{metric}{{{named},owner_kind="{above[1]}",owner_name="{name}"}} 1 {stamp}'
    if pod.kind:
        yield f'kube_pod_labels{{{labels},label_stellwerk_dev_workload_kind="{pod.kind}"}} 1 {stamp}'
    if pending:
        yield f"kube_pod_status_unschedulable{{{labels}}} 1 {stamp}"
        yield f"kube_pod_info{{{labels}}} 1 {stamp}"
        return
    yield f"kube_pod_info{{{labels},{_named(spelling, node=pod.node)}}} 1 {stamp}"
    yield f'kube_pod_status_scheduled{{{labels},condition="true"}} 1 {stamp}'
    yield f"kube_pod_status_scheduled_time{{{labels}}} {pod.start_ms // 1000} {stamp}"
    yield f"kube_pod_start_time{{{labels}}} {pod.start_ms // 1000} {stamp}"
    if stamp >= pod.end_ms:
        yield f"kube_pod_completion_time{{{labels}}} {pod.end_ms // 1000} {stamp}"


def _named(spelling: Spelling, **labels: str) -> str:
    """Labels as Prometheus keeps them; a pod's, where honorLabels is false, beside those of who told them."""
    if spelling.honor_labels:
        return ",".join(f'{name}="{value}"' for name, value in labels.items())
    teller = {"namespace": "monitoring", "pod": "kube-state-metrics-0", "container": "ksm", "node": "cpu"}
    both = {name: teller[name] for name in labels if name in teller}
    both |= {f"exported_{name}" if name in teller else name: value for name, value in labels.items()}
    return ",".join(f'{name}="{value}"' for name, value in both.items())
