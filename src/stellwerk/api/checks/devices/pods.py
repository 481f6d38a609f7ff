"""A pod's use of claims.

Source: k8s.io/kubernetes pkg/apis/core/validation/validation.go, validatePodResourceClaims and what it calls.
"""

from collections.abc import Collection, Iterator

from msgspec import UnsetType

from stellwerk.api.checks.names import name_refusal
from stellwerk.api.checks.refusal import Refusal, in_set, one_of, quoted
from stellwerk.api.groups.core import Container, PodResourceClaim, PodSpec
from stellwerk.api.groups.meta import given
from stellwerk.api.mismatch import shown


def pod_refusals(path: str, spec: PodSpec) -> Iterator[Refusal]:
    """What the API server refuses in a pod's claims and those of its containers (`path`: the spec)."""
    claims = given(spec.resource_claims, ())
    yield from in_set(f"{path}.resourceClaims", claims, len(claims), _claim, lambda each: each.name)
    known = {each.name for each in claims}
    for field, containers in (
        ("initContainers", given(spec.init_containers, ())),
        ("containers", spec.containers),
    ):
        for i, container in enumerate(containers):
            yield from _container(f"{path}.{field}[{i}].resources.claims", container, known)


def _claim(path: str, claim: PodResourceClaim) -> Iterator[Refusal]:
    yield from name_refusal(f"{path}.name", claim.name, label=True)
    name, template = given(claim.resource_claim_name, ""), given(claim.resource_claim_template_name, "")
    if bool(name) == bool(template):
        yield one_of(path, "resourceClaimName, resourceClaimTemplateName")
    else:
        yield from name_refusal(path, name or template)


def _container(path: str, container: Container, known: Collection[str]) -> Iterator[Refusal]:
    if isinstance(container.resources, UnsetType):
        return
    for i, claim in enumerate(given(container.resources.claims, ())):
        if claim.name not in known:
            yield Refusal(
                code="no-pod-claim",
                path=f"{path}[{i}].name",
                problem="the pod has no claim {name} under resourceClaims",
                fix="use one of: {known}",
                values={"name": quoted(claim.name), "known": shown(", ".join(sorted(known))) or "-"},
            )
