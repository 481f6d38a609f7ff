"""TopologyAssignment as the API has it, packed by prefix and suffix, and unpacked.

Source: Kueue pkg/util/tas/tas_assignment.go (ff69552e); which packing is chosen is free (KEP-2724).
"""

from collections.abc import Sequence
from itertools import takewhile

from msgspec import UNSET

from stellwerk.api.groups import kueue_workload as api
from stellwerk.api.groups.meta import given
from stellwerk.engine.topology.assignment.decision import Assignment, DomainPods


def unpacked(packed: api.TopologyAssignment) -> Assignment:
    """Every domain with its values and pods."""
    domains: list[DomainPods] = []
    for part in given(packed.slices, ()):
        columns = [_values(level, given(part.domain_count, 0)) for level in given(part.values_per_level, ())]
        counts = _counts(given(part.pod_counts, api.PodCounts()), given(part.domain_count, 0))
        domains += map(DomainPods, zip(*columns, strict=True), counts)
    return Assignment(given(packed.levels, ()), tuple(domains))


def _values(level: api.LevelValues, count: int) -> Sequence[str]:
    universal = given(level.universal, None)
    if universal is not None:
        return [universal] * count
    individual = given(level.individual, api.IndividualValues())
    prefix, suffix = given(individual.prefix, ""), given(individual.suffix, "")
    return [f"{prefix}{root}{suffix}" for root in given(individual.roots, ())[:count]]


def _counts(counts: api.PodCounts, count: int) -> Sequence[int]:
    universal = given(counts.universal, None)
    return [universal] * count if universal is not None else given(counts.individual, ())[:count]


def packed(assignment: Assignment) -> api.TopologyAssignment:
    """The API's form, as one slice."""
    if not assignment.domains:
        return api.TopologyAssignment(levels=assignment.levels, slices=())
    counts = tuple(domain.count for domain in assignment.domains)
    part = api.TopologyAssignmentSlice(
        domain_count=len(counts),
        values_per_level=tuple(
            _packed_values([domain.values[i] for domain in assignment.domains])
            for i in range(len(assignment.levels))
        ),
        pod_counts=api.PodCounts(universal=counts[0])
        if len(set(counts)) == 1
        else api.PodCounts(individual=counts),
    )
    return api.TopologyAssignment(levels=assignment.levels, slices=(part,))


def _packed_values(values: Sequence[str]) -> api.LevelValues:
    if len(set(values)) == 1:
        return api.LevelValues(universal=values[0])
    prefix = _common_start(values)
    rest = [value[len(prefix) :] for value in values]
    suffix = _common_start([value[::-1] for value in rest])[::-1]
    roots = tuple(value[: len(value) - len(suffix)] for value in rest)
    individual = api.IndividualValues(prefix=prefix or UNSET, suffix=suffix or UNSET, roots=roots)
    return api.LevelValues(individual=individual)


def _common_start(values: Sequence[str]) -> str:
    first, last = min(values), max(values)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(char for char, _ in same)
