"""What waits for devices: pods of Pods, Jobs, Deployments and StatefulSets; claims without a pod.

All in the order of the files. A pod that is there takes the place of one that its object would make.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from stellwerk.api.checks.pods import check_stateful_set
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.apps import Deployment, StatefulSet
from stellwerk.api.groups.batch import Job
from stellwerk.api.groups.core import Pod, PodSpec, PodStatus, PodTemplateSpec
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.groups.resource import ResourceClaim
from stellwerk.api.manifests import Manifest, read_as
from stellwerk.engine.allocation.pods.extended import asked_by
from stellwerk.engine.workload import MAX_PODS, owner_of

ENDED = frozenset({"Succeeded", "Failed"})
Key = tuple[str, str]  # Namespace and name.
Owner = tuple[str, str, str]  # Kind, namespace and name.
Maker = Job | Deployment | StatefulSet


class PodCase(Struct, frozen=True, kw_only=True):
    """A pod that is there, or that an object would make. `statuses`: claims made for it, by entry."""

    key: Key
    labels: Mapping[str, str]
    spec: PodSpec
    uid: str = ""
    statuses: Mapping[str, str] = {}

    @property
    def asks(self) -> bool:
        """Whether it asks for anything that is decided here: claims, or extended resources."""
        return bool(given(self.spec.resource_claims, ()) or asked_by(self.spec))


def waiting_in(manifests: Sequence[Manifest]) -> Iterator[PodCase | Key]:
    """Pods that have not ended, and the keys of claims that no pod names, in the order of the manifests.

    Raises InvalidInput for a StatefulSet that cannot be read, or too many pods.
    """
    makers = {_owner(manifest, one): one for manifest in manifests if (one := _maker(manifest)) is not None}
    there = Counter(
        owner
        for manifest in manifests
        if isinstance(manifest.object, Pod) and (owner := owner_of(manifest.object.metadata, makers))
    )
    names = {_key(one.object.metadata) for one in manifests if isinstance(one.object, Pod)}
    used = _named_claims(manifests, makers)
    for manifest in manifests:
        item = manifest.object
        if isinstance(item, Pod):
            if given(given(item.status, PodStatus()).phase, "") not in ENDED:
                yield _pod(item)
        elif isinstance(item, ResourceClaim):
            if _key(item.metadata) not in used and not _is_of_pod(item):
                yield _key(item.metadata)
        elif maker := makers.get((manifest.kind, *_key_of(manifest))):
            owner = _owner(manifest, maker)
            yield from _made(manifest, maker, there[owner], names)


def _maker(manifest: Manifest) -> Maker | None:
    if manifest.kind == "StatefulSet" and manifest.api_version == "apps/v1":
        stateful_set = read_as(manifest, StatefulSet)
        check_stateful_set(manifest, stateful_set)
        return stateful_set
    return manifest.object if isinstance(manifest.object, Job | Deployment) else None


def _owner(manifest: Manifest, maker: Maker) -> Owner:
    return (manifest.kind, *_key(maker.metadata))


def _key(metadata: ObjectMeta) -> Key:
    name = given(metadata.name, "") or given(metadata.generate_name, "").rstrip("-.")
    return given(metadata.namespace, "default"), name


def _key_of(manifest: Manifest) -> Key:
    metadata = manifest.raw.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return str(metadata.get("namespace") or "default"), str(metadata.get("name"))


def _is_of_pod(claim: ResourceClaim) -> bool:
    return any(one.kind == "Pod" for one in given(claim.metadata.owner_references, ()))


def _named_claims(manifests: Sequence[Manifest], makers: Mapping[Owner, Maker]) -> set[Key]:
    """The claims that pods use by name."""
    found: set[Key] = set()
    specs = [
        (_key(one.object.metadata)[0], one.object.spec) for one in manifests if isinstance(one.object, Pod)
    ]
    specs += [(owner[1], given(one.spec.template.spec, None)) for owner, one in makers.items()]  # type: ignore[misc]
    for namespace, spec in specs:
        for entry in given(spec.resource_claims, ()) if spec is not None else ():
            found.add((namespace, given(entry.resource_claim_name, "")))
    return found


def _pod(pod: Pod) -> PodCase:
    status = given(pod.status, PodStatus())
    return PodCase(
        key=_key(pod.metadata),
        labels=given(pod.metadata.labels, {}),
        spec=pod.spec,
        uid=given(pod.metadata.uid, ""),
        statuses={
            one.name: given(one.resource_claim_name, "") for one in given(status.resource_claim_statuses, ())
        },
    )


def _made(manifest: Manifest, maker: Maker, there: int, names: set[Key]) -> Iterator[PodCase]:
    template: PodTemplateSpec = maker.spec.template
    spec = template.spec
    if not isinstance(spec, PodSpec):
        return
    namespace, name = _key(maker.metadata)
    labels = given(given(template.metadata, ObjectMeta()).labels, {})
    missing = _count(manifest, maker) - there
    number = 0
    while missing > 0:
        key = (namespace, f"{name}-{number}")
        number += 1
        if key not in names:
            missing -= 1
            yield PodCase(key=key, labels=labels, spec=spec)


def _count(manifest: Manifest, maker: Maker) -> int:
    """How many pods the object has at one time."""
    if isinstance(maker, Job):
        field, count = "parallelism", given(maker.spec.parallelism, 1)
        count = 0 if given(maker.spec.suspend, False) else min(count, given(maker.spec.completions, count))
    else:
        field, count = "replicas", given(maker.spec.replicas, 1)
    if count > MAX_PODS:
        raise InvalidInput(
            "{count} pods are more than the {most} that are decided for one object",
            fix="correct the number, or split the object",
            **manifest.at(f"spec.{field}"),
            count=count,
            most=MAX_PODS,
        )
    return count
