"""What one pod asks for, from its template: containers, init containers, sidecars, pod level, overhead.

Source: component-helpers resource/helpers.go (PodRequests), KEP-753 (sidecars), KEP-2837 (pod level).
"""

from collections.abc import Mapping

from stellwerk.api.groups.core import Container, PodSpec, ResourceRequirements
from stellwerk.api.groups.meta import ResourceList, given
from stellwerk.api.quantity import Quantity

_AT_POD_LEVEL = frozenset({"cpu", "memory"})
_NOTHING: dict[str, Quantity] = {}


def pod_requests(spec: PodSpec) -> dict[str, Quantity]:
    """The requests of a pod, by resource."""
    total = _containers(spec)
    at_pod_level = given(given(spec.resources, ResourceRequirements()).requests, _NOTHING)
    for resource, quantity in at_pod_level.items():
        if resource in _AT_POD_LEVEL or resource.startswith("hugepages-"):
            total[resource] = quantity
    return summed(total, given(spec.overhead, _NOTHING))


def summed(one: ResourceList, other: ResourceList) -> dict[str, Quantity]:
    """The sum by resource; the written form is the first one's."""
    total = dict(one)
    for resource, quantity in other.items():
        have = total.get(resource)
        total[resource] = quantity if have is None else Quantity(have.nanos + quantity.nanos, have.form)
    return total


def _containers(spec: PodSpec) -> dict[str, Quantity]:
    """Init containers run one after the other, sidecars beside all that come later, containers together."""
    together: dict[str, Quantity] = {}
    for container in spec.containers:
        together = summed(together, _requests(container))
    sidecars: dict[str, Quantity] = {}
    starting: dict[str, Quantity] = {}
    for container in given(spec.init_containers, ()):
        requests = _requests(container)
        if given(container.restart_policy, "") == "Always":
            together, sidecars = summed(together, requests), summed(sidecars, requests)
            now: Mapping[str, Quantity] = sidecars
        else:
            now = summed(requests, sidecars)
        starting = _largest(starting, now)
    return _largest(together, starting)


def _requests(container: Container) -> ResourceList:
    return given(given(container.resources, ResourceRequirements()).requests, _NOTHING)


def _largest(one: ResourceList, other: ResourceList) -> dict[str, Quantity]:
    most = dict(one)
    for resource, quantity in other.items():
        if resource not in most or quantity.nanos > most[resource].nanos:
            most[resource] = quantity
    return most
