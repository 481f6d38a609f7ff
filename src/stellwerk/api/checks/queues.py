"""Kueue: no negative quota, a flavor in one group only, cohorts form a tree, queues lead somewhere."""

from collections.abc import Mapping, Sequence

from msgspec import Struct, UnsetType

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.kueue import ClusterQueue, Cohort, LocalQueue, ResourceGroup, ResourceQuota
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown
from stellwerk.api.quantity import Quantity


class Queues(Struct, frozen=True, kw_only=True):
    """What queues refer to: the ClusterQueues that are there, and the parent of each Cohort."""

    cluster_queues: frozenset[str]
    parents: Mapping[str, str]


def queues_of(manifests: Sequence[Manifest]) -> Queues:
    """The index of all manifests of a run."""
    objects = [manifest.object for manifest in manifests]
    return Queues(
        cluster_queues=frozenset(
            given(item.metadata.name, "") for item in objects if isinstance(item, ClusterQueue)
        ),
        parents={
            given(item.metadata.name, ""): given(item.spec.parent_name, "")
            for item in objects
            if isinstance(item, Cohort) and not isinstance(item.spec, UnsetType)
        },
    )


def check_cluster_queue(manifest: Manifest, queue: ClusterQueue) -> None:
    """Its resource groups; raises InvalidInput."""
    if not isinstance(queue.spec, UnsetType):
        _check_groups(manifest, given(queue.spec.resource_groups, ()))


def check_cohort(manifest: Manifest, cohort: Cohort, queues: Queues) -> None:
    """Its resource groups, and that going up from parent to parent ends."""
    if isinstance(cohort.spec, UnsetType):
        return
    _check_groups(manifest, given(cohort.spec.resource_groups, ()))
    name = given(cohort.metadata.name, "")
    seen, above = [name], queues.parents.get(name, "")
    met = {name}
    while above and above not in met:
        seen.append(above)
        met.add(above)
        above = queues.parents.get(above, "")
    if above == name:
        raise InvalidInput(
            "the cohorts form a cycle: {cycle}",
            fix="remove parentName from one of them",
            **manifest.at("spec.parentName"),
            cycle=" -> ".join([*seen[:5], *(["..."] if len(seen) > 5 else []), name]),
        )


def check_local_queue(manifest: Manifest, queue: LocalQueue, queues: Queues) -> None:
    """Its ClusterQueue is there, in a set that has any."""
    target = given(queue.spec.cluster_queue, "")
    if not queues.cluster_queues or target in queues.cluster_queues:
        return
    raise InvalidInput(
        "there is no ClusterQueue {name}",
        fix="write one of: {known}",
        **manifest.at("spec.clusterQueue"),
        name=shown(target) or '""',
        known=", ".join(sorted(queues.cluster_queues)[:5]),
    )


def _check_groups(manifest: Manifest, groups: Sequence[ResourceGroup]) -> None:
    flavor_group: dict[str, int] = {}
    resource_group: dict[str, int] = {}
    for i, group in enumerate(groups):
        for j, resource in enumerate(given(group.covered_resources, ())):
            path = f"spec.resourceGroups[{i}].coveredResources[{j}]"
            if resource_group.setdefault(resource, i) != i:
                raise InvalidInput(
                    "the resource {name} is in two resource groups",
                    fix="cover it in one group only",
                    **manifest.at(path),
                    name=shown(resource),
                )
        for j, flavor in enumerate(given(group.flavors, ())):
            path = f"spec.resourceGroups[{i}].flavors[{j}]"
            _refuse_second_group(manifest, path, flavor.name, flavor_group.setdefault(flavor.name, i) == i)
            for k, quota in enumerate(given(flavor.resources, ())):
                _check_quota(manifest, f"{path}.resources[{k}]", quota)


def _refuse_second_group(manifest: Manifest, path: str, name: str, first: bool) -> None:
    if not first:
        raise InvalidInput(
            "the flavor {name} is in two resource groups",
            fix="put all resources of the flavor in one group",
            **manifest.at(f"{path}.name"),
            name=shown(name),
        )


def _check_quota(manifest: Manifest, path: str, quota: ResourceQuota) -> None:
    amounts: dict[str, Quantity | UnsetType] = {
        "nominalQuota": quota.nominal_quota,
        "borrowingLimit": quota.borrowing_limit,
        "lendingLimit": quota.lending_limit,
    }
    for field, amount in amounts.items():
        if not isinstance(amount, UnsetType) and amount.nanos < 0:
            raise InvalidInput(
                "{field} {amount} is negative",
                fix="write 0 or more",
                **manifest.at(f"{path}.{field}"),
                field=field,
                amount=str(amount),
            )
