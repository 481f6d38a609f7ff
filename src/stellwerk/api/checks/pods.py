"""Jobs, Pods, Deployments and Nodes: counts, and the quantities that containers ask for."""

from collections.abc import Mapping

from msgspec import UnsetType

from stellwerk.api.checks.devices.names import is_extended_resource
from stellwerk.api.checks.names import check_annotations, check_label_selector, check_name, check_time
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.apps import Deployment, ReplicaSet, StatefulSet
from stellwerk.api.groups.batch import Job
from stellwerk.api.groups.core import Affinity, Container, Node, Pod, PodAffinity, PodSpec, PodTemplateSpec
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import LabelSelector, given
from stellwerk.api.manifests import Manifest
from stellwerk.api.quantity import NANO, Quantity
from stellwerk.api.yaml_events import key_path


def check_job(manifest: Manifest, job: Job) -> None:
    """A Job; raises InvalidInput."""
    check_annotations(manifest, job.metadata)
    check_count(manifest, "spec.parallelism", job.spec.parallelism)
    check_count(manifest, "spec.completions", job.spec.completions)
    _check_template(manifest, job.spec.template)


def check_deployment(manifest: Manifest, deployment: Deployment) -> None:
    """A Deployment; raises InvalidInput."""
    check_annotations(manifest, deployment.metadata)
    check_count(manifest, "spec.replicas", deployment.spec.replicas)
    _check_template(manifest, deployment.spec.template)


def check_workload(manifest: Manifest, workload: Workload) -> None:
    """The pods of a Workload, and when it was created; raises InvalidInput.

    Kueue takes pods that kube-apiserver would not; they would never start, so they are refused as of a Job.
    """
    if created := given(workload.metadata.creation_timestamp, ""):
        check_time(manifest, "metadata.creationTimestamp", created)
    for i, pod_set in enumerate(given(workload.spec.pod_sets, ())):
        path = f"spec.podSets[{i}].template.spec"
        if isinstance(pod_set.template.spec, UnsetType):
            raise InvalidInput(
                "the field spec is missing",
                fix="add the pod's spec with its containers",
                **manifest.at(path),
            )
        check_pod_spec(manifest, path, pod_set.template.spec)


def check_set(manifest: Manifest, item: StatefulSet | ReplicaSet) -> None:
    """A StatefulSet or ReplicaSet; raises InvalidInput."""
    check_annotations(manifest, item.metadata)
    check_count(manifest, "spec.replicas", item.spec.replicas)
    _check_template(manifest, item.spec.template)


def check_pod(manifest: Manifest, pod: Pod) -> None:
    """A Pod; raises InvalidInput."""
    check_annotations(manifest, pod.metadata)
    check_pod_spec(manifest, "spec", pod.spec)


def check_node(manifest: Manifest, node: Node) -> None:
    """A Node: nothing that it has is negative, extended resources are whole."""
    if isinstance(node.status, UnsetType):
        return
    for field, resources in (("capacity", node.status.capacity), ("allocatable", node.status.allocatable)):
        check_resources(manifest, f"status.{field}", given(resources, {}))


def check_count(manifest: Manifest, path: str, count: int | UnsetType) -> None:
    """A count of pods: 0 or more."""
    if given(count, 0) < 0:
        raise InvalidInput(
            "{count} is negative",
            fix="write 0 or a greater integer",
            **manifest.at(path),
            count=given(count, 0),
        )


def check_resources(manifest: Manifest, path: str, resources: Mapping[str, Quantity]) -> None:
    """Quantities by resource name: none negative, extended ones (nvidia.com/gpu) whole."""
    for name, quantity in resources.items():
        if quantity.nanos < 0:
            raise InvalidInput(
                "the quantity {quantity} of {resource} is negative",
                fix="write 0 or more",
                **manifest.at(key_path(path, name)),
                quantity=str(quantity),
                resource=name[:80],
            )
        if is_extended_resource(name) and quantity.nanos % NANO:
            raise InvalidInput(
                "{resource} comes in whole numbers, not {quantity}",
                fix="write an integer; a part of a GPU is asked for by annotation or by a ResourceClaim",
                **manifest.at(key_path(path, name)),
                quantity=str(quantity),
                resource=name[:80],
            )


def _check_template(manifest: Manifest, template: PodTemplateSpec) -> None:
    if isinstance(template.spec, UnsetType):
        raise InvalidInput(
            "the field spec is missing",
            fix="add the pod's spec with its containers",
            **manifest.at("spec.template.spec"),
        )
    check_pod_spec(manifest, "spec.template.spec", template.spec)


def check_pod_spec(manifest: Manifest, path: str, spec: PodSpec) -> None:
    """Containers, their names and resources."""
    if not spec.containers:
        raise InvalidInput(
            "the pod has no container", fix="add one", **manifest.at(key_path(path, "containers"))
        )
    names: set[str] = set()
    groups = (("initContainers", given(spec.init_containers, ())), ("containers", spec.containers))
    for field, containers in groups:
        for i, container in enumerate(containers):
            _check_container(manifest, f"{path}.{field}[{i}]", container, names)
    affinity = given(spec.affinity, Affinity())
    _check_neighbors(manifest, f"{path}.affinity.podAffinity", given(affinity.pod_affinity, PodAffinity()))
    _check_neighbors(
        manifest, f"{path}.affinity.podAntiAffinity", given(affinity.pod_anti_affinity, PodAffinity())
    )


def _check_neighbors(manifest: Manifest, path: str, affinity: PodAffinity) -> None:
    for i, term in enumerate(given(affinity.required_during_scheduling_ignored_during_execution, ())):
        place = f"{path}.requiredDuringSchedulingIgnoredDuringExecution[{i}].labelSelector"
        check_label_selector(manifest, place, given(term.label_selector, LabelSelector()))


def _check_container(manifest: Manifest, path: str, container: Container, names: set[str]) -> None:
    check_name(manifest, f"{path}.name", container.name, label=True)
    if container.name in names:
        raise InvalidInput(
            "two containers of the pod are called {name}",
            fix="rename one of the two",
            **manifest.at(f"{path}.name"),
            name=container.name,
        )
    names.add(container.name)
    if isinstance(container.resources, UnsetType):
        return
    limits, requests = given(container.resources.limits, {}), given(container.resources.requests, {})
    check_resources(manifest, f"{path}.resources.limits", limits)
    check_resources(manifest, f"{path}.resources.requests", requests)
    for name in sorted(limits.keys() & requests.keys()):
        _check_pair(manifest, f"{path}.resources.requests", name, requests[name], limits[name])


def _check_pair(manifest: Manifest, path: str, name: str, request: Quantity, limit: Quantity) -> None:
    if is_extended_resource(name) and request != limit:
        raise InvalidInput(
            "the request {request} differs from the limit {limit}; here they must be equal",
            fix="write {limit}, or leave the request out",
            **manifest.at(key_path(path, name)),
            request=str(request),
            limit=str(limit),
        )
    if request.nanos > limit.nanos:
        raise InvalidInput(
            "the request {request} is above the limit {limit}",
            fix="write {limit} or less",
            **manifest.at(key_path(path, name)),
            request=str(request),
            limit=str(limit),
        )
