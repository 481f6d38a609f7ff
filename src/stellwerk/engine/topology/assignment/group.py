"""PodSets that are placed together: the workers, and perhaps a leader that goes where they are.

A group that replaces a workload slice keeps what it had: only pods beyond that are placed, and fewer pods
give up the last domains.
Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go, tas_elastic_workloads.go (ff69552e).
"""

from collections.abc import Mapping, Sequence

from msgspec import structs

from stellwerk.api.groups.meta import given
from stellwerk.engine.topology.assignment.decision import Assignment, Found, Outcome, PodSetRequest
from stellwerk.engine.topology.assignment.fleet.snapshot import FlavorSnapshot
from stellwerk.engine.topology.assignment.merge import gone_domain, merged, stacked, truncated
from stellwerk.engine.topology.assignment.search.place import Terms, place


def groups_of(requests: Sequence[PodSetRequest]) -> list[list[PodSetRequest]]:
    """PodSets that share a group's name together, each of the others alone, in the order of the first one."""
    groups: dict[str | int, list[PodSetRequest]] = {}
    for index, request in enumerate(requests):
        groups.setdefault(index if request.group is None else request.group, []).append(request)
    return list(groups.values())


def leader_and_workers(group: Sequence[PodSetRequest]) -> tuple[PodSetRequest | None, PodSetRequest]:
    """Of two PodSets the one with fewer pods leads, the second one if they are as many."""
    if len(group) < 2:
        return None, group[0]
    return (group[0], group[1]) if group[1].count > group[0].count else (group[1], group[0])


def place_group(snapshot: FlavorSnapshot, group: Sequence[PodSetRequest], terms: Terms) -> Found:
    """Where the group's PodSets go, or for each why not."""
    leader, workers = leader_and_workers(group)
    if (
        terms.gates.elastic_slices
        and workers.previous is not None
        and not _is_stale(snapshot, leader, workers)
    ):
        return _continued(snapshot, leader, workers, terms)
    placed = place(snapshot, workers, leader, terms)
    if not isinstance(placed, Mapping):
        return Found({name_of(request): placed for request in group}, terms.assumed)
    assumed = terms.assumed
    for request in group:
        if name_of(request) in placed:
            assumed = stacked(assumed, placed[name_of(request)], request.requests)
    return Found({name_of(request): placed.get(name_of(request)) for request in group}, assumed)


def name_of(request: PodSetRequest) -> str:
    """The PodSet's name; one without is `main`."""
    return given(request.pod_set.name, "main")


def _is_stale(snapshot: FlavorSnapshot, leader: PodSetRequest | None, workers: PodSetRequest) -> bool:
    before = [workers.previous, leader.previous if leader else None]
    return any(each is not None and gone_domain(snapshot.tree, each) is not None for each in before)


def _continued(
    snapshot: FlavorSnapshot, leader: PodSetRequest | None, workers: PodSetRequest, terms: Terms
) -> Found:
    """What the replaced slice had, with pods added or dropped."""
    previous = workers.previous or Assignment(())
    more = workers.count - previous.pods
    kept = previous if more >= 0 else truncated(previous, workers.count)
    outcomes: dict[str, Outcome] = {name_of(workers): kept}
    assumed: Mapping[str, Mapping[str, int]] = stacked(terms.assumed, kept, workers.requests)
    if leader is not None and (leader.previous is not None or more <= 0):
        outcomes[name_of(leader)] = leader.previous
        if leader.previous is not None:
            assumed = stacked(assumed, leader.previous, leader.requests)
    if more <= 0:
        return Found(outcomes, assumed)
    extra = structs.replace(workers, count=more, previous=None)
    new_leader = None if leader is None or leader.previous is not None else leader
    placed = place(snapshot, extra, new_leader, structs.replace(terms, assumed=assumed))
    if not isinstance(placed, Mapping):
        return Found({name_of(workers): placed}, assumed)
    outcomes[name_of(workers)] = merged(snapshot.tree, placed[name_of(workers)], previous)
    assumed = stacked(assumed, placed[name_of(workers)], workers.requests)
    if new_leader is not None:
        outcomes[name_of(new_leader)] = placed[name_of(new_leader)]
        assumed = stacked(assumed, placed[name_of(new_leader)], new_leader.requests)
    return Found(outcomes, assumed)
