"""`allocate_pods`: pods and claims take their turn in the order of the files, each on the first fit.

All claims of a pod are allocated together or not at all. What one gets, the next does not find any more. The
order of nodes is that of the files; of Kubernetes' scores only that of firstAvailable is looked at.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import ResourceClaim, ResourceClaimSpec
from stellwerk.engine.allocation.change import Case, Change, NoChange, Run, smallest_change
from stellwerk.engine.allocation.claims.question import claim_name
from stellwerk.engine.allocation.pods.choices import choices_of
from stellwerk.engine.allocation.pods.claims import (
    allocated_claim,
    allocation_of,
    claim_of,
    extended_claim_of,
    key_of,
    reserved_claim,
)
from stellwerk.engine.allocation.pods.cluster import Cluster, Rules
from stellwerk.engine.allocation.pods.extended import asked_by, served_by
from stellwerk.engine.allocation.pods.places import (
    MOST_STEPS,
    STEPS_A_NODE,
    Ask,
    Budget,
    Found,
    NodesRefused,
    find_place,
    works_in,
)
from stellwerk.engine.allocation.pods.waiting import Key, PodCase
from stellwerk.engine.allocation.pods.world import World
from stellwerk.engine.decision import Reason

CHANGE_STEPS = 20_000  # Devices tried for all changes of one pod together.
_MOST_REMEMBERED = 16  # Refusals, until something is allocated.
MOST_CHANGES = 50  # Pods and claims for which a change is looked for.


class Answer(Struct, frozen=True, kw_only=True):
    """What became of a pod, or of a claim without one.

    `claims`: those that it has or, refused, would have; `before`: it had them before its turn. `plugin`: what
    the node's device plugin serves. `node` is "" if it is refused, or for a claim that is not bound to one.
    """

    kind: str
    key: Key
    claims: tuple[ResourceClaim, ...]
    allocated: bool
    node: str = ""
    before: bool = False
    plugin: Mapping[str, int] = {}
    refused: tuple[NodesRefused, ...] = ()
    change: Change | NoChange | None = None


Refused = tuple[Ask, Answer]


class Outcome(Struct, frozen=True):
    """An answer per pod that asks for something and per claim without a pod; all claims as they are then.

    `notes`: what asks for devices and was not looked at.
    """

    answers: tuple[Answer, ...]
    claims: tuple[ResourceClaim, ...]
    notes: tuple[Reason, ...] = ()

    @property
    def all_allocated(self) -> bool:
        """Whether nobody was refused."""
        return all(one.allocated for one in self.answers)


def allocate_pods(world: World, rules: Rules) -> Outcome:
    """Everybody's turn. The world is not changed."""
    cluster = Cluster(world, rules)
    for pod in world.waiting:
        if isinstance(pod, PodCase) and (node := given(pod.spec.node_name, "")) in cluster.position:
            position = cluster.position[node]
            classes = cluster.by_resource(rules.gates)
            served = served_by(cluster.nodes[position], asked_by(pod.spec), {}, classes)
            cluster.place(pod, position, served.plugin)
    answers: list[Answer] = []
    refused: list[Refused] = []
    changes = 0
    for item in world.waiting:
        if isinstance(item, PodCase):
            answer, ask = _pod(cluster, item, refused)
        else:
            answer, ask = _claim(cluster, item, refused)
        if answer is None:
            continue
        if answer.allocated:
            refused.clear()
        elif ask is not None:
            changes += 1
            answer = _with_change(cluster, ask, answer) if changes <= MOST_CHANGES else answer
            refused[:] = [*refused[1 - _MOST_REMEMBERED :], (ask, answer)]
        answers.append(answer)
    return Outcome(tuple(answers), tuple(cluster.claims.values()), world.left_out)


def _budget(cluster: Cluster) -> Budget:
    return Budget(MOST_STEPS + STEPS_A_NODE * len(cluster.nodes))


def _claim(cluster: Cluster, key: Key, before: Sequence[Refused]) -> tuple[Answer | None, Ask | None]:
    claim = cluster.claims[key]
    result = allocation_of(claim)
    if result is not None:
        return Answer(
            kind="ResourceClaim", key=key, claims=(claim,), allocated=True, node=_node_of(claim), before=True
        ), None
    ask = Ask(None, (), Case(claims=(claim,), gates=cluster.gates))
    if (same := _same_refusal(before, ask, key)) is not None:
        return same, None
    found, refused = find_place(cluster, ask, _budget(cluster))
    if found is None:
        return _refused("ResourceClaim", key, (claim,), refused), ask
    claims = _allocated(found)
    cluster.hold(claims)
    cluster.runs.append(Run("ResourceClaim", "/".join(key), ("/".join(key),)))
    node = given(cluster.nodes[found.position].metadata.name, "")
    return Answer(kind="ResourceClaim", key=key, claims=claims, allocated=True, node=node), None


def _pod(cluster: Cluster, pod: PodCase, before: Sequence[Refused]) -> tuple[Answer | None, Ask | None]:
    if not pod.asks:
        return None, None
    ask = _asked(cluster, pod)
    if isinstance(ask, Reason):
        return _refused("Pod", pod.key, (), (NodesRefused("", len(cluster.nodes), (ask,)),)), None
    if (same := _same_refusal(before, ask, pod.key)) is not None:
        return same, None
    bound = given(pod.spec.node_name, "") in cluster.position
    found, refused = find_place(cluster, ask, _budget(cluster))
    if found is None:
        return _refused("Pod", pod.key, (*ask.held, *ask.case.claims), refused), ask
    if not bound:
        cluster.place(pod, found.position, found.served.plugin)
    return _answer(cluster, pod, ask, found), None


def _same_refusal(before: Sequence[Refused], ask: Ask, key: Key) -> Answer | None:
    """The answer to an equal question that was refused since anything was allocated, with the new names."""
    for known, answer in before:
        if _is_equal(known, ask):
            names = zip(_names(known), _names(ask), strict=True)
            return _renamed(answer, dict(names), ask, key)
    return None


def _is_equal(one: Ask, other: Ask) -> bool:
    """Whether they ask the same of the same nodes, whatever they are called."""
    if (one.pod is None) != (other.pod is None):
        return False
    if one.pod is not None and other.pod is not None:
        pods = [(pod.key[0], pod.labels, pod.spec) for pod in (one.pod, other.pod)]
        if pods[0] != pods[1]:
            return False
    specs = [tuple(claim.spec for claim in ask.case.claims) for ask in (one, other)]
    return (specs[0], one.held, one.serves_itself) == (specs[1], other.held, other.serves_itself)


def _names(ask: Ask) -> list[str]:
    """The names of the claims that it asks for, that for extended resources the last."""
    extended = () if ask.pod is None else (extended_claim_of(ask.pod, ResourceClaimSpec()),)
    return [claim_name(one) for one in (*ask.case.claims, *extended)]


def _renamed(answer: Answer, names: Mapping[str, str], ask: Ask, key: Key) -> Answer | None:
    """None where a name stands in the middle of a text, so that it would have to be asked again."""
    change = answer.change
    reasons = [reason for group in answer.refused for reason in group.reasons]
    reasons += [change.reason] if isinstance(change, Change) else []
    for reason in reasons:
        others = [str(value) for field, value in reason.values.items() if field != "claim"]
        if any(name in text for name in names for text in others):
            return None

    def named(reason: Reason) -> Reason:
        claim = str(reason.values.get("claim", ""))
        values = {**reason.values, "claim": names[claim]} if claim in names else reason.values
        return structs.replace(reason, values=values)

    if isinstance(change, Change):
        change = structs.replace(change, reason=named(change.reason))
    refused = tuple(
        structs.replace(group, reasons=tuple(named(one) for one in group.reasons)) for group in answer.refused
    )
    claims = (*ask.held, *ask.case.claims)
    return structs.replace(answer, key=key, claims=claims, refused=refused, change=change)


def _asked(cluster: Cluster, pod: PodCase) -> Ask | Reason:
    """What the pod has and still asks, or why it cannot ask."""
    if given(pod.spec.scheduling_gates, ()):
        gate = given(pod.spec.scheduling_gates, ())[0].name
        return Reason("scheduling-gate", "the pod waits for its scheduling gate {gate}", {"gate": gate})
    known = (cluster.claims, cluster.made, cluster.world.templates)
    claims: list[ResourceClaim] = []
    for entry in given(pod.spec.resource_claims, ()):
        claim = claim_of(pod, entry, known)
        if isinstance(claim, Reason):
            return claim
        if claim not in claims:
            claims.append(claim)
    extended = cluster.claims.get(cluster.made.get((*pod.key, ""), ("", "")))
    if extended is not None and allocation_of(extended) is not None:
        claims.append(extended)
    else:
        extended = None
    bound = given(pod.spec.node_name, "") in cluster.position
    case = Case(
        claims=tuple(one for one in claims if allocation_of(one) is None),
        gates=cluster.gates,
        spec=None if bound else pod.spec,
    )
    held = tuple(one for one in claims if allocation_of(one) is not None)
    return Ask(pod, held, case, extended is not None)


def _answer(cluster: Cluster, pod: PodCase, ask: Ask, found: Found) -> Answer:
    """What the pod gets is written into the cluster."""
    new = tuple(reserved_claim(one, pod) for one in _allocated(found))
    cluster.hold(new)
    if new:
        cluster.runs.append(Run("Pod", "/".join(pod.key), tuple("/".join(key_of(one)) for one in new)))
    held = tuple(reserved_claim(one, pod) for one in ask.held)
    cluster.claims.update({key_of(one): one for one in held})
    return Answer(
        kind="Pod",
        key=pod.key,
        claims=(*held, *new),
        allocated=True,
        node=given(cluster.nodes[found.position].metadata.name, ""),
        before=not new and bool(held),
        plugin=found.served.plugin,
    )


def _allocated(found: Found) -> tuple[ResourceClaim, ...]:
    pairs = zip(found.claims, found.results, strict=True)
    return tuple(allocated_claim(claim, result) for claim, result in pairs)


def _refused(
    kind: str, key: Key, claims: tuple[ResourceClaim, ...], refused: tuple[NodesRefused, ...]
) -> Answer:
    return Answer(kind=kind, key=key, claims=claims, allocated=False, refused=refused)


def _node_of(claim: ResourceClaim) -> str:
    """The node to which an allocation is bound by its name, "" for others."""
    result = allocation_of(claim)
    selector = given(result.node_selector, None) if result is not None else None
    for term in selector.node_selector_terms if selector is not None else ():
        for one in given(term.match_fields, ()):
            if one.key == "metadata.name" and one.operator == "In":
                return given(one.values, ("",))[0]
    return ""


def _with_change(cluster: Cluster, ask: Ask, answer: Answer) -> Answer:
    codes = {reason.code for refused in answer.refused for reason in refused.reasons}
    budget = Budget(CHANGE_STEPS + len(cluster.nodes) * STEPS_A_NODE)
    change = smallest_change(ask.case, choices_of(cluster, ask, codes), works_in(cluster, ask, budget))
    return structs.replace(answer, change=change)
