"""Resource groups, quota and weights: what Kueue refuses of them in a ClusterQueue and in a Cohort.

Source: kueue pkg/webhooks (clusterqueue_webhook.go, common.go) and the CRDs' rules. A weight of 0 is valid;
so is the name of a flavor that is not there, which makes a queue inactive.
"""

from collections.abc import Iterator, Sequence

from msgspec import UnsetType

from stellwerk.api.checks.devices.names import label_key_refusal
from stellwerk.api.checks.kueue.shapes import SUBDOMAIN, TEXT
from stellwerk.api.checks.refusal import Refusal, quoted
from stellwerk.api.checks.schema import Amount, Fields, Items
from stellwerk.api.groups.kueue import FairSharing, FlavorQuotas, ResourceGroup, ResourceQuota
from stellwerk.api.groups.meta import given
from stellwerk.api.mismatch import shown
from stellwerk.api.quantity import Quantity

MOST_GROUPS, MOST_IN_GROUP, MOST_IN_ALL, MOST_COMBINATIONS = 16, 64, 256, 512
GROUPS = "spec.resourceGroups"


def groups_shape(*, decoded: bool = False) -> Items:
    """The shape of `resourceGroups`.

    With `decoded` a mutating webhook has seen them before: any number is a quantity, and without
    nominalQuota it is 0.
    """
    amount = Amount(decoded=decoded)
    quota = Fields(
        of={"name": TEXT, "nominalQuota": amount, "borrowingLimit": amount, "lendingLimit": amount},
        required=("name",) if decoded else ("name", "nominalQuota"),
    )
    flavor = Fields(
        of={"name": SUBDOMAIN, "resources": Items(of=quota, most=MOST_IN_GROUP, least=1, key=("name",))},
        required=("name", "resources"),
    )
    group = Fields(
        of={
            "coveredResources": Items(of=TEXT, most=MOST_IN_GROUP, least=1),
            "flavors": Items(of=flavor, most=MOST_IN_GROUP, least=1, key=("name",)),
        },
        required=("coveredResources", "flavors"),
    )
    return Items(of=group, most=MOST_GROUPS)


def size_refusals(groups: Sequence[ResourceGroup]) -> Iterator[Refusal]:
    """The CRDs' rule: each flavor has as many resources as its group covers."""
    for i, group in enumerate(groups):
        covered = given(group.covered_resources, ())
        for j, flavor in enumerate(given(group.flavors, ())):
            if len(given(flavor.resources, ())) != len(covered):
                yield _other_resources(f"{GROUPS}[{i}].flavors[{j}].resources", flavor.resources, covered)


def group_refusals(groups: Sequence[ResourceGroup], parent: str | None) -> Iterator[Refusal]:
    """The webhooks' rules; `parent` is the field that would name the parent, where it is empty."""
    for i, group in enumerate(groups):
        for j, resource in enumerate(given(group.covered_resources, ())):
            yield from label_key_refusal(f"{GROUPS}[{i}].coveredResources[{j}]", resource)
        for j, flavor in enumerate(given(group.flavors, ())):
            path = f"{GROUPS}[{i}].flavors[{j}].resources"
            yield from _flavor_refusals(path, flavor, group, parent)
    yield from _repeated(groups)


def _flavor_refusals(
    path: str, flavor: FlavorQuotas, group: ResourceGroup, parent: str | None
) -> Iterator[Refusal]:
    covered = given(group.covered_resources, ())
    for k, (quota, name) in enumerate(zip(given(flavor.resources, ()), covered, strict=False)):
        if quota.name != name:
            yield _other_resources(f"{path}[{k}].name", flavor.resources, covered)
        yield from _quota_refusals(f"{path}[{k}]", quota, parent)


def weight_refusals(sharing: FairSharing | UnsetType) -> Iterator[Refusal]:
    """A weight is 0 or more, and not so small that it would count as 0."""
    weight = Quantity(0) if isinstance(sharing, UnsetType) else given(sharing.weight, Quantity(0))
    if weight.nanos < 0:
        yield _negative("spec.fairSharing.weight", "weight", weight)
    if weight.nanos == 1:
        yield Refusal(
            code="weight-too-small",
            path="spec.fairSharing.weight",
            problem="the weight {amount} is too small",
            fix="write 0, or more than 1n",
            values={"amount": str(weight)},
        )


def lending_refusals(groups: Sequence[ResourceGroup]) -> Iterator[Refusal]:
    """A ClusterQueue lends no more than it has."""
    for i, group in enumerate(groups):
        for j, flavor in enumerate(given(group.flavors, ())):
            for k, quota in enumerate(given(flavor.resources, ())):
                yield from _lent(f"{GROUPS}[{i}].flavors[{j}].resources[{k}].lendingLimit", quota)


def total_refusals(groups: Sequence[ResourceGroup]) -> Iterator[Refusal]:
    """How many flavors, resources and combinations of both a ClusterQueue may have in all its groups."""
    for i, group in enumerate(groups):
        count = sum(len(given(one.resources, ())) for one in given(group.flavors, ()))
        yield from _at_most(f"{GROUPS}[{i}]", count, MOST_COMBINATIONS)
    yield from _at_most(GROUPS, sum(len(given(one.flavors, ())) for one in groups), MOST_IN_ALL)
    yield from _at_most(GROUPS, sum(len(given(one.covered_resources, ())) for one in groups), MOST_IN_ALL)


def _other_resources(
    path: str, found: Sequence[ResourceQuota] | UnsetType, covered: Sequence[str]
) -> Refusal:
    return Refusal(
        code="other-resources",
        path=path,
        problem="the resources are {found}, but coveredResources are {covered}",
        fix="write the same resources in the same order",
        values={
            "found": quoted(", ".join(one.name for one in given(found, ()))),
            "covered": quoted(", ".join(covered)),
        },
    )


def _quota_refusals(path: str, quota: ResourceQuota, parent: str | None) -> Iterator[Refusal]:
    amounts: dict[str, Quantity | UnsetType] = {
        "nominalQuota": quota.nominal_quota,
        "borrowingLimit": quota.borrowing_limit,
        "lendingLimit": quota.lending_limit,
    }
    for field, amount in amounts.items():
        if isinstance(amount, UnsetType):
            continue
        if amount.nanos < 0:
            yield _negative(f"{path}.{field}", field, amount)
        if parent is not None and field != "nominalQuota":
            yield Refusal(
                code="limit-without-parent",
                path=f"{path}.{field}",
                problem="{field} must be left out where {parent} is empty",
                fix="remove it, or write {parent}",
                values={"field": field, "parent": parent},
            )


def _lent(path: str, quota: ResourceQuota) -> Iterator[Refusal]:
    nominal, lent = given(quota.nominal_quota, Quantity(0)), given(quota.lending_limit, None)
    if lent is not None and lent.nanos > nominal.nanos:
        yield Refusal(
            code="lends-too-much",
            path=path,
            problem="lendingLimit {amount} is above nominalQuota {nominal}",
            fix="write {nominal} or less",
            values={"amount": str(lent), "nominal": str(nominal)},
        )


def _repeated(groups: Sequence[ResourceGroup]) -> Iterator[Refusal]:
    """No resource and no flavor in two groups, no resource twice in one."""
    flavors, resources = set[str](), dict[str, int]()
    for i, group in enumerate(groups):
        for j, resource in enumerate(given(group.covered_resources, ())):
            first = resources.setdefault(resource, i)
            if resource in given(group.covered_resources, ())[:j] or first != i:
                yield _resource_again(f"{GROUPS}[{i}].coveredResources[{j}]", resource, first != i)
        for j, flavor in enumerate(given(group.flavors, ())):
            if flavor.name in flavors:
                yield Refusal(
                    code="flavor-in-two-groups",
                    path=f"{GROUPS}[{i}].flavors[{j}].name",
                    problem="the flavor {name} is in two resource groups",
                    fix="put all resources of the flavor in one group",
                    values={"name": shown(flavor.name)},
                )
            flavors.add(flavor.name)


def _resource_again(path: str, resource: str, other_group: bool) -> Refusal:
    return Refusal(
        code="resource-twice",
        path=path,
        problem=(
            "the resource {name} is in two resource groups"
            if other_group
            else "the resource {name} is there twice"
        ),
        fix="cover it in one group only" if other_group else "remove one of the two",
        values={"name": shown(resource)},
    )


def _negative(path: str, field: str, amount: Quantity) -> Refusal:
    return Refusal(
        code="negative",
        path=path,
        problem="{field} {amount} is negative",
        fix="write 0 or more",
        values={"field": field, "amount": str(amount)},
    )


def _at_most(path: str, count: int, most: int) -> Iterator[Refusal]:
    if count > most:
        yield Refusal(
            code="too-many",
            path=path,
            problem="there are {count}, at most {most} are allowed",
            fix="remove some",
            values={"count": count, "most": most},
        )
