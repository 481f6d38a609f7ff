"""The claims of a pod: known ones, those made from templates, and what is written when they are allocated.

Names, owners and annotations are those of Kubernetes' resourceclaim controller and scheduler plugin (1.37);
where these take five random characters, five follow from the pod's name here, so that a run repeats.
"""

from collections.abc import Iterable, Mapping

from msgspec import UNSET, structs

from stellwerk.api.generated_names import suffix_of
from stellwerk.api.groups.core import PodResourceClaim
from stellwerk.api.groups.meta import ObjectMeta, OwnerReference, given
from stellwerk.api.groups.resource import (
    AllocationResult,
    ResourceClaim,
    ResourceClaimConsumerReference,
    ResourceClaimSpec,
    ResourceClaimStatus,
    ResourceClaimTemplate,
)
from stellwerk.engine.allocation.pods.waiting import Key, PodCase
from stellwerk.engine.allocation.search.results import uuid_of
from stellwerk.engine.decision import Reason

POD_CLAIM = "resource.kubernetes.io/pod-claim-name"
EXTENDED = "resource.kubernetes.io/extended-resource-claim"
FINALIZER = "resource.kubernetes.io/delete-protection"
MOST_USERS = 256
_LONGEST_BASE = 57
Made = tuple[str, str, str]  # Namespace, pod, and the entry of its resourceClaims.


def made_claims(claims: Iterable[ResourceClaim]) -> dict[Made, Key]:
    """The claims that were made for pods, by pod and entry; for extended resources the entry is ""."""
    found: dict[Made, Key] = {}
    for claim in claims:
        annotations = given(claim.metadata.annotations, {})
        namespace, name = key_of(claim)
        entry = "" if annotations.get(EXTENDED) == "true" else annotations.get(POD_CLAIM)
        for owner in given(claim.metadata.owner_references, ()):
            if owner.kind == "Pod" and entry is not None:
                found.setdefault((namespace, owner.name, entry), (namespace, name))
    return found


def key_of(claim: ResourceClaim) -> Key:
    """Namespace and name."""
    name = given(claim.metadata.name, "") or given(claim.metadata.generate_name, "").rstrip("-.")
    return given(claim.metadata.namespace, "default"), name


def claim_of(
    pod: PodCase,
    entry: PodResourceClaim,
    known: tuple[Mapping[Key, ResourceClaim], Mapping[Made, Key], Mapping[Key, ResourceClaimTemplate]],
) -> ResourceClaim | Reason:
    """The claim of one entry of the pod's resourceClaims: one that is there, or a new one by its template."""
    claims, made, templates = known
    namespace = pod.key[0]
    template_name = given(entry.resource_claim_template_name, "")
    name = given(entry.resource_claim_name, "") or pod.statuses.get(entry.name, "")
    key = (namespace, name) if name else made.get((namespace, pod.key[1], entry.name))
    if key is not None and key in claims:
        return _usable(pod, claims[key])
    if not template_name:
        return Reason(
            "missing-claim",
            "the ResourceClaim {claim} of the pod is not there",
            {"claim": f"{namespace}/{name}"},
        )
    template = templates.get((namespace, template_name))
    if template is None:
        return Reason(
            "missing-template",
            "the ResourceClaimTemplate {template} of the pod is not there",
            {"template": f"{namespace}/{template_name}"},
        )
    base = _base(pod.key[1], entry.name)
    metadata = given(template.spec.metadata, ObjectMeta())
    annotations = {**given(metadata.annotations, {}), POD_CLAIM: entry.name}
    own = _metadata(pod, base, annotations)
    return _claim(structs.replace(own, labels=metadata.labels), template.spec.spec)


def _base(pod: str, entry: str) -> str:
    """Pod and entry, both shortened alike where they are too long together."""
    total = len(pod) + len(entry) + 2
    if total <= _LONGEST_BASE:
        return f"{pod}-{entry}"
    return f"{pod[: len(pod) * _LONGEST_BASE // total]}-{entry[: len(entry) * _LONGEST_BASE // total]}"


def _usable(pod: PodCase, claim: ResourceClaim) -> ResourceClaim | Reason:
    values: dict[str, str | int] = {"claim": "/".join(key_of(claim))}
    if claim.metadata.deletion_timestamp is not UNSET:
        return Reason("claim-deleted", "the ResourceClaim {claim} is being deleted", values)
    users = given(given(claim.status, ResourceClaimStatus()).reserved_for, ())
    if len(users) >= MOST_USERS and all(one.name != pod.key[1] for one in users):
        return Reason(
            "claim-full", "the ResourceClaim {claim} is reserved for as many pods as it may be", values
        )
    return claim


def extended_claim_of(pod: PodCase, spec: ResourceClaimSpec) -> ResourceClaim:
    """The claim that the scheduler makes for the pod's extended resources."""
    return _claim(
        _metadata(pod, f"{pod.key[1]}-extended-resources"[:_LONGEST_BASE], {EXTENDED: "true"}), spec
    )


def _metadata(pod: PodCase, base: str, annotations: Mapping[str, str]) -> ObjectMeta:
    namespace, name = pod.key
    owner = OwnerReference(
        api_version="v1", kind="Pod", name=name, uid=uid_of(pod), controller=True, block_owner_deletion=True
    )
    return ObjectMeta(
        name=f"{base}-{suffix_of('/'.join((namespace, name, base)))}",
        namespace=namespace,
        annotations=annotations,
        owner_references=(owner,),
    )


def _claim(metadata: ObjectMeta, spec: ResourceClaimSpec) -> ResourceClaim:
    return ResourceClaim(api_version="resource.k8s.io/v1", kind="ResourceClaim", metadata=metadata, spec=spec)


def uid_of(pod: PodCase) -> str:
    """The pod's uid; one that follows from its name where it has none yet."""
    return pod.uid or uuid_of("\n".join(("Pod", *pod.key)))


def allocated_claim(claim: ResourceClaim, result: AllocationResult) -> ResourceClaim:
    """The claim as the scheduler writes it, with its finalizer, but without a time: a decision has none."""
    status = structs.replace(given(claim.status, ResourceClaimStatus()), allocation=result)
    finalizers = given(claim.metadata.finalizers, ())
    if FINALIZER not in finalizers:
        finalizers = (*finalizers, FINALIZER)
    return structs.replace(
        claim, metadata=structs.replace(claim.metadata, finalizers=finalizers), status=status
    )


def reserved_claim(claim: ResourceClaim, pod: PodCase) -> ResourceClaim:
    """The claim reserved for the pod, as an allocated one is."""
    status = given(claim.status, ResourceClaimStatus())
    users = given(status.reserved_for, ())
    if any(one.resource == "pods" and one.name == pod.key[1] for one in users):
        return claim
    user = ResourceClaimConsumerReference(resource="pods", name=pod.key[1], uid=uid_of(pod))
    return structs.replace(claim, status=structs.replace(status, reserved_for=(*users, user)))


def allocation_of(claim: ResourceClaim) -> AllocationResult | None:
    """What the claim has, None if it is not allocated."""
    return given(given(claim.status, ResourceClaimStatus()).allocation, None)
