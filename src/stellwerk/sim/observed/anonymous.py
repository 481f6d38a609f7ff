"""A case without names: the jobs and nodes of a replay as manifests that give the same figures.

Names become numbers in their old order, because ties end in a name: so nothing is decided otherwise.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec import UnsetType

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.demand import NS_PER_S, Demand, Job
from stellwerk.engine.snapshot import Fleet, NodeNetwork

Manifest = dict[str, Any]
NOTE = "stellwerk.dev/"


def anonymous_case(demand: Demand, fleet: Fleet) -> list[Manifest]:
    """The Period, the Fleet and one Job for each job, as Kubernetes JSON.

    Raises InvalidInput for what a manifest cannot say: judged memory, use measured on a part of a GPU, and
    faults by chance, since each node draws by its name.
    """
    law = fleet.reconfiguration
    if fleet.faults.losses_per_node_month_milli or (law and law.failures_per_thousand):
        raise InvalidInput(
            "the fleet {name} has faults by chance, and each node draws by its name",
            fix="set lossesPerNodeMonth and reconfigurationFailuresPerThousand to 0",
            name=fleet.name,
        )
    for job in demand.jobs:
        if job.judged_memory_bytes is not None or job.observed_share_milli != 1000:
            raise InvalidInput(
                "the jobs of {name} say more than manifests can: memory judged later, or shares of a trace",
                fix="anonymize the metrics or manifests that it comes from (measured use: with --series)",
                source=demand.name,
                name=demand.name,
            )
    ordered = sorted(demand.jobs, key=lambda job: job.name)
    teams = _numbered("team", [job.team for job in ordered])
    names = _numbered("job", [job.name for job in ordered])
    jobs = [_job(job, teams[job.team], names[job.name], demand.start_ns) for job in demand.jobs]
    return [_period(demand), _fleet(fleet), *jobs]


def _numbered(word: str, names: Sequence[str]) -> dict[str, str]:
    """Each name's number, by first appearance; as many digits for all, so that their order stays."""
    distinct = list(dict.fromkeys(names))
    digits = len(str(len(distinct)))
    return {name: f"{word}-{number:0{digits}d}" for number, name in enumerate(distinct, 1)}


def _period(demand: Demand) -> Manifest:
    spec = {"start": _time(demand.start_ns), "duration": _duration(demand.period_ns)}
    return {
        "apiVersion": "stellwerk.dev/v1alpha1",
        "kind": "Period",
        "metadata": {"name": "case"},
        "spec": spec,
    }


def _fleet(fleet: Fleet) -> Manifest:
    nodes: list[Manifest] = []
    networks = [node.network for node in fleet.nodes if not isinstance(node.network, UnsetType)]
    cliques = _numbered("clique", [network.clique for network in networks if network.clique])
    for number, node in enumerate(fleet.nodes, 1):
        group: Manifest = {"name": f"node-{number:05d}", "gpuModel": node.gpu_model, "gpus": node.gpus}
        if node.cost.per_hour is not None:
            first = node.cost.terms[0]
            group["price"] = {
                "amount": f"{node.cost.per_hour:f}",
                "currency": fleet.currency,
                "source": f"{len(node.cost.terms)} terms, the first of {first.date}",
            }
        if not isinstance(node.network, UnsetType):
            group["network"] = _network(node.network, cliques)
        nodes.append(group)
    return {
        "apiVersion": "stellwerk.dev/v1alpha1",
        "kind": "Fleet",
        "metadata": {"name": "case"},
        "spec": {"currency": fleet.currency, "nodes": nodes, **_mig(fleet)},
    }


def _network(network: NodeNetwork, cliques: Mapping[str, str]) -> Manifest:
    """The network as it was resolved: the bandwidths go before what the catalog knows."""
    found: Manifest = {
        "nvlink": {"domain": network.nvlink_domain, **_bus("busBandwidth", network.nvlink_gb_s)},
        "pcie": {
            "roots": network.pcie_roots,
            **_bus("busBandwidth", network.node_gb_s),
            **_bus("rootBusBandwidth", network.root_gb_s),
        },
    }
    if network.clique:
        found["clique"] = cliques[network.clique]
    if network.rdma:
        nics = {"kind": network.rdma, "nics": network.rdma_nics, "gbps": 1}
        found["rdma"] = {**nics, **_bus("busBandwidth", network.rdma_gb_s)}
    if network.tcp_gb_s is not None:
        found["tcp"] = {"gbps": 1, **_bus("busBandwidth", network.tcp_gb_s)}
    return found


def _bus(field: str, speed: Decimal | None) -> Manifest:
    return {} if speed is None else {field: f"{speed:f}"}


def _mig(fleet: Fleet) -> Manifest:
    law = fleet.reconfiguration
    if not law:
        return {}
    times = {"create": law.create_ns, "destroy": law.destroy_ns, "mode": law.mode_ns}
    return {"mig": {name: _duration(time) for name, time in times.items()}}


def _job(job: Job, team: str, name: str, start_ns: int) -> Manifest:
    notes = {"arrival": _time(start_ns + job.arrival_ns), "duration": _duration(job.duration_ns)}
    if job.memory_bytes is not None:
        notes["gpu-memory"] = str(job.memory_bytes)
    if job.compute_milli is not None:
        notes["gpu-compute"] = f"{job.compute_milli}m"
    if job.used_milli is not None:
        notes["gpu-compute-mean"] = f"{job.used_milli}m"
    if not isinstance(job.communication_milli, UnsetType):
        notes["communication-share"] = f"{job.communication_milli}m"
    if not isinstance(job.measured_bus_mb_s, UnsetType):
        notes["measured-bus-bandwidth"] = f"{job.measured_bus_mb_s}m"
    notes |= dict(_flags(job))
    labels = {} if job.kind == "unknown" else {f"{NOTE}workload-kind": job.kind}
    container = {"name": "main", "image": "none", "resources": {"limits": {"nvidia.com/gpu": str(job.gpus)}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": team,
            "labels": labels,
            "annotations": {f"{NOTE}{key}": value for key, value in notes.items()},
        },
        "spec": {
            "parallelism": job.pods,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }


def _flags(job: Job) -> Iterable[tuple[str, str]]:
    if job.whole:
        yield "whole-gpu", "true"
    if job.isolated:
        yield "isolation", "required"


def _duration(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, NS_PER_S)
    return f"{seconds}.{rest:09d}s" if rest else f"{seconds}s"


def _time(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, NS_PER_S)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}Z" if rest else f"{text}Z"
