"""The files of a plan: each object as it is to be applied, and what no kubectl takes beside them.

An object holds the fields that the plan sets and no others, so that `kubectl diff -f DIR` shows them alone;
lists that Kubernetes replaces as a whole (resourceGroups) are there as a whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.manifests import Manifest, without_nulls
from stellwerk.engine.partition.inventory import DRA, Gpu, PartitionPlan, request_name
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING
from stellwerk.engine.planning.decided import ClusterPlan, Moved, QuotaChange
from stellwerk.engine.planning.today import GPU, Today, resource_of
from stellwerk.report.partition import device_plugin, dra, mig_parted
from stellwerk.report.partition.claims import comment_lines
from stellwerk.report.partition.yaml_text import yaml_text

QUEUES, POOLS, WORKLOADS = "cluster-queues.yaml", "node-pools.yaml", "workloads.yaml"
# Every file with objects that a plan may have: an older plan's must not lie beside a newer one's.
NAMES = (
    mig_parted.MAP,
    mig_parted.LABELS,
    mig_parted.POLICY,
    device_plugin.MAP,
    device_plugin.LABELS,
    device_plugin.POLICY,
    dra.CLASSES,
    dra.CLAIMS,
    dra.CLUSTER,
    QUEUES,
    POOLS,
    WORKLOADS,
)
KUBECTL_APPLY = "kubectl apply -f"
SHARED = frozenset({MPS, TIME_SLICING})
Key = tuple[str, str, str]  # Kind, namespace ("" where there is none), name.


class Files(Struct, frozen=True):
    """(name, text) of files with objects, and of those that are for other programs."""

    objects: tuple[tuple[str, str], ...]
    beside: tuple[tuple[str, str], ...]


def plan_files(plan: ClusterPlan, today: Today, live: Mapping[Key, Manifest]) -> Files:
    """All files; a layer in which nothing changes has none."""
    found = [*_partition(plan, today, live)]
    for name, head, documents in (
        (WORKLOADS, _workload_head(plan, today), list(_workloads(plan, today, live))),
        (QUEUES, _queue_head(), list(_queues(plan, live))),
        (POOLS, _pool_head(), list(_pools(plan, live))),
    ):
        if documents:
            parts = "".join(f"---\n{yaml_text(each)}" for each in documents)
            found.append((name, comment_lines(head) + parts))
    beside = {mig_parted.BARE, dra.VALUES}
    return Files(
        tuple((name, text) for name, text in found if name not in beside),
        tuple((name, text) for name, text in found if name in beside),
    )


def live_objects(manifests: Sequence[Manifest]) -> dict[Key, Manifest]:
    """The objects of a cluster by kind, namespace and name."""
    found: dict[Key, Manifest] = {}
    for one in manifests:
        metadata = one.raw.get("metadata") or {}
        found[one.kind, str(metadata.get("namespace") or ""), str(metadata.get("name") or "")] = one
    return found


def key_of(document: Mapping[str, Any]) -> Key:
    """Which object a document is about."""
    metadata = document.get("metadata") or {}
    return str(document["kind"]), str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _partition(plan: ClusterPlan, today: Today, live: Mapping[Key, Manifest]) -> Iterator[tuple[str, str]]:
    """The files of `stellwerk export` for the nodes whose GPUs change, and for those that are cut already."""
    before = {gpu.key: gpu for gpu in today.gpus}
    changed = {gpu.node for gpu in plan.partition.gpus if _cuts(before[gpu.key]) != _cuts(gpu)}
    if today.executor == DRA:
        if plan.moved:
            yield from _dra_files(plan, live)
        return
    cut = {gpu.node for gpu in plan.partition.gpus if gpu.method == MIG}
    if changed & cut or any(_is_cut(before[key]) for key in before if key[0] in changed):
        yield from _renamed(mig_parted.mig_parted_files(_only(plan.partition, changed | cut)), live)
    shared = {gpu.node for gpu in plan.partition.gpus if gpu.method in SHARED}
    if changed & shared:
        yield from _renamed(device_plugin.device_plugin_files(_only(plan.partition, shared)), live)


def _cuts(gpu: Gpu) -> tuple[Any, ...]:
    """How a GPU is given out, whoever is on it."""
    shared = (gpu.method, gpu.replicas) if gpu.method in SHARED else ("", 1)
    return _is_cut(gpu), shared, sorted((each.profile, each.start) for each in gpu.instances)


def _is_cut(gpu: Gpu) -> bool:
    return gpu.method == MIG


def _only(plan: PartitionPlan, nodes: set[str]) -> PartitionPlan:
    return replace(plan, gpus=tuple(gpu for gpu in plan.gpus if gpu.node in nodes))


def _renamed(files: Sequence[tuple[str, str]], live: Mapping[Key, Manifest]) -> Iterator[tuple[str, str]]:
    """The files with the cluster's own name of its ClusterPolicy; without one there is nothing to patch."""
    names = [key[2] for key in live if key[0] == "ClusterPolicy"]
    for name, text in files:
        if "kind: ClusterPolicy" not in text:
            yield name, text
        elif names:
            yield name, text.replace("name: cluster-policy\n", f"name: {names[0]}\n", 1)


def _dra_files(plan: ClusterPlan, live: Mapping[Key, Manifest]) -> Iterator[tuple[str, str]]:
    """Claims of pods that move only; the others have theirs. Classes that are there are left as they are."""
    moving = {each.owner.key for each in plan.moved}
    gpus = tuple(
        replace(
            gpu,
            instances=tuple(
                replace(each, tenant=each.tenant if request_name(each.tenant) in moving else "")
                for each in gpu.instances
            ),
            tenants=tuple(each for each in gpu.tenants if request_name(each.name) in moving),
        )
        for gpu in plan.partition.gpus
    )
    clusters = [key[2] for key in live if key[0] == "GPUCluster"]
    there = {key[2] for key in live if key[0] == "DeviceClass"}
    for name, text in dra.dra_files(replace(plan.partition, gpus=gpus)):
        if name == dra.CLASSES:
            head, *parts = text.split("---\n")
            missing = [part for part in parts if not any(f"name: {each}\n" in part for each in there)]
            text = "---\n".join([head, *missing])
            if not missing:
                continue
        if name == dra.CLUSTER:
            if not clusters:
                continue
            text = text.replace("name: gpu-cluster\n", f"name: {clusters[0]}\n", 1)
        yield name, text


def _workloads(plan: ClusterPlan, today: Today, live: Mapping[Key, Manifest]) -> Iterator[dict[str, Any]]:
    """The templates of owners whose pods get a share: what their one container with a GPU asks for."""
    for each in plan.moved:
        namespace, _, name = each.owner.key.partition(" (")[0].partition("/")
        manifest = live.get((each.owner.kind, namespace, name))
        if manifest is None or not each.owner.changes or each.owner.profile:
            continue
        template = _claimed(each) if today.executor == DRA else _plugged(each, manifest, plan.partition)
        if template:
            yield {
                "apiVersion": manifest.api_version,
                "kind": manifest.kind,
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"template": {"spec": template}},
            }


def _claimed(each: Moved) -> dict[str, Any]:
    """Another template for the pods' claim; of a GPU that several pods share, the claim is the user's."""
    if each.method != MIG:
        return {}
    template = dra.template_metadata(each.owner.key, each.profile)["name"]
    return {"resourceClaims": [{"name": each.owner.claim, "resourceClaimTemplateName": template}]}


def _plugged(each: Moved, manifest: Manifest, partition: PartitionPlan) -> dict[str, Any]:
    """The instance's resource instead of the GPU's; a shared GPU keeps the name, and is told by its node."""
    if each.method != MIG:
        replicas = next((gpu.replicas for gpu in partition.gpus if gpu.method == each.method), 1)
        return {"nodeSelector": {device_plugin.LABEL: f"{each.method}-{replicas}"}}
    spec = manifest.raw["spec"]["template"]["spec"]
    container = next(one for one in spec["containers"] if one["name"] == each.owner.containers[0])
    resources: dict[str, Any] = {}
    for field in ("limits", "requests"):
        if GPU in (container.get("resources") or {}).get(field, {}):
            # Null takes the old resource away: a pod that asked for both would get both.
            resources[field] = {GPU: None, resource_of(each.profile): "1"}
    return {"containers": [{"name": container["name"], "resources": resources}]}


def _queues(plan: ClusterPlan, live: Mapping[Key, Manifest]) -> Iterator[dict[str, Any]]:
    by_queue: dict[str, list[QuotaChange]] = {}
    for change in plan.quotas:
        by_queue.setdefault(change.queue, []).append(change)
    for queue, changes in sorted(by_queue.items()):
        manifest = live["ClusterQueue", "", queue]
        groups = deepcopy(without_nulls(manifest.raw["spec"]["resourceGroups"]))
        for change in changes:
            _set_quota(groups[change.group], change)
        yield {
            "apiVersion": manifest.api_version,
            "kind": "ClusterQueue",
            "metadata": {"name": queue},
            "spec": {"resourceGroups": groups},
        }


def _set_quota(group: dict[str, Any], change: QuotaChange) -> None:
    """A new resource joins the group: Kueue wants it in every flavor, in the order of coveredResources."""
    if change.resource not in group["coveredResources"]:
        group["coveredResources"] = [*group["coveredResources"], change.resource]
        for flavor in group["flavors"]:
            row = {"name": change.resource, "nominalQuota": "0"}
            flavor["resources"] = [*flavor["resources"], row]
    for flavor in group["flavors"]:
        for row in flavor["resources"]:
            if flavor["name"] == change.flavor and row["name"] == change.resource:
                row["nominalQuota"] = str(change.after)


def _pools(plan: ClusterPlan, live: Mapping[Key, Manifest]) -> Iterator[dict[str, Any]]:
    specs: dict[str, dict[str, Any]] = {}
    for change in plan.pools:
        spec = specs.setdefault(change.pool, {})
        if change.field == "limits":
            spec["limits"] = {GPU: change.after}
        else:
            part, field = change.field.split(".")
            spec[part] = {field: change.after}
    for pool, spec in sorted(specs.items()):
        manifest = live["NodePool", "", pool]
        yield {
            "apiVersion": manifest.api_version,
            "kind": "NodePool",
            "metadata": {"name": pool},
            "spec": spec,
        }


def _workload_head(plan: ClusterPlan, today: Today) -> list[str]:
    return [
        "What the pods of each workload ask for; each restarts with it.",
        f"Apply second: {KUBECTL_APPLY} {WORKLOADS}",
        *_in_the_way(plan, today),
        "Undo: kubectl rollout undo KIND/NAME -n NAMESPACE",
    ]


def _in_the_way(plan: ClusterPlan, today: Today) -> list[str]:
    """Pods on GPUs that are to be cut: a rolling update would wait for what is cut once they have gone."""
    target = {gpu.key: gpu for gpu in plan.partition.gpus}
    pods = [
        tenant.name
        for gpu in today.gpus
        for tenant in gpu.tenants
        if _is_cut(target[gpu.key]) and not _is_cut(gpu)
    ]
    if not pods:
        return []
    return [
        "Then delete the pods whose GPUs are cut, before the nodes get their labels:",
        *(
            f"  kubectl delete pod -n {namespace} {name}"
            for namespace, _, name in (pod.partition("/") for pod in pods)
        ),
    ]


def _queue_head() -> list[str]:
    return [
        "Quota of the instances, and of the GPUs that are left; the other groups are as they are.",
        f"Apply first: {KUBECTL_APPLY} {QUEUES}",
        "Undo: the same with the cluster's old ClusterQueues, in proof/cluster.json.",
    ]


def _pool_head() -> list[str]:
    return [
        "What keeps given-back nodes from being bought again.",
        f"Apply last: {KUBECTL_APPLY} {POOLS}",
        "Undo: the same with the cluster's old NodePools, in proof/cluster.json.",
    ]
