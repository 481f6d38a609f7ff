"""GPUs as DCGM exporter shows them: one series a device, or one for each pod that shares it.

What shares a device has values per process, as the exporter gives them with `--kubernetes-virtual-gpus`
(NVIDIA/dcgm-exporter@d5e5f510, internal/pkg/transformation/process_metrics.go): GPU_UTIL and FB_USED are the
pod's own, FB_FREE is the device's, repeated. Before them stands the device's own value, without a pod
(kubernetes.go, Process), also while one pod only is on a GPU that is given out in shares. A GPU instance has
GR_ENGINE_ACTIVE in place of GPU_UTIL. What nobody measured of a job is left out, never 0.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

from stellwerk.adapters.metrics.family import Labels, Sample
from stellwerk.engine.demand import Job
from stellwerk.engine.money.exact import rounded
from stellwerk.engine.partition.geometry import Instance
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING
from stellwerk.engine.placement.cuts import instance_of
from stellwerk.engine.placement.place import Site
from stellwerk.engine.snapshot import FleetNode
from stellwerk.engine.usage import FB_USED, GR_ENGINE, UTIL
from stellwerk.sim.exposed.metrics import FB_FREE
from stellwerk.sim.exposed.pods import pod_labels, shown_name
from stellwerk.sim.exposed.timeline import Moment, Tenant, Timeline
from stellwerk.sim.slowdown import load_milli

MIB = 1024 * 1024
FULL_MILLI = 1000


def device_labels(node: FleetNode, index: int, instance: Instance | None = None) -> Labels:
    """The exporter's labels of a GPU, or of an instance of one, in its order.

    `modelName` is the catalog's id, `GPU_I_ID` the instance's first memory slice: the driver's own numbers
    are not known here, and no other instance of the GPU has this one.
    """
    cut = (("GPU_I_PROFILE", instance.profile.name), ("GPU_I_ID", str(instance.start))) if instance else ()
    return (
        ("gpu", str(index)),
        ("UUID", f"GPU-{node.name}-{index}"),
        ("device", f"nvidia{index}"),
        ("modelName", node.gpu_model),
        *cut,
        ("Hostname", node.name),
    )


def holder_labels(namespace: str, pod: str) -> Labels:
    """The exporter's labels of the pod that holds a device."""
    return (*pod_labels(namespace, pod), ("container", "main"))


def utilization(labels: Labels, milli: int) -> Sample:
    """GPU_UTIL in percent, of thousandths of the GPU."""
    return Sample(UTIL, labels, Decimal(f"{milli // 10}.{milli % 10}"))


def memory_used(labels: Labels, used_bytes: int) -> Sample:
    """FB_USED in whole MiB."""
    return Sample(FB_USED, labels, used_bytes // MIB)


def device_samples(timeline: Timeline, moment: Moment) -> Iterator[Sample]:
    """Every GPU and instance that the exporter would show; a node that is lost shows nothing."""
    for site, course in zip(timeline.sites, timeline.courses, strict=True):
        if not timeline.is_up(site.node, moment.at_ns):
            continue
        node, tenants = timeline.fleet.nodes[site.node], course.tenants_at(moment.at_ns)
        if site.layout or any(tenant.grant.method == MIG for tenant in tenants):
            yield from _instances(site, node, tenants, moment)
        else:
            yield from _gpu(device_labels(node, site.index), site.facts.memory_bytes, tenants, moment)


def _gpu(labels: Labels, size_bytes: int, tenants: Sequence[Tenant], moment: Moment) -> Iterator[Sample]:
    """A GPU that is not cut; together its tenants compute no more than one GPU can."""
    if not tenants:
        yield Sample(UTIL, labels, 0)
        yield Sample(FB_USED, labels, 0)
        yield Sample(FB_FREE, labels, size_bytes // MIB)
        return
    loads = [_load(tenant.pod.job) for tenant in tenants]
    taken = [taken_bytes(tenant.pod.job) for tenant in tenants]
    load, used = _sum(loads), _sum(taken)
    if any(tenant.grant.method in (MPS, TIME_SLICING) for tenant in tenants):
        if load is not None:
            yield utilization(labels, min(FULL_MILLI, load))
        if used is not None:
            yield memory_used(labels, used)
    most = max(FULL_MILLI, sum(own or 0 for own in loads))
    for tenant, own, size in zip(tenants, loads, taken, strict=True):
        of_pod = (*labels, *_holder(tenant, moment))
        if own is not None:
            yield utilization(of_pod, own * FULL_MILLI // most)
        if size is not None:
            yield memory_used(of_pod, size)
        if used is not None:
            yield Sample(FB_FREE, of_pod, max(0, size_bytes - used) // MIB)


def _sum(parts: Sequence[int | None]) -> int | None:
    """The sum of what every tenant has; None where nobody measured it of one of them."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _instances(site: Site, node: FleetNode, tenants: Sequence[Tenant], moment: Moment) -> Iterator[Sample]:
    """The instances of a cut GPU: all that were cut beforehand, else those that have a pod."""
    by_instance = {instance_of(site, tenant.grant): tenant for tenant in tenants}
    for instance in sorted({*site.layout, *by_instance}, key=lambda instance: instance.start):
        labels, tenant = device_labels(node, site.index, instance), by_instance.get(instance)
        size_bytes = instance.profile.memory_bytes
        if tenant is None:
            yield Sample(GR_ENGINE, labels, 0)
            yield Sample(FB_USED, labels, 0)
            yield Sample(FB_FREE, labels, size_bytes // MIB)
            continue
        job, of_pod = tenant.pod.job, (*labels, *_holder(tenant, moment))
        load, taken = _load(job), taken_bytes(job)
        if load is not None:
            yield Sample(GR_ENGINE, of_pod, _part_of(instance, site, load))
        if taken is not None:
            yield memory_used(of_pod, taken)
            yield Sample(FB_FREE, of_pod, max(0, size_bytes - taken) // MIB)


def _part_of(instance: Instance, site: Site, load: int) -> Decimal:
    """How busy the instance is with so many thousandths of the GPU: at most 1."""
    assert site.facts.mig is not None, "only a model with MIG is cut"
    room = Fraction(FULL_MILLI * instance.profile.compute_slices, site.facts.mig.compute_slices)
    return rounded(min(Fraction(1), load / room), 3)


def _load(job: Job) -> int | None:
    """What the job computes, in thousandths of a GPU; None: nobody measured it."""
    return None if job.used_milli is None and job.compute_milli is None else load_milli(job)


def taken_bytes(job: Job) -> int | None:
    """Memory that the job really takes: as judged, else as planned; None: nobody measured it."""
    return job.memory_bytes if job.judged_memory_bytes is None else job.judged_memory_bytes


def _holder(tenant: Tenant, moment: Moment) -> Labels:
    return holder_labels(tenant.pod.job.team, shown_name(tenant.pod, moment))
