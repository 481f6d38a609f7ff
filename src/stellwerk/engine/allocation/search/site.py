"""One node while claims are tried on it: which of its devices a request can have, with nothing taken yet."""

from msgspec import UNSET, Struct, UnsetType

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import CapacityRequirements
from stellwerk.api.quantity import Quantity
from stellwerk.engine.allocation.claims.attributes import MISSING
from stellwerk.engine.allocation.claims.capacity import Amounts, asks_unknown, consumed_capacities, fits
from stellwerk.engine.allocation.claims.question import Question, Request
from stellwerk.engine.allocation.claims.selectors import Step, selected
from stellwerk.engine.allocation.claims.tolerations import untolerated
from stellwerk.engine.allocation.decision import AllocationError
from stellwerk.engine.allocation.pools.gather import NodeView, device_matches
from stellwerk.engine.allocation.pools.offered import OfferedDevice
from stellwerk.engine.allocation.pools.usage import Usage

NODE_OPERATIONS = "DRAOptionalNodeOperations"
_NOTHING: Amounts = {}


class Obstacle(Struct, frozen=True, order=True):
    """Why a request cannot have a device: `code`, and what of it (which selector, which taint)."""

    code: str
    detail: str = ""


IN_USE = Obstacle("in-use")
TAKEN = Obstacle("taken")  # By another request of the claims that are allocated together.
BINDING = Obstacle("binding-conditions")
OTHER_NODE = Obstacle("other-node")
CAPACITY = Obstacle("capacity")
NODE_LACKS_GATE = Obstacle("node-operations")
COUNTERS_OFF = Obstacle("counters-off")
Outcome = Obstacle | str | None  # An obstacle, the text of an error that aborts, or None: it can be had.


class Site(Struct, frozen=True, eq=False):
    """The question, the node's view, and what is in use."""

    question: Question
    view: NodeView
    usage: Usage

    def selectable(self, request: Request, device: OfferedDevice) -> Outcome:
        """Selectors of class and request, and whether the device is for this node."""
        if not device.ordinary:
            features = self.question.features
            if not features.device_binding_and_status and given(device.device.binding_conditions, ()):
                return BINDING
        outcome = selected(request.steps, device)
        if outcome is not None:
            return _selector(outcome) if isinstance(outcome, Step) else outcome
        if not device.per_device_nodes:
            return None
        try:
            return None if device_matches(self.view.node, device) else OTHER_NODE
        except AllocationError as error:
            return error.text

    def usable(self, request: Request, device: OfferedDevice) -> Outcome:
        """All that stays the same during the search, in Kubernetes' order."""
        if not request.admin and device.index in self.usage.used:
            return IN_USE
        outcome = self.selectable(request, device)
        if outcome is not None:
            return outcome
        if self.question.features.consumable_capacity:
            outcome = self.capacity(request, device, _NOTHING)
            if outcome is not None:
                return outcome
        if not device.ordinary:
            outcome = self.allowed(request, device)
            if outcome is not None:
                return outcome
        for bound in request.bound:
            if bound.derived:
                break  # It may end the search with an error: what is missing behind it must not hide that.
            if bound.column.of(device) is MISSING:
                return Obstacle("constraint", bound.attribute)
        return None

    def allowed(self, request: Request, device: OfferedDevice) -> Outcome:
        """Gates and taints."""
        features = self.question.features
        if device.skips_operations:
            status = self.view.node.status
            declared = () if status is UNSET else given(status.declared_features, ())
            if not features.optional_node_operations or NODE_OPERATIONS not in declared:
                return NODE_LACKS_GATE
        if (device.counters or device.groups) and not features.partitionable_devices:
            return COUNTERS_OFF
        if features.device_taints and device.taints:
            taint = untolerated(device.taints, request.tolerations)
            if taint is not None:
                value = given(taint.value, "")
                return Obstacle(
                    "taint", f"{taint.key}={value}:{taint.effect}" if value else f"{taint.key}:{taint.effect}"
                )
        return None

    def capacity(self, request: Request, device: OfferedDevice, tentative: Amounts) -> Outcome:
        """Whether the amounts asked fit beside the shares in use and the `tentative` ones, in billionths."""
        in_use = self.usage.capacity.get(device.index, _NOTHING)
        if device.ordinary and request.capacity is UNSET and not in_use and not tentative:
            return None
        return self._fits(request, device, (in_use, tentative), str(device.id))

    def static_capacity(self, request: Request, device: OfferedDevice) -> Outcome:
        """Whether the amounts asked would fit the device if nothing of it were in use."""
        return self._fits(request, device, (_NOTHING, _NOTHING), device.id.device)

    def _fits(
        self, request: Request, device: OfferedDevice, in_use: tuple[Amounts, Amounts], shown: str
    ) -> Outcome:
        capacity = given(device.device.capacity, {})
        if asks_unknown(request.capacity, capacity):
            return CAPACITY
        try:
            consumed = self.consumed(request.capacity, device)
            fractional = self.question.features.fractional_capacity_range
            return None if fits(consumed, capacity, in_use, fractional) else CAPACITY
        except AllocationError as error:
            claim = self.question.claims[request.claim].name
            return (
                f"claim {claim}, request {request.name}: checking capacity for device {shown}: {error.text}"
            )

    def consumed(self, asked: CapacityRequirements | UnsetType, device: OfferedDevice) -> dict[str, Quantity]:
        """What a share of the device would consume. Raises AllocationError beyond Kubernetes' arithmetic."""
        return consumed_capacities(
            asked, given(device.device.capacity, {}), self.question.features.fractional_capacity_range
        )


def _selector(step: Step) -> Obstacle:
    return Obstacle("selector", f"{step.owner}, selector #{step.number}: {step.expression}")


class Candidates:
    """The devices that a request can have here, found one after the other in search order.

    An error that would abort the scheduler keeps its place among them (`errors`), since only a search that
    gets there ends with it.
    """

    __slots__ = ("_seen", "devices", "errors", "obstacles", "request", "site")

    def __init__(self, site: Site, request: Request) -> None:
        self.site, self.request = site, request
        self.devices: list[OfferedDevice] = []
        self.errors: dict[int, str] = {}
        self.obstacles: list[tuple[OfferedDevice, Obstacle]] = []
        self._seen = 0

    def reach(self, place: int) -> bool:
        """Whether there is a device at this place, looked for if need be."""
        devices, offered = self.devices, self.site.view.devices
        while len(devices) <= place:
            if self._seen >= len(offered):
                return False
            device = offered[self._seen]
            self._seen += 1
            outcome = self.site.usable(self.request, device)
            if outcome is None:
                devices.append(device)
            elif isinstance(outcome, Obstacle):
                self.obstacles.append((device, outcome))
            else:
                self.errors[len(devices)] = outcome
                devices.append(device)
        return True

    def all(self) -> list[OfferedDevice]:
        """Every one of them."""
        self.reach(len(self.site.view.devices))
        return self.devices
