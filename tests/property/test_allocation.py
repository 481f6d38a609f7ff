"""The allocator against trying everything, and what can never happen."""

from hypothesis import given, settings
from msgspec import UNSET

from stellwerk.engine.allocation.allocate import allocate, attempt_on
from stellwerk.engine.allocation.decision import Allocated, DeviceID, Unallocatable
from stellwerk.engine.allocation.pools.gather import view_of
from stellwerk.engine.allocation.pools.usage import usage_after, usage_of, with_results
from stellwerk.engine.allocation.search.attempt import STEP_LIMIT, Attempt
from stellwerk.engine.allocation.search.results import results_of
from stellwerk.engine.allocation.search.site import Site
from tests.property.allocation_worlds import NODE, World, best_by_trying, is_solution, objects_of, worlds


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_claims_are_allocated_just_when_some_choice_of_devices_satisfies_them(world: World) -> None:
    snapshot, claims, state = objects_of(world)
    decision = allocate(snapshot, NODE, claims, state)
    best = best_by_trying(world)
    if best is None:
        assert isinstance(decision, Unallocatable)
        assert decision.reasons[0].code == "too-few-devices"
        return
    assert isinstance(decision, Allocated)
    given_out, chosen = [], []
    for number, (requests, _) in enumerate(world.claims):
        devices = decision.results[number].devices
        assert devices is not UNSET and devices.results is not UNSET
        for i, request in enumerate(requests):
            mine = [one for one in devices.results if one.request.partition("/")[0] == f"r{i}"]
            alternatives = {int(one.request.partition("/s")[2] or 0) for one in mine}
            assert len(alternatives) == 1
            chosen.append(alternatives.pop())
            assert len(mine) == request.alternatives[chosen[-1]][1]
            given_out += [(number, i, chosen[-1], one.device) for one in mine]
    # Kubernetes keeps to the first devices that work for a request when it comes to the next one, so only
    # the first request is sure to get the best alternative that any choice of devices allows.
    assert chosen[0] == best[0]
    assert is_solution(world, given_out)


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_what_the_search_cuts_off_never_changes_its_end(world: World) -> None:
    snapshot, claims, state = objects_of(world)
    asked, usage = snapshot.ask(claims), snapshot.usage(state)
    attempt, decision = attempt_on(NODE, asked, usage)
    view = view_of(snapshot.offered, NODE, snapshot.features)
    whole = Attempt(Site(asked, view, usage), None, 10 * STEP_LIMIT, prunes=False)
    found = whole.run()
    assert found == isinstance(decision, Allocated)
    assert attempt is not None and attempt.steps <= whole.steps
    if isinstance(decision, Allocated):
        assert results_of(whole, "n") == decision.results


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_no_device_is_given_twice_and_nothing_is_left_behind(world: World) -> None:
    snapshot, claims, state = objects_of(world)
    attempt, decision = attempt_on(NODE, snapshot.ask(claims), snapshot.usage(state))
    assert attempt is not None
    if not isinstance(decision, Allocated):
        assert not attempt.ledger.claims_of and not any(attempt.ledger.taken)
        return
    given_out = [one.device.index for taken in attempt.ledger.taken for one in taken]
    assert len(set(given_out)) == len(given_out)
    assert not set(given_out) & snapshot.usage(state).used


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_usage_after_an_allocation_is_the_usage_of_the_state_after_it(world: World) -> None:
    snapshot, claims, state = objects_of(world)
    decision = allocate(snapshot, NODE, claims, state)
    if not isinstance(decision, Allocated):
        return
    before = usage_of(snapshot.offered, state)
    after = usage_after(snapshot.offered, before, decision.results)
    anew = usage_of(snapshot.offered, with_results(state, decision.results))
    assert (after.used, after.shared, after.flags) == (anew.used, anew.shared, anew.flags)
    again = allocate(snapshot, NODE, claims, with_results(state, decision.results))
    held = {DeviceID(one.driver, one.pool, one.device) for r in decision.results for one in r.devices.results}
    if isinstance(again, Allocated):
        assert not held & {
            DeviceID(one.driver, one.pool, one.device) for r in again.results for one in r.devices.results
        }
