"""Where pods are in a topology, read from the compressed form of the API.

Source: kueue apis/kueue/v1beta2/workload_types.go (TopologyAssignment), pkg/util/tas.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from stellwerk.api.groups.kueue_workload import (
    IndividualValues,
    LevelValues,
    PodCounts,
    TopologyAssignment,
    TopologyAssignmentSlice,
)
from stellwerk.api.groups.meta import given


class Domain(Struct, frozen=True):
    """Pods in one domain: the value of each level's label, from the widest that is listed."""

    values: tuple[str, ...]
    count: int


class Placement(Struct, frozen=True):
    """Where the pods of a PodSet are; domains in the order of their values."""

    levels: tuple[str, ...]
    domains: tuple[Domain, ...]


class DomainUse(Struct, frozen=True):
    """Pods in one domain, and what each of them asks for (in Kueue's amounts)."""

    values: tuple[str, ...]
    single_pod_requests: Mapping[str, int]
    count: int


def placement_of(assignment: TopologyAssignment) -> Placement:
    """The assignment, one entry a domain."""
    domains = tuple(domain for one in given(assignment.slices, ()) for domain in _domains(one))
    return Placement(given(assignment.levels, ()), domains)


def _domains(one: TopologyAssignmentSlice) -> Iterator[Domain]:
    levels = given(one.values_per_level, ())
    for index in range(given(one.domain_count, 1)):
        values = tuple(_value(level, index) for level in levels)
        yield Domain(values, _count(given(one.pod_counts, PodCounts()), index))


def _value(level: LevelValues, index: int) -> str:
    universal = given(level.universal, None)
    if universal is not None:
        return universal
    individual = given(level.individual, IndividualValues())
    root = given(individual.roots, ())[index]
    return f"{given(individual.prefix, '')}{root}{given(individual.suffix, '')}"


def _count(counts: PodCounts, index: int) -> int:
    universal = given(counts.universal, None)
    return given(counts.individual, ())[index] if universal is None else universal
