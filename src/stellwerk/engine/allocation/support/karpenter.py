"""Would Karpenter buy a node for a pod with this claim: its flag, its allocator, what the providers announce.

Source: kubernetes-sigs/karpenter pkg/operator/options/options.go, pkg/scheduling/dynamicresources/request.go
and pkg/controllers/provisioning/scheduling/scheduler.go; the providers' instance types and charts, at the
tags that the catalog's versions name.
"""

from collections.abc import Iterator

from msgspec import UnsetType

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceClaim
from stellwerk.catalog.versions import KARPENTER, PROVIDER, Component, facts
from stellwerk.cel.environment import Environment
from stellwerk.engine.allocation.claims.expressions import selector_refusal
from stellwerk.engine.allocation.support.row import IGNORES, REFUSES, Cluster, Row, Seen, Wrong, row, wrong_of
from stellwerk.engine.allocation.support.subject import AskedClaim
from stellwerk.engine.decision import Reason

FLAG = "--ignore-dra-requests"
# What its compiler declares, whatever the gates of the cluster.
COMPILER = Environment(consumable_capacity=True, list_type_attributes=False, stored=False)


def karpenter_rows(claim: AskedClaim, devices: DeviceClaim, cluster: Cluster) -> Iterator[Row]:
    """What Karpenter does for a pod with this claim."""
    karpenter = cluster.karpenter
    if karpenter is None:
        return
    known = facts(karpenter)
    if not cluster.karpenter_dra:
        reason = Reason("flag", "no node is bought for it: {flag} is true (the default)", {"flag": FLAG})
        wrong = Wrong(path="", reason=reason, fix=_turn_on(cluster))
        yield _row(claim, karpenter, IGNORES, wrong, known["flag"].file)
    elif "allocator" not in known:
        reason = Reason(
            "no-allocator", "nodes are bought as if the pod had no claim: this version does not allocate"
        )
        fix = Reason("newer-karpenter", "upgrade to Karpenter {version}", {"version": "1.14"})
        wrong = Wrong(path="", reason=reason, fix=fix)
        yield _row(claim, karpenter, IGNORES, wrong, known["no-allocator"].file)
    else:
        refused = list(_refused(claim, devices, karpenter))
        yield from refused
        yield from () if refused else _announced(claim, cluster)


def _turn_on(cluster: Cluster) -> Reason:
    """How the flag is set; two charts leave out what is false."""
    wrong = [_provider(row) for row in cluster.providers if "chart-flag" in facts(row)]
    if wrong:
        return Reason(
            "flag-by-env",
            "set IGNORE_DRA_REQUESTS=false in controller.env (the chart's ignoreDRARequests: false has no "
            "effect for {providers}), then check: --karpenter-dra",
            {"providers": ", ".join(wrong)},
        )
    return Reason("flag-off", "set {flag}=false, then check: --karpenter-dra", {"flag": FLAG})


def _refused(claim: AskedClaim, devices: DeviceClaim, karpenter: Component) -> Iterator[Row]:
    known = facts(karpenter)
    file = "pkg/scheduling/dynamicresources/request.go"
    for i, constraint in enumerate(given(devices.constraints, ())):
        distinct = isinstance(constraint.match_attribute, UnsetType) and given(
            constraint.distinct_attribute, ""
        )
        if distinct and "refuses-distinct-attribute" in known:
            reason = Reason("karpenter-distinct", "Karpenter refuses distinctAttribute: no node is bought")
            path = f"{claim.path}.constraints[{i}].distinctAttribute"
            yield _row(claim, karpenter, REFUSES, Wrong(path=path, reason=reason), file)
    for i, request in enumerate(given(devices.requests, ())):
        at = f"{claim.path}.requests[{i}]"
        if given(request.first_available, ()) and "refuses-first-available" in known:
            reason = Reason("karpenter-first", "Karpenter refuses firstAvailable: no node is bought")
            yield _row(claim, karpenter, REFUSES, Wrong(path=f"{at}.firstAvailable", reason=reason), file)
        if isinstance(request.exactly, UnsetType):
            continue
        for j, selector in enumerate(given(request.exactly.selectors, ())):
            found = None
            if not isinstance(selector.cel, UnsetType):
                path = f"{at}.exactly.selectors[{j}].cel.expression"
                found = selector_refusal(COMPILER, path, selector.cel.expression)
            if found is not None:
                file = known["compiles-selectors"].file
                yield _row(claim, karpenter, REFUSES, wrong_of(found), file)


def _announced(claim: AskedClaim, cluster: Cluster) -> Iterator[Row]:
    """No provider that was read announces devices, so that no new node can be seen to have any."""
    for provider in cluster.providers:
        known = facts(provider)
        reason = Reason(
            "announces-none",
            "{provider} announces no devices: only devices on nodes that exist are allocated, none is bought",
            {"provider": _provider(provider)},
        )
        fix = Reason("static-nodes", "keep nodes for it by a NodePool with replicas, or a fixed node group")
        versions = f"{_versions(cluster.karpenter)}, provider {_provider(provider)} {provider.ref}"
        seen = Seen(versions, provider.source(known["announces-none"].file))
        yield row(KARPENTER, IGNORES, claim.object, Wrong(path="", reason=reason, fix=fix), seen)


def _row(claim: AskedClaim, karpenter: Component, verdict: str, wrong: Wrong, file: str) -> Row:
    return row(KARPENTER, verdict, claim.object, wrong, Seen(_versions(karpenter), karpenter.source(file)))


def _provider(row: Component) -> str:
    return row.component.removeprefix(PROVIDER)


def _versions(karpenter: Component | None) -> str:
    return "" if karpenter is None else f"Karpenter {karpenter.version} ({karpenter.ref})"
