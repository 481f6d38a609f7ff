"""ClusterQueue quotas that go with a partition: instances get one, GPUs that are gone lose theirs.

A queue gives up no more than its own pods freed, so nobody else's quota pays for it. Quota of GPUs that no
queue has is given to queues whose Workloads wait for it, in the order of their names.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.inventory import Gpu
from stellwerk.engine.partition.policy import MIG
from stellwerk.engine.planning.asks import Ask
from stellwerk.engine.planning.decided import QuotaChange
from stellwerk.engine.planning.today import (
    GPU,
    MIG_CLASS,
    Owner,
    Quota,
    Today,
    flavor_of,
    queue_of,
    resource_of,
    whole_resource,
)

INSTANCES = "its pods get {count} of {resource}"
FREED = "its pods give up {count} GPUs, which are cut or given back"
SPARE = "{count} GPUs of flavor {flavor} are in no quota, and {workloads} Workloads of it wait"
Row = tuple[str, str, str]  # Queue, flavor, resource.


class Room(Struct, frozen=True):
    """After the partition: GPUs of nodes that are given back or cut, by node, and nodes that are left."""

    lost: Mapping[str, int]
    whole: Mapping[str, int]


def room_of(today: Today, after: Sequence[Gpu], returned: Sequence[str]) -> Room:
    """GPUs that were whole and are so no more, and those that still are, by node."""
    gone = frozenset(returned)
    before = {gpu.key: gpu.method != MIG for gpu in today.gpus}
    lost: dict[str, int] = {}
    whole: dict[str, int] = {}
    for gpu in after:
        left = gpu.method != MIG and gpu.node not in gone
        whole[gpu.node] = whole.get(gpu.node, 0) + left
        lost[gpu.node] = lost.get(gpu.node, 0) + (before[gpu.key] and not left)
    return Room(lost, whole)


def quota_changes(today: Today, granted: Sequence[Ask], room: Room) -> Iterator[QuotaChange]:
    """Changes by queue, flavor and resource."""
    rows = {(row.queue, row.flavor, row.resource): row for row in today.quotas}
    target: dict[Row, tuple[int, Reason]] = {}
    freed: dict[Row, int] = {}
    for ask in granted:
        place = _place(today, ask.owner) if ask.moves else None
        if place is not None:
            _instances(today, ask, (rows, target), place)
            freed[place] = freed.get(place, 0) + len(ask.owner.pods) * ask.owner.gpus
    _give_up(today, freed, (rows, target), room)
    _spare(today, (rows, target), room)
    for (queue, flavor, resource), (after, reason) in sorted(target.items()):
        row = rows.get((queue, flavor, resource))
        if row is not None and row.nominal == after:
            continue
        yield QuotaChange(
            queue=queue,
            group=row.group if row is not None else _group(rows, queue, flavor),
            flavor=flavor,
            resource=resource,
            before=None if row is None else row.nominal,
            after=after,
            reason=reason,
        )


def _place(today: Today, owner: Owner) -> Row | None:
    """The queue, flavor and resource of whole GPUs of an owner; None where Kueue does not count them."""
    queue, flavor, whole = queue_of(today, owner), flavor_of(today, owner), whole_resource(today, owner)
    return None if queue is None or flavor is None or whole is None else (queue, flavor, whole)


def _instances(
    today: Today,
    ask: Ask,
    quotas: tuple[Mapping[Row, Quota], dict[Row, tuple[int, Reason]]],
    place: Row,
) -> None:
    """Quota of the instances that the owner's pods get."""
    rows, target = quotas
    resource = today.mapped.get(MIG_CLASS) if ask.owner.claim else resource_of(ask.profile)
    if ask.method != MIG or resource is None or resource == place[2]:
        return
    key = (*place[:2], resource)
    so_far = target[key][0] if key in target else rows[key].nominal if key in rows else 0
    count = so_far + len(ask.owner.pods)
    target[key] = count, Reason("Instances", INSTANCES, {"count": count, "resource": resource})


def _give_up(
    today: Today,
    freed: Mapping[Row, int],
    quotas: tuple[Mapping[Row, Quota], dict[Row, tuple[int, Reason]]],
    room: Room,
) -> None:
    rows, target = quotas
    lost = {flavor: sum(room.lost.get(node, 0) for node in nodes) for flavor, nodes in today.flavors.items()}
    for key, count in sorted(freed.items()):
        row, flavor = rows[key], key[1]
        # What others of the queue have reserved is not taken from them.
        others = max(0, row.reserved - count)
        less = min(count, lost.get(flavor, 0), max(0, row.nominal - others))
        if less:
            lost[flavor] -= less
            target[key] = row.nominal - less, Reason("Freed", FREED, {"count": less})


def _spare(
    today: Today, quotas: tuple[Mapping[Row, Quota], dict[Row, tuple[int, Reason]]], room: Room
) -> None:
    """GPUs that are in no quota, and that no pod outside of Kueue has, for Workloads that wait."""
    rows, target = quotas
    queued = {owner.key for owner in today.owners if owner.local_queue}
    pods = {pod.name: pod.node for owner in today.owners if owner.key not in queued for pod in owner.pods}
    outside: dict[str, int] = {}
    for gpu in today.gpus:
        if any(tenant.name in pods for tenant in gpu.tenants):
            outside[gpu.node] = outside.get(gpu.node, 0) + 1
    spare = {
        flavor: sum(room.whole.get(node, 0) - outside.get(node, 0) for node in nodes)
        - sum(
            target[key][0] if key in target else row.nominal
            for key, row in rows.items()
            if key[1:] == (flavor, GPU)
        )
        for flavor, nodes in today.flavors.items()
    }
    for waiting in sorted(today.waiting, key=lambda each: each.queue):
        if waiting.resource != GPU:
            continue
        missing = waiting.amount - sum(
            max(0, row.nominal - row.reserved)
            for key, row in rows.items()
            if key[0] == waiting.queue and key[2] == GPU
        )
        for key, row in rows.items():
            more = min(missing, spare.get(key[1], 0))
            if key[0] != waiting.queue or key[2] != GPU or more <= 0:
                continue
            values: dict[str, str | int] = {
                "count": more,
                "flavor": key[1],
                "workloads": waiting.workloads,
            }
            so_far = target[key][0] if key in target else row.nominal
            target[key] = so_far + more, Reason("Spare", SPARE, values)
            missing, spare[key[1]] = missing - more, spare[key[1]] - more


def _group(rows: Mapping[Row, Quota], queue: str, flavor: str) -> int:
    """The resource group that covers GPUs in that flavor: the new resource joins it."""
    return next(row.group for key, row in rows.items() if key[:2] == (queue, flavor))
