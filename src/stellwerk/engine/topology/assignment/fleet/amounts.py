"""Amounts of resources in Kueue's unit: thousandths of a cpu, whole units of everything else, within int64.

Source: Kueue pkg/resources/requests.go (ff69552e), component-helpers resource/helpers.go (KEP-753, KEP-2837).
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from stellwerk.api.groups.core import Container, Pod, PodSpec, PodStatus, ResourceRequirements
from stellwerk.api.groups.meta import ResourceList, given
from stellwerk.api.quantity import INT64_MAX, Quantity

PODS = "pods"
MOST_PODS = 2**31 - 1  # A count of pods is an int32.
_POD_LEVEL = ("cpu", "memory")
_TAS_ANNOTATIONS = (
    "kueue.x-k8s.io/podset-preferred-topology",
    "kueue.x-k8s.io/podset-required-topology",
    "kueue.x-k8s.io/podset-unconstrained-topology",
    "kueue.x-k8s.io/podset-slice-required-topology",
    "kueue.x-k8s.io/podset-slice-required-topology-constraints",
)

Amounts = Mapping[str, int]


def within_int64(number: int) -> int:
    """The number, or the bound that it passes: amounts saturate."""
    return max(-INT64_MAX - 1, min(INT64_MAX, number))


def amounts_of(listed: ResourceList) -> dict[str, int]:
    """What a resource list says, in Kueue's unit."""
    return {name: _amount(name == "cpu", quantity.nanos) for name, quantity in listed.items()}


@lru_cache(maxsize=8192)
def _amount(in_milli: bool, nanos: int) -> int:
    quantity = Quantity(nanos)
    return quantity.milli_value() if in_milli else quantity.value()


def added(first: Amounts, second: Amounts) -> dict[str, int]:
    """The sum by resource."""
    total = dict(first)
    for name, amount in second.items():
        total[name] = within_int64(total.get(name, 0) + amount)
    return total


def scaled(amounts: Amounts, count: int) -> dict[str, int]:
    """So much for each of `count` pods."""
    return {name: within_int64(amount * count) for name, amount in amounts.items()}


def pod_requests(spec: PodSpec) -> dict[str, int]:
    """What one pod asks for: containers and sidecars, or the largest start; then pod level and overhead."""
    running = _summed(map(_requests, spec.containers))
    sidecars: dict[str, int] = {}
    starting: dict[str, int] = {}
    for container in given(spec.init_containers, ()):
        asked = _requests(container)
        if given(container.restart_policy, "") == "Always":
            running, sidecars = _summed((running, asked)), _summed((sidecars, asked))
            asked = sidecars
        else:
            asked = _summed((sidecars, asked))
        starting = {name: max(starting.get(name, 0), nanos) for name, nanos in asked.items()} | {
            name: nanos for name, nanos in starting.items() if name not in asked
        }
    nanos = running | {name: max(amount, running.get(name, amount)) for name, amount in starting.items()}
    for name, quantity in given(given(spec.resources, ResourceRequirements()).requests, {}).items():
        if name in _POD_LEVEL or name.startswith("hugepages-"):
            nanos[name] = quantity.nanos
    nanos = _summed((nanos, _nanos(given(spec.overhead, {}))))
    return amounts_of({name: Quantity(amount) for name, amount in nanos.items()})


def _requests(container: Container) -> dict[str, int]:
    return _nanos(given(given(container.resources, ResourceRequirements()).requests, {}))


def _nanos(listed: ResourceList) -> dict[str, int]:
    return {name: quantity.nanos for name, quantity in listed.items()}


def _summed(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, nanos in part.items():
            total[name] = total.get(name, 0) + nanos
    return total


def foreign_usage(pods: Iterable[Pod]) -> dict[str, dict[str, int]]:
    """Node to what pods take there that topology-aware scheduling did not place, each pod itself as 1 `pods`.

    Source: tas_non_tas_pod_cache.go, pkg/controller/tas/pod_usage_controller.go.
    """
    used: dict[str, dict[str, int]] = {}
    for pod in pods:
        node = given(pod.spec.node_name, "")
        if node and not _ended(pod) and not _placed_here(pod):
            taken = added(pod_requests(pod.spec), {PODS: 1})
            used[node] = added(used.get(node, {}), taken)
    return used


def _ended(pod: Pod) -> bool:
    return given(given(pod.status, PodStatus()).phase, "") in ("Failed", "Succeeded")


def _placed_here(pod: Pod) -> bool:
    annotations = given(pod.metadata.annotations, {})
    return any(key in annotations for key in _TAS_ANNOTATIONS)
