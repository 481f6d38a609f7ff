"""Extended resources of pods: served by the device plugin, or through a DeviceClass by DRA, or by nobody.

Source: k8s.io/kubernetes pkg/scheduler/framework/plugins/dynamicresources/extendeddynamicresources.go and
pkg/scheduler/util/utils.go; a node that has the resource in its allocatable is served by its device plugin.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, UnsetType

from stellwerk.api.groups.core import Container, PodSpec
from stellwerk.api.groups.meta import given
from stellwerk.api.yaml_events import key_path
from stellwerk.catalog.versions import KARPENTER, KUEUE, OPERATOR, facts
from stellwerk.engine.allocation.pods.extended import IMPLICIT, is_extended
from stellwerk.engine.allocation.support.row import (
    ACCEPTS,
    IGNORES,
    PENDS,
    PLUGIN,
    SCHEDULER,
    Cluster,
    Row,
    Seen,
    Wrong,
    row,
)
from stellwerk.engine.allocation.support.subject import Asked, AskedPod
from stellwerk.engine.decision import Reason

NVIDIA = "nvidia.com/"
GATE = "DRAExtendedResource"
SCHEDULED = "pkg/scheduler/framework/plugins/dynamicresources/extendeddynamicresources.go"


class _Resource(Struct, frozen=True):
    """A resource that a container asks for, where that is written, the class that stands for it or ""."""

    name: str
    path: str
    device_class: str


def extended_rows(pod: AskedPod, asked: Asked, cluster: Cluster) -> Iterator[Row]:
    """For each extended resource of the pod: who serves it in this cluster."""
    classes = _classes(asked)
    for name, path in _asked(pod.path, pod.spec):
        implicit = name.startswith(IMPLICIT)
        device_class = name.removeprefix(IMPLICIT) if implicit else classes.get(name, "")
        if name.startswith((NVIDIA, IMPLICIT)) or device_class:
            resource = _Resource(name, path, device_class)
            yield _scheduled(pod, resource, cluster)
            yield from _queued(pod, resource, cluster)
            yield from _bought(pod, resource, cluster)


def _classes(asked: Asked) -> Mapping[str, str]:
    """DeviceClass by the extended resource that it stands for.

    Of equal ones the first by name: they come from one apply.
    """
    named = sorted(
        (given(each.spec.extended_resource_name, ""), each.name)
        for each in reversed((*asked.classes, *asked.context_classes))
    )
    return {name: device_class for name, device_class in reversed(named) if name}


def _asked(path: str, spec: PodSpec) -> Iterator[tuple[str, str]]:
    groups: Sequence[tuple[str, Sequence[Container]]] = (
        ("initContainers", given(spec.init_containers, ())),
        ("containers", spec.containers),
    )
    for field, containers in groups:
        for i, container in enumerate(containers):
            yield from _of_container(container, f"{path}.{field}[{i}].resources")


def _of_container(container: Container, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(container.resources, UnsetType):
        return
    limits, requests = given(container.resources.limits, {}), given(container.resources.requests, {})
    for name, quantity in {**limits, **requests}.items():
        if quantity.nanos and is_extended(name):
            yield name, key_path(f"{path}.{'limits' if name in limits else 'requests'}", name)


def _scheduled(pod: AskedPod, resource: _Resource, cluster: Cluster) -> Row:
    plugin = cluster.serves(PLUGIN) and resource.name.startswith(NVIDIA)
    values = {"resource": resource.name[:80], "class": resource.device_class[:80]}
    if plugin:
        reason = Reason("by-plugin", "{resource} is served by the device plugin, where a node has it", values)
        wrong = Wrong(path=resource.path, reason=reason, fix=_nodes(resource.name))
        file = facts(cluster.operator)["device-plugin"].file
        versions = f"GPU operator {cluster.operator.version} ({cluster.operator.ref})"
        return row(OPERATOR, ACCEPTS, pod.object, wrong, Seen(versions, cluster.operator.source(file)))
    seen = Seen(cluster.versions(), cluster.source(SCHEDULED))
    if not resource.device_class:
        reason = Reason(
            "no-class",
            "{resource} is served by nobody: there is no device plugin, and no DeviceClass here names it",
            values,
        )
        fix = _map_class(resource.name)
        return row(SCHEDULER, PENDS, pod.object, Wrong(path=resource.path, reason=reason, fix=fix), seen)
    if not (cluster.on(GATE) and cluster.scheduler_on(GATE)):
        reason = Reason(
            "extended-gate-off",
            "{resource} stands for DeviceClass {class}, but the feature gate DRAExtendedResource is off",
            values,
        )
        wrong = Wrong(path=resource.path, reason=reason, fix=cluster.gate_fix(GATE))
        return row(SCHEDULER, PENDS, pod.object, wrong, seen)
    reason = Reason("by-class", "{resource} is served by DRA through DeviceClass {class}", values)
    fix = Reason("see-class", "see: kubectl get deviceclass {class}", values)
    return row(SCHEDULER, ACCEPTS, pod.object, Wrong(path=resource.path, reason=reason, fix=fix), seen)


def _nodes(name: str) -> Reason:
    return Reason(
        "see-allocatable",
        "see which nodes have it: kubectl get nodes -o yaml, status.allocatable of {resource}",
        {"resource": name[:80]},
    )


def _map_class(name: str) -> Reason:
    return Reason(
        "map-class",
        "give a DeviceClass extendedResourceName: {resource} (the GPU operator's classes have none, the "
        "driver's own chart has nvidia.com/gpu), or use a claim",
        {"resource": name[:80]},
    )


def _queued(pod: AskedPod, resource: _Resource, cluster: Cluster) -> Iterator[Row]:
    """How Kueue counts it."""
    kueue = cluster.kueue
    if kueue is None or not resource.device_class or cluster.serves(PLUGIN):
        return
    gate = "KueueDRAIntegrationExtendedResource"
    values = {"resource": resource.name[:80], "class": resource.device_class[:80]}
    on = cluster.component_on(kueue, gate) and cluster.component_on(kueue, "KueueDRAIntegration")
    if on and not resource.name.startswith(IMPLICIT):  # Kueue looks classes up by extendedResourceName.
        reason = Reason(
            "counted-by-class",
            "Kueue counts {resource} by the deviceClassMappings of DeviceClass {class}, else by its own name",
            values,
        )
    else:
        reason = Reason("counted-by-name", "Kueue counts {resource} by its own name", values)
    seen = Seen(f"Kueue {kueue.version} ({kueue.ref})", kueue.source("pkg/dra/extended_resources.go"))
    yield row(KUEUE, ACCEPTS, pod.object, Wrong(path=resource.path, reason=reason), seen)


def _bought(pod: AskedPod, resource: _Resource, cluster: Cluster) -> Iterator[Row]:
    """Whether Karpenter buys a node for it: the capacity of instance types has nvidia.com/gpu only."""
    karpenter = cluster.karpenter
    if karpenter is None:
        return
    values = {"resource": resource.name[:80]}
    seen = Seen(
        f"Karpenter {karpenter.version} ({karpenter.ref})",
        karpenter.source("pkg/controllers/provisioning/scheduling"),
    )
    if resource.name == f"{NVIDIA}gpu":
        reason = Reason("bought", "Karpenter buys a node by the {resource} of its instance types", values)
        yield row(KARPENTER, ACCEPTS, pod.object, Wrong(path=resource.path, reason=reason), seen)
        return
    reason = Reason("not-bought", "no instance type has {resource}: Karpenter buys no node for it", values)
    fix = Reason("overlay", "state it by a NodeOverlay's spec.capacity, if nodes will have it")
    yield row(KARPENTER, IGNORES, pod.object, Wrong(path=resource.path, reason=reason, fix=fix), seen)
