"""The search on one node: depth first over all requests, the first solution in Kubernetes' order is taken.

Pools by driver and name (those with binding conditions last), slices by name, devices as listed; a request
takes its devices in ascending order; an alternative of firstAvailable is tried when all before it failed.
Source: allocateOne in structured/internal/experimental (Kubernetes 1.37). The stack is ours, so that depth
costs memory only, and what cannot lead to a solution is cut off where no error could hide in it: the first
solution stays.
"""

from collections.abc import Callable

from msgspec import Struct

from stellwerk.api.defaults import ALL
from stellwerk.engine.allocation.claims.question import Choice, Request
from stellwerk.engine.allocation.decision import AllocationError
from stellwerk.engine.allocation.pools.offered import OfferedDevice
from stellwerk.engine.allocation.search.ledger import Ledger
from stellwerk.engine.allocation.search.pruning import Pruning
from stellwerk.engine.allocation.search.site import IN_USE, TAKEN, Candidates, Obstacle, Site

MAX_DEVICES_PER_CLAIM = 32  # AllocationResultsMaxSize of resource.k8s.io/v1.
STEP_LIMIT = 50_000  # Devices tried on one node; Kubernetes has a time limit for the pod instead.


PATIENCE = 64  # Devices that fail one after the other before it is worked out which ones must.
Stop = Callable[[], str]  # Why the caller gives up; empty to go on.


class _End(Struct, frozen=True):
    """How an attempt at something ended: no solution, or only one with too many devices for a claim."""

    exceeded: bool


FAILED, EXCEEDED = _End(False), _End(True)


class _DeviceFrame(Struct):
    """One device that is wanted: of which request, the how manieth, and its place among the candidates."""

    claim: int
    choice: int
    alternative: int
    number: int
    place: int
    holding: bool = False
    failed_kinds: set[object] | None = None


class _ListFrame(Struct):
    """The alternatives of a firstAvailable."""

    claim: int
    choice: int
    alternative: int = 0
    all_exceeded: bool = True


class _ClaimFrame(Struct):
    """The border between two claims: too many devices behind it is a plain failure before it."""


_Frame = _DeviceFrame | _ListFrame | _ClaimFrame


class Attempt:
    """One search. `run` ends with True (the ledger holds the solution) or False.

    `prunes`: cut off what cannot lead to a solution; without it every branch is walked, with the same end.
    """

    def __init__(
        self, site: Site, stop: Stop | None = None, step_limit: int = STEP_LIMIT, prunes: bool = True
    ) -> None:
        self.site = site
        self.ledger = Ledger(site)
        self.steps = 0
        self.chosen: dict[tuple[int, int], int] = {}
        self.candidates: dict[tuple[int, int, int], Candidates] = {}
        self.everything: dict[tuple[int, int, int], list[OfferedDevice]] = {}
        self.obstacles: dict[tuple[int, int, int], dict[int, tuple[OfferedDevice, Obstacle]]] = {}
        self.reached = (0, 0)
        self._stop = stop
        self._step_limit = step_limit
        self._frames: list[_Frame] = []
        self._pruning: Pruning | None = None
        self._prunes = prunes

    def run(self) -> bool:
        """Search. Raises AllocationError where the scheduler would end with an error."""
        self._check()
        self._heed_stop()
        end = self._enter(0, 0)
        while end is not None:
            if not self._frames:
                if end is EXCEEDED:
                    raise AllocationError("allocation max size exceeded")
                return False
            end = self._back(self._frames[-1], end)
        for frame in self._frames:
            if isinstance(frame, _ListFrame):
                self.chosen[frame.claim, frame.choice] = frame.alternative
        return True

    # What has to hold before the search.

    def _check(self) -> None:
        for number, claim in enumerate(self.site.question.claims):
            least = 0
            for index, choice in enumerate(claim.choices):
                if choice.error:
                    raise AllocationError(choice.error)
                wanted = min(
                    self._wanted((number, index, i), one) for i, one in enumerate(choice.alternatives)
                )
                if wanted > MAX_DEVICES_PER_CLAIM - least:
                    raise AllocationError(
                        f"claim {claim.name}, request {choice.name}: adding {wanted} devices exceeds the "
                        f"claim limit of {MAX_DEVICES_PER_CLAIM}, with {least} already accounted for"
                    )
                least += wanted
            if claim.error:
                raise AllocationError(claim.error)

    def _wanted(self, key: tuple[int, int, int], request: Request) -> int:
        """How many devices the request takes here."""
        if request.error:
            raise AllocationError(request.error)
        if request.mode != ALL:
            return request.count
        devices = self.everything[key] = self._all(request)
        return len(devices)

    def _all(self, request: Request) -> list[OfferedDevice]:
        """Every device that the selectors take: for all of them, every pool must be whole."""
        where = f"claim {self.site.question.claims[request.claim].name}, request {request.name}"
        capacity = self.site.question.features.consumable_capacity
        devices = []
        for pool in self.site.view.pools:
            if pool.incomplete or pool.invalid:
                state = "currently being updated" if pool.incomplete else "currently invalid"
                raise AllocationError(
                    f"{where}: asks for all devices, but resource pool {pool.name} is {state}"
                )
            for device in pool.devices:
                outcome = self.site.selectable(request, device)
                if outcome is None and capacity:
                    outcome = self.site.static_capacity(request, device)
                if isinstance(outcome, str):
                    raise AllocationError(outcome)
                if outcome is None:
                    devices.append(device)
        return devices

    # The search.

    def _enter(self, claim: int, choice: int) -> _End | None:
        """Go on with this entry of `requests`, or with what comes behind it; None: a solution is found."""
        claims = self.site.question.claims
        while True:
            if claim >= len(claims):
                return None
            if choice >= len(claims[claim].choices):
                claim, choice = claim + 1, 0
                self._frames.append(_ClaimFrame())
                continue
            self.reached = max(self.reached, (claim, choice))
            if claims[claim].choices[choice].is_list:
                self._frames.append(_ListFrame(claim, choice))
            following = self._next_device(_DeviceFrame(claim, choice, 0, 0, 0))
            if isinstance(following, _End):
                return following
            if following:
                claim, choice = following
                continue
            return None

    def _next_device(self, frame: _DeviceFrame) -> _End | tuple[int, int] | None:
        """Take the frame's device and those behind it, until the request is done: then what comes next."""
        while True:
            key = (frame.claim, frame.choice, frame.alternative)
            request = self._request(frame)
            everything = self.everything.get(key)
            wanted = request.count if everything is None else len(everything)
            if everything is not None and not everything:
                return FAILED
            if frame.number >= wanted:
                return frame.claim, frame.choice + 1
            if wanted - frame.number > MAX_DEVICES_PER_CLAIM - len(self.ledger.taken[frame.claim]):
                return EXCEEDED
            self._frames.append(frame)
            if not self._advance(frame, request, everything):
                self._frames.pop()
                return FAILED
            frame = _DeviceFrame(
                frame.claim, frame.choice, frame.alternative, frame.number + 1, frame.place + 1
            )

    def _request(self, frame: _DeviceFrame) -> Request:
        choice: Choice = self.site.question.claims[frame.claim].choices[frame.choice]
        return choice.alternatives[frame.alternative]

    def _advance(self, frame: _DeviceFrame, request: Request, everything: list[OfferedDevice] | None) -> bool:
        """Take the next device that can be had for the frame."""
        self._count_step()
        if everything is not None:
            return self._take_given(frame, request, everything[frame.number])
        key = (frame.claim, frame.choice, frame.alternative)
        candidates = self.candidates.get(key)
        if candidates is None:
            candidates = self.candidates[key] = Candidates(self.site, request)
        place = frame.place
        pruning = self._look_ahead() if self._pruning is not None else None
        missed = 0
        while candidates.reach(place):
            device = candidates.devices[place]
            if self.ledger.is_taken(request, device):
                self.obstacles.setdefault(key, {}).setdefault(device.index, (device, TAKEN))
                place += 1
                continue
            if place in candidates.errors:
                raise AllocationError(candidates.errors[place])
            if pruning is not None and pruning.is_vain(frame.failed_kinds, candidates, device):
                place += 1
                continue
            obstacle = self.ledger.take(request, device, False)
            if obstacle is None:
                frame.place, frame.holding = place, True
                return True
            self.obstacles.setdefault(key, {})[device.index] = (device, obstacle)
            self._count_step()
            place += 1
            missed += 1
            if missed == PATIENCE and pruning is None:
                pruning = self._look_ahead()
        frame.place = place
        return False

    def _take_given(self, frame: _DeviceFrame, request: Request, device: OfferedDevice) -> bool:
        """Take this very device, of a request for all of them."""
        obstacle: Obstacle | None = None
        if self.ledger.is_taken(request, device):
            obstacle = TAKEN
        elif not request.admin and device.index in self.site.usage.used:
            obstacle = IN_USE
        if obstacle is None and not device.ordinary:
            outcome = self.site.allowed(request, device)
            assert not isinstance(outcome, str)
            obstacle = outcome
        if obstacle is None:
            obstacle = self.ledger.take(request, device, True)
        if obstacle is None:
            frame.holding = True
            return True
        key = (frame.claim, frame.choice, frame.alternative)
        self.obstacles.setdefault(key, {})[device.index] = (device, obstacle)
        return False

    def _heed_stop(self) -> None:
        reason = self._stop() if self._stop is not None else ""
        if reason:
            raise AllocationError(f"filter operation aborted: {reason}")

    def _count_step(self) -> None:
        self.steps += 1
        if self._stop is not None:
            self._heed_stop()
        if self.steps > self._step_limit:
            raise AllocationError(
                f"gave up after {self._step_limit} devices tried on node "
                f"{self.site.view.node.metadata.name}: ask for fewer devices, or for more specific ones"
            )

    def _back(self, frame: _Frame, end: _End) -> _End | None:
        """What comes after everything behind `frame` (the last one) ended with `end`."""
        if isinstance(frame, _ClaimFrame):
            self._frames.pop()
            return FAILED
        if isinstance(frame, _ListFrame):
            return self._next_alternative(frame, end)
        return self._retry(frame, end)

    def _next_alternative(self, frame: _ListFrame, end: _End) -> _End | None:
        frame.all_exceeded = frame.all_exceeded and end is EXCEEDED
        frame.alternative += 1
        choice = self.site.question.claims[frame.claim].choices[frame.choice]
        if frame.alternative >= len(choice.alternatives):
            self._frames.pop()
            return EXCEEDED if frame.all_exceeded else FAILED
        return self._go_on(_DeviceFrame(frame.claim, frame.choice, frame.alternative, 0, 0))

    def _retry(self, frame: _DeviceFrame, end: _End) -> _End | None:
        """Give the frame's device back and take the next one, if another one can make a difference."""
        request = self._request(frame)
        if frame.holding:
            self.ledger.give_back(frame.claim)
            frame.holding = False
        everything = self.everything.get((frame.claim, frame.choice, frame.alternative))
        if end is EXCEEDED or everything is not None or not self._worthwhile(frame, request):
            self._frames.pop()
            return end
        frame.place += 1
        if not self._advance(frame, request, None):
            self._frames.pop()
            return FAILED
        return self._go_on(
            _DeviceFrame(frame.claim, frame.choice, frame.alternative, frame.number + 1, frame.place + 1)
        )

    def _worthwhile(self, frame: _DeviceFrame, request: Request) -> bool:
        """Whether another device for the frame can lead to a solution; asked only after the first failure."""
        pruning = self._look_ahead()
        if pruning is None:
            return True
        if pruning.hopeless:
            return False
        key = (frame.claim, frame.choice, frame.alternative)
        candidates = self.candidates[key]
        if frame.failed_kinds is None:
            frame.failed_kinds = set()
        frame.failed_kinds.add(pruning.kind(candidates.devices[frame.place]))
        return pruning.enough_left(self.ledger, candidates, frame.place + 1, request.count - frame.number)

    def too_few_like(self, candidates: Candidates, device: OfferedDevice) -> str:
        """The attribute in which too few candidates match the device, if it was passed over for that."""
        pruning = self._pruning
        return pruning.too_few_like(candidates, device) if pruning is not None and pruning.safe else ""

    def _look_ahead(self) -> Pruning | None:
        """What is known of all requests here, unless it must not be used."""
        if self._pruning is None and self._prunes:
            self._pruning = Pruning(self.site, self.candidates, self.everything)
        return self._pruning if self._pruning is not None and self._pruning.safe else None

    def _go_on(self, frame: _DeviceFrame) -> _End | None:
        following = self._next_device(frame)
        if isinstance(following, tuple):
            return self._enter(*following)
        return following
