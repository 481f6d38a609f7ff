"""Kubernetes objects of a generated demand, as JSON: what a generator decides, written as any team would.

The annotations `stellwerk.dev/...` carry what a replay needs beyond it: arrival, duration, measured use.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

Manifest = dict[str, Any]
GPU = "nvidia.com/gpu"
CLUSTER_QUEUE, LOCAL_QUEUE = "gpus", "gpus"


class Use(Struct, frozen=True, kw_only=True):
    """Measured use of each GPU, as quantities: peak memory, p95 and mean compute; `whole`: must not share."""

    memory: str
    p95: str
    mean: str
    whole: bool = False


class Work(Struct, frozen=True, kw_only=True):
    """One job that a team starts `arrival_min` minutes after the period's start, for `minutes`."""

    name: str
    team: str
    kind: str
    image: str
    arrival_min: int
    minutes: int
    use: Use
    gpus: int = 1


class Calendar(Struct, frozen=True):
    """The first moment of a period, and its days."""

    start: datetime
    days: int

    def working_days(self) -> list[int]:
        """Days of the period, counted from 0, that are no Saturday or Sunday."""
        return [day for day in range(self.days) if (self.start + timedelta(days=day)).weekday() < 5]

    def label(self, day: int) -> str:
        """A day as it stands in names: 1102 is November 2."""
        return f"{self.start + timedelta(days=day):%m%d}"

    def time(self, minutes: int) -> str:
        """RFC 3339 of a minute of the period."""
        return f"{self.start + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def calendar(year: int, month: int, day: int, days: int) -> Calendar:
    """A period of whole days that begins at midnight UTC."""
    return Calendar(datetime(year, month, day, tzinfo=UTC), days)


def at(day: int, hour: int, minute: int = 0) -> int:
    """Minutes from the period's start to a time of day."""
    return day * 1440 + hour * 60 + minute


def workload(work: Work, period: Calendar) -> Manifest:
    """The work as an object: a Deployment for inference, a Pod for a notebook, else a Job."""
    metadata = _metadata(work, period)
    pod_spec = {"containers": [_container(work)], **_toleration()}
    if work.kind == "inference":
        labels = {"app": work.name}
        template = {"metadata": {"labels": labels}, "spec": pod_spec}
        spec: Manifest = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    pod_spec = {"restartPolicy": "Never", **pod_spec}
    if work.kind == "notebook":
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec}
    spec = {"parallelism": 1, "completions": 1, "template": {"spec": pod_spec}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def queues(teams: Sequence[str], gpus: int, product: str) -> list[Manifest]:
    """Namespaces, one ResourceFlavor, one ClusterQueue over all GPUs, a LocalQueue for each team."""
    flavor = product.lower()
    resources = [{"name": GPU, "nominalQuota": str(gpus)}]
    group = {"coveredResources": [GPU], "flavors": [{"name": flavor, "resources": resources}]}
    spec = {"namespaceSelector": {}, "queueingStrategy": "BestEffortFIFO", "resourceGroups": [group]}
    namespaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team}} for team in teams]
    flavors = _kueue("ResourceFlavor", {"name": flavor}, {"nodeLabels": {"nvidia.com/gpu.product": product}})
    local = [
        _kueue("LocalQueue", {"name": LOCAL_QUEUE, "namespace": team}, {"clusterQueue": CLUSTER_QUEUE})
        for team in teams
    ]
    return [*namespaces, flavors, _kueue("ClusterQueue", {"name": CLUSTER_QUEUE}, spec), *local]


def period_object(name: str, period: Calendar) -> Manifest:
    """The Period that a replay covers and bills."""
    return {
        "apiVersion": "stellwerk.dev/v1alpha1",
        "kind": "Period",
        "metadata": {"name": name},
        "spec": {"start": period.time(0), "duration": f"{period.days * 24}h"},
    }


def go_duration(minutes: int) -> str:
    """Minutes as a Go duration: 165 is "2h45m"."""
    hours, rest = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{rest}m" if rest or not hours else "")


def _kueue(kind: str, metadata: Manifest, spec: Manifest) -> Manifest:
    return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": metadata, "spec": spec}


def _metadata(work: Work, period: Calendar) -> Manifest:
    annotations = {
        "stellwerk.dev/arrival": period.time(work.arrival_min),
        "stellwerk.dev/duration": go_duration(work.minutes),
        "stellwerk.dev/gpu-memory": work.use.memory,
        "stellwerk.dev/gpu-compute": work.use.p95,
        "stellwerk.dev/gpu-compute-mean": work.use.mean,
    }
    if work.use.whole:
        annotations["stellwerk.dev/whole-gpu"] = "true"
    labels = {"kueue.x-k8s.io/queue-name": LOCAL_QUEUE, "stellwerk.dev/workload-kind": work.kind}
    return {"name": work.name, "namespace": work.team, "labels": labels, "annotations": annotations}


def _container(work: Work) -> Manifest:
    return {"name": "main", "image": work.image, "resources": {"limits": {GPU: str(work.gpus)}}}


def _toleration() -> Manifest:
    """GPU nodes are tainted as a rule, so that only pods with GPUs come to them."""
    return {"tolerations": [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]}
