"""What all recordings of Kueue share: objects, configuration, amounts (kueue.md of the recording)."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from stellwerk.api.duration import parse_duration
from stellwerk.api.groups.core import LimitRange, Namespace, Node, Pod
from stellwerk.api.groups.kueue import (
    AdmissionCheck,
    ClusterQueue,
    Cohort,
    LocalQueue,
    ResourceFlavor,
    Topology,
)
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.mismatch import decode_hook
from stellwerk.api.quantity import parse_quantity
from stellwerk.engine.queueing.amounts import UNLIMITED, FlavorResource, request_amount
from stellwerk.engine.queueing.gates import feature_gates
from stellwerk.engine.queueing.local_usage import AdmissionFairSharing
from stellwerk.engine.queueing.requests.total import Counting
from stellwerk.engine.queueing.requests.transformation import Transformation
from stellwerk.engine.queueing.snapshot import Configuration, Objects
from stellwerk.engine.queueing.standing import EVICTION

Case = dict[str, Any]
DEFAULT_STRATEGIES = ("LessThanOrEqualToFinalShare", "LessThanInitialShare")
_KINDS: dict[str, tuple[str, type]] = {
    "clusterQueues": ("cluster_queues", ClusterQueue),
    "cohorts": ("cohorts", Cohort),
    "resourceFlavors": ("flavors", ResourceFlavor),
    "localQueues": ("local_queues", LocalQueue),
    "workloads": ("workloads", Workload),
    "admissionChecks": ("admission_checks", AdmissionCheck),
    "topologies": ("topologies", Topology),
    "nodes": ("nodes", Node),
    "pods": ("pods", Pod),
    "namespaces": ("namespaces", Namespace),
    "limitRanges": ("limit_ranges", LimitRange),
}


def typed(raw: Any, wanted: type) -> Any:
    """The raw JSON as our type; kind and apiVersion are added where a part of a case leaves them out."""
    if isinstance(raw, dict) and "kind" in getattr(wanted, "__struct_fields__", ()):
        raw = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": wanted.__name__, **raw}
    return msgspec.convert(raw, wanted, dec_hook=decode_hook)


def objects_of(case: Case) -> Objects:
    """The case's objects, as far as a snapshot takes them."""
    raw = case.get("objects") or {}
    return Objects(
        **{
            field: [typed(one, wanted) for one in raw.get(kind) or ()]
            for kind, (field, wanted) in _KINDS.items()
        }
    )


def configuration_of(case: Case) -> Configuration:
    """Gates, fair sharing and resource transformations."""
    config = case.get("config") or {}
    fair = config.get("fairSharing")
    transformations = tuple(
        Transformation(
            input=one["input"],
            outputs={
                name: parse_quantity(str(factor)) for name, factor in (one.get("outputs") or {}).items()
            },
            strategy=one.get("strategy") or "Retain",
            multiply_by=one.get("multiplyBy") or "",
        )
        for one in config.get("resourceTransformations") or ()
    )
    gates = feature_gates(case.get("featureGates") or {})
    shared = config.get("admissionFairSharing")
    return Configuration(
        admission_fair_sharing=None if shared is None else _admission_fair_sharing(shared),
        counting=Counting(gates=gates, transformations=transformations),
        fair_sharing=None if fair is None else tuple(fair.get("preemptionStrategies") or DEFAULT_STRATEGIES),
    )


def ordering_of(case: Case) -> Configuration:
    """The configuration, with the time that orders who was evicted because its pods were not ready."""
    ordering = (case.get("input") or {}).get("workloadOrdering") or {}
    timestamp = ordering.get("podsReadyRequeuingTimestamp", EVICTION)
    return replace(configuration_of(case), requeuing_timestamp=timestamp)


def _admission_fair_sharing(raw: dict[str, Any]) -> AdmissionFairSharing:
    return AdmissionFairSharing(
        half_life_ns=parse_duration(raw.get("usageHalfLifeTime") or "0"),
        sampling_ns=parse_duration(raw.get("usageSamplingInterval") or "0"),
        weights={name: float(weight) for name, weight in (raw.get("resourceWeights") or {}).items()},
    )


def transformation(raw: dict[str, Any]) -> Transformation:
    """One rule of resources.transformations."""
    outputs = {name: parse_quantity(str(factor)) for name, factor in (raw.get("outputs") or {}).items()}
    return Transformation(
        input=raw["input"],
        outputs=outputs,
        strategy=raw.get("strategy") or "Retain",
        multiply_by=raw.get("multiplyBy") or "",
    )


def amounts_in(rows: Iterable[Mapping[str, Any]] | None) -> dict[FlavorResource, int]:
    """`[{flavor, resource, amount}]` by flavor and resource."""
    return {FlavorResource(row["flavor"], row["resource"]): _number(row["amount"]) for row in rows or ()}


def requests_in(requests: Mapping[str, Any] | None) -> dict[str, int]:
    """A ResourceList in Kueue's amounts."""
    return {name: request_amount(name, parse_quantity(str(q))) for name, q in (requests or {}).items()}


def _number(amount: int | str) -> int:
    return UNLIMITED if amount == "unlimited" else int(amount)


def unlike(what: str, ours: Any, wanted: Any) -> str | None:
    """None if they are equal, or the line that shows both."""
    return None if ours == wanted else f"{what}: {wanted} expected, not {ours}"[:600]


def first(differences: Iterable[str | None]) -> str | None:
    """The first difference."""
    return next((one for one in differences if one is not None), None)
