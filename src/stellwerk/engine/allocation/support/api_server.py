"""Would the API server take this claim, class or pod: the rules of its release, CEL compiled.

The rules that need only the object are in api/checks/devices; what differs from release to release: the
toleration effect None, which 1.34 does not know, and derived attributes.
"""

from collections.abc import Iterator
from functools import partial

from msgspec import UnsetType
from msgspec.structs import replace

from stellwerk.api.checks.devices.claims import (
    MAX_CONFIGS,
    MAX_CONSTRAINTS,
    MAX_REQUESTS,
    claim_refusals,
    class_refusals,
)
from stellwerk.api.checks.devices.pods import pod_refusals
from stellwerk.api.checks.devices.requests import MAX_ALTERNATIVES, MAX_SELECTORS
from stellwerk.api.checks.devices.rules import EFFECTS, Rules
from stellwerk.api.groups.core import PodSpec
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceClaim, DeviceClassSpec, DeviceRequest
from stellwerk.cel.environment import Environment
from stellwerk.engine.allocation.claims.expressions import (
    derived_cost_refusal,
    derived_refusal,
    selector_refusal,
)
from stellwerk.engine.allocation.support.row import Cluster, Wrong, wrong_of


def check_claim(claim: DeviceClaim, cluster: Cluster, path: str) -> Iterator[Wrong]:
    """What the API server refuses in a claim without the dropped fields; `path` is spec.devices."""
    yield from map(wrong_of, claim_refusals(path, claim, rules_of(cluster)))
    yield from map(wrong_of, derived_cost_refusal(environment_of(cluster), path, claim))


def check_class(spec: DeviceClassSpec, cluster: Cluster, path: str = "spec") -> Iterator[Wrong]:
    """What the API server refuses in a DeviceClass."""
    yield from map(wrong_of, class_refusals(path, spec, rules_of(cluster)))


def check_pod(spec: PodSpec, path: str) -> Iterator[Wrong]:
    """What the API server refuses in a pod's use of claims."""
    yield from map(wrong_of, pod_refusals(path, spec))


def environment_of(cluster: Cluster) -> Environment:
    """What the gates of this cluster declare for a new expression."""
    return Environment(
        consumable_capacity=cluster.on("DRAConsumableCapacity"),
        list_type_attributes=cluster.on("DRAListTypeAttributes"),
        stored=False,
    )


def rules_of(cluster: Cluster) -> Rules:
    """The rules of this cluster's API server."""
    environment = environment_of(cluster)
    return Rules(
        effects=EFFECTS[:2] if cluster.kubernetes == "1.34" else EFFECTS,
        distinct=cluster.on("DRAConsumableCapacity"),
        selector=partial(selector_refusal, environment),
        derived=partial(derived_refusal, environment),
    )


def within_limits(claim: DeviceClaim) -> DeviceClaim:
    """The claim with no list longer than is allowed: layers behind the API server take bounded time."""
    requests = tuple(_bounded(each) for each in given(claim.requests, ())[:MAX_REQUESTS])
    return replace(
        claim,
        requests=requests,
        constraints=given(claim.constraints, ())[:MAX_CONSTRAINTS],
        config=given(claim.config, ())[:MAX_CONFIGS],
    )


def _bounded(request: DeviceRequest) -> DeviceRequest:
    exactly = request.exactly
    if not isinstance(exactly, UnsetType):
        exactly = replace(exactly, selectors=given(exactly.selectors, ())[:MAX_SELECTORS])
    return replace(
        request, exactly=exactly, first_available=given(request.first_available, ())[:MAX_ALTERNATIVES]
    )
