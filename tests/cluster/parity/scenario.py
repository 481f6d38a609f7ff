"""What a scenario is, and the objects that its parts are made of.

All names of a scenario begin with its own prefix, so that many are played on one cluster at once.
"""

from typing import Any

from msgspec import Struct

Json = dict[str, Any]
QUEUE, DEVICE = "queue", "device"
FAKE = {"kwok.x-k8s.io/node": "fake"}
# Of a Configuration: both strategies, which are the default of whoever only turns fair sharing on.
FAIR_SHARING = {
    "fairSharing": {"preemptionStrategies": ["LessThanOrEqualToFinalShare", "LessThanInitialShare"]}
}
RUN_FOR, FOR_EVER = "stellwerk.dev/run-for", "10h"


class Scenario(Struct, frozen=True, kw_only=True):
    """`objects` are there from the start; each step creates one more. `fair`: Kueue has fairSharing."""

    seed: int
    feature: str
    kind: str
    objects: tuple[Json, ...]
    steps: tuple[Json, ...]
    fair: bool = False

    @property
    def namespace(self) -> str:
        """Where its jobs and pods are."""
        return prefix_of(self.seed)


def prefix_of(seed: int) -> str:
    """What all names of a scenario begin with."""
    return f"p{seed}"


def namespace(name: str) -> Json:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def node(name: str, labels: Json, cpu: int) -> Json:
    """A node of KWOK's."""
    room = {"cpu": str(cpu), "memory": "1000Gi", "pods": "110"}
    metadata = {"name": name, "annotations": FAKE, "labels": {"kubernetes.io/hostname": name, **labels}}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "status": {
            "allocatable": room,
            "capacity": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }


def kueue(kind: str, name: str, spec: Json, **metadata: Any) -> Json:
    """An object of Kueue's."""
    named = {"name": name, **metadata}
    return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": named, "spec": spec}


def priority_class(name: str, value: int) -> Json:
    """A WorkloadPriorityClass."""
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "WorkloadPriorityClass",
        "metadata": {"name": name},
        "value": value,
        "description": "",
    }


def job(name: str, space: str, queue: str, pods: tuple[int, int], **more: Any) -> Json:
    """A Job of `pods` = (how many, cpu each) that runs for ever; `more`: labels, its pods' annotations."""
    count, cpu = pods
    container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": str(cpu)}}}
    annotations = {RUN_FOR: FOR_EVER, **more.get("annotations", {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": space,
            "labels": {"kueue.x-k8s.io/queue-name": queue, **more.get("labels", {})},
        },
        "spec": {
            "suspend": True,
            "parallelism": count,
            "completions": count,
            "backoffLimit": 100,
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {"containers": [container], "restartPolicy": "Never"},
            },
        },
    }
