"""What an attempt has taken so far: devices, shares, counters, compatibility groups, values of constraints.

Each `take` leaves a record that `give_back` undoes, the last one first.
Source: allocateDevice and rollbackDevice in structured/internal/experimental (Kubernetes 1.37).
"""

from msgspec import UNSET, Struct, field

from stellwerk.api.quantity import Quantity
from stellwerk.engine.allocation.claims.attributes import MISSING, Failed
from stellwerk.engine.allocation.claims.constraints import Constraint, constraint
from stellwerk.engine.allocation.claims.question import Request
from stellwerk.engine.allocation.decision import AllocationError
from stellwerk.engine.allocation.pools.offered import OfferedDevice, PoolID
from stellwerk.engine.allocation.pools.usage import Groups, available_counters, groups_in_use
from stellwerk.engine.allocation.search.site import IN_USE, Obstacle, Site

_NOTHING: dict[str, int] = {}
COUNTERS = Obstacle("counters")
GROUPS = Obstacle("compatibility-groups")


class Taken(Struct, frozen=True):
    """One device of a result, and what to undo."""

    request: Request
    device: OfferedDevice
    consumed: dict[str, Quantity] | None
    marked: bool
    counted: bool
    groups: tuple[tuple[str, Groups], ...]
    was_shared: bool


class _PoolCounters(Struct):
    """What is left of a pool's counters, what the attempt takes of them, and which are overdrawn already."""

    left: dict[tuple[str, str], int]
    overdrawn: tuple[tuple[str, str], ...]
    groups: dict[str, Groups]
    taken: dict[tuple[str, str], int] = field(default_factory=dict)


class Ledger:
    """The state of one attempt on one node."""

    def __init__(self, site: Site) -> None:
        features = site.question.features
        self.site = site
        self.taken: list[list[Taken]] = [[] for _ in site.question.claims]
        self.claims_of: dict[int, list[int]] = {}
        self.shares: dict[int, dict[str, int]] = {}
        self._pools: dict[PoolID, _PoolCounters] = {}
        self._shares_capacity = features.consumable_capacity
        self._checks_groups = features.compatibility_groups
        self._constraints: list[list[Constraint]] = [
            [constraint(distinct, features.list_type_attributes) for distinct in claim.distinct]
            for claim in site.question.claims
        ]

    def is_taken(self, request: Request, device: OfferedDevice) -> bool:
        """Whether this attempt uses the device already; admin access only minds its own claim."""
        claims = self.claims_of.get(device.index)
        return bool(claims) and (not request.admin or request.claim in claims)  # type: ignore[operator]

    def take(self, request: Request, device: OfferedDevice, must: bool) -> Obstacle | None:
        """Take the device for the request, or say why it cannot be had now.

        The device is usable (Site.usable). Raises AllocationError where Kubernetes would report an error:
        `must` is for requests of all devices, of which none may break a constraint.
        """
        if device.ordinary and request.capacity is UNSET:
            return self._take_ordinary(request, device, must)
        if self.is_taken(request, device):
            return IN_USE
        multiple = device.multiple and self._shares_capacity
        was_shared = device.index in self.shares
        # A further share of a device does not consume its counters again.
        charged = bool(device.groups) and not (multiple and (was_shared or self._share_in_use(device.index)))
        groups: tuple[tuple[str, Groups], ...] = ()
        if charged and self._checks_groups:
            joined = self._join_groups(device)
            if joined is None:
                return GROUPS
            groups = joined
        if charged and not self._count(device):
            self._leave_groups(device, groups)
            return COUNTERS
        broken = self._admit(request, device, must)
        if broken is not None:
            self._undo_pool(device, charged, groups)
            return broken
        consumed = self._share(request, device) if multiple else None
        if not multiple:
            self.claims_of.setdefault(device.index, []).append(request.claim)
        self.taken[request.claim].append(
            Taken(request, device, consumed, not multiple, charged, groups, was_shared)
        )
        return None

    def _admit(self, request: Request, device: OfferedDevice, must: bool) -> Obstacle | None:
        """Constraints and capacity: which comes first only matters for errors, and is as in Kubernetes."""
        if self._shares_capacity and not must:
            refused = self._capacity(request, device)
            if refused is not None:
                return refused
        broken = self._add_to_constraints(request, device, must)
        if broken is None and self._shares_capacity and must:
            broken = self._capacity(request, device)
            if broken is not None:
                self._remove_from_constraints(request)
        return broken

    def _take_ordinary(self, request: Request, device: OfferedDevice, must: bool) -> Obstacle | None:
        """The same for a device without counters, shares and groups."""
        if device.index in self.claims_of and self.is_taken(request, device):
            return IN_USE
        if request.bound:
            broken = self._add_to_constraints(request, device, must)
            if broken is not None:
                return broken
        if self._shares_capacity and device.index in self.site.usage.capacity:
            refused = self._capacity(request, device)
            if refused is not None:
                self._remove_from_constraints(request)
                return refused
        self.claims_of.setdefault(device.index, []).append(request.claim)
        self.taken[request.claim].append(Taken(request, device, None, True, False, (), False))
        return None

    def give_back(self, claim: int) -> None:
        """Undo what was taken last for the claim."""
        one = self.taken[claim].pop()
        if one.consumed is not None:
            share = self.shares[one.device.index]
            for name, quantity in one.consumed.items():
                share[name] -= quantity.nanos
            if not one.was_shared:
                del self.shares[one.device.index]
        if one.marked:
            claims = self.claims_of[one.device.index]
            claims.remove(claim)
            if not claims:
                del self.claims_of[one.device.index]
        if one.request.bound:
            self._remove_from_constraints(one.request)
        self._undo_pool(one.device, one.counted, one.groups)

    def _undo_pool(
        self, device: OfferedDevice, counted: bool, groups: tuple[tuple[str, Groups], ...]
    ) -> None:
        if counted:
            taken = self._pools[device.pool].taken
            for key, amount in device.counters:
                taken[key] -= amount
        self._leave_groups(device, groups)

    def _share_in_use(self, index: int) -> bool:
        return index in self.site.usage.capacity or index in self.site.usage.shared

    def _share(self, request: Request, device: OfferedDevice) -> dict[str, Quantity]:
        consumed = self.site.consumed(request.capacity, device)
        share = self.shares.setdefault(device.index, {})
        for name, quantity in consumed.items():
            share[name] = share.get(name, 0) + quantity.nanos
        return consumed

    def _capacity(self, request: Request, device: OfferedDevice) -> Obstacle | None:
        outcome = self.site.capacity(request, device, self.shares.get(device.index, _NOTHING))
        if isinstance(outcome, str):
            raise AllocationError(outcome)
        return outcome

    def _add_to_constraints(self, request: Request, device: OfferedDevice, must: bool) -> Obstacle | None:
        constraints = self._constraints[request.claim]
        for position, bound in enumerate(request.bound):
            value = bound.column.cells[device.index]
            if value is None:
                value = bound.column.of(device)
            if isinstance(value, Failed):
                raise AllocationError(_failure(value, bound.attribute, device))
            if value is MISSING or not constraints[bound.number].add(value):
                for earlier in request.bound[:position]:
                    constraints[earlier.number].remove()
                if must:
                    self._complain(request, device)
                return Obstacle("constraint", bound.attribute)
        return None

    def _complain(self, request: Request, device: OfferedDevice) -> None:
        claim = self.site.question.claims[request.claim].name
        raise AllocationError(
            f"claim {claim}, request {request.name}: cannot add device {device.id} because a claim "
            "constraint would not be satisfied"
        )

    def _remove_from_constraints(self, request: Request) -> None:
        constraints = self._constraints[request.claim]
        for bound in request.bound:
            constraints[bound.number].remove()

    def _counters(self, device: OfferedDevice) -> _PoolCounters:
        known = self._pools.get(device.pool)
        if known is None:
            pool, usage = self.site.view.by_id[device.pool], self.site.usage
            left = available_counters(pool, usage)
            overdrawn = tuple(key for key, amount in left.items() if amount < 0)
            known = _PoolCounters(left, overdrawn, groups_in_use(pool, usage))
            self._pools[device.pool] = known
        return known

    def _count(self, device: OfferedDevice) -> bool:
        """Take the device's counters, if the pool has them all; an overdrawn counter stops every device."""
        pool = self._counters(device)
        taken, left = pool.taken, pool.left
        for key, amount in device.counters:
            taken[key] = taken.get(key, 0) + amount
        touched = (key for key, _ in device.counters)
        if all(taken.get(key, 0) <= left[key] for key in (*touched, *pool.overdrawn)):
            return True
        for key, amount in device.counters:
            taken[key] -= amount
        return False

    def _join_groups(self, device: OfferedDevice) -> tuple[tuple[str, Groups], ...] | None:
        """Join the device's counter sets; what they were before, or None if its groups do not fit."""
        groups = self._counters(device).groups
        before: list[tuple[str, Groups]] = []
        for name, mine in device.groups:
            current = groups.get(name, Groups())
            if not current.admits(mine):
                self._leave_groups(device, tuple(before))
                return None
            before.append((name, current))
            groups[name] = current.joined(mine)
        return tuple(before)

    def _leave_groups(self, device: OfferedDevice, before: tuple[tuple[str, Groups], ...]) -> None:
        if before:
            groups = self._counters(device).groups
            for name, earlier in reversed(before):
                groups[name] = earlier


def _failure(failed: Failed, attribute: str, device: OfferedDevice) -> str:
    if not failed.compiled:
        return f"compile derived attribute {attribute} failed: {failed.text}"
    return f"evaluate derived attribute {attribute} on device {device.id} failed: {failed.text}"
