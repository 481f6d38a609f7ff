"""Which nodes can have a pod, devices apart: what each refuses for good, and what is only in use now.

Source: the scheduler's filters NodeName, TaintToleration, NodeAffinity and NodeResourcesFit
(pkg/scheduler/framework/plugins of Kubernetes 1.36): allocatable less the requests of the node's pods, each
of them 1 of `pods`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from stellwerk.api.groups.core import Node, NodeStatus, Pod, PodSpec, PodStatus
from stellwerk.api.groups.meta import ResourceList, given
from stellwerk.api.quantity import Quantity
from stellwerk.engine.allocation.pods.node_fit import node_refuses
from stellwerk.engine.decision import Reason
from stellwerk.engine.topology.assignment.fleet.pod import pod_requests

PODS = "pods"
_ONE = 1_000_000_000  # Of anything, in thousand-millionths.
_ENDED = frozenset({"Succeeded", "Failed"})
_NOTHING: dict[str, Quantity] = {}
Nanos = Mapping[str, int]


class NodesAnswer(Struct, frozen=True, kw_only=True):
    """Of `total` nodes, the names of those with room now (`free`) and those with room once pods end (`busy`).

    `refusals`: why the others never can, with their number, the most frequent first; `lacking`: of busy ones
    what is short.
    """

    total: int
    free: tuple[str, ...]
    busy: tuple[str, ...]
    refusals: tuple[tuple[Reason, int], ...] = ()
    lacking: tuple[tuple[str, int], ...] = ()

    @property
    def possible(self) -> tuple[str, ...]:
        """All nodes that could ever have it."""
        return (*self.free, *self.busy)


def nodes_for(spec: PodSpec, nodes: Sequence[Node], pods: Iterable[Pod]) -> NodesAnswer:
    """The answer for one pod of this spec; `pods` are all that there are."""
    asked, used = _asked(spec), used_on_nodes(pods)
    free: list[str] = []
    busy: list[str] = []
    refusals: Counter[str] = Counter()
    reasons: dict[str, Reason] = {}
    lacking: Counter[str] = Counter()
    for node in nodes:
        name = given(node.metadata.name, "")
        refusal = node_refuses(node, spec) or _not_ready(node) or _too_small(node, asked)
        if refusal is not None:
            reasons.setdefault(str(refusal), refusal)
            refusals[str(refusal)] += 1
            continue
        short = _short(node, asked, used.get(name, {}))
        (busy if short else free).append(name)
        lacking.update(short)
    return NodesAnswer(
        total=len(nodes),
        free=tuple(free),
        busy=tuple(busy),
        refusals=tuple((reasons[text], count) for text, count in _ranked(refusals)),
        lacking=tuple(_ranked(lacking)),
    )


def _ranked(counted: Mapping[str, int]) -> list[tuple[str, int]]:
    """The most frequent first, then by name."""
    return sorted(counted.items(), key=lambda each: (-each[1], each[0]))


def used_on_nodes(pods: Iterable[Pod]) -> dict[str, dict[str, int]]:
    """By node, what its pods that have not ended request, in thousand-millionths."""
    used: dict[str, dict[str, int]] = {}
    for pod in pods:
        node = given(pod.spec.node_name, "")
        if node and given(given(pod.status, PodStatus()).phase, "") not in _ENDED:
            total = used.setdefault(node, {})
            for resource, amount in _asked(pod.spec).items():
                total[resource] = total.get(resource, 0) + amount
    return used


def _asked(spec: PodSpec) -> dict[str, int]:
    return {**{name: each.nanos for name, each in pod_requests(spec).items() if each.nanos}, PODS: _ONE}


def _allocatable(node: Node) -> ResourceList:
    return given(given(node.status, NodeStatus()).allocatable, _NOTHING)


def _not_ready(node: Node) -> Reason | None:
    """A node that is not ready has a taint as well, a moment later."""
    for condition in given(given(node.status, NodeStatus()).conditions, ()):
        if condition.type == "Ready" and condition.status != "True":
            return Reason("node-not-ready", "the node is not ready")
    return None


def _too_small(node: Node, asked: Nanos) -> Reason | None:
    """What the node could not give if nobody else were there."""
    has = _allocatable(node)
    for resource in sorted(asked):
        if resource not in has and resource == PODS:
            continue
        most = has[resource].nanos if resource in has else 0
        if asked[resource] > most:
            values: dict[str, str | int] = {
                "resource": resource,
                "asked": _text(asked[resource], has.get(resource)),
                "most": _text(most, has.get(resource)),
            }
            return Reason(
                "node-too-small", "the node has {most} of {resource}, and the pod asks for {asked}", values
            )
    return None


def _text(nanos: int, like: Quantity | None) -> str:
    return str(Quantity(nanos, like.form) if like is not None else Quantity(nanos))


def _short(node: Node, asked: Nanos, used: Nanos) -> list[str]:
    has = _allocatable(node)
    return [
        resource
        for resource in sorted(asked)
        if resource in has and asked[resource] > has[resource].nanos - used.get(resource, 0)
    ]
