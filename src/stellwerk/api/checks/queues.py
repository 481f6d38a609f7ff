"""Kueue: no negative quota, a flavor in one group only, cohorts form a tree, queues lead somewhere."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, UnsetType

from stellwerk.api.checks.names import check_label_selector, check_time
from stellwerk.api.checks.pods import check_count, check_pod_spec
from stellwerk.api.checks.quota import (
    check_lending,
    check_limits,
    check_queue_rules,
    check_sizes,
    check_weight,
)
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.kueue import ClusterQueue, Cohort, LocalQueue, ResourceGroup, ResourceQuota
from stellwerk.api.groups.kueue_workload import RequeueState, Workload, WorkloadStatus
from stellwerk.api.groups.meta import LabelSelector, given
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
    """Its resource groups and rules; raises InvalidInput."""
    if isinstance(queue.spec, UnsetType):
        return
    selector = given(queue.spec.namespace_selector, LabelSelector())
    check_label_selector(manifest, "spec.namespaceSelector", selector)
    groups = given(queue.spec.resource_groups, ())
    _check_groups(manifest, groups, None if given(queue.spec.cohort_name, "") else "cohortName")
    for path, quota in _quotas(groups):
        check_lending(manifest, path, quota)
    check_queue_rules(manifest, queue.spec)


def check_cohort(manifest: Manifest, cohort: Cohort, queues: Queues) -> None:
    """Its resource groups, and that going up from parent to parent ends."""
    if isinstance(cohort.spec, UnsetType):
        return
    parent = None if given(cohort.spec.parent_name, "") else "parentName"
    _check_groups(manifest, given(cohort.spec.resource_groups, ()), parent)
    check_weight(manifest, cohort.spec.fair_sharing)
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


def check_workload(manifest: Manifest, workload: Workload) -> None:
    """Its counts, quantities and times, and that a quota which it says to have is there."""
    if created := given(workload.metadata.creation_timestamp, ""):
        check_time(manifest, "metadata.creationTimestamp", created)
    for i, pod_set in enumerate(given(workload.spec.pod_sets, ())):
        path = f"spec.podSets[{i}]"
        check_count(manifest, f"{path}.count", pod_set.count)
        check_count(manifest, f"{path}.minCount", pod_set.min_count)
        if isinstance(pod_set.template.spec, UnsetType):
            raise InvalidInput(
                "the field spec is missing",
                fix="add the pod's spec with its containers",
                **manifest.at(f"{path}.template.spec"),
            )
        check_pod_spec(manifest, f"{path}.template.spec", pod_set.template.spec)
    if sum(not isinstance(one.min_count, UnsetType) for one in given(workload.spec.pod_sets, ())) > 1:
        raise InvalidInput(
            "minCount is in several PodSets",
            fix="write it in one of them at most",
            **manifest.at("spec.podSets"),
        )
    status = given(workload.status, WorkloadStatus())
    for i, one in enumerate(given(status.conditions, ())):
        if at := given(one.last_transition_time, ""):
            check_time(manifest, f"status.conditions[{i}].lastTransitionTime", at)
    if at := given(given(status.requeue_state, RequeueState()).requeue_at, ""):
        check_time(manifest, "status.requeueState.requeueAt", at)
    reserved = any(
        one.type == "QuotaReserved" and one.status == "True" for one in given(status.conditions, ())
    )
    if reserved and isinstance(status.admission, UnsetType):
        raise InvalidInput(
            "QuotaReserved is True, but there is no admission",
            fix="add status.admission, or remove the condition",
            **manifest.at("status.admission"),
        )


def _quotas(groups: Sequence[ResourceGroup]) -> Iterator[tuple[str, ResourceQuota]]:
    for i, group in enumerate(groups):
        for j, flavor in enumerate(given(group.flavors, ())):
            for k, quota in enumerate(given(flavor.resources, ())):
                yield f"spec.resourceGroups[{i}].flavors[{j}].resources[{k}]", quota


def _check_groups(manifest: Manifest, groups: Sequence[ResourceGroup], parent: str | None) -> None:
    """`parent`: the field that would name the parent, if it is empty."""
    _check_names(manifest, groups)
    check_sizes(manifest, groups)
    for path, quota in _quotas(groups):
        _check_quota(manifest, path, quota)
        check_limits(manifest, path, quota, parent)


def _check_names(manifest: Manifest, groups: Sequence[ResourceGroup]) -> None:
    """No resource and no flavor twice, in one group or in two."""
    flavor_group: dict[str, int] = {}
    resource_group: dict[str, int] = {}
    for i, group in enumerate(groups):
        for j, resource in enumerate(given(group.covered_resources, ())):
            path = f"spec.resourceGroups[{i}].coveredResources[{j}]"
            first = resource_group.setdefault(resource, i)
            if first != i or resource in given(group.covered_resources, ())[:j]:
                raise InvalidInput(
                    "the resource {name} is in two resource groups"
                    if first != i
                    else "the resource {name} is there twice",
                    fix="cover it in one group only" if first != i else "remove one of the two",
                    **manifest.at(path),
                    name=shown(resource),
                )
        for j, flavor in enumerate(given(group.flavors, ())):
            path = f"spec.resourceGroups[{i}].flavors[{j}]"
            _refuse_second_group(manifest, path, flavor.name, flavor_group.setdefault(flavor.name, i) == i)
            if flavor.name in [one.name for one in given(group.flavors, ())[:j]]:
                raise InvalidInput(
                    "the flavor {name} is there twice",
                    fix="remove one of the two",
                    **manifest.at(f"{path}.name"),
                    name=shown(flavor.name),
                )


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
