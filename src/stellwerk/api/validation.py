"""What types alone do not say of manifests: names, duplicates, signs, references."""

from collections.abc import Iterator, Sequence

from msgspec import UNSET

from stellwerk.api.checks.devices.claims import (
    claim_refusals,
    class_refusals,
    status_refusals,
    taint_refusals,
)
from stellwerk.api.checks.devices.slices import slice_refusals
from stellwerk.api.checks.fleet import check_fleet, check_interference, check_period
from stellwerk.api.checks.kueue.queues import Queues, queues_of
from stellwerk.api.checks.kueue.rules import kueue_refusals
from stellwerk.api.checks.names import check_metadata, identity
from stellwerk.api.checks.partition import check_partition_plan
from stellwerk.api.checks.pods import check_deployment, check_job, check_node, check_pod, check_workload
from stellwerk.api.checks.refusal import Refusal, refuse_first
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.apps import Deployment
from stellwerk.api.groups.batch import Job
from stellwerk.api.groups.core import Node, Pod
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    DeviceClaim,
    DeviceClass,
    DeviceTaintRule,
    ResourceClaim,
    ResourceClaimTemplate,
    ResourceSlice,
)
from stellwerk.api.groups.stellwerk import Fleet, Interference, PartitionPlan, Period
from stellwerk.api.manifests import Manifest


def validate(manifests: Sequence[Manifest], *, devices: bool = True) -> None:
    """Checks all objects of one run together; without `devices` those of resource.k8s.io by name only.

    Raises the first InvalidInput in the order of the manifests; the same manifests give the same error.
    """
    queues = queues_of(manifests)
    first: dict[tuple[str, str, str, str], Manifest] = {}
    for manifest in manifests:
        check_metadata(manifest)
        key = identity(manifest)
        if key is not None:
            _refuse_twice(manifest, first.setdefault(key, manifest))
        if devices:
            refuse_first(manifest, _device_refusals(manifest.object))
        _check_object(manifest, queues)


def _refuse_twice(manifest: Manifest, first: Manifest) -> None:
    if first is manifest:
        return
    raise InvalidInput(
        "{kind} {name} is there twice; the first is in {first_source}, document {first_document}",
        fix="rename or remove one of the two",
        **manifest.at("metadata.name"),
        kind=manifest.kind,
        name=manifest.raw["metadata"]["name"],
        first_source=first.source,
        first_document=first.document,
    )


def _check_object(manifest: Manifest, queues: Queues) -> None:
    if not isinstance(manifest.object, Job):  # Of a Job kube-apiserver speaks first, and then the webhook.
        refuse_first(manifest, kueue_refusals(manifest, queues))
    match manifest.object:
        case Job() as job:
            check_job(manifest, job)
            refuse_first(manifest, kueue_refusals(manifest, queues))
        case Pod() as pod:
            check_pod(manifest, pod)
        case Deployment() as deployment:
            check_deployment(manifest, deployment)
        case Node() as node:
            check_node(manifest, node)
        case Workload() as workload:
            check_workload(manifest, workload)
        case Fleet() as fleet:
            check_fleet(manifest, fleet)
        case Period() as period:
            check_period(manifest, period)
        case Interference() as interference:
            check_interference(manifest, interference)
        case PartitionPlan() as plan:
            check_partition_plan(manifest, plan)
        case _:
            pass


def _device_refusals(of: object) -> Iterator[Refusal]:
    match of:
        case ResourceSlice() as slice_:
            yield from slice_refusals(slice_.spec)
        case ResourceClaim() as claim:
            yield from claim_refusals("spec.devices", given(claim.spec.devices, DeviceClaim()))
            if claim.status is not UNSET:
                yield from status_refusals("status", claim.status)
        case ResourceClaimTemplate() as template:
            yield from claim_refusals("spec.spec.devices", given(template.spec.spec.devices, DeviceClaim()))
        case DeviceClass() as class_:
            yield from class_refusals("spec", class_.spec)
        case DeviceTaintRule() as rule:
            yield from taint_refusals("spec.taint", rule.spec.taint)
