"""Counters and capacities that count instead of devices: partitionable devices, consumable capacity.

Each device of a request is charged what the most expensive one that it could get costs.
Source: kueue pkg/dra/counters.go, capacity.go; KEP-4815, KEP-5075.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, UnsetType

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    CapacityRequestPolicy,
    CapacityRequestPolicyRange,
    CapacityRequirements,
    CELDeviceSelector,
    Device,
    DeviceCapacity,
    DeviceSelector,
    ExactDeviceRequest,
)
from stellwerk.api.quantity import NANO, Quantity
from stellwerk.cel.errors import EvaluationError
from stellwerk.cel.selector import Selector
from stellwerk.engine.queueing.amounts import LOWEST, UNLIMITED, within
from stellwerk.engine.queueing.requests.devices.claims import Added, Claim
from stellwerk.engine.queueing.requests.devices.cluster import Devices, Offered, Slice
from stellwerk.engine.queueing.requests.devices.mapping import Source
from stellwerk.engine.queueing.requests.devices.problem import Problem, Problems, internal, invalid
from stellwerk.engine.queueing.requests.devices.selectors import compiled, fits, of_class
from stellwerk.engine.topology.assignment.fleet.pod import summed


class Kind(Struct, frozen=True, kw_only=True):
    """What is charged, and Kueue's words: the most that a device costs, or what is wrong."""

    word: str
    most: Callable[[Source, ExactDeviceRequest, Sequence[Device], str], "Quantity | Problem"]


def charged(
    claims: Iterable[Claim], devices: Devices, sources_of: Callable[[str], tuple[Source, ...]], kind: Kind
) -> Added | Problems:
    """By PodSet, what one pod is charged for classes with such sources; or the first problems."""
    added: Added = {}
    for claim in claims:
        for i, request in enumerate(claim.requests):
            asked = request.exactly
            if isinstance(asked, UnsetType) or given(asked.admin_access, False):
                continue
            sources = sources_of(asked.device_class_name)
            if not sources:
                continue
            path = f"{claim.path}.devices.requests[{i}]"
            found = _of_request(asked, path, (devices, sources), kind)
            if isinstance(found, Problems):
                return found
            added[claim.pod_set] = summed(added.get(claim.pod_set, {}), found)
    return added


def _of_request(
    asked: ExactDeviceRequest, path: str, world: tuple[Devices, tuple[Source, ...]], kind: Kind
) -> dict[str, Quantity] | Problems:
    devices, sources = world
    its_class = of_class(asked.device_class_name, devices, path)
    if isinstance(its_class, Problem):
        return Problems((its_class,))
    own = compiled(given(asked.selectors, ()), f"{path}.exactly.selectors")
    if isinstance(own, Problems):
        return own
    found: dict[str, Quantity] = {}
    for source in sources:
        charge = _charge(source, asked, _Place(path, devices, its_class, own), kind)
        if isinstance(charge, Problems):
            return charge
        found = summed(found, {source.resource: charge})
    return found


class _Place(Struct, frozen=True):
    """A request's path, the devices that there are, and the selectors of its class and its own."""

    path: str
    devices: Devices
    its_class: Sequence[Selector]
    own: Sequence[Selector]


def _charge(source: Source, asked: ExactDeviceRequest, place: _Place, kind: Kind) -> Quantity | Problems:
    count = given(asked.count, 0)
    matching = _matching(source, place)
    if isinstance(matching, Problems):
        return matching
    if len(matching) < count:
        what = f"insufficient matching devices for {kind.word} driver"
        found = f"{len(matching)} device(s) match but {count} requested"
        return Problems((internal(place.path, f"{what}: {found}"),))
    most = kind.most(source, asked, matching, place.path)
    if isinstance(most, Problem):
        return Problems((most,))
    amount = max(0, _whole(most))
    return Quantity((within(amount * count) if count > 1 else amount) * NANO, most.form)


def _matching(source: Source, place: _Place) -> tuple[Device, ...] | Problems:
    """The devices that the source's selector, the class's and the request's all take."""
    selector = DeviceSelector(cel=CELDeviceSelector(expression=source.expression))
    eligible = compiled([selector], place.path, "deviceSelector CEL compilation failed")
    if isinstance(eligible, Problems):
        return eligible
    steps = {
        "deviceSelector": eligible,
        "DeviceClass selector": place.its_class,
        "request selector": place.own,
    }
    found: list[Device] = []
    for pool in _whole_pools(place.devices.of_driver(source.driver)):
        for one in pool.devices:
            answer = _takes(steps, one, place.path)
            if isinstance(answer, Problem):
                return Problems((answer,))
            if answer:
                found.append(one.device)
    return tuple(found)


def _takes(steps: Mapping[str, Sequence[Selector]], one: Offered, path: str) -> bool | Problem:
    for word, selectors in steps.items():
        try:
            if not fits(selectors, one.seen):
                return False
        except EvaluationError as error:
            what = f"CEL evaluation error in {word} for device {one.device.name}"
            return internal(path, f"{what}: {error.text}")
    return True


class _Pool(Struct):
    generation: int
    slices_of_pool: int
    slices: int
    devices: list[Offered]


def _whole_pools(slices: Iterable[Slice]) -> Iterator[_Pool]:
    """Pools of which all slices of the newest generation are there."""
    pools: dict[str, _Pool] = {}
    for one in slices:
        pool = pools.get(one.pool)
        if pool is None or one.generation > pool.generation:
            pools[one.pool] = _Pool(one.generation, one.slices_of_pool, 1, list(one.devices))
        elif one.generation == pool.generation:
            pool.slices += 1
            pool.devices += one.devices
    return (pool for _, pool in sorted(pools.items()) if pool.slices == pool.slices_of_pool)


def most_of_counter(
    source: Source, asked: ExactDeviceRequest, matching: Sequence[Device], path: str
) -> Quantity | Problem:
    """The most that a matching device takes of the counter, in whatever counter set."""
    values = [
        counters[source.name].value
        for device in matching
        for consumption in given(device.consumes_counters, ())
        if source.name in (counters := given(consumption.counters, {}))
    ]
    if not values:
        what = f'matched devices have no consumesCounters entry for counter "{source.name}"'
        return internal(path, what)
    return max(values, key=lambda one: one.nanos)


def most_of_capacity(
    source: Source, asked: ExactDeviceRequest, matching: Sequence[Device], path: str
) -> Quantity | Problem:
    """The most that a matching device would give of the capacity: what is asked for, else its default."""
    explicit = given(given(asked.capacity, CapacityRequirements()).requests, {}).get(source.name)
    offered = [
        capacity
        for device in matching
        if (capacity := given(device.capacity, {}).get(source.name)) is not None
    ]
    if not offered:
        return internal(path, f'matched devices have no capacity dimension "{source.name}"')
    values = [value for one in offered if (value := _given_of(one, explicit)) is not None]
    if not values:
        what = "capacity request cannot be satisfied by any matched device's RequestPolicy for dimension"
        return invalid(path, f'{what} "{source.name}"')
    return max(values, key=lambda one: one.nanos)


COUNTER = Kind(word="counter", most=most_of_counter)
CAPACITY = Kind(word="capacity", most=most_of_capacity)


def _given_of(capacity: DeviceCapacity, explicit: Quantity | None) -> Quantity | None:
    """What one device gives; None: its policy cannot."""
    policy = given(capacity.request_policy, CapacityRequestPolicy())
    asked = explicit if explicit is not None else given(policy.default, capacity.value)
    valid = given(policy.valid_values, ())
    if valid:
        return next((one for one in valid if one.nanos >= asked.nanos), None)
    allowed = given(policy.valid_range, None)
    return asked if allowed is None else _in_range(asked, allowed)


def _in_range(asked: Quantity, allowed: CapacityRequestPolicyRange) -> Quantity | None:
    """Up to the least, then to the next step; None above the most."""
    amount, least = _whole(asked), given(allowed.min, None)
    if least is not None:
        amount = max(amount, _whole(least))
        step = _whole(given(allowed.step, Quantity(0)))
        if step > 0:
            steps = -(-(within(amount - _whole(least))) // step)
            amount = within(_whole(least) + within(steps * step))
    most = given(allowed.max, None)
    return None if most is not None and amount > _whole(most) else Quantity(amount * NANO, asked.form)


def _whole(quantity: Quantity) -> int:
    """Units, rounded away from zero, within int64."""
    number = -(-abs(quantity.nanos) // NANO)
    return max(LOWEST, min(UNLIMITED, number if quantity.nanos >= 0 else -number))
