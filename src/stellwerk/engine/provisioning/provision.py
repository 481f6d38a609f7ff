"""`provision`: what each NodePool does for one pod that no node has room for, in Karpenter's order.

Source: Karpenter v1.14.1 pkg/controllers/provisioning (provisioner.go, scheduling/scheduler.go, nodeclaim.go,
nodeclaimtemplate.go, preferences.go) and pkg/controllers/state/statenode.go. Left out: what DaemonSets take
of a new node, volumes, pod affinity and topology spread (`unasked` names them), NodeOverlays, minValues.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from stellwerk.api.groups.core import Affinity, Node, NodeAffinity, NodeStatus, PodSpec
from stellwerk.api.groups.karpenter import (
    NodeClaim,
    NodeClaimStatus,
    NodeClassReference,
    NodePool,
    NodePoolStatus,
)
from stellwerk.api.groups.meta import ObjectMeta, ResourceList, given
from stellwerk.api.quantity import Quantity
from stellwerk.engine.allocation.pods.node_fit import taint_text, untolerated
from stellwerk.engine.decision import Reason
from stellwerk.engine.provisioning.market import Market, Nanos, Sold, market_of
from stellwerk.engine.provisioning.requirement import (
    POOL_LABEL,
    TYPE_LABEL,
    Requirement,
    Requirements,
    conflict,
    differing,
    requirement,
    together,
)
from stellwerk.engine.topology.assignment.fleet.pod import pod_requests

# BUYS: a node is bought. MAY: nothing that is known is against it. LIMIT: not until others are gone.
BUYS, MAY, LIMIT, NEVER = "buys", "may", "limit", "never"
FLAG = "--ignore-dra-requests"
_NODES, _PODS = "nodes", "pods"
_OF_EVERY_NODE = frozenset({_NODES, _PODS, "cpu", "memory"})
_ONE = 10**9
_NOTHING: dict[str, Quantity] = {}
_MOST_TYPES = 3


class Buyer(Struct, frozen=True, kw_only=True):
    """What Karpenter sees: its NodePools, what there is of them, and how it was started.

    `ignores_claims`: --ignore-dra-requests (None: its Deployment is not seen); `allocates`: its version has
    an allocator for claims; `shared_devices`: some devices are not bound to one node.
    """

    pools: tuple[NodePool, ...]
    nodes: Sequence[Node] = ()
    claims: Sequence[NodeClaim] = ()
    ignores_claims: bool | None = None
    allocates: bool = True
    shared_devices: bool = False


class PoolAnswer(Struct, frozen=True):
    """What a NodePool does for the pod: BUYS, MAY, LIMIT or NEVER, and why."""

    pool: str
    verdict: str
    reason: Reason


class _Asked(Struct, frozen=True, kw_only=True):
    """A pod: its terms are alternatives; `requests` with one of `pods`."""

    spec: PodSpec
    terms: tuple[Requirements, ...]
    requests: Nanos


class _Left(Struct, frozen=True):
    """What a NodePool may still buy of a resource, and how much it may have in all."""

    nanos: int
    limit: Quantity


def provision(spec: PodSpec, buyer: Buyer) -> tuple[PoolAnswer, ...]:
    """Each NodePool's answer, in Karpenter's order: the heaviest first, then the last name first."""
    asked = _asked(spec)
    ordered = sorted(buyer.pools, key=lambda pool: (given(pool.spec.weight, 0), _name(pool)), reverse=True)
    return tuple(_answer(pool, asked, buyer) for pool in ordered)


def unasked(spec: PodSpec) -> tuple[str, ...]:
    """Fields of the pod that Karpenter heeds, and that are not asked here."""
    affinity = given(spec.affinity, Affinity())
    fields = {
        "podAffinity": affinity.pod_affinity,
        "podAntiAffinity": affinity.pod_anti_affinity,
        "topologySpreadConstraints": spec.topology_spread_constraints,
    }
    return tuple(name for name, value in fields.items() if given(value, ()))


def _answer(pool: NodePool, asked: _Asked, buyer: Buyer) -> PoolAnswer:
    for refusal in (_unused(pool), _claims(asked.spec, buyer), _taint(pool, asked.spec)):
        if refusal is not None:
            verdict = MAY if refusal.code in _UNSEEN else NEVER
            return PoolAnswer(_name(pool), verdict, refusal)
    has = _template(pool)
    conflicts = [conflict(has, term) for term in asked.terms]
    if all(conflicts):
        return PoolAnswer(_name(pool), NEVER, next(each for each in conflicts if each))
    wanted = [
        together((*has.values(), *term.values()))
        for term, against in zip(asked.terms, conflicts, strict=True)
        if against is None
    ]
    verdict, reason = _sold(pool, wanted, asked, buyer)
    return PoolAnswer(_name(pool), verdict, reason)


def _unused(pool: NodePool) -> Reason | None:
    """A pool that Karpenter does not ask at all."""
    if given(pool.metadata.deletion_timestamp, ""):
        return Reason("pool-deleted", "it is being deleted")
    if given(pool.spec.replicas, None) is not None:
        return Reason("pool-static", "it is static (spec.replicas): it buys no node for a pod")
    for condition in given(given(pool.status, NodePoolStatus()).conditions, ()):
        if condition.type == "Ready" and condition.status == "True":
            return None
        if condition.type == "Ready":
            words = given(condition.message, "") or given(condition.reason, "")
            return Reason("pool-not-ready", "it is not ready: {words}", {"words": words[:300] or "?"})
    return Reason("pool-not-ready", "it is not ready: {words}", {"words": "Karpenter has not looked at it"})


def _claims(spec: PodSpec, buyer: Buyer) -> Reason | None:
    """What becomes of a pod with claims; the same for every NodePool."""
    if not given(spec.resource_claims, ()):
        return None
    if buyer.ignores_claims:
        return Reason("claims-ignored", "a pod with resourceClaims has no node bought: {flag}=true", _FLAGGED)
    if buyer.ignores_claims is None:
        return Reason(
            "claims-flag-unseen",
            "the pod has resourceClaims, and {flag} of Karpenter is not seen (true unless it was changed)",
            _FLAGGED,
        )
    if not buyer.allocates:
        return None
    if buyer.shared_devices:
        return Reason("claims-unknown", "its claims may have devices that are not bound to one node")
    return Reason("claims-no-device", "no provider announces the devices of a node that it would buy")


_FLAGGED: Mapping[str, str | int] = {"flag": FLAG}
_UNSEEN = frozenset({"claims-flag-unseen", "claims-unknown"})


def _taint(pool: NodePool, spec: PodSpec) -> Reason | None:
    """Of startupTaints Karpenter expects that somebody takes them away."""
    taint = untolerated(given(pool.spec.template.spec.taints, ()), given(spec.tolerations, ()))
    if taint is None:
        return None
    return Reason("pool-taint", "the pod does not tolerate its taint {taint}", {"taint": taint_text(taint)})


def _template(pool: NodePool) -> dict[str, Requirement]:
    """What every node of the pool is, by its requirements and labels."""
    template = pool.spec.template
    labels = {**given(given(template.metadata, ObjectMeta()).labels, {}), POOL_LABEL: _name(pool)}
    reference = given(template.spec.node_class_ref, None)
    if isinstance(reference, NodeClassReference):
        labels[f"{reference.group}/{reference.kind.lower()}"] = reference.name
    required = given(template.spec.requirements, ())
    return together(
        (
            *(requirement(one.key, one.operator, given(one.values, ())) for one in required),
            *(requirement(key, "In", (value,)) for key, value in labels.items()),
        )
    )


def _asked(spec: PodSpec) -> _Asked:
    """Preferences are left out: Karpenter drops them where they stand in the way."""
    selector = [requirement(key, "In", (value,)) for key, value in given(spec.node_selector, {}).items()]
    affinity = given(given(spec.affinity, Affinity()).node_affinity, NodeAffinity())
    required = given(affinity.required_during_scheduling_ignored_during_execution, None)
    terms = [
        [
            requirement(one.key, one.operator, given(one.values, ()))
            for one in given(term.match_expressions, ())
        ]
        for term in (() if required is None else required.node_selector_terms)
    ]
    requests = {name: each.nanos for name, each in pod_requests(spec).items() if each.nanos}
    return _Asked(
        spec=spec,
        terms=tuple(together((*selector, *term)) for term in terms or [[]]),
        requests={**requests, _PODS: _ONE},
    )


def _sold(pool: NodePool, wanted: Sequence[Requirements], asked: _Asked, buyer: Buyer) -> tuple[str, Reason]:
    """Whether an instance type is left that the pool may have, within its limits, with room for the pod."""
    left = _left(pool, buyer)
    for resource, rest in sorted(left.items()):
        least = 1 if resource in _OF_EVERY_NODE else 0
        if rest.nanos < max(asked.requests.get(resource, 0), least):
            return LIMIT, _limit(resource, rest)
    reference = given(pool.spec.template.spec.node_class_ref, None)
    market = market_of(*((reference.group, reference.kind) if reference is not None else ("", "")))
    types = _types(market, wanted)
    if types is None:
        return MAY, Reason(
            "pool-may",
            "it lets the pod in; which instance types {provider} has for it is not known here",
            {"provider": market.provider},
        )
    fitting = [one for one in types if market.has_room(one, asked.requests)]
    if not fitting:
        return NEVER, _none(market, types, asked)
    within = [one for one in fitting if _is_within(one, left)]
    if not within:
        resource = next(name for name in sorted(left) if not _is_within(fitting[0], {name: left[name]}))
        return LIMIT, _limit(resource, left[resource])
    names: Mapping[str, str | int] = {"types": _names(within)}
    if market.whole:
        return BUYS, Reason("pool-buys", "it buys a node for the pod, such as {types}", names)
    return MAY, Reason("pool-may-buy", "it buys a node for the pod where {types} can be had", names)


def _types(market: Market, wanted: Sequence[Requirements]) -> list[Sold] | None:
    """The types that the requirements leave, smaller ones first; None: not all of them are known."""
    if not market.whole:
        named = [each[TYPE_LABEL] for each in wanted if TYPE_LABEL in each]
        listed = {name for one in named for name in one.values}
        if len(named) < len(wanted) or any(one.others for one in named) or listed - set(market.types):
            return None
    left = [
        one for one in market.types.values() if any(differing(one.labels, each) is None for each in wanted)
    ]
    return sorted(left, key=lambda one: (one.capacity.get("cpu", 0), one.capacity.get("memory", 0), one.name))


def _none(market: Market, types: Sequence[Sold], asked: _Asked) -> Reason:
    values: Mapping[str, str | int] = {"provider": market.provider, "types": _names(types[::-1])}
    if not types:
        return Reason("type-none", "no instance type of {provider} is as pool and pod require", values)
    lacking = [name for name in sorted(asked.requests) if not any(market.gives(one, name) for one in types)]
    if lacking:
        values = {"provider": market.provider, "resource": lacking[0]}
        return Reason("type-lacks", "no instance type of {provider} that it may have has {resource}", values)
    return Reason(
        "type-too-small", "no instance type that it may have is large enough: the largest are {types}", values
    )


def _names(types: Sequence[Sold]) -> str:
    return ", ".join(one.name for one in types[:_MOST_TYPES])


def _limit(resource: str, rest: _Left) -> Reason:
    return Reason(
        "pool-limit",
        "its limit of {limit} {resource} leaves {left} to be bought",
        {
            "resource": resource,
            "limit": str(rest.limit),
            "left": str(Quantity(max(rest.nanos, 0), rest.limit.form)),
        },
    )


def _is_within(one: Sold, left: Mapping[str, _Left]) -> bool:
    return all(one.capacity.get(resource, 0) <= rest.nanos for resource, rest in left.items())


def _left(pool: NodePool, buyer: Buyer) -> dict[str, _Left]:
    """Of each resource that is limited, the limit less what the pool's nodes have that are to stay."""
    limits = given(pool.spec.limits, _NOTHING)
    used = dict.fromkeys(limits, 0)
    for capacity in _capacities(pool, buyer):
        for resource in used:
            if resource == _NODES:
                used[resource] += _ONE
            elif resource in capacity:
                used[resource] += capacity[resource].nanos
    return {resource: _Left(limit.nanos - used[resource], limit) for resource, limit in limits.items()}


def _capacities(pool: NodePool, buyer: Buyer) -> Iterator[ResourceList]:
    """Of its nodes, and of what is bought and no node yet; what is being deleted does not count."""
    claims = [one for one in buyer.claims if _labels(one.metadata).get(POOL_LABEL) == _name(pool)]
    going = {_node_of(one) for one in claims if given(one.metadata.deletion_timestamp, "")}
    there = set()
    for node in buyer.nodes:
        name = given(node.metadata.name, "")
        there.add(name)
        if _labels(node.metadata).get(POOL_LABEL) == _name(pool) and name not in going:
            yield given(given(node.status, NodeStatus()).capacity, _NOTHING)
    for one in claims:
        if _node_of(one) not in there and not given(one.metadata.deletion_timestamp, ""):
            yield given(given(one.status, NodeClaimStatus()).capacity, _NOTHING)


def _node_of(claim: NodeClaim) -> str:
    return given(given(claim.status, NodeClaimStatus()).node_name, "")


def _labels(metadata: ObjectMeta) -> Mapping[str, str]:
    return given(metadata.labels, {})


def _name(pool: NodePool) -> str:
    return given(pool.metadata.name, "")
