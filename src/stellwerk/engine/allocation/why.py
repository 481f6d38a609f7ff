"""Why claims cannot be allocated on a node: which request, what took away devices, the nearest miss."""

from collections import Counter

from stellwerk.engine.allocation.claims.question import ALL, Request
from stellwerk.engine.allocation.pools.offered import OfferedDevice
from stellwerk.engine.allocation.search.attempt import Attempt
from stellwerk.engine.allocation.search.site import Obstacle
from stellwerk.engine.decision import Reason

# The order in which a device is tried: who falls at a later one was nearer.
ORDER = (
    "other-node",
    "binding-conditions",
    "selector",
    "capacity",
    "node-operations",
    "counters-off",
    "taint",
    "constraint",
    "compatibility-groups",
    "counters",
    "in-use",
)


def reasons_of(attempt: Attempt) -> tuple[Reason, ...]:
    """The request at which the search came to its end, then each obstacle with its number of devices."""
    claims = attempt.site.question.claims
    number, index = attempt.reached
    if number >= len(claims) or index >= len(claims[number].choices):
        return ()
    choice = claims[number].choices[index]
    reasons = []
    for i, request in enumerate(choice.alternatives):
        reasons += _reasons(attempt, (number, index, i), request)
    return tuple(reasons)


def _reasons(attempt: Attempt, key: tuple[int, int, int], request: Request) -> list[Reason]:
    fallen = _obstacles(attempt, key, request)
    counted = Counter(obstacle for _, obstacle in fallen)
    total = len(attempt.site.view.devices)
    reasons = [_too_few(attempt, key, request, total - len(fallen)), *_incomplete(attempt)]
    for obstacle, count in sorted(counted.items(), key=lambda one: (ORDER.index(one[0].code), one[0].detail)):
        reasons.append(_removed(obstacle, count, total, request.label))
    nearest = max(fallen, key=lambda one: ORDER.index(one[1].code), default=None)
    return [*reasons, _nearest(nearest, request)] if nearest is not None else reasons


def _too_few(attempt: Attempt, key: tuple[int, int, int], request: Request, left: int) -> Reason:
    wanted = len(attempt.everything[key]) if request.mode == ALL else request.count
    return Reason(
        "too-few-devices",
        "claim {claim}, request {request}: {wanted} devices are asked, {left} of {total} on the node will do",
        {
            "claim": attempt.site.question.claims[key[0]].name,
            "request": request.label,
            "wanted": wanted or 1,
            "left": max(left, 0),
            "total": len(attempt.site.view.devices),
        },
    )


def _removed(obstacle: Obstacle, count: int, total: int, request: str) -> Reason:
    """How many devices an obstacle takes away."""
    found: dict[str, str | int] = {
        "count": count,
        "total": total,
        "detail": obstacle.detail,
        "request": request,
    }
    match obstacle.code:
        case "other-node":
            return Reason("other-node", "{count} of {total} devices are for other nodes", found)
        case "binding-conditions":
            return Reason(
                "binding-conditions",
                "{count} of {total} devices need binding conditions, whose gate is off",
                found,
            )
        case "selector":
            return Reason("selector", "{count} of {total} devices do not match {detail}", found)
        case "capacity":
            return Reason("capacity", "{count} of {total} devices have too little capacity left", found)
        case "node-operations":
            return Reason(
                "node-operations",
                "{count} of {total} devices need DRAOptionalNodeOperations, which the node lacks",
                found,
            )
        case "counters-off":
            return Reason(
                "counters-off",
                "{count} of {total} devices share counters, whose gate (DRAPartitionableDevices) is off",
                found,
            )
    return _removed_in_the_end(obstacle, found)


def _removed_in_the_end(obstacle: Obstacle, found: dict[str, str | int]) -> Reason:
    match obstacle.code:
        case "taint":
            return Reason(
                "taint", "{count} of {total} devices have the taint {detail}, which is not tolerated", found
            )
        case "constraint":
            return Reason(
                "constraint", "{count} of {total} devices do not fit the constraint on {detail}", found
            )
        case "compatibility-groups":
            return Reason(
                "compatibility-groups",
                "{count} of {total} devices are not compatible with what shares their counters",
                found,
            )
        case "counters":
            return Reason(
                "counters", "{count} of {total} devices find too little left of their shared counters", found
            )
    return Reason("in-use", "{count} of {total} devices are in use", found)


def _obstacles(
    attempt: Attempt, key: tuple[int, int, int], request: Request
) -> list[tuple[OfferedDevice, Obstacle]]:
    met = dict(attempt.obstacles.get(key, {}))
    candidates = attempt.candidates.get(key)
    if candidates is not None:
        candidates.all()
        met = {device.index: (device, obstacle) for device, obstacle in candidates.obstacles} | met
        return list(met.values())
    for device in attempt.site.view.devices:
        outcome = attempt.site.selectable(request, device)
        if isinstance(outcome, Obstacle):
            met.setdefault(device.index, (device, outcome))
    return list(met.values())


def _incomplete(attempt: Attempt) -> list[Reason]:
    names = [pool.name for pool in attempt.site.view.pools if pool.incomplete]
    if not names:
        return []
    return [
        Reason(
            "incomplete-pool",
            "the pool {pool} is being updated by its driver, some slices are missing ({count} such pools)",
            {"pool": names[0], "count": len(names)},
        )
    ]


def _nearest(miss: tuple[OfferedDevice, Obstacle], request: Request) -> Reason:
    device, obstacle = miss
    return Reason(
        "nearest-miss",
        "nearest: {device}, which only fails at {obstacle} {detail}",
        {
            "device": str(device.id),
            "obstacle": obstacle.code,
            "detail": obstacle.detail,
            "request": request.label,
        },
    )
