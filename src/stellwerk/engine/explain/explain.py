"""`explain`: one dominant reason over all layers, from what each of them says of one job.

A layer that says "never" is before one that says "not now": waiting does not help there. Among equals the
first one counts, in the order in which a pod meets them: queue, creation, gate, topology, nodes, devices. The
purchase of a node is told beside them: what it changes is in the nodes' answer.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from stellwerk.api.groups.core import Pod, PodStatus
from stellwerk.api.groups.meta import given
from stellwerk.engine.decision import Reason
from stellwerk.engine.explain.creation import Unmade, creation_refusal
from stellwerk.engine.explain.devices import DevicesAnswer
from stellwerk.engine.explain.nodes import NodesAnswer
from stellwerk.engine.explain.purchase import PurchaseAnswer, under_way
from stellwerk.engine.provisioning.provision import BUYS, LIMIT, MAY
from stellwerk.engine.queueing.course.verdict import ADMITTED, INACTIVE, RESERVED, Verdict
from stellwerk.engine.queueing.cycle.decision import MISCONFIGURED, SUSPENDED
from stellwerk.engine.queueing.flavors.assignment import (
    EXCEEDS_MAX_QUOTA,
    NO_MATCHING_FLAVOR,
    TOPOLOGY_PLACEMENT_FAILED,
)

LAYERS = ("queue", "creation", "gate", "topology", "node", "device", "purchase")
QUEUE, CREATION, GATE, TOPOLOGY, NODE, DEVICE, PURCHASE = LAYERS
OK, WAITS, NEVER = "ok", "waits", "never"
_FOR_EVER = frozenset({MISCONFIGURED, SUSPENDED, EXCEEDS_MAX_QUOTA, NO_MATCHING_FLAVOR})


KUEUE_GATES = ("kueue.x-k8s.io/admission", "kueue.x-k8s.io/topology")


class Also(Struct, frozen=True):
    """One more reason; of how many nodes (0: of none in particular), or of which NodePool."""

    reason: Reason
    nodes: int = 0
    pool: str = ""


class LayerAnswer(Struct, frozen=True, kw_only=True):
    """`verdict` is ok, waits or never. `also`: more reasons; `words`: the layer's component's own."""

    layer: str
    verdict: str
    reason: Reason
    also: tuple[Also, ...] = ()
    words: str = ""


class Explanation(Struct, frozen=True, kw_only=True):
    """A job or pod: `pods` are (name, phase, node) of those that there are; each layer's answer in order."""

    kind: str
    key: str
    pods: tuple[tuple[str, str, str], ...]
    layers: tuple[LayerAnswer, ...]

    @property
    def dominant(self) -> LayerAnswer | None:
        """The layer that counts; None: nothing keeps it from running."""
        for verdict in (NEVER, WAITS):
            for each in self.layers:
                if each.verdict == verdict and each.layer != PURCHASE:
                    return each
        return None


class Told(Struct, frozen=True, kw_only=True):
    """What was decided of a job before it is explained; None: the layer was not asked.

    `gates`: schedulingGates of the pod that waits, `queued`: a Workload stands for it; `idle`: it wants no
    pods.
    """

    kind: str
    key: str
    pods: tuple[Pod, ...] = ()
    verdict: Verdict | None = None
    suspended: bool = False
    idle: bool = False
    unmade: Unmade | None = None
    gates: tuple[str, ...] = ()
    queued: bool = False
    nodes: NodesAnswer | None = None
    devices: DevicesAnswer | None = None
    purchase: PurchaseAnswer | None = None


def explain(told: Told) -> Explanation:
    """The layers' answers in one order."""
    layers = [
        *_queue(told),
        *_creation(told),
        *_gate(told),
        *_nodes(told),
        *_devices(told),
        *_purchase(told),
    ]
    return Explanation(
        kind=told.kind,
        key=told.key,
        pods=tuple(_standing(pod) for pod in told.pods),
        layers=tuple(sorted(layers, key=lambda each: LAYERS.index(each.layer))),
    )


def _standing(pod: Pod) -> tuple[str, str, str]:
    phase = given(given(pod.status, PodStatus()).phase, "Pending")
    return given(pod.metadata.name, ""), phase, given(pod.spec.node_name, "")


def _queue(told: Told) -> Iterator[LayerAnswer]:
    one = told.verdict
    if one is None:
        if told.suspended:
            reason = Reason("suspended", "it is suspended (spec.suspend: true), and no queue will start it")
            yield LayerAnswer(layer=QUEUE, verdict=NEVER, reason=reason)
        return
    if one.state == ADMITTED or one.reason is None:
        values: Mapping[str, str | int] = {"name": one.cluster_queue}
        admitted = Reason("admitted", "it is admitted by ClusterQueue {name}", values)
        yield LayerAnswer(layer=QUEUE, verdict=OK, reason=admitted)
        return
    layer = TOPOLOGY if _is_topology(one) else QUEUE
    for_ever = one.state == INACTIVE or one.reason.code in _FOR_EVER
    yield LayerAnswer(layer=layer, verdict=NEVER if for_ever else WAITS, reason=one.reason, words=one.message)


def _is_topology(one: Verdict) -> bool:
    assert one.reason is not None, "an admitted one was told apart"
    return one.reason.code == TOPOLOGY_PLACEMENT_FAILED or (
        one.state == RESERVED and one.reason.code == "PendingTopology"
    )


def _creation(told: Told) -> Iterator[LayerAnswer]:
    if told.idle:
        yield LayerAnswer(
            layer=CREATION,
            verdict=NEVER,
            reason=Reason("no-pods-wanted", "it wants no pods: spec.replicas is 0"),
        )
    elif told.unmade is not None:
        may_help, reason = creation_refusal(told.unmade)
        verdict = WAITS if may_help else NEVER
        yield LayerAnswer(layer=CREATION, verdict=verdict, reason=reason, words=told.unmade.words)


def _gate(told: Told) -> Iterator[LayerAnswer]:
    """The scheduler looks at a pod only when nobody holds a gate of it any more."""
    if not told.gates:
        return
    values: Mapping[str, str | int] = {"gates": ", ".join(told.gates)}
    of_kueue = [each for each in told.gates if each in KUEUE_GATES]
    if of_kueue and not told.queued:
        alone = Reason(
            "gate-without-workload",
            "Kueue's gate {gates} holds it, and no Workload stands for it: Kueue does not take it away",
            values,
        )
        yield LayerAnswer(layer=GATE, verdict=NEVER, reason=alone)
    elif len(of_kueue) == len(told.gates):
        gated = Reason(
            "gate-of-kueue", "Kueue's gate {gates} holds it until its Workload is admitted", values
        )
        yield LayerAnswer(layer=GATE, verdict=WAITS, reason=gated)
    else:
        gated = Reason(
            "gated", "its schedulingGates hold it until their owners take them away: {gates}", values
        )
        yield LayerAnswer(layer=GATE, verdict=WAITS, reason=gated)


def _nodes(told: Told) -> Iterator[LayerAnswer]:
    answer = told.nodes
    if answer is None:
        return
    words = scheduler_words(told.pods)
    total, possible = answer.total, len(answer.possible)
    refusals = tuple(Also(each, count) for each, count in answer.refusals)
    if not possible:
        verdict, missing = _missing(total, told.purchase)
        yield LayerAnswer(layer=NODE, verdict=verdict, reason=missing, also=refusals, words=words)
    elif not answer.free and told.purchase is not None and (bought := under_way(told.purchase)):
        yield LayerAnswer(layer=NODE, verdict=WAITS, reason=bought, also=refusals, words=words)
    elif not answer.free:
        short = ", ".join(name for name, _ in answer.lacking[:3])
        busy = Reason(
            "nodes-busy",
            "{count} of {total} nodes could have it, and lack now: {short}",
            {"count": possible, "total": total, "short": short},
        )
        yield LayerAnswer(layer=NODE, verdict=WAITS, reason=busy, also=refusals, words=words)
    else:
        fine = Reason(
            "node-free",
            "{count} of {total} nodes have room for a pod of it",
            {"count": len(answer.free), "total": total},
        )
        yield LayerAnswer(layer=NODE, verdict=OK, reason=fine)


def _missing(total: int, purchase: PurchaseAnswer | None) -> tuple[str, Reason]:
    """No node can ever have it: that counts for ever only if none is bought."""
    values: Mapping[str, str | int] = {"total": total}
    if purchase is None:
        return NEVER, Reason("node-missing", "none of the {total} nodes can ever have a pod of it", values)
    if bought := under_way(purchase):
        return WAITS, bought
    if purchase.buyer is None or purchase.verdict not in (BUYS, MAY, LIMIT):
        return NEVER, Reason(
            "node-missing",
            "none of the {total} nodes can ever have a pod of it, and no NodePool buys one",
            {"total": total},
        )
    return WAITS, _bought(purchase.verdict, {"total": total, "pool": purchase.buyer.pool})


def _bought(verdict: str, values: Mapping[str, str | int]) -> Reason:
    """That a node is missing, and what the NodePool that buys, may buy or is at its limit does."""
    if verdict == BUYS:
        return Reason(
            "node-bought",
            "none of the {total} nodes can ever have a pod of it, and NodePool {pool} buys one that can",
            values,
        )
    if verdict == MAY:
        return Reason(
            "node-may-be-bought",
            "none of the {total} nodes can ever have a pod of it, and NodePool {pool} may buy one that can",
            values,
        )
    return Reason(
        "node-at-limit",
        "none of the {total} nodes can ever have a pod of it, and NodePool {pool} is at its limit",
        values,
    )


def _purchase(told: Told) -> Iterator[LayerAnswer]:
    """What each NodePool does, in Karpenter's order, and Karpenter's own words."""
    answer = told.purchase
    if answer is None:
        return
    also = [Also(each.reason, pool=each.pool) for each in answer.pools]
    if answer.unasked:
        fields = Reason("unasked", "not asked here: {fields}", {"fields": ", ".join(answer.unasked)})
        also.append(Also(fields))
    bought = under_way(answer)
    pool = "" if answer.buyer is None else answer.buyer.pool
    reasons = {
        BUYS: Reason("buys", "NodePool {pool} buys a node for it", {"pool": pool}),
        MAY: Reason("may-buy", "NodePool {pool} may buy a node for it", {"pool": pool}),
        LIMIT: Reason(
            "limit-reached", "NodePool {pool} buys none as long as its limit is reached", {"pool": pool}
        ),
    }
    none = Reason("none-buys", "none of {count} NodePools buys a node for it", {"count": len(answer.pools)})
    verdict = OK if bought or answer.verdict == BUYS else WAITS if answer.verdict in reasons else NEVER
    yield LayerAnswer(
        layer=PURCHASE,
        verdict=verdict,
        reason=bought or reasons.get(answer.verdict, none),
        also=tuple(also),
        words="" if answer.said is None else answer.said.message,
    )


def _devices(told: Told) -> Iterator[LayerAnswer]:
    answer = told.devices
    if answer is None:
        return
    if answer.now:
        free = Reason("devices-free", "its claims can be allocated on the node {node}", {"node": answer.node})
        yield LayerAnswer(layer=DEVICE, verdict=OK, reason=free)
        return
    also = tuple(Also(reason, each.nodes) for each in answer.refused for reason in each.reasons)
    words = scheduler_words(told.pods)
    layer = TOPOLOGY if answer.by_constraint else DEVICE
    if answer.ever:
        busy = Reason("devices-in-use", "the devices that its claims ask for are in use")
        yield LayerAnswer(layer=layer, verdict=WAITS, reason=busy, also=also, words=words)
        return
    missing = Reason("devices-missing", "no node has the devices that its claims ask for")
    yield LayerAnswer(layer=layer, verdict=NEVER, reason=missing, also=also, words=words)


def scheduler_words(pods: Sequence[Pod]) -> str:
    """What the scheduler wrote at the first pod that it cannot place ("": nothing)."""
    for pod in pods:
        for condition in given(given(pod.status, PodStatus()).conditions, ()):
            if condition.type == "PodScheduled" and condition.status == "False":
                return given(condition.message, "")
    return ""
