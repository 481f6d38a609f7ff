"""Amounts of resources in Kueue's unit: thousandths of a cpu, whole units of everything else, within int64.

Source: Kueue pkg/resources/requests.go (ff69552e), component-helpers resource/helpers.go (KEP-753, KEP-2837).
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from stellwerk.api.groups.core import Pod, PodStatus
from stellwerk.api.groups.meta import ResourceList, given
from stellwerk.api.quantity import INT64_MAX, Quantity
from stellwerk.engine.topology.assignment.fleet.pod import pod_requests

PODS = "pods"
MOST_PODS = 2**31 - 1  # A count of pods is an int32.
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


def foreign_usage(pods: Iterable[Pod]) -> dict[str, dict[str, int]]:
    """Node to what pods take there that topology-aware scheduling did not place, each pod itself as 1 `pods`.

    Source: tas_non_tas_pod_cache.go, pkg/controller/tas/pod_usage_controller.go.
    """
    used: dict[str, dict[str, int]] = {}
    for pod in pods:
        node = given(pod.spec.node_name, "")
        if node and not _ended(pod) and not _placed_here(pod):
            taken = added(amounts_of(pod_requests(pod.spec)), {PODS: 1})
            used[node] = added(used.get(node, {}), taken)
    return used


def _ended(pod: Pod) -> bool:
    return given(given(pod.status, PodStatus()).phase, "") in ("Failed", "Succeeded")


def _placed_here(pod: Pod) -> bool:
    annotations = given(pod.metadata.annotations, {})
    return any(key in annotations for key in _TAS_ANNOTATIONS)
