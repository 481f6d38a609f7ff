"""`allocate`: claims, ResourceSlices, DeviceClasses, a node, what is in use -> devices per claim, or why not.

Agrees with the allocator of Kubernetes 1.37 ("experimental", which has every gate) case by case, the first
solution in its order included; it is meant for the same inputs, after the API server's defaults and checks.
"""

from collections.abc import Iterable, Mapping, Sequence

from stellwerk.api.groups.core import Node
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceClass, ResourceClaim, ResourceSlice
from stellwerk.engine.allocation.claims.question import Question, question
from stellwerk.engine.allocation.decision import (
    Aborted,
    Allocated,
    AllocatedState,
    AllocationError,
    Decision,
    Features,
    Unallocatable,
)
from stellwerk.engine.allocation.pools.gather import view_of
from stellwerk.engine.allocation.pools.offered import Offered
from stellwerk.engine.allocation.pools.usage import Usage, usage_of
from stellwerk.engine.allocation.search.attempt import STEP_LIMIT, Attempt, Stop
from stellwerk.engine.allocation.search.results import results_of
from stellwerk.engine.allocation.search.site import Site
from stellwerk.engine.allocation.why import reasons_of

INVALID_POOLS = "invalid resource pools were encountered"


class Snapshot:
    """Slices, classes and gates: made once, asked for any claims and nodes."""

    def __init__(
        self, slices: Sequence[ResourceSlice], classes: Iterable[DeviceClass], features: Features
    ) -> None:
        self.offered = Offered(slices)
        self.classes: Mapping[str, DeviceClass] = {given(one.metadata.name, ""): one for one in classes}
        self.features = features

    def with_features(self, features: Features) -> "Snapshot":
        """The same slices and classes under other gates; what is known of the devices is shared."""
        other = Snapshot((), self.classes.values(), features)
        other.offered = self.offered
        return other

    def ask(self, claims: Sequence[ResourceClaim]) -> Question:
        """The claims, made ready for any number of nodes."""
        return question(self.offered, claims, self.classes, self.features)

    def usage(self, state: AllocatedState) -> Usage:
        """The allocated state, made ready for any number of nodes."""
        return usage_of(self.offered, state)


def allocate(
    snapshot: Snapshot, node: Node, claims: Sequence[ResourceClaim], state: AllocatedState
) -> Decision:
    """Devices for all claims on this node, in Kubernetes' order; or why not; or the error it would report."""
    return allocate_on(node, snapshot.ask(claims), snapshot.usage(state))


def allocate_on(node: Node, asked: Question, usage: Usage, stop: Stop | None = None) -> Decision:
    """The same for a question asked on many nodes. `stop` is heard at each step and says why to give up."""
    return attempt_on(node, asked, usage, stop)[1]


def attempt_on(
    node: Node, asked: Question, usage: Usage, stop: Stop | None = None
) -> tuple[Attempt | None, Decision]:
    """The decision with the attempt behind it; None if there was nothing to try."""
    name = given(node.metadata.name, "")
    view = view_of(asked.offered, node, asked.features)
    if view.problem:
        return None, Aborted(name, view.problem)
    attempt = Attempt(Site(asked, view, usage), stop, STEP_LIMIT)
    try:
        if attempt.run():
            return attempt, Allocated(name, results_of(attempt, name), attempt.steps)
    except AllocationError as error:
        return attempt, Aborted(name, error.text, error.only_this_node, attempt.steps)
    invalid = next((pool for pool in view.pools if pool.invalid), None)
    if invalid is not None:
        text = f"{INVALID_POOLS}: {invalid.name}: {invalid.invalid}"
        return attempt, Aborted(name, text, True, attempt.steps)
    return attempt, Unallocatable(name, reasons_of(attempt), attempt.steps)
