"""A ClusterQueue and a ResourceFlavor as decisions see them: defaults filled in, names turned into places.

Source: kueue pkg/cache/scheduler/clusterqueue.go. A missing `preemption` is Never for all; a missing
`flavorFungibility` lets borrowing end the search and makes preemption try the next flavor.
"""

from collections.abc import Mapping

from msgspec import Struct

from stellwerk.api.groups.core import Taint, Toleration
from stellwerk.api.groups.kueue import ClusterQueueSpec, ResourceFlavor, ResourceFlavorSpec, Topology
from stellwerk.api.groups.meta import given

NEVER, TRY_NEXT_FLAVOR = "Never", "TryNextFlavor"


class Flavor(Struct, frozen=True, kw_only=True):
    """Nodes of a kind.

    `levels`: of its Topology, the widest first; None when `topology` names none that is there.
    """

    name: str
    labels: Mapping[str, str] = {}
    taints: tuple[Taint, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    topology: str | None = None
    levels: tuple[str, ...] | None = None

    @property
    def for_any_pod(self) -> bool:
        """Whether nothing of a pod, but its topology request, can speak against this flavor."""
        return not self.taints and not self.labels


class Group(Struct, frozen=True, kw_only=True):
    """A resource group: flavors in order of preference, and for each the cell of each resource."""

    resources: frozenset[str]
    flavors: tuple[str, ...]
    cells: tuple[Mapping[str, int], ...]


class Fungibility(Struct, frozen=True, kw_only=True):
    """Whether to go on to the next flavor before borrowing or preempting, and which of the two is worse."""

    try_next_before_borrowing: bool = False
    try_next_before_preempting: bool = True
    preemption_over_borrowing: bool = False


class PreemptionPolicy(Struct, frozen=True, kw_only=True):
    """Whom a workload of the queue may preempt; `max_priority_threshold` holds while borrowing."""

    within_cluster_queue: str = NEVER
    reclaim_within_cohort: str = NEVER
    borrow_within_cohort: str = NEVER
    max_priority_threshold: int | None = None


class Queue(Struct, frozen=True, kw_only=True):
    """A ClusterQueue; `node` is its place in the tree, `group_of` the group of a resource.

    `checks`: AdmissionCheck -> flavors for which it is asked. `tas_flavors`: those whose Topology is there.
    """

    name: str
    node: int
    groups: tuple[Group, ...]
    group_of: Mapping[str, Group]
    fungibility: Fungibility
    preemption: PreemptionPolicy
    checks: Mapping[str, frozenset[str]]
    provisioned_flavors: frozenset[str]
    multi_kueue: bool
    tas_only: bool
    tas_flavors: frozenset[str]
    spec: ClusterQueueSpec


def flavor_of(flavor: ResourceFlavor, topologies: Mapping[str, Topology]) -> Flavor:
    """The flavor, with the levels of its Topology."""
    spec = given(flavor.spec, ResourceFlavorSpec())
    topology = given(spec.topology_name, None)
    found = topologies.get(topology) if topology is not None else None
    return Flavor(
        name=given(flavor.metadata.name, ""),
        labels=given(spec.node_labels, {}),
        taints=given(spec.node_taints, ()),
        tolerations=given(spec.tolerations, ()),
        topology=topology,
        levels=None if found is None else tuple(level.node_label for level in given(found.spec.levels, ())),
    )


def fungibility_of(spec: ClusterQueueSpec) -> Fungibility:
    """The queue's flavorFungibility."""
    written = given(spec.flavor_fungibility, None)
    if written is None:
        return Fungibility()
    return Fungibility(
        try_next_before_borrowing=given(written.when_can_borrow, "") == TRY_NEXT_FLAVOR,
        try_next_before_preempting=(given(written.when_can_preempt, "") or TRY_NEXT_FLAVOR)
        == TRY_NEXT_FLAVOR,
        preemption_over_borrowing=given(written.preference, "") == "PreemptionOverBorrowing",
    )


def preemption_of(spec: ClusterQueueSpec) -> PreemptionPolicy:
    """The queue's preemption policies; an empty one preempts nobody."""
    written = given(spec.preemption, None)
    if written is None:
        return PreemptionPolicy()
    borrowing = given(written.borrow_within_cohort, None)
    return PreemptionPolicy(
        within_cluster_queue=given(written.within_cluster_queue, ""),
        reclaim_within_cohort=given(written.reclaim_within_cohort, ""),
        borrow_within_cohort=NEVER if borrowing is None else given(borrowing.policy, ""),
        max_priority_threshold=None if borrowing is None else given(borrowing.max_priority_threshold, None),
    )
