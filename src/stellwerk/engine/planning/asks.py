"""Which owners of pods get a share of a GPU: those whose measured use allows it, and who may be changed."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from stellwerk.engine.advice.verdict import Share
from stellwerk.engine.decision import Reason
from stellwerk.engine.demand import Job
from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.partition.inventory import Gpu, PartitionRequest
from stellwerk.engine.partition.need import needs
from stellwerk.engine.partition.policy import MIG, WHOLE, Policy
from stellwerk.engine.planning.decided import Planning
from stellwerk.engine.planning.today import Owner, Today

ADVISED = "as advised from its measured use: {method} {profile}"
ANNOTATED = "its annotations say what it uses, and {profile} holds it"
WAITS = "its pods wait for {resource}, which no node has left"
BY_HAND = "{owner} may share ({method} {profile}), and a {kind} cannot be changed: submit it anew with that"


class Ask(Struct, frozen=True, kw_only=True):
    """What an owner's pods ask of the partition. `moves`: they have whole GPUs today, and restart."""

    owner: Owner
    request: PartitionRequest
    method: str
    profile: str
    reason: Reason
    moves: bool = True


def asks_of(
    today: Today, shares: Mapping[str, Share | None], planning: Planning
) -> tuple[list[Ask], list[Reason]]:
    """Asks by owner, and what was seen beside them. `shares`: None for an owner that is to stay as it is."""
    model = {tenant.name: gpu.model for gpu in today.gpus for tenant in gpu.tenants}
    found: list[Ask] = []
    notes: list[Reason] = []
    for owner in today.owners:
        ask = _ask(owner, shares, planning, model)
        if ask is None or ask.method not in planning.methods:
            continue
        if ask.moves and not owner.changes:
            values: dict[str, str | int] = {
                "owner": owner.key,
                "kind": owner.kind,
                "method": ask.method,
                "profile": ask.profile,
            }
            notes.append(Reason("ByHand", BY_HAND, values))
            continue
        found.append(ask)
    return found, notes


def _ask(
    owner: Owner, shares: Mapping[str, Share | None], planning: Planning, model: Mapping[str, str]
) -> Ask | None:
    waiting = [pod for pod in owner.pods if not pod.node]
    if owner.profile:
        return _waiting(owner, len(waiting)) if waiting else None
    if owner.gpus != 1 or owner.whole or len(waiting) == len(owner.pods):
        return None
    if owner.key in shares:
        share = shares[owner.key]
        return None if share is None else _advised(owner, share)
    return _annotated(owner, planning, model)


def _waiting(owner: Owner, pods: int) -> Ask:
    return Ask(
        owner=owner,
        request=PartitionRequest(name=owner.key, pods=pods, profile=owner.profile),
        method=MIG,
        profile=owner.profile,
        reason=Reason("PodsWait", WAITS, {"resource": owner.resource}),
        moves=False,
    )


def _advised(owner: Owner, share: Share) -> Ask:
    values: dict[str, str | int] = {"method": share.method, "profile": share.profile}
    pods = len(owner.pods)
    request = PartitionRequest(name=owner.key, pods=pods, profile=share.profile)
    if share.method != MIG:
        request = PartitionRequest(
            name=owner.key,
            pods=pods,
            memory_bytes=share.memory_bytes,
            compute_milli=share.compute_milli,
            methods=(share.method,),
        )
    return Ask(
        owner=owner,
        request=request,
        method=share.method,
        profile=share.profile,
        reason=Reason("Advised", ADVISED, values),
    )


def _annotated(owner: Owner, planning: Planning, model: Mapping[str, str]) -> Ask | None:
    """The smallest instance that holds what the annotations say, where MIG may be taken."""
    on = next((model[pod.name] for pod in owner.pods if pod.name in model), "")
    if owner.memory_bytes is None or owner.compute_milli is None or not on or MIG not in planning.methods:
        return None
    job = Job(
        name=owner.key,
        team="",
        arrival_ns=0,
        duration_ns=1,
        memory_bytes=owner.memory_bytes,
        compute_milli=owner.compute_milli,
        isolated=owner.isolated,
    )
    ways = needs(job, gpu_facts(on), Policy(name=MIG, services=(MIG,), batches=(MIG,)))
    if not ways or ways[0].method == WHOLE:
        return None
    profile = ways[0].accepts[0].name
    return Ask(
        owner=owner,
        request=PartitionRequest(name=owner.key, pods=len(owner.pods), profile=profile),
        method=MIG,
        profile=profile,
        reason=Reason("Annotated", ANNOTATED, {"profile": profile}),
    )


def without_tenants(gpus: Sequence[Gpu], leaving: frozenset[str]) -> Iterator[Gpu]:
    """The GPUs once these pods have left; a whole or shared GPU without anybody is free for any method."""
    from msgspec.structs import replace

    for gpu in gpus:
        if not gpu.tenants:
            yield gpu
            continue
        left = tuple(tenant for tenant in gpu.tenants if tenant.name not in leaving)
        yield replace(gpu, tenants=left) if left else Gpu(node=gpu.node, index=gpu.index, model=gpu.model)
