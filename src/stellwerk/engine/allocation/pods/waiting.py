"""What waits for devices: pods of Pods and of objects that make pods; claims without a pod.

All in the order of the files. A pod that is there takes the place of one that its object would make. The
objects have their names: who reads files gives one to each that only has generateName.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import UNSET, Struct

from stellwerk.api.checks.pods import check_set
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.apps import DaemonSet, Deployment, ReplicaSet, StatefulSet
from stellwerk.api.groups.batch import Job, JobStatus
from stellwerk.api.groups.core import Pod, PodSpec, PodStatus, PodTemplateSpec
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.groups.resource import ResourceClaim
from stellwerk.api.manifests import Manifest, read_as
from stellwerk.engine.allocation.pods.extended import asked_by
from stellwerk.engine.decision import Reason
from stellwerk.engine.workload import MAX_PODS, owner_of

ENDED = frozenset({"Succeeded", "Failed"})
_ENDS = frozenset({"Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"})  # Of a Job: no new pods.
Key = tuple[str, str]  # Namespace and name.
Owner = tuple[str, str, str]  # Kind, namespace and name.
Maker = Job | Deployment | StatefulSet | ReplicaSet
_SETS: Mapping[str, type[StatefulSet] | type[ReplicaSet]] = {
    "StatefulSet": StatefulSet,
    "ReplicaSet": ReplicaSet,
}


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


class _Pods(Struct, frozen=True):
    """Pods of the files by who made them: how many run or wait, how many succeeded."""

    living: Counter[Owner]
    succeeded: Counter[Owner]


def waiting_in(manifests: Sequence[Manifest]) -> Iterator[PodCase | Key]:
    """Pods that have not ended, and the keys of claims that no pod names, in the order of the manifests.

    Raises InvalidInput for a StatefulSet or ReplicaSet that cannot be read, or too many pods.
    """
    makers = _makers(manifests)
    pods = _pods(manifests, {owner for owner, _ in makers.values()})
    names = {_key(one.object.metadata) for one in manifests if isinstance(one.object, Pod)}
    used = _named_claims(manifests, makers.values())
    for number, manifest in enumerate(manifests):
        item = manifest.object
        if isinstance(item, Pod):
            if _phase(item) not in ENDED:
                yield pod_case(item)
        elif isinstance(item, ResourceClaim):
            if _key(item.metadata) not in used and not _is_of_pod(item):
                yield _key(item.metadata)
        elif number in makers:
            owner, maker = makers[number]
            missing = _count(manifest, maker, pods.succeeded[owner]) - pods.living[owner]
            yield from _made(maker, missing, names)


def left_out(manifests: Sequence[Manifest]) -> Iterator[Reason]:
    """DaemonSets that ask for devices, which are not read. Raises InvalidInput for one of a wrong type."""
    for manifest in manifests:
        if manifest.kind != "DaemonSet" or manifest.api_version != "apps/v1":
            continue
        one = read_as(manifest, DaemonSet)
        spec = one.spec.template.spec
        if isinstance(spec, PodSpec) and PodCase(key=_key(one.metadata), labels={}, spec=spec).asks:
            yield Reason(
                "daemon-set",
                "the DaemonSet {name} asks for devices, but its pods are not looked at",
                {"name": "/".join(_key(one.metadata))},
            )


def _makers(manifests: Sequence[Manifest]) -> dict[int, tuple[Owner, Maker]]:
    """The objects that make pods, by their place; a ReplicaSet whose Deployment is there is part of it."""
    found = {
        i: ((manifest.kind, *_key(maker.metadata)), maker)
        for i, manifest in enumerate(manifests)
        if (maker := _maker(manifest)) is not None
    }
    owners = {owner for owner, _ in found.values()}
    return {
        i: (owner, maker)
        for i, (owner, maker) in found.items()
        if not (isinstance(maker, ReplicaSet) and _of_deployment(maker.metadata, owners))
    }


def _of_deployment(metadata: ObjectMeta, owners: set[Owner]) -> bool:
    namespace = _key(metadata)[0]
    references = given(metadata.owner_references, ())
    return any(one.kind == "Deployment" and (one.kind, namespace, one.name) in owners for one in references)


def _maker(manifest: Manifest) -> Maker | None:
    if manifest.kind in _SETS and manifest.api_version == "apps/v1":
        found = read_as(manifest, _SETS[manifest.kind])
        check_set(manifest, found)
        return found
    return manifest.object if isinstance(manifest.object, Job | Deployment) else None


def _pods(manifests: Sequence[Manifest], owners: set[Owner]) -> _Pods:
    found = _Pods(Counter(), Counter())
    for manifest in manifests:
        item = manifest.object
        if isinstance(item, Pod) and (owner := owner_of(item.metadata, owners)) is not None:
            if _phase(item) not in ENDED:
                found.living[owner] += 1
            elif _phase(item) == "Succeeded":
                found.succeeded[owner] += 1
    return found


def _phase(pod: Pod) -> str:
    return given(given(pod.status, PodStatus()).phase, "")


def _key(metadata: ObjectMeta) -> Key:
    name = given(metadata.name, "") or given(metadata.generate_name, "").rstrip("-.")
    return given(metadata.namespace, "default"), name


def _is_of_pod(claim: ResourceClaim) -> bool:
    return any(one.kind == "Pod" for one in given(claim.metadata.owner_references, ()))


def _named_claims(manifests: Sequence[Manifest], makers: Iterable[tuple[Owner, Maker]]) -> set[Key]:
    """The claims that pods use by name."""
    found: set[Key] = set()
    specs = [
        (_key(one.object.metadata)[0], one.object.spec) for one in manifests if isinstance(one.object, Pod)
    ]
    specs += [(owner[1], given(one.spec.template.spec, None)) for owner, one in makers]  # type: ignore[misc]
    for namespace, spec in specs:
        for entry in given(spec.resource_claims, ()) if spec is not None else ():
            found.add((namespace, given(entry.resource_claim_name, "")))
    return found


def pod_case(pod: Pod) -> PodCase:
    """A pod that is there, as it takes its turn."""
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


def _made(maker: Maker, missing: int, names: set[Key]) -> Iterator[PodCase]:
    """So many pods, each with a name that no pod has; it is taken from then on."""
    template: PodTemplateSpec = maker.spec.template
    spec = template.spec
    if not isinstance(spec, PodSpec):
        return
    namespace, name = _key(maker.metadata)
    labels = given(given(template.metadata, ObjectMeta()).labels, {})
    number = 0
    while missing > 0:
        key = (namespace, f"{name}-{number}")
        number += 1
        if key not in names:
            names.add(key)
            missing -= 1
            yield PodCase(key=key, labels=labels, spec=spec)


def _count(manifest: Manifest, maker: Maker, succeeded: int) -> int:
    """How many pods the object has at one time; `succeeded`: of a Job, in the files."""
    if isinstance(maker, Job):
        field, count = "parallelism", _job_count(maker, succeeded)
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


def _job_count(job: Job, succeeded: int) -> int:
    """As many as it still needs; without completions none is made any more after the first that succeeded."""
    status = given(job.status, JobStatus())
    ended = any(one.type in _ENDS and one.status == "True" for one in given(status.conditions, ()))
    if ended or given(job.spec.suspend, False):
        return 0
    succeeded = max(succeeded, given(status.succeeded, 0))
    count = given(job.spec.parallelism, 1)
    if job.spec.completions is UNSET:
        return 0 if succeeded else count
    return max(0, min(count, job.spec.completions - succeeded))
