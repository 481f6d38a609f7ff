"""The first node that can have a pod with its claims, and for every node before it why not."""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from stellwerk.api.groups.core import Node
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import AllocationResult, ResourceClaim
from stellwerk.engine.allocation.change import Case
from stellwerk.engine.allocation.claims.question import Question
from stellwerk.engine.allocation.decision import Aborted, AllocationError
from stellwerk.engine.allocation.fleet import Refusal, allocate_each, allocate_first
from stellwerk.engine.allocation.pods.alternatives import best_of, highest_score, score_of
from stellwerk.engine.allocation.pods.claims import allocation_of, extended_claim_of, key_of
from stellwerk.engine.allocation.pods.cluster import Cluster
from stellwerk.engine.allocation.pods.extended import Served, extended_claim, served_by
from stellwerk.engine.allocation.pods.neighbours import Visitor, has_neighbours
from stellwerk.engine.allocation.pods.waiting import PodCase
from stellwerk.engine.allocation.pools.node_match import node_matches
from stellwerk.engine.decision import Reason

# Devices tried for one pod on all nodes together: so many, and for each node so many more. About 0.5 s.
MOST_STEPS, STEPS_A_NODE = 50_000, 100
PRIORITIZED = "DRAPrioritizedList"
_LARGEST_RUN = 256
_OF_A_NODE = frozenset({"device", "value"})  # The nearest device, a label: each node has another.
Run = tuple[frozenset[str], list[int]]  # Resources that DRA serves, and positions of nodes.


class Budget:
    """Counts the devices that are tried; `stop` says why to give up when they are too many."""

    def __init__(self, most: int) -> None:
        self.left = most

    def stop(self) -> str:
        """Heard at each step."""
        self.left -= 1
        return "" if self.left >= 0 else "too many devices were tried on all nodes together"


class NodesRefused(Struct, frozen=True):
    """Nodes that refuse for the same reasons: the first one ("" for a reason that is no node's), how many."""

    node: str
    nodes: int
    reasons: tuple[Reason, ...]


class Ask(Struct, frozen=True):
    """A pod (None: a claim by itself), its claims that are allocated already, and those that are not."""

    pod: PodCase | None
    held: tuple[ResourceClaim, ...]
    case: Case
    serves_itself: bool = False  # Its extended resources are not asked any more.


class Found(Struct, frozen=True):
    """A node, the claims that were asked there with what they get, and what the device plugin gives."""

    position: int
    claims: tuple[ResourceClaim, ...] = ()
    results: tuple[AllocationResult, ...] = ()
    served: Served = Served()


class Refusals:
    """Collects what nodes say, the same reasons together, in the order of their first node."""

    def __init__(self) -> None:
        self._found: dict[object, NodesRefused] = {}

    def add(self, node: str, nodes: int, reasons: tuple[Reason, ...]) -> None:
        """`nodes` nodes say this; `node` is the first."""
        key = tuple(
            (one.code, tuple(value for name, value in one.values.items() if name not in _OF_A_NODE))
            for one in reasons
        )
        known = self._found.get(key)
        count = nodes + (known.nodes if known else 0)
        self._found[key] = NodesRefused(
            known.node if known else node, count, known.reasons if known else reasons
        )

    @property
    def all(self) -> tuple[NodesRefused, ...]:
        """What was collected."""
        return tuple(self._found.values())


def find_place(cluster: Cluster, ask: Ask, budget: Budget) -> tuple[Found | None, tuple[NodesRefused, ...]]:
    """The first node in the cluster's order, or None, with the refusals before it.

    With firstAvailable: the first of those that give the best alternatives. An error that would make the
    scheduler give up the pod ends the search.
    """
    refusals = Refusals()
    usage = cluster.usage(ask.case.gates, ask.case.freed)
    questions: dict[frozenset[str], Question] = {}
    best: tuple[int, Found] | None = None
    refused: Sequence[Refusal]
    if not cluster.nodes:
        refusals.add("", 0, (Reason("no-node", "there is no node", {}),))
    for dra, positions in _runs(_eligible(cluster, ask, refusals)):
        claims = _claims_there(cluster, ask, dra)
        if not claims:
            return Found(positions[0], served=_served(cluster, ask, positions[0])), refusals.all
        if dra not in questions:
            questions[dra] = cluster.snapshot(ask.case.gates).ask(claims)
        fleet = cluster.fleet(ask.case.gates, positions)
        if scored := _scored(cluster, ask.case, claims):
            each = allocate_each(fleet, questions[dra], usage, budget.stop)
            found, refused = best_of(each, claims, scored)
        else:
            found, refused = allocate_first(fleet, questions[dra], usage, budget.stop)
        if _collect(refusals, refused):
            return None, refusals.all
        if found is None:
            continue
        score = score_of(claims, found.results) if scored else 0
        if best is None or score > best[0]:
            position = cluster.position[found.node]
            best = (score, Found(position, claims, found.results, _served(cluster, ask, position)))
        if score >= scored:
            break
    return (best[1] if best is not None else None), refusals.all


def _scored(cluster: Cluster, case: Case, claims: Sequence[ResourceClaim]) -> int:
    """The most that alternatives can score; 0 where the scheduler does not score them."""
    scores = cluster.rules.scores_alternatives and PRIORITIZED in case.gates
    return highest_score(claims) if scores else 0


def _collect(refusals: Refusals, refused: Sequence[Refusal]) -> bool:
    """Whether one of them ends the pod's turn."""
    for one in refused:
        decision = one.decision
        if isinstance(decision, Aborted):
            reason = Reason("error", "the scheduler would report: {text}", {"text": decision.text})
            refusals.add(decision.node, one.nodes, (reason,))
        else:
            refusals.add(decision.node, one.nodes, decision.reasons)
    return any(isinstance(one.decision, Aborted) and not one.decision.only_this_node for one in refused)


def _claims_there(cluster: Cluster, ask: Ask, dra: frozenset[str]) -> tuple[ResourceClaim, ...]:
    if not dra or ask.pod is None or ask.case.spec is None:
        return ask.case.claims
    spec = extended_claim(ask.case.spec, dra, cluster.by_resource(ask.case.gates, ask.case.mapped))
    return (*ask.case.claims, extended_claim_of(ask.pod, spec))


def _served(cluster: Cluster, ask: Ask, position: int) -> Served:
    asked = cluster.asked_by(ask.case.spec) if ask.case.spec is not None else {}
    if not asked:
        return Served()
    classes = cluster.by_resource(ask.case.gates, ask.case.mapped)
    served = served_by(cluster.nodes[position], asked, cluster.plugin_used[position], classes)
    return Served(served.plugin, frozenset(), served.refusal) if ask.serves_itself else served


def _eligible(cluster: Cluster, ask: Ask, refusals: Refusals) -> Iterator[tuple[int, frozenset[str]]]:
    """Nodes that nothing but devices can keep away, each with the resources that DRA serves there."""
    visitor = _visitor(cluster, ask.pod)
    for position, node in enumerate(cluster.nodes):
        served = Served()
        reason = _elsewhere(node, ask.held)
        if reason is None and ask.pod is not None:
            reason = _pod_refused(cluster, ask.pod, visitor, position)
        if reason is None and ask.pod is not None:
            served = _served(cluster, ask, position)
            reason = served.refusal
        if reason is None:
            yield position, served.dra
        else:
            refusals.add(given(node.metadata.name, ""), 1, (reason,))


def _visitor(cluster: Cluster, pod: PodCase | None) -> Visitor | None:
    """The pod among its neighbors; None where no affinity speaks."""
    if pod is None or not (cluster.keeps_away or has_neighbours(pod.spec)):
        return None
    return Visitor((pod.key[0], pod.labels, pod.spec), cluster.placed)


def _pod_refused(cluster: Cluster, pod: PodCase, visitor: Visitor | None, position: int) -> Reason | None:
    reason = cluster.fits(pod.spec)[position]
    if reason is not None or visitor is None:
        return reason
    return visitor.refused_by(cluster.nodes[position])


def _elsewhere(node: Node, held: Sequence[ResourceClaim]) -> Reason | None:
    for claim in held:
        result = allocation_of(claim)
        selector = given(result.node_selector, None) if result is not None else None
        try:
            if selector is None or node_matches(node, None, False, selector):
                continue
        except AllocationError:
            pass  # What cannot be read matches nothing.
        text = "the claim {claim} is allocated already, for other nodes"
        return Reason("claim-elsewhere", text, {"claim": "/".join(key_of(claim))})
    return None


def _runs(eligible: Iterator[tuple[int, frozenset[str]]]) -> Iterator[Run]:
    """Neighbours that are asked together: few at first, since the first node often will do."""
    size = 1
    run: list[int] = []
    current: frozenset[str] = frozenset()
    for position, dra in eligible:
        if run and (dra != current or len(run) >= size):
            yield current, run
            run, size = [], min(size * 4, _LARGEST_RUN)
        current = dra
        run.append(position)
    if run:
        yield current, run


Works = Callable[[Case], str | None]


def works_in(cluster: Cluster, ask: Ask, budget: Budget) -> Works:
    """Tries changed cases in the cluster as long as the budget lasts, each with a tenth of it at most."""
    most = budget.left // 10

    def works(case: Case) -> str | None:
        share = min(most, budget.left)
        one = Budget(share)
        found, _ = find_place(cluster, Ask(ask.pod, ask.held, case, ask.serves_itself), one)
        budget.left -= share - max(0, one.left)
        if found is None:
            return None if one.left < 0 else ""
        return given(cluster.nodes[found.position].metadata.name, "")

    return works
