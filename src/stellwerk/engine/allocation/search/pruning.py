"""Which branches of the search cannot hold a solution, so that they need not be walked.

Allowed only where no error can hide in a branch (`safe`), since the scheduler would end with it. Four
rules: a device that fewer devices match than a request wants does not help it; a request with fewer
devices than it wants ends the search; too few devices behind a place end the place's request; a device
that differs from a failed one in nothing that any request or constraint looks at fails as well. Tests
hold the search with these rules equal to the search without them and to Kubernetes' own.
"""

from collections import Counter
from collections.abc import Mapping

from stellwerk.api.defaults import ALL
from stellwerk.engine.allocation.claims.question import Bound, Request
from stellwerk.engine.allocation.pools.offered import OfferedDevice
from stellwerk.engine.allocation.search.ledger import Ledger
from stellwerk.engine.allocation.search.site import Candidates, Site

Key = tuple[int, int, int]


class Pruning:
    """What is known of all requests on a node, worked out at the first failure."""

    def __init__(
        self, site: Site, candidates: dict[Key, Candidates], everything: Mapping[Key, list[OfferedDevice]]
    ) -> None:
        self._site = site
        self._kinds: dict[int, object] = {}
        self._sizes: dict[int, list[tuple[Bound, Counter[object]]]] = {}
        self._everything = {key: {one.index for one in devices} for key, devices in everything.items()}
        self._requests: list[tuple[Key, Request]] = [
            ((number, index, i), one)
            for number, claim in enumerate(site.question.claims)
            for index, choice in enumerate(claim.choices)
            for i, one in enumerate(choice.alternatives)
        ]
        self.safe = not any(self._may_err(one) for _, one in self._requests)
        self.hopeless = False
        if self.safe:
            self._look_at_all(candidates)

    @staticmethod
    def _may_err(request: Request) -> bool:
        """Derived attributes fail when they are worked out, a request for all when a constraint breaks."""
        return any(bound.derived for bound in request.bound) or (request.mode == ALL and bool(request.bound))

    def _look_at_all(self, candidates: dict[Key, Candidates]) -> None:
        for key, request in self._requests:
            if request.mode == ALL:
                continue
            mine = candidates.get(key)
            if mine is None:
                mine = candidates[key] = Candidates(self._site, request)
            count = len(mine.all())
            if mine.errors:
                self.safe = False
            is_list = self._site.question.claims[key[0]].choices[key[1]].is_list
            if not is_list and count < request.count:
                self.hopeless = True

    def kind(self, device: OfferedDevice) -> object:
        """Equal for devices that can stand in for one another."""
        known = self._kinds.get(device.index)
        if known is None:
            known = self._kinds[device.index] = self._kind_of(device)
        return known

    def _kind_of(self, device: OfferedDevice) -> object:
        if device.multiple or any(request.admin for _, request in self._requests):
            return device.index
        outcomes = tuple(self._outcome(key, request, device) for key, request in self._requests)
        values = tuple(bound.column.of(device) for _, request in self._requests for bound in request.bound)
        consumption = (device.pool, device.counters, device.groups) if device.groups else ()
        return outcomes, values, consumption

    def _outcome(self, key: Key, request: Request, device: OfferedDevice) -> bool:
        """Whether the request can have the device; for one of all devices, whether it must."""
        if request.mode == ALL:
            return device.index in self._everything[key]
        return self._site.usable(request, device) is None

    def is_vain(
        self, failed_kinds: set[object] | None, candidates: Candidates, device: OfferedDevice
    ) -> bool:
        """Whether a device of its kind failed at the same place, or too few others match it."""
        if self.too_few_like(candidates, device):
            return True
        return failed_kinds is not None and self.kind(device) in failed_kinds

    def too_few_like(self, candidates: Candidates, device: OfferedDevice) -> str:
        """The attribute that must match, of whose value here there are fewer candidates than wanted."""
        for bound, sizes in self._sizes_of(candidates):
            if sizes[bound.column.of(device)] < candidates.request.count:
                return bound.attribute
        return ""

    def _sizes_of(self, candidates: Candidates) -> list[tuple[Bound, Counter[object]]]:
        """How many candidates have each value of an attribute that the request's devices must share."""
        known = self._sizes.get(id(candidates))
        if known is None:
            request, known = candidates.request, []
            distinct = self._site.question.claims[request.claim].distinct
            for bound in request.bound:
                sizes = Counter(bound.column.of(device) for device in candidates.devices)
                if not distinct[bound.number] and not any(map(_is_set, sizes)):
                    known.append((bound, sizes))
            self._sizes[id(candidates)] = known
        return known

    def enough_left(self, ledger: Ledger, candidates: Candidates, place: int, wanted: int) -> bool:
        """Whether as many candidates from `place` on are free as are still wanted."""
        request = candidates.request
        devices = candidates.devices
        if len(devices) - place < wanted:
            return False
        if not ledger.claims_of:
            return True
        left = 0
        for device in devices[place:]:
            left += not ledger.is_taken(request, device)
            if left >= wanted:
                return True
        return False


def _is_set(value: object) -> bool:
    """Whether the value is a set of several, which others may match in part."""
    return isinstance(value, tuple) and isinstance(value[1], frozenset) and len(value[1]) > 1
