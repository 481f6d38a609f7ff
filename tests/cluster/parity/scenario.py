"""What a scenario is, and the objects that its parts are made of.

All names of a scenario begin with its own prefix, so that many are played on one cluster at once.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from stellwerk.api.manifests import Manifest, load_manifests
from stellwerk.api.validation import validate

Json = dict[str, Any]
QUEUE, DEVICE = "queue", "device"
FAKE = {"kwok.x-k8s.io/node": "fake"}
# Of a Configuration: both strategies, which are the default of whoever only turns fair sharing on.
FAIR_SHARING = {
    "fairSharing": {"preemptionStrategies": ["LessThanOrEqualToFinalShare", "LessThanInitialShare"]}
}
RUN_FOR, FOR_EVER = "stellwerk.dev/run-for", "10h"


class Step(Struct, frozen=True, kw_only=True):
    """What happens at one moment: objects are created, others deleted; pods end well.

    `delete`: (group, kind, name), of the scenario's namespace or of none; `finish`: (kind, name) of a Pod, or
    of a Job whose pods end together. Who does not run does not end.
    """

    create: tuple[Json, ...] = ()
    delete: tuple[tuple[str, str, str], ...] = ()
    finish: tuple[tuple[str, str], ...] = ()


class Scenario(Struct, frozen=True, kw_only=True):
    """`objects` are there from the start; then step by step. `fair`: Kueue has fairSharing."""

    seed: int
    feature: str
    kind: str
    objects: tuple[Json, ...]
    steps: tuple[Step, ...]
    fair: bool = False

    @property
    def namespace(self) -> str:
        """Where its jobs and pods are."""
        return prefix_of(self.seed)


def manifests_of(objects: Sequence[Json]) -> list[Manifest]:
    """As our commands read them. Raises InvalidInput: what an API server would refuse is no scenario."""
    text = b"\n---\n".join(msgspec.json.encode(each) for each in objects)
    found = load_manifests(text, "scenario")
    validate(found)
    return found


def prefix_of(seed: int) -> str:
    """What all names of a scenario begin with."""
    return f"p{seed}"


def namespace(name: str, labels: Json | None = None) -> Json:
    """A Namespace."""
    metadata = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def node(name: str, labels: Json, cpu: int, taints: tuple[Json, ...] = ()) -> Json:
    """A node of KWOK's."""
    room = {"cpu": str(cpu), "memory": "1000Gi", "pods": "110"}
    metadata = {"name": name, "annotations": FAKE, "labels": {"kubernetes.io/hostname": name, **labels}}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "spec": {"taints": list(taints)} if taints else {},
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


def job(name: str, space: str, queue: str, pods: tuple[int, Json], **more: Any) -> Json:
    """A Job of `pods` = (how many, what each requests) that runs until it is ended.

    `more`: labels and annotations of the Job, `notes` of its pods, `spec` of its pods.
    """
    count, requests = pods
    container = {"name": "main", "image": "none", "resources": {"requests": requests}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": space,
            "labels": {"kueue.x-k8s.io/queue-name": queue, **more.get("labels", {})},
            "annotations": more.get("annotations", {}),
        },
        "spec": {
            "suspend": True,
            "parallelism": count,
            "completions": count,
            "backoffLimit": 100,
            "template": {
                "metadata": {"annotations": {RUN_FOR: FOR_EVER, **more.get("notes", {})}},
                "spec": {"containers": [container], "restartPolicy": "Never", **more.get("spec", {})},
            },
        },
    }
