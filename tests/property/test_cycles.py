"""What can never happen in scheduling cycles, on random trees of Cohorts, queues and Workloads."""

from hypothesis import event, given, settings
from hypothesis import strategies as st

from stellwerk.engine.queueing.cycle.admit import admit, refused
from stellwerk.engine.queueing.cycle.backlog import Backlog
from stellwerk.engine.queueing.quota.ledger import Ledger
from stellwerk.engine.queueing.snapshot import Snapshot
from tests.property.cycle_worlds import CycleWorld, contested_worlds, cycle_worlds, pod_counts

CYCLES = 12


def _keys(backlog: Backlog) -> list[str]:
    found = []
    for pending in backlog.queues.values():
        found += [one.info.key for one in pending.active]
        found += list(pending.inadmissible)
    return sorted(found)


def _above(snapshot: Snapshot, ledger: Ledger) -> list[str]:
    """Nodes that use more than quota and borrowing limit allow; a root uses no more than it has."""
    tree, found = snapshot.tree, []
    for cell, node in enumerate(tree.node_of):
        limit, used = tree.borrowing_limit[cell], ledger.usage(cell)
        root = tree.cell_parent[cell] < 0
        if root and used > tree.subtree[cell]:
            found.append(f"{tree.names[node]} uses {used} of {tree.subtree[cell]}")
        if not root and limit is not None and used > tree.subtree[cell] + limit:
            found.append(f"{tree.names[node]} uses {used} of {tree.subtree[cell]}, and may borrow {limit}")
    return found


@settings(max_examples=80, deadline=None)
@given(cycle_worlds() | contested_worlds(), st.data())
def test_quota_holds_gangs_are_whole_and_nobody_is_lost(world: CycleWorld, data: st.DataObject) -> None:
    for _ in range(CYCLES):
        snapshot, before = world.snapshot, set(_keys(world.backlog))
        decision = world.step()
        event(f"preempts: {bool(decision.evicted)}")
        admitted = {one.key for one in decision.admitted}
        after = _keys(world.backlog)
        assert len(after) == len(set(after))
        assert before == set(after) | admitted
        assert not admitted & set(after)
        assert not _above(world.snapshot, world.snapshot.ledger())
        for one in decision.admitted:
            assert one.fully
            assert all(least <= count <= most for count, least, most in pod_counts(one.workload))
        queues = [one.info.cluster_queue for one in decision.admitted]
        assert len(queues) == len(set(queues))
        assert {one.key for one in decision.evicted} <= {
            key for held in snapshot.held.values() for key in held
        }
        if data.draw(st.booleans()):
            world.finish(1)


@settings(max_examples=60, deadline=None)
@given(cycle_worlds() | contested_worlds())
def test_the_same_snapshot_gives_the_same_decision_and_stays_as_it_is(world: CycleWorld) -> None:
    world.step()
    snapshot = world.snapshot
    held = {name: dict(of_queue) for name, of_queue in snapshot.held.items()}
    usage = [snapshot.ledger().usage(cell) for cell in range(len(snapshot.tree.subtree))]
    first = admit(snapshot, world.backlog, world.now)
    assert admit(snapshot, world.backlog, world.now) == first
    assert admit(world.snapshot, world.backlog, world.now) == first
    assert snapshot.held == held
    assert [snapshot.ledger().usage(cell) for cell in range(len(usage))] == usage


def _heads(backlog: Backlog) -> dict[str, str]:
    return {name: pending.active[0].info.key for name, pending in backlog.queues.items() if pending.active}


@settings(max_examples=60, deadline=None)
@given(cycle_worlds(strict=True, alone=True))
def test_under_strict_fifo_nobody_starts_before_the_head(world: CycleWorld) -> None:
    for _ in range(CYCLES):
        heads = _heads(world.backlog)
        decision = world.step()
        assert {one.key for one in decision.admitted} <= set(heads.values())
        kept = _heads(world.backlog)
        admitted = {one.info.cluster_queue for one in decision.admitted}
        assert all(kept[name] == heads[name] for name in heads if name not in admitted)
        world.finish(1)


@settings(max_examples=60, deadline=None)
@given(cycle_worlds())
def test_a_refused_admission_is_as_if_it_had_not_been(world: CycleWorld) -> None:
    snapshot, before = world.snapshot, _keys(world.backlog)
    decision = admit(snapshot, world.backlog, world.now)
    keys = [one.key for one in decision.admitted]
    back = refused(decision, snapshot, keys, world.now)
    assert _keys(back.backlog) == before
    assert not back.admitted
    tried_again = {one.info.key for pending in back.backlog.queues.values() for one in pending.active}
    assert set(keys) <= tried_again
