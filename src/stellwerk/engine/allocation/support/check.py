"""Every layer's answer about every object: the API server first, then in the order in which they are met."""

from collections.abc import Iterator, Sequence

from msgspec import UnsetType

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceClaim
from stellwerk.engine.allocation.support.api_server import (
    check_claim,
    check_class,
    check_pod,
    within_limits,
)
from stellwerk.engine.allocation.support.dropped import dropped_fields, without_dropped
from stellwerk.engine.allocation.support.extended import extended_rows
from stellwerk.engine.allocation.support.karpenter import karpenter_rows
from stellwerk.engine.allocation.support.kueue import kueue_rows
from stellwerk.engine.allocation.support.nvidia import class_rows, driver_rows, operator_rows
from stellwerk.engine.allocation.support.row import (
    ACCEPTS,
    ACTING,
    API_SERVER,
    IGNORES,
    LAYERS,
    PENDS,
    REFUSES,
    RESOURCE_VALIDATION,
    SCHEDULER,
    WAITS,
    Cluster,
    Row,
    Seen,
    Wrong,
    row,
)
from stellwerk.engine.allocation.support.scheduler import ALLOCATOR, check_allocation, classes_of
from stellwerk.engine.allocation.support.subject import ADMIN_LABEL, Asked, AskedClaim, AskedClass, AskedPod
from stellwerk.engine.decision import Reason

# Where fields are dropped: moved in 1.35.
DROPS, DROPS_BEFORE = "pkg/api/resourceclaimspec/util.go", "pkg/registry/resource/resourceclaim/strategy.go"
ADMIN, TYPES = "pkg/registry/resource/utils.go", "pkg/apis/resource/types.go"


def check_support(asked: Asked, cluster: Cluster) -> tuple[Row, ...]:
    """What each layer does with each claim, class and pod, by object and then by layer."""
    rows: list[Row] = []
    for claim in asked.claims:
        rows += _in_order(_claim_rows(claim, asked, cluster))
    for device_class in asked.classes:
        rows += _in_order(_class_rows(device_class, cluster))
    named = {name for claim in asked.claims for name in classes_of(claim.devices)}
    for device_class in asked.context_classes:
        rows += class_rows(device_class, cluster) if device_class.name in named else ()
    for pod in asked.pods:
        rows += _in_order(_pod_rows(pod, asked, cluster))
    return tuple(rows)


def is_refused(rows: Sequence[Row]) -> bool:
    """Whether a layer refuses something, or lets it wait for ever."""
    return any(each.verdict in (REFUSES, PENDS) for each in rows)


def stopping_layers(rows: Sequence[Row]) -> tuple[str, ...]:
    """Who does not let it through, whoever acts first before the others; where nobody refuses, who waits."""
    bad = [each.layer for each in rows if each.verdict in (REFUSES, PENDS)]
    bad = bad or [each.layer for each in rows if each.verdict == WAITS]
    return tuple(layer for layer in ACTING if layer in bad)


def _in_order(rows: Iterator[Row]) -> list[Row]:
    return sorted(rows, key=lambda each: LAYERS.index(each.layer))


def _claim_rows(claim: AskedClaim, asked: Asked, cluster: Cluster) -> Iterator[Row]:
    left = claim.devices if claim.there else without_dropped(claim.devices, cluster)
    yield from () if claim.there else _api_answers(claim, left, asked, cluster)
    left = within_limits(left)
    yield from _scheduler_rows(claim, left, cluster)
    yield from kueue_rows(claim, left, cluster)
    yield from karpenter_rows(claim, left, cluster)
    yield from operator_rows(claim, left, asked, cluster)
    yield from driver_rows(claim, left, asked, cluster)


def _api_answers(claim: AskedClaim, left: DeviceClaim, asked: Asked, cluster: Cluster) -> Iterator[Row]:
    dropped = list(dropped_fields(claim.devices, cluster, claim.path))
    seen = Seen(cluster.versions(), cluster.source(DROPS_BEFORE if cluster.kubernetes == "1.34" else DROPS))
    yield from (row(API_SERVER, IGNORES, claim.object, each, seen) for each in dropped)
    wrong = [*_unknown(claim.unknown, cluster), *check_claim(left, cluster, claim.path)]
    wrong += _admin_access(claim, left, asked)
    yield from _api_rows(claim.object, wrong, cluster)


def _class_rows(device_class: AskedClass, cluster: Cluster) -> Iterator[Row]:
    name = given(device_class.spec.extended_resource_name, "")
    wrong = [*_unknown(device_class.unknown, cluster), *check_class(device_class.spec, cluster)]
    yield from _api_rows(device_class.object, wrong, cluster)
    if name and not cluster.on("DRAExtendedResource"):
        reason = Reason(
            "class-dropped",
            "the API server drops this field: the feature gate {gate} is off",
            {"gate": "DRAExtendedResource"},
        )
        found = Wrong(
            path="spec.extendedResourceName", reason=reason, fix=cluster.gate_fix("DRAExtendedResource")
        )
        seen = Seen(cluster.versions(), cluster.source("pkg/registry/resource/deviceclass/strategy.go"))
        yield row(API_SERVER, IGNORES, device_class.object, found, seen)
    yield from class_rows(device_class, cluster)


def _pod_rows(pod: AskedPod, asked: Asked, cluster: Cluster) -> Iterator[Row]:
    if given(pod.spec.resource_claims, ()):
        wrong = list(check_pod(pod.spec, pod.path))
        yield from _api_rows(pod.object, wrong, cluster, "pkg/apis/core/validation/validation.go")
    yield from extended_rows(pod, asked, cluster)


def _unknown(paths: Sequence[str], cluster: Cluster) -> Iterator[Wrong]:
    for path in paths:
        gate = "DRADerivedAttributes" if path.endswith("derivedAttributes") else ""
        reason = Reason(
            "unknown-field",
            "{release} has no such field: kubectl refuses it (with --validate=false the API server drops it)",
            {"release": cluster.kubernetes},
        )
        fix = cluster.gate_fix(gate) if gate else _NO_FIELD
        yield Wrong(path=path, reason=reason, fix=fix, file=TYPES)


_NO_FIELD = Reason(
    "no-field", "leave it out, or correct its name: kubectl explain resourceclaim.spec.devices"
)


def _admin_access(claim: AskedClaim, left: DeviceClaim, asked: Asked) -> Iterator[Wrong]:
    """Templates are made into claims of the same namespace: the rule is the same for both."""
    if claim.namespace in asked.admin_namespaces:
        return
    for i, request in enumerate(given(left.requests, ())):
        if not isinstance(request.exactly, UnsetType) and given(request.exactly.admin_access, False):
            values = {"namespace": claim.namespace[:63], "label": ADMIN_LABEL}
            reason = Reason(
                "no-admin-namespace",
                "adminAccess needs the label {label}: true on namespace {namespace}",
                values,
            )
            fix = Reason("label-namespace", "kubectl label namespace {namespace} {label}=true", values)
            at = f"{claim.path}.requests[{i}].exactly.adminAccess"
            yield Wrong(path=at, reason=reason, fix=fix, file=ADMIN)
            return


def _api_rows(
    name: str, wrong: Sequence[Wrong], cluster: Cluster, file: str = RESOURCE_VALIDATION
) -> Iterator[Row]:
    seen = Seen(cluster.versions(), cluster.source(file))
    for each in wrong:
        by = Seen(cluster.versions(), cluster.source(each.file)) if each.file else seen
        yield row(API_SERVER, REFUSES, name, each, by)
    if not wrong:
        reason = Reason("valid", "valid; CEL expressions compile within their cost")
        fix = Reason("dry-run", "ask the API server itself: kubectl apply --dry-run=server -f FILE")
        yield row(API_SERVER, ACCEPTS, name, Wrong(path="", reason=reason, fix=fix), seen)


def _scheduler_rows(claim: AskedClaim, left: DeviceClaim, cluster: Cluster) -> Iterator[Row]:
    library = cluster.versions().rpartition("(v1.")[2].rstrip(")")
    seen = Seen(cluster.versions(), f"k8s.io/dynamic-resource-allocation@v0.{library} {ALLOCATOR}")
    wrong = list(check_allocation(left, claim.path))
    yield from (row(SCHEDULER, PENDS, claim.object, each, seen) for each in wrong)
    if not wrong:
        reason = Reason("allocates", "allocates it where devices match")
        fix = Reason("allocate", "see which devices, or why not: stellwerk allocate -f DIR")
        yield row(SCHEDULER, ACCEPTS, claim.object, Wrong(path="", reason=reason, fix=fix), seen)
