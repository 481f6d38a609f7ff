"""What holds of every assignment of flavors, on random queues, usages and workloads."""

from hypothesis import event, given, settings
from msgspec.structs import replace

from stellwerk.engine.queueing.flavors.assign import assign_flavors, assign_in_full
from stellwerk.engine.queueing.flavors.at_once import assign_at_once
from stellwerk.engine.queueing.flavors.mode import FIT, NO_FIT, PREEMPT
from stellwerk.engine.queueing.flavors.search import Search, find_flavor
from tests.property.flavor_worlds import FlavorWorld, flavor_worlds


@settings(max_examples=300, deadline=None)
@given(flavor_worlds())
def test_what_fits_is_available_and_nothing_is_charged(world: FlavorWorld) -> None:
    cycle = world.cycle
    queue = cycle.snapshot.queues["q0"]
    cells = range(len(cycle.snapshot.tree.subtree))
    before = [cycle.ledger.usage(cell) for cell in cells]
    answer = assign_flavors(cycle, queue, world.question)
    assert [cycle.ledger.usage(cell) for cell in cells] == before
    assert assign_flavors(cycle, queue, world.question) == answer
    charges = cycle.snapshot.charges("q0", answer.usage)
    if answer.mode == FIT:
        assert cycle.ledger.fits(charges)
        levels = [cycle.ledger.borrowing_level(cell, amount)[0] for cell, amount in charges]
        assert answer.borrowing_level == max(levels)
    else:
        assert any(one.reasons for one in answer.pod_sets)
    if answer.mode != NO_FIT:
        assert all(amount <= cycle.snapshot.tree.potential[cell] for cell, amount in charges)
        assert [set(one.flavors) for one in answer.pod_sets] == [set(one.requests) for one in answer.pod_sets]
        assert not answer.no_fit_reason
    else:
        assert answer.no_fit_reason


@settings(max_examples=400, deadline=None)
@given(flavor_worlds(plain=True))
def test_what_is_said_at_once_is_what_the_search_would_find(world: FlavorWorld) -> None:
    queue = world.cycle.snapshot.queues["q0"]
    at_once = assign_at_once(world.cycle, queue, world.question)
    event(f"at once: {at_once is not None}")
    assert at_once is None or at_once == assign_in_full(world.cycle, queue, world.question)


@settings(max_examples=300, deadline=None)
@given(flavor_worlds())
def test_all_resources_of_a_group_get_the_same_flavor_and_its_nodes_are_for_the_pods(
    world: FlavorWorld,
) -> None:
    answer = assign_flavors(world.cycle, world.cycle.snapshot.queues["q0"], world.question)
    pod_sets = world.question.info.object.spec.pod_sets
    for one, pod_set in zip(answer.pod_sets, pod_sets or (), strict=False):
        chosen = {each.flavor for each in one.flavors.values()}
        assert len(chosen) <= 1
        spec = pod_set.template.spec
        assert spec
        if chosen == {"b"}:
            assert spec.tolerations
        if chosen and spec.node_selector:
            assert chosen == {spec.node_selector["kind"]}


@settings(max_examples=200, deadline=None)
@given(flavor_worlds())
def test_a_search_that_goes_on_does_not_look_at_the_same_flavors_again(world: FlavorWorld) -> None:
    cycle, question = world.cycle, world.question
    queue = cycle.snapshot.queues["q0"]
    answer = assign_flavors(cycle, queue, question)
    if answer.mode != PREEMPT:
        return
    resource, first = next(iter(answer.pod_sets[0].flavors.items()))
    if first.tried == -1:
        return
    later = replace(question, last_tried=answer.last_tried)
    objects = (question.info.object.spec.pod_sets or ())[:1]
    search = Search(cycle, cycle.snapshot.gates, queue, later, (0,), objects)
    found = find_flavor(search, answer.pod_sets[0].requests, resource, {})
    order = queue.group_of[resource].flavors
    assert {one.flavor for one in found.attempts} <= set(order[first.tried + 1 :])
