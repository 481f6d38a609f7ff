"""`kueue_refusals`: what an API server with Kueue refuses of one object, in the order in which it asks.

First the object's metadata, then the shape and the rules of the CRD, then the webhook, which is asked only of
what the CRD lets through.
"""

from collections.abc import Iterator

from msgspec import Struct

from stellwerk.api.checks.kueue.admission_check import ADMISSION_CHECK, PRIORITY_CLASS
from stellwerk.api.checks.kueue.annotations import annotation_refusals
from stellwerk.api.checks.kueue.cluster_queue import CLUSTER_QUEUE, cluster_queue_refusals
from stellwerk.api.checks.kueue.job import job_refusals
from stellwerk.api.checks.kueue.queues import (
    COHORT,
    LOCAL_QUEUE,
    Queues,
    cohort_refusals,
    local_queue_refusals,
)
from stellwerk.api.checks.kueue.resource_flavor import (
    RESOURCE_FLAVOR,
    TOPOLOGY,
    resource_flavor_refusals,
    topology_refusals,
)
from stellwerk.api.checks.kueue.shapes import label_refusals
from stellwerk.api.checks.kueue.workload import workload_refusals
from stellwerk.api.checks.kueue.workload_shape import WORKLOAD
from stellwerk.api.checks.refusal import Refusal
from stellwerk.api.checks.schema import Shape, shape_refusals
from stellwerk.api.groups.batch import Job
from stellwerk.api.groups.kueue import (
    AdmissionCheck,
    ClusterQueue,
    Cohort,
    LocalQueue,
    ResourceFlavor,
    Topology,
    WorkloadPriorityClass,
)
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.manifests import Manifest

_SHAPES: dict[type[Struct], Shape] = {
    AdmissionCheck: ADMISSION_CHECK,
    ClusterQueue: CLUSTER_QUEUE,
    Cohort: COHORT,
    LocalQueue: LOCAL_QUEUE,
    ResourceFlavor: RESOURCE_FLAVOR,
    Topology: TOPOLOGY,
    Workload: WORKLOAD,
    WorkloadPriorityClass: PRIORITY_CLASS,
}


def kueue_refusals(manifest: Manifest, queues: Queues) -> Iterator[Refusal]:
    """What is refused of an object of Kueue's kinds, or of a Job; nothing of other objects.

    `queues` is what the other manifests have: whether a queue leads somewhere is asked last.
    """
    if manifest.object is None:
        return
    shape = _SHAPES.get(type(manifest.object))
    if shape is None and not isinstance(manifest.object, Job):
        return
    metadata = getattr(manifest.object, "metadata", ObjectMeta())
    yield from label_refusals("metadata.labels", given(metadata.labels, {}))
    yield from annotation_refusals("metadata.annotations", given(metadata.annotations, {}))
    if shape is not None:
        yield from shape_refusals(shape, manifest.raw, "")
    yield from _rule_refusals(manifest.object, queues)


def _rule_refusals(of: object, queues: Queues) -> Iterator[Refusal]:
    match of:
        case ClusterQueue():
            yield from cluster_queue_refusals(of)
        case Cohort():
            yield from cohort_refusals(of, queues)
        case LocalQueue():
            yield from local_queue_refusals(of, queues)
        case ResourceFlavor():
            yield from resource_flavor_refusals(of)
        case Topology():
            yield from topology_refusals(of)
        case Workload():
            yield from workload_refusals(of)
        case Job():
            yield from job_refusals(of)
