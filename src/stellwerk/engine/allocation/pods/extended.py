"""Extended resources of a pod (nvidia.com/gpu: 2): from a device plugin, or by DRA through a DeviceClass.

A node that has some of the resource serves it by its device plugin, as an integer; any other node by DRA, if
a class bears the resource's name (extendedResourceName, or deviceclass.resource.kubernetes.io/<class>) and
the gate DRAExtendedResource is on: the scheduler then makes one claim for all of them.
Source: KEP-5004; extendeddynamicresources.go and extendedresourcecache.go (Kubernetes 1.37).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from stellwerk.api.checks.devices.names import is_extended_resource
from stellwerk.api.groups.core import Container, Node, NodeStatus, PodSpec, ResourceRequirements
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    DeviceClaim,
    DeviceClass,
    DeviceRequest,
    ExactDeviceRequest,
    ResourceClaimSpec,
)
from stellwerk.api.quantity import NANO
from stellwerk.engine.decision import Reason

GATE = "DRAExtendedResource"
IMPLICIT = "deviceclass.resource.kubernetes.io/"
Amounts = Mapping[str, int]


class Served(Struct, frozen=True):
    """How a node serves a pod: resources by its device plugin, resources by DRA; `refusal` says why not."""

    plugin: Amounts = {}
    dra: frozenset[str] = frozenset()
    refusal: Reason | None = None


def classes_by_resource(classes: Iterable[DeviceClass]) -> dict[str, str]:
    """The class behind each resource's name: of two with one name the newer one, then the lower name."""
    found: dict[str, str] = {}
    ordered = sorted(classes, key=lambda one: given(one.metadata.name, ""))
    for one in sorted(ordered, key=lambda one: given(one.metadata.creation_timestamp, ""), reverse=True):
        name = given(one.metadata.name, "")
        if resource := given(one.spec.extended_resource_name, ""):
            found.setdefault(resource, name)
        found[IMPLICIT + name] = name
    return found


def asked_by(spec: PodSpec) -> dict[str, int]:
    """Extended resources that the pod holds at most at one time, sidecars with the rest (KEP-753)."""
    sidecars, most = Counter[str](), Counter[str]()
    for container in given(spec.init_containers, ()):
        asked = Counter(extended_of(container))
        most |= sidecars + asked
        if given(container.restart_policy, "") == "Always":
            sidecars += asked
    for container in spec.containers:
        sidecars += Counter(extended_of(container))
    return {name: count for name, count in sorted((most | sidecars).items()) if count}


def served_by(node: Node, asked: Amounts, used: Amounts, by_class: Mapping[str, str]) -> Served:
    """How the node serves the resources. `used`: by pods on it; `by_class`: empty with the gate off."""
    plugin, dra = dict[str, int](), set[str]()
    allocatable = given(given(node.status, NodeStatus()).allocatable, {})
    for name, wanted in asked.items():
        total = allocatable[name].nanos // NANO if name in allocatable else 0
        if name in by_class and not total:
            dra.add(name)
            continue
        left = total - used.get(name, 0)
        if left < wanted:
            text = "{wanted} {resource} are asked, {left} of {total} are left on the node"
            values: dict[str, str | int] = {"wanted": wanted, "resource": name, "left": left, "total": total}
            return Served(refusal=Reason("extended-resource", text, values))
        plugin[name] = wanted
    return Served(plugin, frozenset(dra))


def extended_claim(spec: PodSpec, resources: Iterable[str], by_class: Mapping[str, str]) -> ResourceClaimSpec:
    """The claim for what a node serves by DRA: a request for each container and resource, by name.

    An init container uses the devices of sidecars and containers from its place on; of what init containers
    need beyond that, the largest is asked once, since they run one after another.
    """
    containers = (*given(spec.init_containers, ()), *spec.containers)
    started = len(given(spec.init_containers, ()))
    requests = [
        request
        for name in sorted(resources)
        for request in _requests(containers, started, (name, by_class[name]))
    ]
    return ResourceClaimSpec(devices=DeviceClaim(requests=tuple(sorted(requests, key=lambda one: one.name))))


def _requests(
    containers: Sequence[Container], started: int, resource: tuple[str, str]
) -> list[DeviceRequest]:
    name, class_name = resource
    counts = [extended_of(container).get(name, 0) for container in containers]
    brief = [
        i
        for i, container in enumerate(containers)
        if i < started and given(container.restart_policy, "") != "Always"
    ]
    lasting = [0 if i in brief else count for i, count in enumerate(counts)]
    found = [(i, count) for i, count in enumerate(lasting) if count]
    beyond = [(counts[i] - sum(lasting[i:]), -i) for i in brief if counts[i] > sum(lasting[i:])]
    if beyond:
        count, place = max(beyond)
        found.append((-place, count))
    return [
        DeviceRequest(
            name=f"container-{i}-request-{sorted(_amounts(containers[i])).index(name)}",
            exactly=ExactDeviceRequest(
                device_class_name=class_name, allocation_mode="ExactCount", count=count
            ),
        )
        for i, count in found
    ]


def _amounts(container: Container) -> dict[str, int]:
    """What the container requests by resource, in billionths; a limit without a request is the request."""
    resources = given(container.resources, ResourceRequirements())
    amounts = dict(given(resources.limits, {})) | dict(given(resources.requests, {}))
    return {name: quantity.nanos for name, quantity in amounts.items()}


def extended_of(container: Container) -> dict[str, int]:
    """Extended resources that the container asks for."""
    return {name: nanos // NANO for name, nanos in _amounts(container).items() if is_extended(name)}


def is_extended(name: str) -> bool:
    """Whether a resource is an extended one: of a domain of one's own, or a class by its implicit name."""
    return name.startswith(IMPLICIT) or is_extended_resource(name)
