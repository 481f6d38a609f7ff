"""Admission fair sharing: what each LocalQueue used of late, old use fading; who used less goes first.

Source: kueue pkg/util/admissionfairsharing, pkg/cache/queue/afs; KEP-4136. Usage is a float, as Kueue's
is: it only ranks.
"""

from collections.abc import Mapping
from decimal import Decimal
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.groups.kueue import AdmissionScope, ClusterQueueSpec, FairSharing, LocalQueue
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import ResourceList, given
from stellwerk.api.quantity import NANO, Quantity
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.standing import true_condition
from stellwerk.engine.topology.assignment.fleet.pod import summed

USAGE_BASED = "UsageBasedAdmissionFairSharing"


class AdmissionFairSharing(Struct, frozen=True, kw_only=True):
    """Kueue's Configuration.admissionFairSharing; times in ns, `weights` of resources (else 1)."""

    half_life_ns: int
    sampling_ns: int
    weights: Mapping[str, float] = {}


class LocalUse(Struct, frozen=True, kw_only=True):
    """`consumed`: with old use faded. `penalties`: by workload, for what was admitted since then."""

    consumed: ResourceList = {}
    penalties: Mapping[str, ResourceList] = {}

    def with_penalty(self, key: str, penalty: ResourceList) -> "LocalUse":
        """With a workload's penalty; it has no more than one."""
        return replace(self, penalties={**self.penalties, key: penalty})

    def without_penalty(self, key: str) -> "LocalUse":
        """Less a workload's penalty."""
        return replace(self, penalties={name: one for name, one in self.penalties.items() if name != key})


def is_usage_based(spec: ClusterQueueSpec) -> bool:
    """Whether the ClusterQueue looks at what its LocalQueues used."""
    return given(given(spec.admission_scope, AdmissionScope()).admission_mode, "") == USAGE_BASED


def local_usage(use: LocalUse, local: LocalQueue | None, sharing: AdmissionFairSharing) -> float:
    """The weighted usage of a LocalQueue; without a weight above 0 it is infinite."""
    total: ResourceList = use.consumed
    for penalty in use.penalties.values():
        total = summed(total, penalty)
    usage = 0.0
    for resource in sorted(total):
        usage += sharing.weights.get(resource, 1.0) * (total[resource].nanos / NANO)
    weight = _weight(local)
    return usage / weight if weight > 0 else inf


def entry_penalty(requests: ResourceList, sharing: AdmissionFairSharing) -> ResourceList:
    """What an admission counts at once: its requests times the part that one sample weighs."""
    if sharing.half_life_ns == 0:
        return {resource: Quantity(0) for resource in requests}
    part = Decimal(repr(1.0 - 0.5 ** (sharing.sampling_ns / sharing.half_life_ns)))
    return {resource: Quantity(int(quantity.nanos * part)) for resource, quantity in requests.items()}


def pays_at_entry(
    workload: Workload, spec: ClusterQueueSpec, sharing: AdmissionFairSharing | None, gates: FeatureGates
) -> bool:
    """Whether the LocalQueue pays when the workload is admitted to this ClusterQueue.

    One that holds quota already, and gets only another place, was paid for. (Source: kueue
    pkg/scheduler/scheduler.go, shouldApplyEntryPenalty.)
    """
    if sharing is None or not gates.admission_fair_sharing or not is_usage_based(spec):
        return False
    return true_condition(workload, "QuotaReserved") is None


def _weight(local: LocalQueue | None) -> float:
    sharing = given(local.spec.fair_sharing, FairSharing()) if local is not None else FairSharing()
    weight = given(sharing.weight, None)
    return 1.0 if weight is None else weight.nanos / NANO
