"""Whether a pod's claims find their devices: now, once others give theirs back, or never in this cluster."""

from collections.abc import Sequence

from msgspec import UNSET, Struct, structs

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import ResourceClaim
from stellwerk.engine.allocation.pods.cluster import Rules
from stellwerk.engine.allocation.pods.places import NodesRefused
from stellwerk.engine.allocation.pods.turn import Answer, allocate_pods
from stellwerk.engine.allocation.pods.waiting import PodCase
from stellwerk.engine.allocation.pods.world import World

# A request that fails for these alone may be served later: somebody has what it wants.
IN_USE = frozenset({"in-use", "counters", "capacity"})
# A constraint is a question of place: there are devices, but not together.
CONSTRAINT = "constraint"


class DevicesAnswer(Struct, frozen=True, kw_only=True):
    """`now`: the claims can be allocated; `ever`: they could if nobody else had a device. `node`: where.

    `refused`: what the nodes say, as long as it is not now.
    """

    now: bool
    ever: bool
    node: str = ""
    refused: tuple[NodesRefused, ...] = ()

    @property
    def by_constraint(self) -> bool:
        """Whether a constraint over devices is what fails."""
        codes = {reason.code for each in self.refused for reason in each.reasons}
        return CONSTRAINT in codes


def devices_for(world: World, pod: PodCase, rules: Rules, nodes: Sequence[str]) -> DevicesAnswer:
    """The answer for one pod on these nodes; everybody else keeps what he has."""
    now = _asked(world, pod, rules, nodes)
    if now.allocated:
        return DevicesAnswer(now=True, ever=True, node=now.node)
    ever = _asked(_emptied(world, pod), pod, rules, nodes)
    refused = now.refused if ever.allocated else ever.refused
    return DevicesAnswer(now=False, ever=ever.allocated, refused=refused)


def _asked(world: World, pod: PodCase, rules: Rules, nodes: Sequence[str]) -> Answer:
    wanted = frozenset(nodes)
    there = tuple(node for node in world.nodes if given(node.metadata.name, "") in wanted)
    running = tuple(
        one
        for one in world.waiting
        if isinstance(one, PodCase) and one.key != pod.key and given(one.spec.node_name, "") in wanted
    )
    outcome = allocate_pods(structs.replace(world, nodes=there, waiting=(*running, pod)), rules)
    return next(one for one in reversed(outcome.answers) if one.key == pod.key)


def _emptied(world: World, pod: PodCase) -> World:
    """The same cluster where nobody else has a device."""
    claims = {key: _released(claim) for key, claim in world.claims.items()}
    return structs.replace(world, claims=claims, waiting=())


def _released(claim: ResourceClaim) -> ResourceClaim:
    return structs.replace(claim, status=UNSET)
