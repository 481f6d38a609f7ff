"""Concurrent admission: variants of a workload try one flavor each; an admitted one may move to a better.

Source: kueue pkg/scheduler/scheduler.go (findAdmittedSibling, isMigrationAllowed),
pkg/workload/concurrentadmission.
"""

from collections.abc import Sequence

from stellwerk.api.groups.kueue import (
    ConcurrentAdmissionConstraints,
    ConcurrentAdmissionMigration,
    ConcurrentAdmissionPolicy,
)
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import OwnerReference, given
from stellwerk.engine.queueing.cycle.backlog import ALLOWED_FLAVORS
from stellwerk.engine.queueing.cycle.world import Entry, World
from stellwerk.engine.queueing.queue import Queue
from stellwerk.engine.queueing.snapshot import Holding
from stellwerk.engine.queueing.standing import true_condition


def is_variant(world: World, workload: Workload) -> bool:
    """Whether it is one of several variants of a parent Workload."""
    return world.snapshot.gates.concurrent_admission and _parent(workload) is not None


def better_sibling(world: World, entry: Entry) -> Holding | None:
    """An admitted variant of the same parent whose flavor comes before the entry's."""
    return _sibling(world, entry, better=True)


def worse_sibling(world: World, entry: Entry) -> Holding | None:
    """An admitted variant of the same parent whose flavor comes after the entry's."""
    return _sibling(world, entry, better=False)


def may_migrate(entry: Entry, queue: Queue) -> bool:
    """Whether the entry's flavor is good enough for the queue to move a workload to it."""
    policy = given(queue.spec.concurrent_admission_policy, ConcurrentAdmissionPolicy())
    migration = given(policy.migration, ConcurrentAdmissionMigration())
    constraints = given(migration.constraints, ConcurrentAdmissionConstraints())
    last = given(constraints.last_acceptable_flavor_name, None)
    if last is None:
        return True
    flavors = _flavors(queue)
    place = _place(entry.info.object, flavors)
    return place is not None and last in flavors and place <= flavors.index(last)


def _sibling(world: World, entry: Entry, *, better: bool) -> Holding | None:
    queue, workload = entry.queue, entry.info.object
    parent = _parent(workload)
    if queue is None or parent is None or not parent.uid:
        return None
    flavors = _flavors(queue)
    mine = _place(workload, flavors)
    if mine is None:
        return None
    for key in sorted(world.snapshot.held[queue.name]):
        other = world.snapshot.held[queue.name][key]
        candidate = other.info.object
        theirs, of_same = _place(candidate, flavors), _parent(candidate)
        if (
            theirs is not None
            and of_same is not None
            and of_same.uid == parent.uid
            and candidate.metadata.uid != workload.metadata.uid
            and true_condition(candidate, "Admitted") is not None
            and (theirs < mine if better else theirs > mine)
        ):
            return other
    return None


def _parent(workload: Workload) -> OwnerReference | None:
    owners = given(workload.metadata.owner_references, ())
    return next((one for one in owners if one.kind == "Workload" and one.api_version == _API), None)


_API = "kueue.x-k8s.io/v1beta2"


def _flavors(queue: Queue) -> Sequence[str]:
    return queue.groups[0].flavors if queue.groups else ()


def _place(workload: Workload, flavors: Sequence[str]) -> int | None:
    text = given(workload.metadata.annotations, {}).get(ALLOWED_FLAVORS, "")
    flavor = text.split(",")[0].strip()
    return flavors.index(flavor) if flavor in flavors else None
