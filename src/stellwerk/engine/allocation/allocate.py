"""`allocate`: claims + ResourceSlices + DeviceClasses + node + what is in use -> devices for each claim, or why not.

Agrees with Kubernetes 1.37's allocator ("experimental", which has every gate) case by case, the first solution in
its order included; it is meant for the same inputs, after the API server's defaults and checks.
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

    def ask(self, claims: Sequence[ResourceClaim]) -> Question:
        """The claims, made ready for any number of nodes."""
        return question(self.offered, claims, self.classes, self.features)

    def usage(self, state: AllocatedState) -> Usage:
        """The allocated state, made ready for any number of nodes."""
        return usage_of(self.offered, state)


def allocate(
    snapshot: Snapshot, node: Node, claims: Sequence[ResourceClaim], state: AllocatedState
) -> Decision:
    """Devices for all claims on this node, in Kubernetes' order; or why not; or the error that it would report."""
    return allocate_on(node, snapshot.ask(claims), snapshot.usage(state))


def allocate_on(node: Node, asked: Question, usage: Usage, stop: Stop | None = None) -> Decision:
    """The same for a question that is asked on many nodes. `stop` is heard at each step and says why to give up."""
    name = given(node.metadata.name, "")
    view = view_of(asked.offered, node, asked.features)
    if view.problem:
        return Aborted(name, view.problem)
    attempt = Attempt(Site(asked, view, usage), stop, STEP_LIMIT)
    try:
        if attempt.run():
            return Allocated(name, results_of(attempt, name), attempt.steps)
    except AllocationError as error:
        return Aborted(name, error.text, error.only_this_node, attempt.steps)
    if any(pool.invalid for pool in view.pools):
        return Aborted(name, INVALID_POOLS, True, attempt.steps)
    return Unallocatable(name, reasons_of(attempt), attempt.steps)
