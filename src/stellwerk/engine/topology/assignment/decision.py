"""What is asked of topology-aware scheduling and what it answers. Words and rules are Kueue's (KEP-2724)."""

from collections.abc import Mapping

from msgspec import Struct

from stellwerk.api.groups.kueue_workload import PodSet, PodSetUpdate
from stellwerk.engine.decision import Reason


class Gates(Struct, frozen=True, kw_only=True):
    """Kueue's feature gates that change a decision here; the defaults are those of Kueue v0.20."""

    profile_mixed: bool = True
    balanced_placement: bool = False
    respect_node_affinity_preferred: bool = False
    handle_overlapping_flavors: bool = True
    elastic_slices: bool = False  # ElasticJobsViaWorkloadSlicesWithTAS
    skip_reassignment_for_pod_owned: bool = True
    scheduler_library: bool = False


class DomainPods(Struct, frozen=True):
    """Pods in one domain, named by its values at the assignment's levels."""

    values: tuple[str, ...]
    count: int

    @property
    def domain(self) -> str:
        """The domain's id."""
        return ",".join(self.values)


class Assignment(Struct, frozen=True):
    """Where the pods of a PodSet go, domains in the order of their values (a TopologyAssignment, unpacked).

    Where the lowest level is the hostname, that level stands alone.
    """

    levels: tuple[str, ...]
    domains: tuple[DomainPods, ...] = ()

    @property
    def pods(self) -> int:
        """How many pods are assigned."""
        return sum(domain.count for domain in self.domains)


class DomainUsage(Struct, frozen=True):
    """`count` pods of `requests` each (Kueue's unit) in the domain with these values."""

    values: tuple[str, ...]
    requests: Mapping[str, int]
    count: int


class PodSetRequest(Struct, frozen=True, kw_only=True):
    """Pods of one PodSet to be placed in one flavor.

    `requests`: of one pod, Kueue's unit, without the pod itself. `implied`: the PodSet asks for no topology,
    but its ClusterQueue has nothing else. `updates`: of AdmissionChecks that are ready. `group`: a leader and
    its workers have one name here. `previous`: what the workload slice had that this one replaces.
    """

    pod_set: PodSet
    requests: Mapping[str, int]
    count: int
    implied: bool = False
    group: str | None = None
    updates: tuple[PodSetUpdate, ...] = ()
    previous: Assignment | None = None


class Excluded(Struct, frozen=True):
    """Leaves that were looked at, and how many were out for which reason, the first one that holds.

    `resources`: not one pod fits, by the scarcest resource there. `library`: by the scheduler's plugins.
    """

    total: int = 0
    node_selector: int = 0
    affinity: int = 0
    topology_domain: int = 0
    library: int = 0
    taints: Mapping[str, int] = {}
    resources: Mapping[str, int] = {}


class LayerFit(Struct, frozen=True):
    """Slices of one layer that fit in the best domain, out of those needed."""

    level: str
    fits: int
    needed: int


class NotFit(Struct, frozen=True, kw_only=True):
    """The topology holds only `fits` of `needed` slices (pods, if a slice is 1); `layers`, if there are."""

    topology: str
    fits: int
    needed: int
    slice_size: int
    excluded: Excluded
    layers: tuple[LayerFit, ...] = ()


Unfit = NotFit | Reason
Outcome = Assignment | NotFit | Reason | None  # None: a leader that had no place before, and needs none.


class Found(Struct, frozen=True):
    """Outcome by PodSet; after the first that does not fit no further group is looked at.

    `assumed`: domain to what the placed pods take there, on top of what the question assumed.
    """

    outcomes: Mapping[str, Outcome]
    assumed: Mapping[str, Mapping[str, int]] = {}

    @property
    def failure(self) -> tuple[str, Unfit] | None:
        """The first PodSet (in the order of names) without a place, and why."""
        for name in sorted(self.outcomes):
            outcome = self.outcomes[name]
            if isinstance(outcome, NotFit | Reason):
                return name, outcome
        return None
