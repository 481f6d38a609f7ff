"""Pods as kube-state-metrics shows them: kind, requests, start and end."""

from bisect import bisect_right
from collections.abc import Iterator

from stellwerk.adapters.metrics.family import Labels, Sample
from stellwerk.engine.demand import NS_PER_HOUR, NS_PER_S
from stellwerk.engine.partition.policy import MIG
from stellwerk.engine.stays import WHOLE_GPU
from stellwerk.sim.exposed.timeline import Moment, Pod, Timeline

KEPT_NS = 3 * NS_PER_HOUR  # How long a finished pod is kept as an object: a Job's ttlSecondsAfterFinished.


def pod_labels(namespace: str, pod: str) -> Labels:
    """The two labels that name a pod."""
    return ("namespace", namespace), ("pod", pod)


def kind_sample(pod: Labels, kind: str) -> Sample:
    """The pod's label stellwerk.dev/workload-kind, as kube-state-metrics spells it."""
    return Sample("kube_pod_labels", (*pod, ("label_stellwerk_dev_workload_kind", kind)), 1)


def requests_sample(pod: Labels, count: int, resource: str = WHOLE_GPU) -> Sample:
    """What the pod's container asks for of the device plugin, as kube-state-metrics spells it."""
    asked = ("container", "main"), ("resource", resource), ("unit", "integer")
    return Sample("kube_pod_container_resource_requests", (*pod, *asked), count)


def start_sample(pod: Labels, at_ns: int) -> Sample:
    """When the pod started (ns since 1970)."""
    return Sample("kube_pod_start_time", pod, at_ns // NS_PER_S)


def end_sample(pod: Labels, at_ns: int) -> Sample:
    """When the pod ended (ns since 1970)."""
    return Sample("kube_pod_completion_time", pod, at_ns // NS_PER_S)


def shown_name(pod: Pod, moment: Moment) -> str:
    """The pod's name in this round: a name is never used for two pods."""
    return f"{pod.name}-round-{moment.round + 1}" if moment.round else pod.name


def pod_samples(timeline: Timeline, moment: Moment) -> Iterator[Sample]:
    """Pods that run, and for three hours of the demand those that finished; times are the wall's.

    A pod that lost its node is gone with it, and so is everything when a round ends.
    """
    for pod in timeline.running(moment.at_ns):
        labels = pod_labels(pod.job.team, shown_name(pod, moment))
        yield kind_sample(labels, pod.job.kind)
        yield from _object(pod, labels, moment)
    first = bisect_right(timeline.ended, moment.at_ns - KEPT_NS, key=lambda pod: pod.end_ns)
    for pod in timeline.ended[first : bisect_right(timeline.ended, moment.at_ns, key=lambda pod: pod.end_ns)]:
        labels = pod_labels(pod.job.team, shown_name(pod, moment))
        yield from _object(pod, labels, moment)
        yield end_sample(labels, moment.wall_ns(pod.end_ns))


def _object(pod: Pod, labels: Labels, moment: Moment) -> Iterator[Sample]:
    """What is there of a pod as long as it is an object, finished or not."""
    asked: dict[str, int] = {}
    for grant in pod.grants:
        resource = WHOLE_GPU
        if grant.method == MIG and grant.profile is not None:
            resource = f"nvidia_com_mig_{grant.profile.name.replace('.', '_').replace('+', '_')}"
        asked[resource] = asked.get(resource, 0) + 1
    for resource, count in sorted(asked.items()):
        yield requests_sample(labels, count, resource)
    yield start_sample(labels, moment.wall_ns(pod.start_ns))
