"""Quota counted again from the API objects alone: who uses what, and whether any node uses too much.

What a node keeps (its lending limit leaves that to it) counts only there; the rest goes to its parent. So a
parent that stays within its quota, of which the kept part is no part, has not used what others keep.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from stellwerk.api.groups.kueue import ClusterQueueSpec, CohortSpec, ResourceGroup
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.amounts import request_amount
from stellwerk.engine.queueing.snapshot import Objects, holds_quota

Quotas = dict[str, tuple[int, int | None, int | None]]  # By flavor: nominal, borrowing limit, lending limit.


class Node(Struct):
    """A queue or Cohort; `own`: by flavor, what its Workloads hold."""

    name: str
    parent: str
    quotas: Quotas
    own: dict[str, int]
    children: list["Node"]

    def quota(self, flavor: str) -> int:
        """Its nominal quota, and what its children lend."""
        lent = sum(child.quota(flavor) - child.kept(flavor) for child in self.children)
        return self.quotas.get(flavor, (0, None, None))[0] + lent

    def kept(self, flavor: str) -> int:
        """What it does not lend."""
        limit = self.quotas.get(flavor, (0, None, None))[2]
        return 0 if limit is None else max(0, self.quota(flavor) - limit)

    def used(self, flavor: str) -> int:
        """What it holds itself, and what its children use beyond what they keep."""
        beyond = sum(max(0, child.used(flavor) - child.kept(flavor)) for child in self.children)
        return self.own.get(flavor, 0) + beyond


def recount(objects: Objects, workloads: Iterable[Workload], resource: str = "gpu") -> Mapping[str, Node]:
    """The nodes by name, with what these Workloads hold of the resource."""
    nodes = {
        name: Node(name, parent, quotas, {}, [])
        for name, parent, quotas in (*_cohorts(objects, resource), *_queues(objects, resource))
    }
    for node in list(nodes.values()):
        if node.parent:
            nodes.setdefault(node.parent, Node(node.parent, "", {}, {}, [])).children.append(node)
    for one in workloads:
        if holds_quota(one):
            admission = one.status.admission  # type: ignore[union-attr]
            own = nodes[admission.cluster_queue].own  # type: ignore[union-attr]
            for assigned in given(admission.pod_set_assignments, ()):  # type: ignore[union-attr]
                flavor = given(assigned.flavors, {}).get(resource)
                usage = given(assigned.resource_usage, {}).get(resource)
                if flavor is not None and usage is not None:
                    own[flavor] = own.get(flavor, 0) + request_amount(resource, usage)
    return nodes


def overused(nodes: Mapping[str, Node], flavors: Iterable[str]) -> list[str]:
    """Nodes that use more than they may: a root its quota, any other its quota and its borrowing limit."""
    found = []
    for flavor in flavors:
        for node in nodes.values():
            limit = node.quotas.get(flavor, (0, None, None))[1]
            most = node.quota(flavor) if not node.parent else None
            if node.parent and limit is not None:
                most = node.quota(flavor) + limit
            if most is not None and node.used(flavor) > most:
                found.append(f"{node.name} uses {node.used(flavor)} of {flavor}, and may use {most}")
    return found


def _cohorts(objects: Objects, resource: str) -> list[tuple[str, str, Quotas]]:
    found = []
    for one in objects.cohorts:
        spec = given(one.spec, CohortSpec())
        name = given(one.metadata.name, "")
        found.append((name, given(spec.parent_name, ""), _quotas(given(spec.resource_groups, ()), resource)))
    return found


def _queues(objects: Objects, resource: str) -> list[tuple[str, str, Quotas]]:
    found = []
    for one in objects.cluster_queues:
        spec = given(one.spec, ClusterQueueSpec())
        name = given(one.metadata.name, "")
        found.append((name, given(spec.cohort_name, ""), _quotas(given(spec.resource_groups, ()), resource)))
    return found


def _quotas(groups: Iterable[ResourceGroup], resource: str) -> Quotas:
    return {
        flavor.name: (
            _amount(resource, one.nominal_quota) or 0,
            _amount(resource, one.borrowing_limit),
            _amount(resource, one.lending_limit),
        )
        for group in groups
        for flavor in given(group.flavors, ())
        for one in given(flavor.resources, ())
        if one.name == resource
    }


def _amount(resource: str, quantity: Any) -> int | None:
    return request_amount(resource, quantity) if given(quantity, None) is not None else None
