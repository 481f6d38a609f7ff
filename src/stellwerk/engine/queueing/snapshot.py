"""The frozen, indexed view that one cycle decides on, made from API objects.

What changes while the cycle is decided, usage, is in the ledger: `snapshot.ledger()` gives a fresh one that
holds the usage of all admitted workloads.
Source: kueue pkg/cache/scheduler/snapshot.go, cache.go.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.groups.core import LimitRange, Namespace, Node, Pod
from stellwerk.api.groups.kueue import (
    AdmissionCheck,
    ClusterQueue,
    ClusterQueueSpec,
    Cohort,
    CohortSpec,
    FairSharing,
    LocalQueue,
    ResourceFlavor,
    ResourceGroup,
    Topology,
    WorkloadPriorityClass,
)
from stellwerk.api.groups.kueue_workload import Workload, WorkloadStatus
from stellwerk.api.groups.meta import ObjectMeta, ResourceList, given
from stellwerk.api.groups.node import RuntimeClass
from stellwerk.api.quantity import NANO, Quantity
from stellwerk.engine.queueing.activity import (
    MULTI_KUEUE,
    PROVISIONING_REQUEST,
    Activity,
    Known,
    activity_of,
    check_of,
    checks_of,
    controlled_by,
    flavors_of,
)
from stellwerk.engine.queueing.amounts import FlavorResource, quota_amount
from stellwerk.engine.queueing.gates import FeatureGates, feature_gates
from stellwerk.engine.queueing.jobs.managed import ManagedJobs
from stellwerk.engine.queueing.local_usage import AdmissionFairSharing
from stellwerk.engine.queueing.nodes import flavor_snapshots, overlapping, take
from stellwerk.engine.queueing.pods_ready import PodsReady
from stellwerk.engine.queueing.queue import (
    Flavor,
    Group,
    Queue,
    flavor_of,
    fungibility_of,
    preemption_of,
)
from stellwerk.engine.queueing.quota.ledger import Charges, Ledger
from stellwerk.engine.queueing.quota.tree import Quota, QuotaNode, QuotaTree, cyclic_cohorts
from stellwerk.engine.queueing.requests.devices.claimed import (
    Claimed,
    claimed_devices,
    needs_devices,
    question_of,
)
from stellwerk.engine.queueing.requests.devices.claims import Rules
from stellwerk.engine.queueing.requests.devices.cluster import Devices
from stellwerk.engine.queueing.requests.devices.mapping import DeviceClasses
from stellwerk.engine.queueing.requests.devices.problem import Refused
from stellwerk.engine.queueing.requests.limits import Bounds, adjusted, bounds_of, overheads_of
from stellwerk.engine.queueing.requests.total import Counting, WorkloadInfo, workload_info
from stellwerk.engine.queueing.standing import EVICTION, Standing, standing_of
from stellwerk.engine.topology.assignment.fleet.snapshot import FlavorSnapshot

_ZERO = Quantity(0)


class Configuration(Struct, frozen=True, kw_only=True):
    """Kueue's Configuration as far as it decides. `fair_sharing`: the strategies of preemption, None: it is
    off.

    `ignore_undeclared`: resources that the queue does not cover need no quota (quotaCheckStrategy).
    `pods_ready` None: nobody waits for pods (the gate DisableWaitForPodsReady).
    `requeuing_timestamp`: Eviction or Creation (waitForPodsReady.requeuingStrategy.timestamp).
    """

    counting: Counting = Counting(gates=feature_gates())
    fair_sharing: tuple[str, ...] | None = None
    admission_fair_sharing: AdmissionFairSharing | None = None
    ignore_undeclared: bool = False
    device_classes: DeviceClasses = DeviceClasses()
    jobs: ManagedJobs = ManagedJobs()
    pods_ready: PodsReady | None = PodsReady()
    requeuing_timestamp: str = EVICTION

    @property
    def gates(self) -> FeatureGates:
        """The feature gates."""
        return self.counting.gates


class Objects(Struct, frozen=True, kw_only=True):
    """The API objects of a snapshot; of Workloads those that hold quota are used.

    `devices` is a view already: `devices_of` makes it, once for all snapshots.
    """

    cluster_queues: Sequence[ClusterQueue] = ()
    cohorts: Sequence[Cohort] = ()
    flavors: Sequence[ResourceFlavor] = ()
    local_queues: Sequence[LocalQueue] = ()
    workloads: Sequence[Workload] = ()
    admission_checks: Sequence[AdmissionCheck] = ()
    priority_classes: Sequence[WorkloadPriorityClass] = ()
    topologies: Sequence[Topology] = ()
    nodes: Sequence[Node] = ()
    pods: Sequence[Pod] = ()
    namespaces: Sequence[Namespace] = ()
    limit_ranges: Sequence[LimitRange] = ()
    runtime_classes: Sequence[RuntimeClass] = ()
    devices: Devices = Devices()


class Holding(Struct, frozen=True):
    """A workload that holds quota, its usage as the ledger takes it, and what orders it among others."""

    info: WorkloadInfo
    charges: Charges
    standing: Standing


class Snapshot(Struct, frozen=True, kw_only=True):
    """One moment. `queues` holds all ClusterQueues, `activity` whether each admits.

    `held`: by ClusterQueue, then by key, who holds quota of it; `used`: what they use together.
    `local_queues` by namespace/name. `places`: what the nodes of the flavors with a topology have free;
    `shared_places`: flavors that may have nodes in common. `namespaces`: their labels. `bounds`: of
    namespaces, by type, what LimitRanges say. `overheads`: of pods, by their RuntimeClass. `devices`: what
    claims are counted by.
    """

    configuration: Configuration
    tree: QuotaTree
    queues: Mapping[str, Queue]
    activity: Mapping[str, Activity]
    flavors: Mapping[str, Flavor]
    held: Mapping[str, dict[str, Holding]]
    used: Ledger
    local_queues: Mapping[str, LocalQueue]
    priority_classes: Mapping[str, WorkloadPriorityClass]
    topologies: Mapping[str, Topology]
    places: Mapping[str, FlavorSnapshot]
    shared_places: tuple[str, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = {}
    bounds: Mapping[str, Mapping[str, Bounds]] = {}
    overheads: Mapping[str, ResourceList] = {}
    devices: Devices = Devices()

    @property
    def gates(self) -> FeatureGates:
        """The feature gates."""
        return self.configuration.counting.gates

    def ledger(self) -> Ledger:
        """A ledger with the usage of all that holds quota, to be changed at will."""
        return self.used.copy()

    def holding(self, info: WorkloadInfo) -> Holding:
        """A workload as one that holds what its `info` says, of its ClusterQueue."""
        info = _complete(info, self.adjusted)
        charges = self.tree.charges(self.queues[info.cluster_queue].node, info.usage())
        standing = standing_of(info, self.gates, self.configuration.requeuing_timestamp)
        return Holding(info, charges, standing)

    def adjusted(self, workload: Workload) -> Workload:
        """The Workload with what RuntimeClass, LimitRange and limits add to its requests."""
        bounds = self.bounds.get(given(workload.metadata.namespace, ""), {})
        return adjusted(workload, bounds, self.overheads)

    def claimed(self, workload: Workload) -> Claimed | Refused:
        """What the devices of a pending Workload, as it is written, count as; or why it may not wait."""
        if not needs_devices(workload, self.devices, self.gates):
            return {}
        complete, configuration = self.adjusted(workload), self.configuration
        asked = (id(configuration), question_of(complete))
        if asked not in self.devices.memo:
            rules = Rules(configuration.device_classes, self.gates)
            # The configuration is kept too, so that its id stays its own.
            known = (configuration, claimed_devices(complete, self.devices, rules))
            self.devices.memo[asked] = known
        answer: Claimed | Refused = self.devices.memo[asked][1]
        return answer

    def changed(self, added: Iterable[Holding] = (), removed: Iterable[Holding] = ()) -> "Snapshot":
        """The same moment with other workloads that hold quota and places; all else is shared."""
        gone, new = tuple(removed), tuple(added)
        names = {holding.info.cluster_queue for holding in (*gone, *new)}
        held = {**self.held, **{name: dict(self.held[name]) for name in names}}
        used, places = self.used.copy(), dict(self.places)
        for holding in gone:
            if held[holding.info.cluster_queue].pop(holding.info.key, None) is not None:
                used.remove(holding.charges)
                take(places, holding.info, self.shared_places, free=True)
        for holding in new:
            held[holding.info.cluster_queue][holding.info.key] = holding
            used.add(holding.charges)
            take(places, holding.info, self.shared_places)
        return replace(self, held=held, used=used, places=places)

    def charges(self, queue: str, usage: Mapping[FlavorResource, int]) -> Charges:
        """A usage of a ClusterQueue as the ledger takes it."""
        return self.tree.charges(self.tree.queues[queue], usage)


def snapshot_of(objects: Objects, configuration: Configuration) -> Snapshot:
    """The view of these objects; objects are taken as they are, nothing is validated here."""
    topologies = {_name(one.metadata): one for one in objects.topologies}
    flavors = {_name(one.metadata): flavor_of(one, topologies) for one in objects.flavors}
    tas = configuration.gates.topology_aware_scheduling
    known = Known(
        flavors={name: flavor.topology for name, flavor in flavors.items()},
        checks={_name(one.metadata): check_of(one) for one in objects.admission_checks},
        topologies=frozenset(topologies) if tas else None,
    )
    activity = {
        _name(queue.metadata): activity_of(
            _spec(queue), known, given(queue.metadata.deletion_timestamp, None) is not None
        )
        for queue in objects.cluster_queues
    }
    tree = quota_tree(objects.cluster_queues, objects.cohorts, activity)
    queues = {
        _name(queue.metadata): _queue(queue, tree, flavors, known)
        for queue in objects.cluster_queues
        if _name(queue.metadata) in tree.queues
    }
    bounds, overheads = _bounds(objects.limit_ranges), overheads_of(objects.runtime_classes)

    def complete(workload: Workload) -> Workload:
        return adjusted(workload, bounds.get(given(workload.metadata.namespace, ""), {}), overheads)

    infos = [workload_info(one, configuration.counting) for one in objects.workloads if holds_quota(one)]
    held = _held([_complete(info, complete) for info in infos], queues, tree, configuration)
    holders = [one.info for holdings in held.values() for one in holdings.values()]
    return Snapshot(
        configuration=configuration,
        tree=tree,
        queues=queues,
        activity=activity,
        flavors=flavors,
        held=held,
        used=_used(tree, held),
        local_queues={_key(one.metadata): one for one in objects.local_queues},
        priority_classes={_name(one.metadata): one for one in objects.priority_classes},
        topologies=topologies,
        places=flavor_snapshots(flavors.values(), objects.nodes, objects.pods, holders, configuration.gates),
        shared_places=overlapping(flavors.values(), configuration.gates),
        namespaces={_name(one.metadata): given(one.metadata.labels, {}) for one in objects.namespaces},
        bounds=bounds,
        overheads=overheads,
        devices=objects.devices,
    )


def quota_tree(
    queues: Sequence[ClusterQueue], cohorts: Sequence[Cohort], activity: Mapping[str, Activity]
) -> QuotaTree:
    """The trees of these objects, without Cohorts in or under a cycle and the queues under them."""
    nodes = [_cohort_node(cohort) for cohort in cohorts]
    cyclic = cyclic_cohorts(nodes)
    below = [_queue_node(queue, activity) for queue in queues]
    return QuotaTree(
        [node for node in nodes if node.name not in cyclic],
        [node for node in below if node.parent not in cyclic],
    )


def quotas_of(groups: Sequence[ResourceGroup]) -> dict[FlavorResource, Quota]:
    """The quotas that resource groups declare."""
    return {
        FlavorResource(flavor.name, quota.name): Quota(
            quota_amount(quota.name, given(quota.nominal_quota, _ZERO)),
            _limit(quota.name, given(quota.borrowing_limit, None)),
            _limit(quota.name, given(quota.lending_limit, None)),
        )
        for group in groups
        for flavor in given(group.flavors, ())
        for quota in given(flavor.resources, ())
    }


def holds_quota(workload: Workload) -> bool:
    """Whether it counts as usage: quota reserved, active, not finished."""
    status = given(workload.status, WorkloadStatus())
    true = {one.type for one in given(status.conditions, ()) if one.status == "True"}
    reserved = "QuotaReserved" in true and given(status.admission, None) is not None
    return reserved and "Finished" not in true and given(workload.spec.active, True)


def _bounds(ranges: Iterable[LimitRange]) -> dict[str, dict[str, Bounds]]:
    by_namespace: dict[str, list[LimitRange]] = {}
    for one in ranges:
        by_namespace.setdefault(given(one.metadata.namespace, ""), []).append(one)
    return {namespace: bounds_of(of_namespace) for namespace, of_namespace in by_namespace.items()}


def _complete(info: WorkloadInfo, adjust: Callable[[Workload], Workload]) -> WorkloadInfo:
    """With requests that are not written, such as limits: pods take them in a topology.

    Source: kueue pkg/controller/core/workload_controller.go (AdjustResources before the cache sees it).
    """
    if all(one.topology is None for one in info.pod_sets):
        return info
    return replace(info, object=adjust(info.object))


def _held(
    infos: Iterable[WorkloadInfo], queues: Mapping[str, Queue], tree: QuotaTree, configuration: Configuration
) -> dict[str, dict[str, Holding]]:
    held: dict[str, dict[str, Holding]] = {name: {} for name in queues}
    for info in infos:
        queue = queues.get(info.cluster_queue)
        if queue is not None:
            charges = tree.charges(queue.node, info.usage())
            standing = standing_of(info, configuration.gates, configuration.requeuing_timestamp)
            held[queue.name][info.key] = Holding(info, charges, standing)
    return held


def _used(tree: QuotaTree, held: Mapping[str, Mapping[str, Holding]]) -> Ledger:
    ledger = Ledger(tree)
    for holdings in held.values():
        for holding in holdings.values():
            ledger.add(holding.charges)
    return ledger


def _queue(queue: ClusterQueue, tree: QuotaTree, flavors: Mapping[str, Flavor], known: Known) -> Queue:
    spec, name = _spec(queue), _name(queue.metadata)
    groups = tuple(_group(group, tree, tree.queues[name]) for group in given(spec.resource_groups, ()))
    group_of: dict[str, Group] = {}
    for group in groups:
        for resource in group.resources:
            group_of.setdefault(resource, group)
    checks = checks_of(spec)
    provisioning = controlled_by(spec, known, PROVISIONING_REQUEST)
    its_own = [flavors[one] for one in flavors_of(spec) if one in flavors and known.topologies is not None]
    return Queue(
        name=name,
        node=tree.queues[name],
        groups=groups,
        group_of=group_of,
        fungibility=fungibility_of(spec),
        preemption=preemption_of(spec),
        checks=checks,
        provisioned_flavors=frozenset[str]().union(*(checks[check] for check in provisioning)),
        multi_kueue=bool(controlled_by(spec, known, MULTI_KUEUE)),
        tas_only=all(one in flavors and flavors[one].topology is not None for one in flavors_of(spec)),
        tas_flavors=frozenset(flavor.name for flavor in its_own if flavor.levels is not None),
        spec=spec,
    )


def _group(group: ResourceGroup, tree: QuotaTree, node: int) -> Group:
    resources, flavors = given(group.covered_resources, ()), given(group.flavors, ())
    return Group(
        resources=frozenset(resources),
        flavors=tuple(flavor.name for flavor in flavors),
        cells=tuple(
            {resource: tree.cell(node, FlavorResource(flavor.name, resource)) for resource in resources}
            for flavor in flavors
        ),
    )


def _queue_node(queue: ClusterQueue, activity: Mapping[str, Activity]) -> QuotaNode:
    spec, name = _spec(queue), _name(queue.metadata)
    return QuotaNode(
        name=name,
        parent=given(spec.cohort_name, "") or None,
        weight=_weight(given(spec.fair_sharing, None)),
        quotas=quotas_of(given(spec.resource_groups, ())),
        active=not activity[name].reasons if name in activity else True,
    )


def _cohort_node(cohort: Cohort) -> QuotaNode:
    spec = given(cohort.spec, CohortSpec())
    return QuotaNode(
        name=_name(cohort.metadata),
        parent=given(spec.parent_name, "") or None,
        weight=_weight(given(spec.fair_sharing, None)),
        quotas=quotas_of(given(spec.resource_groups, ())),
    )


def _weight(fair_sharing: FairSharing | None) -> float:
    weight = None if fair_sharing is None else given(fair_sharing.weight, None)
    return 1.0 if weight is None else weight.nanos / NANO


def _limit(resource: str, quantity: Quantity | None) -> int | None:
    return None if quantity is None else quota_amount(resource, quantity)


def _spec(queue: ClusterQueue) -> ClusterQueueSpec:
    return given(queue.spec, ClusterQueueSpec())


def _name(metadata: ObjectMeta) -> str:
    return given(metadata.name, "")


def _key(metadata: ObjectMeta) -> str:
    return f"{given(metadata.namespace, '')}/{given(metadata.name, '')}"
