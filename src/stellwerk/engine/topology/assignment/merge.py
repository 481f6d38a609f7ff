"""Assignments put together and cut short.

Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go, pkg/util/tas/tas_assignment.go (ff69552e).
"""

from collections.abc import Mapping

from msgspec import structs

from stellwerk.engine.topology.assignment.decision import Assignment, DomainPods, DomainUsage
from stellwerk.engine.topology.assignment.fleet.amounts import Amounts, added
from stellwerk.engine.topology.assignment.fleet.snapshot import pods_usage
from stellwerk.engine.topology.assignment.fleet.tree import Tree


def merged(tree: Tree, first: Assignment, second: Assignment) -> Assignment:
    """Both, in the order of the tree; pods in the same domain are added up."""
    counts: dict[tuple[str, ...], int] = {}
    for domain in (*first.domains, *second.domains):
        counts[domain.values] = counts.get(domain.values, 0) + domain.count
    ordered = sorted(counts, key=lambda values: tree.places[tree.leaf_of[",".join(values)]])
    return Assignment(first.levels, tuple(DomainPods(values, counts[values]) for values in ordered))


def truncated(assignment: Assignment, count: int) -> Assignment:
    """The first `count` pods of the assignment, in its own order."""
    kept: list[DomainPods] = []
    for domain in assignment.domains:
        if count <= 0:
            break
        kept.append(structs.replace(domain, count=min(domain.count, count)))
        count -= domain.count
    return structs.replace(assignment, domains=tuple(kept))


def stacked(usage: Mapping[str, Amounts], assignment: Assignment, requests: Amounts) -> dict[str, Amounts]:
    """Domain to what is taken there, with the pods of the assignment on top; `requests` are of one pod."""
    total = dict(usage)
    taken: dict[int, Amounts] = {}  # Most domains get the same number of pods.
    for domain in assignment.domains:
        amounts = taken.get(domain.count)
        if amounts is None:
            amounts = taken[domain.count] = pods_usage(requests, domain.count)
        before = total.get(domain.domain)
        total[domain.domain] = amounts if before is None else added(before, amounts)
    return total


def net_usage(
    assignment: Assignment, requests: Amounts, accounted: Assignment | None = None
) -> list[DomainUsage]:
    """What the assignment takes beyond what a snapshot already counts for the current one, domain by domain.

    Pods that move away are not given back: a usage is only ever added.
    """
    before = {domain.values: domain.count for domain in accounted.domains} if accounted else {}
    more = ((domain.values, domain.count - before.get(domain.values, 0)) for domain in assignment.domains)
    return [DomainUsage(values, requests, count) for values, count in more if count > 0]


def gone_domain(tree: Tree, assignment: Assignment) -> str | None:
    """The first value of the first domain that the tree no longer has: its node went or is not ready."""
    gone = (domain.values[0] for domain in assignment.domains if domain.domain not in tree.leaf_of)
    return next(gone, None)
