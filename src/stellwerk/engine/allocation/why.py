"""Why claims cannot be allocated on a node: which request, what took away devices, the nearest miss."""

from collections import Counter

from stellwerk.api.defaults import ALL
from stellwerk.engine.allocation.claims.question import Request
from stellwerk.engine.allocation.pools.offered import OfferedDevice
from stellwerk.engine.allocation.search.attempt import Attempt
from stellwerk.engine.allocation.search.site import Obstacle
from stellwerk.engine.decision import Reason

# What takes devices away, in the order in which a device is tried: who falls at a later one was nearer.
OBSTACLES = (
    ("other-node", "{count} of {total} devices are for other nodes"),
    ("binding-conditions", "{count} of {total} devices need binding conditions, whose gate is off"),
    ("selector", "{count} of {total} devices do not match {detail}"),
    ("capacity", "{count} of {total} devices have too little capacity left"),
    ("node-operations", "{count} of {total} devices need DRAOptionalNodeOperations, which the node lacks"),
    (
        "counters-off",
        "{count} of {total} devices share counters, whose gate (DRAPartitionableDevices) is off",
    ),
    ("taint", "{count} of {total} devices have the taint {detail}, which is not tolerated"),
    ("constraint", "{count} of {total} devices do not fit the constraint on {detail}"),
    ("compatibility-groups", "{count} of {total} devices are not compatible with what shares their counters"),
    ("counters", "{count} of {total} devices find too little left of their shared counters"),
    ("taken", "{count} of {total} devices are taken by other requests of the same pod"),
    ("in-use", "{count} of {total} devices are in use"),
)
ORDER = tuple(code for code, _ in OBSTACLES)


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
    total = len(attempt.site.view.devices)
    wanted = len(attempt.everything[key]) if request.mode == ALL else request.count
    candidates = attempt.candidates.get(key)
    left = total - len(fallen) if candidates is not None else 0
    values: dict[str, str | int] = {
        "claim": attempt.site.question.claims[key[0]].name,
        "request": request.label,
        "wanted": wanted or 1,
        "left": max(left, 0),
        "total": total,
    }
    reasons = [
        Reason(
            "too-few-devices",
            "claim {claim}, request {request}: {left} of {total} devices on the node do, wanted: {wanted}",
            values,
        )
    ]
    reasons += _incomplete(attempt)
    counted = sorted(Counter(obstacle for _, obstacle in fallen).items())
    for code, text in OBSTACLES:
        for obstacle, count in counted:
            if obstacle.code == code:
                here: dict[str, str | int] = {
                    "count": count,
                    "total": total,
                    "detail": obstacle.detail,
                    "request": request.label,
                }
                reasons.append(Reason(code, text, here))
    nearest = max(fallen, key=lambda one: ORDER.index(one[1].code), default=None)
    if nearest is not None:
        reasons.append(_nearest(nearest, request))
    return reasons


def _obstacles(
    attempt: Attempt, key: tuple[int, int, int], request: Request
) -> list[tuple[OfferedDevice, Obstacle]]:
    met = dict(attempt.obstacles.get(key, {}))
    candidates = attempt.candidates.get(key)
    if candidates is not None:
        candidates.all()
        met = {device.index: (device, obstacle) for device, obstacle in candidates.obstacles} | met
        for device in candidates.devices:
            attribute = attempt.too_few_like(candidates, device)
            if attribute:
                met.setdefault(device.index, (device, Obstacle("constraint", attribute)))
        return [(device, _nearer(attempt, request, device, obstacle)) for device, obstacle in met.values()]
    for device in attempt.site.view.devices:
        outcome = attempt.site.selectable(request, device)
        if isinstance(outcome, Obstacle):
            met.setdefault(device.index, (device, outcome))
    return list(met.values())


def _nearer(attempt: Attempt, request: Request, device: OfferedDevice, obstacle: Obstacle) -> Obstacle:
    """A device in use that would not match anyway is no near miss: the search looks at its use first."""
    if obstacle.code != "in-use":
        return obstacle
    outcome = attempt.site.selectable(request, device)
    return outcome if isinstance(outcome, Obstacle) else obstacle


def _incomplete(attempt: Attempt) -> list[Reason]:
    names = [pool.name for pool in attempt.site.view.pools if pool.incomplete]
    if not names:
        return []
    return [
        Reason(
            "incomplete-pool",
            "the pool {pool} is being updated: not all of its slices are there ({count} such pools)",
            {"pool": names[0], "count": len(names)},
        )
    ]


def _nearest(miss: tuple[OfferedDevice, Obstacle], request: Request) -> Reason:
    device, obstacle = miss
    return Reason(
        "nearest-miss",
        "nearest: {device}, which only fails at: {obstacle} {detail}",
        {
            "device": str(device.id),
            "obstacle": obstacle.code,
            "detail": obstacle.detail,
            "request": request.label,
        },
    )
