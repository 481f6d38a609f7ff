"""What users of queues in trees of Cohorts rely on: quota, the order of StrictFIFO, preemption by the rules,
and that nobody waits forever for quota that is his own queue's.
"""

from hypothesis import event, given, settings
from hypothesis import strategies as st

from stellwerk.api.groups.meta import given as written
from stellwerk.engine.queueing.course.run import CIRCLE, DONE, STOPPED, run_cycles
from stellwerk.engine.queueing.cycle.decision import Evicted
from stellwerk.engine.queueing.preemption.contest import (
    IN_CLUSTER_QUEUE,
    IN_COHORT_FAIR_SHARING,
    IN_COHORT_RECLAIM_WHILE_BORROWING,
    IN_COHORT_RECLAMATION,
)
from stellwerk.engine.queueing.priority import effective_priority
from stellwerk.engine.queueing.requests.total import WorkloadInfo
from stellwerk.engine.queueing.snapshot import Snapshot, holds_quota
from stellwerk.engine.queueing.standing import queue_time
from tests.property.cycle_worlds import (
    FLAVORS,
    NOW,
    QUEUES,
    CycleWorld,
    contested_worlds,
    cycle_worlds,
    lent_worlds,
)
from tests.property.quota_recount import Node, overused, recount

CYCLES, SOON, MOST = 12, 25, 60


@settings(max_examples=80, deadline=None)
@given(cycle_worlds(), st.data())
def test_limits_hold_when_all_is_counted_again(world: CycleWorld, data: st.DataObject) -> None:
    for number in range(CYCLES):
        world.step()
        nodes = recount(world.objects, world.objects.workloads)
        event(f"somebody borrows: {any(_borrows(node) for node in nodes.values())}")
        assert not overused(nodes, FLAVORS)
        world.arrive(data.draw, number)


def _borrows(node: Node) -> bool:
    return bool(node.parent) and any(node.used(flavor) > node.quota(flavor) for flavor in FLAVORS)


@settings(max_examples=80, deadline=None)
@given(cycle_worlds())
def test_in_a_strict_queue_of_a_cohort_nobody_goes_before_the_head(world: CycleWorld) -> None:
    strict = {
        name
        for name, queue in world.snapshot.queues.items()
        if written(queue.spec.queueing_strategy, "") == "StrictFIFO"
    }
    for _ in range(CYCLES):
        heads = _heads(world, strict)
        decision = world.step()
        admitted = {one.key for one in decision.admitted if one.info.cluster_queue in strict}
        assert admitted <= set(heads.values())
        after = _heads(world, strict)
        for name, head in heads.items():
            event(f"the head waits: {head not in admitted}")
            assert head in admitted or after[name] == head
        world.finish(1)


def _heads(world: CycleWorld, queues: set[str]) -> dict[str, str]:
    pending = world.backlog.queues
    return {name: one.active[0].info.key for name, one in pending.items() if name in queues and one.active}


@settings(max_examples=80, deadline=None)
@given(cycle_worlds() | contested_worlds() | contested_worlds(fair=True), st.data())
def test_preemption_keeps_to_the_policies_of_the_queue(world: CycleWorld, data: st.DataObject) -> None:
    for number in range(CYCLES // 2):
        snapshot, waiting = world.snapshot, _waiting(world)
        for one in world.step().evicted:
            event(f"preempted: {one.preempted}")
            assert _allowed(snapshot, one, waiting[one.by], _holders(snapshot)[one.key])
        world.arrive(data.draw, number)


@settings(max_examples=200, deadline=None)
@given(lent_worlds())
def test_a_queue_gives_back_only_what_it_borrowed(world: CycleWorld) -> None:
    nodes, holders = recount(world.objects, world.objects.workloads), _holders(world.snapshot)
    evicted = world.step().evicted
    assert evicted
    for queue in QUEUES[1:3]:
        victims = [holders[one.key] for one in evicted if holders[one.key].cluster_queue == queue]
        event(f"at once of one queue: {len(victims)}")
        assert not victims or any(_borrows_without(nodes[queue], victims, last) for last in victims)


def _borrows_without(node: Node, victims: list[WorkloadInfo], last: WorkloadInfo) -> bool:
    """Whether the queue still borrows of what the last one holds, when all the others are gone."""
    used = {flavor: node.used(flavor) for flavor in FLAVORS}
    for one in victims:
        for what, amount in one.usage().items():
            used[what.flavor] -= amount if one is not last else 0
    return any(used[what.flavor] > node.quota(what.flavor) for what in last.usage())


def _allowed(snapshot: Snapshot, one: Evicted, mine: WorkloadInfo, theirs: WorkloadInfo) -> bool:
    """Whether the policy of the preemptor's queue lets it do that to this one."""
    policy, gates = snapshot.queues[mine.cluster_queue].preemption, snapshot.gates
    ours, other = (effective_priority(info.object, gates) for info in (mine, theirs))
    lower = other < ours
    newer = ours == other and queue_time(mine.object, gates) < queue_time(theirs.object, gates)
    by_policy = {"Any": True, "LowerPriority": lower, "LowerOrNewerEqualPriority": lower or newer}
    same = mine.cluster_queue == theirs.cluster_queue
    if one.preempted == IN_CLUSTER_QUEUE:
        return same and by_policy.get(policy.within_cluster_queue, False)
    tree = snapshot.tree
    of_one_tree = len({tree.root(tree.queues[info.cluster_queue]) for info in (mine, theirs)}) == 1
    if one.preempted == IN_COHORT_RECLAIM_WHILE_BORROWING:
        allowed = policy.borrow_within_cohort == "LowerPriority" and lower
    else:
        assert one.preempted in (IN_COHORT_RECLAMATION, IN_COHORT_FAIR_SHARING)
        allowed = by_policy.get(policy.reclaim_within_cohort, False)
    return of_one_tree and not same and allowed


def _waiting(world: CycleWorld) -> dict[str, WorkloadInfo]:
    pending = world.backlog.queues.values()
    all_of_them = [one for queue in pending for one in (*queue.active, *queue.inadmissible.values())]
    return {one.info.key: one.info for one in all_of_them}


def _holders(snapshot: Snapshot) -> dict[str, WorkloadInfo]:
    return {key: one.info for held in snapshot.held.values() for key, one in held.items()}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_head_whose_queue_has_the_quota_for_it_does_not_starve(data: st.DataObject) -> None:
    """Workloads of its own queue finish; those of the others never do, and to them new ones come all the
    time.

    Under fair sharing there is no such promise: heads of smaller shares come first in each cycle, and those
    that can neither reclaim nor preempt hold back what the head would get by preempting.
    """
    world = data.draw(contested_worlds())
    head = world.backlog.queues["q0"].active[0].info.key
    for cycle in range(SOON):
        if head in {one.key for one in world.step().admitted}:
            event(f"admitted in cycle {cycle}")
            return
        world.finish(1, "q0")
        world.arrive(data.draw, cycle, first=1, always=True)
    raise AssertionError(f"{head} was not admitted in {SOON} cycles")


@settings(max_examples=60, deadline=None)
@given(cycle_worlds() | contested_worlds() | contested_worlds(fair=True))
def test_a_course_ends_loses_nobody_and_is_the_same_again(world: CycleWorld) -> None:
    course = run_cycles(world.objects, world.configuration, NOW, MOST)
    event(f"ended: {course.ended}, somebody evicted: {bool(course.evictions)}")
    assert course.ended in (DONE, CIRCLE, STOPPED)
    again = run_cycles(world.objects, world.configuration, NOW, MOST)
    assert (again.workloads, again.backlog) == (course.workloads, course.backlog)
    assert (again.evictions, again.answers, again.now) == (course.evictions, course.answers, course.now)
    assert not overused(recount(world.objects, course.workloads.values()), FLAVORS)
    held = [key for key, one in course.workloads.items() if holds_quota(one)]
    pending = course.backlog.queues.values()
    waiting = [one.info.key for queue in pending for one in queue.active]
    waiting += [key for queue in pending for key in queue.inadmissible]
    assert sorted(held + waiting) == sorted(course.workloads)
