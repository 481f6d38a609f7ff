"""Extended resources (nvidia.com/gpu: 2) that a DeviceClass stands behind, as the resource of its mapping.

Source: kueue pkg/dra/extended_resources.go (ResolveExtendedResourceQuota), pkg/util/resource.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct, UnsetType

from stellwerk.api.groups.core import Container, PodSpec, ResourceRequirements
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.api.quantity import NANO, Quantity
from stellwerk.engine.queueing.amounts import UNLIMITED
from stellwerk.engine.queueing.requests.devices.claims import Added, Rules
from stellwerk.engine.queueing.requests.devices.cluster import Devices
from stellwerk.engine.queueing.requests.devices.problem import Problem, Problems, invalid
from stellwerk.engine.queueing.requests.total import pod_set_name
from stellwerk.engine.topology.assignment.fleet.pod import summed

Requests = Mapping[str, Quantity]


class Replaced(Struct, frozen=True):
    """By PodSet: quota to add, and the extended resources that it stands for."""

    added: Added
    resources: Mapping[str, frozenset[str]]


class _Asked(Struct, frozen=True):
    """What one container asks for of extended resources."""

    path: str
    requests: Requests


def is_backed(workload: Workload, devices: Devices) -> bool:
    """Whether a container requests a resource that a class stands behind; limits alone do not count."""
    return bool(devices.extended) and any(
        name in devices.extended and _is_extended(name) and quantity.nanos
        for pod_set in given(workload.spec.pod_sets, ())
        if not isinstance(pod_set.template.spec, UnsetType)
        for container in _containers(pod_set.template.spec)
        for name, quantity in _requests(container).items()
    )


def replaced(workload: Workload, devices: Devices, rules: Rules) -> Replaced | Problems:
    """What one pod's extended resources count as, for all PodSets; or all that is wrong."""
    added: Added = {}
    resources: dict[str, frozenset[str]] = {}
    problems: list[Problem] = []
    for i, pod_set in enumerate(given(workload.spec.pod_sets, ())):
        if isinstance(pod_set.template.spec, UnsetType):
            continue
        found = _of_pod(pod_set.template.spec, f"spec.podSets[{i}].template.spec", devices, rules)
        problems += [each for one in found.values() if isinstance(one, Problems) for each in one.found]
        counts = {name: one for name, one in found.items() if not isinstance(one, Problems)}
        if counts:
            name = pod_set_name(pod_set)
            resources[name] = frozenset(counts)
            for each in counts.values():
                added[name] = summed(added.get(name, {}), each)
    return Problems(tuple(problems)) if problems else Replaced(added, resources)


def _of_pod(
    spec: PodSpec, path: str, devices: Devices, rules: Rules
) -> dict[str, dict[str, Quantity] | Problems]:
    """By extended resource: what it counts as, or what is wrong."""
    starting = list(_asked(given(spec.init_containers, ()), f"{path}.initContainers"))
    running = list(_asked(spec.containers, f"{path}.containers"))
    total: Requests = {}
    for one in running:
        total = summed(total, one.requests)
    for one in starting:
        total = {
            **total,
            **{name: _more(quantity, total.get(name)) for name, quantity in one.requests.items()},
        }
    asked = [*starting, *running]
    found: dict[str, dict[str, Quantity] | Problems] = {}
    for name in sorted(total):
        if name in devices.extended:
            found[name] = _counts_as((name, total[name]), asked, devices.extended[name], rules)
    return found


def _counts_as(
    whole: tuple[str, Quantity], asked: list[_Asked], device_class: str, rules: Rules
) -> dict[str, Quantity] | Problems:
    name, quantity = whole
    holders = [one for one in asked if name in one.requests]
    wrong = _counted_otherwise(name, device_class, holders[0].path, rules)
    if wrong is not None:
        return Problems((wrong,))
    broken = tuple(
        invalid(
            f"{one.path}.resources.requests.{name}",
            "extended resource quantity must be an integer",
            str(one.requests[name]),
        )
        for one in holders
        if one.requests[name].nanos % NANO
    )
    if broken:
        return Problems(broken)
    if quantity.nanos // NANO > UNLIMITED:
        at = f"{holders[0].path}.resources.requests.{name}"
        overflow = "total extended resource quantity overflows int64"
        return Problems((invalid(at, overflow, str(quantity)),))
    return {rules.classes.resources.get(device_class, name): Quantity(quantity.nanos)}


def _counted_otherwise(name: str, device_class: str, path: str, rules: Rules) -> Problem | None:
    """Counters and capacities need a template: an extended resource does not say how much it takes."""
    resolved = f"extended resource {name} resolves to DeviceClass {device_class} with"
    gates, classes = rules.gates, rules.classes
    if gates.kueue_dra_integration_partitionable_devices and device_class in classes.counters:
        use = "use ResourceClaimTemplates with CEL selectors for counter-based quota"
        return invalid(path, f"{resolved} counters configured; {use}", name)
    if gates.kueue_dra_integration_consumable_capacity and device_class in classes.capacities:
        use = "use ResourceClaimTemplates with capacity.requests for capacity-based quota"
        return invalid(path, f"{resolved} capacity sources configured; {use}", name)
    return None


def _asked(containers: tuple[Container, ...], path: str) -> Iterator[_Asked]:
    for i, container in enumerate(containers):
        requests = {
            name: quantity
            for name, quantity in _requests(container).items()
            if quantity.nanos > 0 and _is_extended(name)
        }
        if requests:
            yield _Asked(f"{path}[{i}]", requests)


def _containers(spec: PodSpec) -> tuple[Container, ...]:
    return (*given(spec.init_containers, ()), *spec.containers)


def _requests(container: Container) -> Requests:
    return given(given(container.resources, ResourceRequirements()).requests, {})


def _more(one: Quantity, other: Quantity | None) -> Quantity:
    return one if other is None or one.nanos > other.nanos else other


def _is_extended(name: str) -> bool:
    """Kueue's rule, which is wider than Kubernetes'."""
    return "/" in name and not name.startswith(("kubernetes.io/", "hugepages-"))
