"""The plainest workload: one PodSet without topology, and the first flavor holds it within the queue's own
quota.

Most heads of a cycle are of this kind; what `assign` would find for them is said here without a search. That
the two agree is checked on random queues (tests/property/test_flavors.py).
"""

from collections.abc import Mapping

from msgspec import UNSET

from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.amounts import PODS, FlavorResource
from stellwerk.engine.queueing.flavors.assignment import (
    Assignment,
    Attempt,
    Cycle,
    FlavorAssignment,
    PodSetAssignment,
    Question,
)
from stellwerk.engine.queueing.flavors.mode import FIT
from stellwerk.engine.queueing.queue import Group, Queue
from stellwerk.engine.queueing.quota.ledger import Ledger
from stellwerk.engine.queueing.requests.total import PodSetRequests


def assign_at_once(cycle: Cycle, queue: Queue, question: Question) -> Assignment | None:
    """The assignment of such a workload; None: the whole search is needed."""
    pod_set = _only(cycle, queue, question)
    if pod_set is None:
        return None
    requests = pod_set.requests
    if PODS in queue.group_of:
        requests = {**requests, PODS: pod_set.count}
    group = _group(cycle, queue, requests)
    if group is None or not _holds(cycle.ledger, group.cells[0], requests):
        return None
    name = group.flavors[0]
    tried = -1 if len(group.flavors) == 1 else 0
    chosen = FlavorAssignment(name, FIT, tried)
    return Assignment(
        pod_sets=(
            PodSetAssignment(
                name=pod_set.name,
                count=pod_set.count,
                requests=requests,
                flavors=dict.fromkeys(requests, chosen),
                attempts=(Attempt(flavor=name, mode=FIT),),
            ),
        ),
        mode=FIT,
        borrowing_level=0,
        usage={FlavorResource(name, resource): amount for resource, amount in requests.items()},
        last_tried=(dict.fromkeys(requests, tried),),
    )


def _only(cycle: Cycle, queue: Queue, question: Question) -> PodSetRequests | None:
    """The one PodSet, if the workload has no more and nothing special is asked."""
    pod_sets = question.info.pod_sets
    special = question.counts or question.last_tried or question.nominated or question.replaced is not None
    if len(pod_sets) != 1 or special or pod_sets[0].flavors or queue.tas_only:
        return None
    gates = cycle.snapshot.configuration.counting.gates
    objects = given(question.info.object.spec.pod_sets, ())
    plain = gates.flavor_fungibility and not gates.concurrent_admission and len(objects) == 1
    return pod_sets[0] if plain and objects[0].topology_request is UNSET else None


def _group(cycle: Cycle, queue: Queue, requests: Mapping[str, int]) -> Group | None:
    """The one group of all these resources, if its first flavor is for any pod."""
    group = queue.group_of.get(next(iter(requests), ""))
    if group is None or not group.resources.issuperset(requests) or not group.flavors:
        return None
    flavor = cycle.snapshot.flavors.get(group.flavors[0])
    plain = flavor is not None and flavor.for_any_pod and flavor.topology is None
    return group if plain else None


def _holds(ledger: Ledger, cells: Mapping[str, int], requests: Mapping[str, int]) -> bool:
    """Whether nothing has to be borrowed and everything is there."""
    potential = ledger.tree.potential
    for resource, amount in requests.items():
        cell = cells[resource]
        if (
            amount > potential[cell]
            or ledger.exceeds(cell, amount)
            or amount > max(0, ledger.available(cell))
        ):
            return False
    return True
