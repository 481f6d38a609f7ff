"""A cluster's objects as the view that a plan is decided on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct, structs

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import core, karpenter, kueue, kueue_workload, resource
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.manifests import Manifest
from stellwerk.api.quantity import Quantity
from stellwerk.catalog.prices import ExchangeRate
from stellwerk.engine.money.node_fleet import price_nodes
from stellwerk.engine.partition.inventory import DEVICE_PLUGIN, DRA, Gpu
from stellwerk.engine.planning.today import GPU, MIG, Owner, Pool, Quota, Today, Waiting
from stellwerk.engine.snapshot import Fleet
from stellwerk.sim.intake.dra_state import DRIVER, gpus_of_slices
from stellwerk.sim.intake.kueue import kueue_configuration
from stellwerk.sim.planning.owners import asked_of, owners_of, root_of
from stellwerk.sim.planning.seats import seated

NODE_POOL = "karpenter.sh/nodepool"
K = TypeVar("K", bound=Struct)


class Asked(Struct, frozen=True, kw_only=True):
    """What is known beside the objects: GPUs of pods by index, as measured; rates; who hands out devices."""

    executor: str = ""
    rates: tuple[ExchangeRate, ...] = ()
    known: Mapping[str, tuple[int, ...]] = {}


def today_of(manifests: Sequence[Manifest], asked: Asked) -> Today:
    """The view. Raises InvalidInput where nothing tells who hands out devices, or no node has a GPU."""
    executor = asked.executor or executor_of(manifests)
    fleet = price_nodes(_all(manifests, core.Node), rates=asked.rates)
    gpus, blind = _gpus(manifests, fleet, executor, asked.known)
    in_fleet = {node.name for node in fleet.nodes}
    nodes = [node for node in _all(manifests, core.Node) if given(node.metadata.name, "") in in_fleet]
    owners, mapped = owners_of(manifests, gpus, nodes), _mapped(manifests)
    queues = {
        f"{given(one.metadata.namespace, 'default')}/{given(one.metadata.name, '')}": given(
            one.spec.cluster_queue, ""
        )
        for one in _all(manifests, kueue.LocalQueue)
        if isinstance(one.spec, kueue.LocalQueueSpec)
    }
    return Today(
        fleet=fleet,
        gpus=gpus,
        owners=owners,
        executor=executor,
        blind=blind,
        flavors=_flavors(manifests, fleet),
        queues=queues,
        flavor_of=dict(_flavor_of(manifests, owners)),
        quotas=tuple(_quotas(manifests, frozenset(mapped.values()))),
        waiting=tuple(_waiting(manifests, queues)),
        pools=tuple(_pools(manifests, fleet)),
        mapped=mapped,
    )


def _all(manifests: Sequence[Manifest], kind: type[K]) -> list[K]:
    return [one.object for one in manifests if isinstance(one.object, kind)]


def executor_of(manifests: Sequence[Manifest]) -> str:
    """Who hands out NVIDIA's devices. Raises InvalidInput where that is nobody, or both."""
    plugin = any(_plugs(one) for one in manifests)
    published = any(one.spec.driver == DRIVER for one in _all(manifests, resource.ResourceSlice))
    published = published or any(one.kind == "GPUCluster" for one in manifests)
    if plugin != published:
        return DEVICE_PLUGIN if plugin else DRA
    offered = any(GPU in offered_by(node) for node in _all(manifests, core.Node))
    if not plugin and offered:
        return DEVICE_PLUGIN
    raise InvalidInput(
        "both NVIDIA's device plugin and its DRA driver hand out devices"
        if plugin
        else "neither NVIDIA's device plugin nor its DRA driver is seen",
        fix="say whom the plan is for: --executor device-plugin, or --executor dra",
    )


def _plugs(manifest: Manifest) -> bool:
    if manifest.kind != "ClusterPolicy":
        return False
    plugin: Any = (manifest.raw.get("spec") or {}).get("devicePlugin") or {}
    return plugin.get("enabled") is not False


def offered_by(node: core.Node) -> Mapping[str, Any]:
    """Its allocatable."""
    return given(given(node.status, core.NodeStatus()).allocatable, {})


def _gpus(
    manifests: Sequence[Manifest], fleet: Fleet, executor: str, known: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[Gpu, ...], frozenset[str]]:
    """All GPUs of the fleet in its order, and the nodes that are blind."""
    if executor == DRA:
        found = {gpu.key: gpu for gpu, _, _ in gpus_of_slices(manifests)}
        every = [
            found.get((node.name, index), Gpu(node=node.name, index=index, model=node.gpu_model))
            for node in fleet.nodes
            for index in range(node.gpus)
        ]
        return tuple(every), frozenset()
    described = {given(node.metadata.name, ""): node for node in _all(manifests, core.Node)}
    pods = _asking(manifests)
    gpus: list[Gpu] = []
    blind: set[str] = set()
    for node in fleet.nodes:
        seats, is_blind = seated(node, described[node.name], pods.get(node.name, ()), known)
        gpus += seats
        blind |= {node.name} if is_blind else set()
    return tuple(gpus), frozenset(blind)


def _asking(manifests: Sequence[Manifest]) -> dict[str, list[tuple[str, Mapping[str, int]]]]:
    """By node the pods that hold devices by extended resources."""
    found: dict[str, list[tuple[str, Mapping[str, int]]]] = {}
    for pod in _all(manifests, core.Pod):
        node = given(pod.spec.node_name, "")
        if not node or given(given(pod.status, core.PodStatus()).phase, "") in ("Succeeded", "Failed"):
            continue
        asked, _ = asked_of(pod.spec)
        if asked:
            name = f"{given(pod.metadata.namespace, 'default')}/{given(pod.metadata.name, '')}"
            found.setdefault(node, []).append((name, asked))
    return found


def _flavors(manifests: Sequence[Manifest], fleet: Fleet) -> dict[str, frozenset[str]]:
    labels = {
        given(node.metadata.name, ""): given(node.metadata.labels, {}) for node in _all(manifests, core.Node)
    }
    found: dict[str, frozenset[str]] = {}
    for flavor in _all(manifests, kueue.ResourceFlavor):
        spec = given(flavor.spec, kueue.ResourceFlavorSpec())
        wanted = given(spec.node_labels, {}).items()
        found[given(flavor.metadata.name, "")] = frozenset(
            node.name for node in fleet.nodes if wanted <= labels[node.name].items()
        )
    return found


def _flavor_of(manifests: Sequence[Manifest], owners: Sequence[Owner]) -> Iterator[tuple[str, str]]:
    """Owner's key -> the flavor in which a Workload of its has its GPUs."""
    templates = {
        (one.kind, given_namespace(one), str(one.raw["metadata"].get("name"))): one
        for one in manifests
        if one.kind in ("Deployment", "StatefulSet", "Job")
    }
    keys = {pod.name: owner.key for owner in owners for pod in owner.pods}
    keys |= {owner.key: owner.key for owner in owners}
    for manifest in manifests:
        if isinstance(manifest.object, kueue_workload.Workload) and (flavor := _flavor(manifest.object)):
            _, namespace, name = root_of(manifest, templates)
            made = [one.name for one in _references(manifest.object.metadata)]
            found = (keys.get(f"{namespace}/{each}") for each in (name, *made))
            yield from ((key, flavor) for key in found if key)


def _flavor(workload: kueue_workload.Workload) -> str:
    """In which flavor it has its GPUs; "": it has none."""
    status = given(workload.status, kueue_workload.WorkloadStatus())
    admission = given(status.admission, kueue_workload.Admission())
    found = (given(each.flavors, {}).get(GPU) for each in given(admission.pod_set_assignments, ()))
    return next((flavor for flavor in found if flavor), "")


def given_namespace(manifest: Manifest) -> str:
    """The object's namespace."""
    return str(manifest.raw["metadata"].get("namespace") or "default")


def _references(metadata: ObjectMeta) -> Sequence[Any]:
    return given(metadata.owner_references, ())


def _quotas(manifests: Sequence[Manifest], counted: frozenset[str]) -> Iterator[Quota]:
    for queue in _all(manifests, kueue.ClusterQueue):
        reserved = _reserved(given(queue.status, kueue.ClusterQueueStatus()))
        groups = given(given(queue.spec, kueue.ClusterQueueSpec()).resource_groups, ())
        rows = (
            (group, flavor.name, row)
            for group, found in enumerate(groups)
            for flavor in given(found.flavors, ())
            for row in given(flavor.resources, ())
            if row.name.startswith((GPU, MIG)) or row.name in counted
        )
        for group, flavor, row in rows:
            yield Quota(
                queue=given(queue.metadata.name, ""),
                group=group,
                flavor=flavor,
                resource=row.name,
                nominal=_count(given(row.nominal_quota, None)),
                reserved=_count(reserved.get((flavor, row.name))),
            )


def _reserved(status: kueue.ClusterQueueStatus) -> dict[tuple[str, str], Quantity | None]:
    return {
        (use.name, each.name): given(each.total, None)
        for use in given(status.flavors_reservation, ())
        for each in given(use.resources, ())
    }


def _count(amount: Quantity | None) -> int:
    return 0 if amount is None else amount.value()


def _waiting(manifests: Sequence[Manifest], queues: Mapping[str, str]) -> Iterator[Waiting]:
    """What active Workloads without quota ask for, by ClusterQueue and resource."""
    amounts: dict[tuple[str, str], tuple[int, int]] = {}
    for workload in _all(manifests, kueue_workload.Workload):
        spec = given(workload.spec, kueue_workload.WorkloadSpec())
        status = given(workload.status, kueue_workload.WorkloadStatus())
        true = {one.type for one in given(status.conditions, ()) if one.status == "True"}
        namespace = given(workload.metadata.namespace, "default")
        queue = queues.get(f"{namespace}/{given(spec.queue_name, '')}")
        if queue is None or true & {"QuotaReserved", "Finished"} or not given(spec.active, True):
            continue
        total: dict[str, int] = {}
        for each in given(spec.pod_sets, ()):
            inside = each.template.spec
            asked = asked_of(inside)[0] if isinstance(inside, core.PodSpec) else {}
            for name, amount in asked.items():
                total[name] = total.get(name, 0) + amount * each.count
        for name, amount in total.items():
            so_far, count = amounts.get((queue, name), (0, 0))
            amounts[queue, name] = so_far + amount, count + 1
    for (queue, name), (amount, count) in sorted(amounts.items()):
        yield Waiting(queue, name, amount, count)


def _pools(manifests: Sequence[Manifest], fleet: Fleet) -> Iterator[Pool]:
    pool_of = {
        given(node.metadata.name, ""): given(node.metadata.labels, {}).get(NODE_POOL, "")
        for node in _all(manifests, core.Node)
    }
    for pool in sorted(_all(manifests, karpenter.NodePool), key=lambda one: given(one.metadata.name, "")):
        name = given(pool.metadata.name, "")
        disruption = given(pool.spec.disruption, karpenter.Disruption())
        limit = given(pool.spec.limits, {}).get(GPU)
        found = Pool(
            name=name,
            nodes=tuple(node.name for node in fleet.nodes if pool_of[node.name] == name),
            gpu_limit=None if limit is None else limit.value(),
        )
        policy = given(disruption.consolidation_policy, found.policy)
        yield structs.replace(found, policy=policy, after=given(disruption.consolidate_after, found.after))


def _mapped(manifests: Sequence[Manifest]) -> dict[str, str]:
    classes = kueue_configuration(manifests, {}).device_classes
    return dict(classes.resources)
