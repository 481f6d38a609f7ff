"""The claims made ready to be asked on any node: each request with its class, selectors, constraints.

What Kubernetes checks of a request before it searches is checked here in the same order, but told when the
request's turn comes on a node, since requests for all devices before it may end with another error there.
Source: Allocate and validateDeviceRequest in structured/internal/experimental (Kubernetes 1.37).
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType

from stellwerk.api.defaults import ALL, EXACT_COUNT
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    CapacityRequirements,
    DeviceAttribute,
    DeviceClass,
    DeviceConstraint,
    DeviceRequest,
    DeviceSubRequest,
    DeviceToleration,
    ExactDeviceRequest,
    ResourceClaim,
)
from stellwerk.cel.derived import compile_attribute
from stellwerk.cel.environment import Environment
from stellwerk.engine.allocation.claims.attributes import attribute_column, derived_column
from stellwerk.engine.allocation.claims.selectors import Step, selector_steps
from stellwerk.engine.allocation.decision import AllocationError, Features
from stellwerk.engine.allocation.pools.offered import Column, Offered, OfferedDevice


class Bound(Struct, frozen=True):
    """A constraint of the claim that concerns a request: its number, and the values that it compares."""

    number: int
    attribute: str
    column: Column
    derived: bool


class Request(Struct, frozen=True, eq=False, kw_only=True):
    """A request, or an alternative of firstAvailable, ready for the search. `error`: what the check found."""

    claim: int
    index: int
    name: str
    label: str
    mode: str = EXACT_COUNT
    count: int = 0
    class_: DeviceClass | None = None
    steps: tuple[Step, ...] = ()
    tolerations: tuple[DeviceToleration, ...] = ()
    capacity: CapacityRequirements | UnsetType = UNSET
    admin: bool = False
    says_admin: bool = False
    bound: tuple[Bound, ...] = ()
    error: str = ""

    @property
    def asks_capacity(self) -> bool:
        """Whether amounts are asked, or at least an empty list of them."""
        return self.capacity is not UNSET


class Choice(Struct, frozen=True, eq=False):
    """What an entry of `requests` may be given as: the request itself, or the alternatives in their order."""

    name: str
    alternatives: tuple[Request, ...]
    is_list: bool
    error: str = ""


class ClaimQuestion(Struct, frozen=True, eq=False):
    """A claim: its choices, and which of its constraints are distinct ones. `error`: found at its end."""

    claim: ResourceClaim
    name: str
    choices: tuple[Choice, ...]
    distinct: tuple[bool, ...]
    error: str = ""


class Question(Struct, frozen=True, eq=False):
    """Claims that must be allocated together, as the devices in `offered` and the gates see them."""

    offered: Offered
    features: Features
    claims: tuple[ClaimQuestion, ...]


class _Asker(Struct, frozen=True):
    """What all requests of a claim share while they are made ready."""

    offered: Offered
    features: Features
    environment: Environment
    classes: Mapping[str, DeviceClass]
    claim: ResourceClaim
    index: int
    name: str


def question(
    offered: Offered, claims: Sequence[ResourceClaim], classes: Mapping[str, DeviceClass], features: Features
) -> Question:
    """The claims, ready for each node. Bad claims do not raise: their error is told on the node."""
    environment = Environment(
        consumable_capacity=features.consumable_capacity,
        list_type_attributes=features.list_type_attributes,
        stored=True,
    )
    return Question(
        offered,
        features,
        tuple(
            _claim(_Asker(offered, features, environment, classes, claim, index, claim_name(claim)))
            for index, claim in enumerate(claims)
        ),
    )


def claim_name(claim: ResourceClaim) -> str:
    """Namespace and name, as error texts show them."""
    namespace, name = given(claim.metadata.namespace, ""), given(claim.metadata.name, "")
    return f"{namespace}/{name}" if namespace else name


def _claim(ask: _Asker) -> ClaimQuestion:
    devices = ask.claim.spec.devices
    requests = () if devices is UNSET else given(devices.requests, ())
    constraints = () if devices is UNSET else given(devices.constraints, ())
    empty = next(
        (
            i
            for i, one in enumerate(constraints)
            if one.match_attribute is UNSET and one.distinct_attribute is UNSET
        ),
        None,
    )
    known = constraints if empty is None else ()
    return ClaimQuestion(
        ask.claim,
        ask.name,
        tuple(_choice(ask, index, request, known) for index, request in enumerate(requests)),
        tuple(one.match_attribute is UNSET for one in known),
        ""
        if empty is None
        else f"claim {ask.name}, constraint #{empty}: empty constraint (unsupported constraint type?)",
    )


def _choice(
    ask: _Asker, index: int, request: DeviceRequest, constraints: Sequence[DeviceConstraint]
) -> Choice:
    listed = given(request.first_available, ())
    if error := _gate_error(ask, request):
        return Choice(request.name, (), bool(listed), error)
    if not listed and request.exactly is UNSET:
        missing = "neither exactly nor firstAvailable (unsupported request type?)"
        return Choice(request.name, (), False, f"claim {ask.name}, request {request.name}: {missing}")
    if not listed:
        label = request.name
        exactly = given(request.exactly, None)
        assert exactly is not None
        return Choice(
            request.name, (_request(ask, (index, request.name, label), exactly, constraints),), False
        )
    return Choice(
        request.name,
        tuple(
            _request(ask, (index, one.name, f"{request.name}/{one.name}"), one, constraints) for one in listed
        ),
        True,
    )


def _gate_error(ask: _Asker, request: DeviceRequest) -> str:
    listed = given(request.first_available, ())
    if listed and not ask.features.prioritized_list:
        off = "has subrequests, but the DRAPrioritizedList feature is disabled"
        return f"claim {ask.name}, request {request.name}: {off}"
    if ask.features.consumable_capacity:
        return ""
    off = "has capacity requests, but the DRAConsumableCapacity feature is disabled"
    if request.exactly is not UNSET and request.exactly.capacity is not UNSET:
        return f"claim {ask.name}, request {request.name}: {off}"
    asking = next((one.name for one in listed if one.capacity is not UNSET), None)
    return f"claim {ask.name}, subrequest {asking}: {off}" if asking is not None else ""


def _request(
    ask: _Asker,
    place: tuple[int, str, str],
    request: ExactDeviceRequest | DeviceSubRequest,
    constraints: Sequence[DeviceConstraint],
) -> Request:
    index, name, label = place
    try:
        class_, steps = _checked(ask, name, request)
    except AllocationError as error:
        return Request(claim=ask.index, index=index, name=name, label=label, error=error.text)
    exact = request if isinstance(request, ExactDeviceRequest) else None
    mode = given(request.allocation_mode, EXACT_COUNT)
    return Request(
        claim=ask.index,
        index=index,
        name=name,
        label=label,
        mode=mode,
        count=given(request.count, 1),
        class_=class_,
        steps=steps,
        tolerations=given(request.tolerations, ()),
        capacity=request.capacity,
        admin=exact is not None and given(exact.admin_access, False),
        says_admin=exact is not None and exact.admin_access is not UNSET,
        bound=_bound(ask, label, request, constraints),
        error=""
        if mode in (ALL, EXACT_COUNT)
        else f"claim {ask.name}, request {name}: unsupported count mode {mode}",
    )


def _checked(
    ask: _Asker, name: str, request: ExactDeviceRequest | DeviceSubRequest
) -> tuple[DeviceClass, tuple[Step, ...]]:
    where = f"claim {ask.name}, request {name}"
    if given(request.derived_attributes, ()) and not ask.features.derived_attributes:
        raise AllocationError(
            f"{where}: cannot handle request with derived attributes, the feature is disabled"
        )
    selectors = given(request.selectors, ())
    for number, selector in enumerate(selectors):
        if selector.cel is UNSET:
            raise AllocationError(
                f"{where}, selector #{number}: CEL expression empty (unsupported selector type?)"
            )
    says_admin = isinstance(request, ExactDeviceRequest) and request.admin_access is not UNSET
    if says_admin and not ask.features.admin_access:
        raise AllocationError(f"{where}: admin access is requested, but the feature is disabled")
    if not request.device_class_name:
        raise AllocationError(f"{where}: missing device class name (unsupported request type?)")
    class_ = ask.classes.get(request.device_class_name)
    if class_ is None:
        raise AllocationError(
            f"{where}: could not retrieve device class {request.device_class_name}: "
            f'deviceclasses.resource.k8s.io "{request.device_class_name}" not found'
        )
    owner = f"class {request.device_class_name}"
    steps = selector_steps(ask.offered, given(class_.spec.selectors, ()), owner, ask.environment)
    return class_, steps + selector_steps(ask.offered, selectors, f"claim {ask.name}", ask.environment)


def _bound(
    ask: _Asker,
    label: str,
    request: ExactDeviceRequest | DeviceSubRequest,
    constraints: Sequence[DeviceConstraint],
) -> tuple[Bound, ...]:
    derived = {one.name: one.expression for one in given(request.derived_attributes, ())}
    lists = ask.features.list_type_attributes
    names = {label, label.partition("/")[0]}
    bound = []
    for number, one in enumerate(constraints):
        if given(one.requests, ()) and not names & set(given(one.requests, ())):
            continue
        attribute = given(one.match_attribute, given(one.distinct_attribute, ""))
        if attribute in derived:
            evaluate = _evaluator(ask, derived[attribute])
            column = derived_column(ask.offered, derived[attribute], lists, evaluate)
        else:
            column = attribute_column(ask.offered, attribute, lists)
        bound.append(Bound(number, attribute, column, attribute in derived))
    return tuple(bound)


def _evaluator(ask: _Asker, expression: str) -> Callable[[OfferedDevice], DeviceAttribute]:
    def evaluate(device: OfferedDevice) -> DeviceAttribute:
        return compile_attribute(expression, ask.environment).evaluate(ask.offered.cel(device))

    return evaluate
