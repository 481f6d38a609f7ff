"""Whom a name means in a live cluster: a Job, Deployment, StatefulSet, ReplicaSet or Pod, and its pods."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from stellwerk.api.groups.apps import Deployment, ReplicaSet, StatefulSet
    from stellwerk.api.groups.batch import Job
    from stellwerk.api.groups.core import Pod
    from stellwerk.api.groups.meta import ObjectMeta
    from stellwerk.api.manifests import Manifest
    from stellwerk.engine.allocation.pods.waiting import PodCase

# As kubectl calls them.
_KINDS = {
    "Deployment": ("deployment", "deployments", "deploy", "deployment.apps"),
    "Job": ("job", "jobs", "job.batch"),
    "Pod": ("pod", "pods", "po"),
    "ReplicaSet": ("replicaset", "replicasets", "rs", "replicaset.apps"),
    "StatefulSet": ("statefulset", "statefulsets", "sts", "statefulset.apps"),
    "Workload": ("workload", "workloads", "wl", "workload.kueue.x-k8s.io"),
}
_CALLED = {word: kind for kind, words in _KINDS.items() for word in words}
Place = tuple[str, str, str]  # Kind, namespace, name.


class Subject(Struct, frozen=True, kw_only=True):
    """What a name means; `pods` are its own, `sets` its ReplicaSets (of a ReplicaSet itself), raw."""

    kind: str
    namespace: str
    name: str
    object: "Job | Pod | Deployment | StatefulSet | ReplicaSet"
    pods: "tuple[Pod, ...]"
    sets: tuple[dict[str, Any], ...] = ()

    @property
    def key(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def living(self) -> "list[Pod]":
        """Those of its pods that have not ended."""
        from stellwerk.api.groups.core import PodStatus
        from stellwerk.api.groups.meta import given
        from stellwerk.engine.allocation.pods.waiting import ENDED

        return [one for one in self.pods if given(given(one.status, PodStatus()).phase, "") not in ENDED]

    @property
    def waiting(self) -> "Pod | None":
        """The first of its pods that has no node yet."""
        from stellwerk.api.groups.meta import given

        return next((one for one in self.living if not given(one.spec.node_name, "")), None)

    @property
    def wanted(self) -> int:
        """How many pods there should be at once."""
        from stellwerk.api.groups.batch import Job, JobStatus
        from stellwerk.api.groups.core import Pod
        from stellwerk.api.groups.meta import given
        from stellwerk.engine.queueing.jobs.workload import is_over

        if isinstance(self.object, Pod):
            return len(self.living)
        if not isinstance(self.object, Job):
            return given(self.object.spec.replicas, 1)
        spec, succeeded = self.object.spec, given(given(self.object.status, JobStatus()).succeeded, 0)
        if given(spec.suspend, False) or is_over(self.object):
            return 0
        # Without completions no pod is made any more after the first that succeeded.
        most = given(spec.parallelism, 1)
        left = given(spec.completions, succeeded + (0 if succeeded else most)) - succeeded
        return max(0, min(most, left))


def subject_of(manifests: "Sequence[Manifest]", name: str) -> Subject:
    """The object that a name means: NAME, NAMESPACE/NAME, KIND/NAME or NAMESPACE/KIND/NAME.

    A Workload's name stands for its owner; of an object and a Pod of one name the object is meant. Raises
    InvalidInput for none and for several.
    """
    there = {(one.kind, *_key(one)): one for one in manifests if one.kind in _KINDS}
    owners = dict(workload_owners(manifests))
    found = _meant(there, owners, name)
    if len(found) == 1:
        return _subject(manifests, there[found[0]], found[0])
    raise _unclear(there, found, name)


def _meant(there: "Mapping[Place, Manifest]", owners: Mapping[Place, Place], name: str) -> list[Place]:
    """The places that a name may mean."""
    wanted = set(_readings(name))
    places = {
        owners.get(place, place)
        for place in there
        if wanted & {("", "", place[2]), ("", *place[1:]), (place[0], "", place[2]), place}
    }
    found = sorted(place for place in places if place in there and place[0] != "Workload")
    made = [place for place in found if place[0] != "Pod"]
    return made if len(made) == 1 and not any(kind == "Pod" for kind, _, _ in wanted) else found


def _readings(name: str) -> Iterator[Place]:
    """A name's parts as (kind, namespace, name), "" for any; a namespace may be called as a kind is."""
    *before, last = name.split("/")
    if not before:
        yield "", "", last
    elif len(before) == 1:
        yield "", before[0], last
        if kind := _CALLED.get(before[0].lower()):
            yield kind, "", last
    elif len(before) == 2 and (kind := _CALLED.get(before[1].lower())):
        yield kind, before[0], last


def _unclear(there: "Mapping[Place, Manifest]", found: Sequence[Place], name: str) -> Exception:
    from stellwerk.api.errors import InvalidInput
    from stellwerk.catalog.nearest import nearest

    if found:
        kinds = len({kind for kind, _, _ in found}) > 1
        return InvalidInput(
            "{count} are called {name}",
            fix="write one of: {known}",
            count=len(found),
            name=name[:80],
            known=", ".join(
                f"{namespace}/{kind.lower()}/{last}" if kinds else f"{namespace}/{last}"
                for kind, namespace, last in found[:5]
            ),
        )
    named = dict.fromkeys((f"{namespace}/{last}" for _, namespace, last in there), "")
    return InvalidInput(
        "the cluster has no Job, Workload, Deployment, StatefulSet, ReplicaSet or Pod called {name}",
        fix="write one of: {near}",
        name=name[:80],
        near=nearest(name[:80], named) or "(it has none)",
    )


def _subject(manifests: "Sequence[Manifest]", manifest: "Manifest", place: Place) -> Subject:
    from stellwerk.api.groups.apps import ReplicaSet, StatefulSet
    from stellwerk.api.groups.core import Pod
    from stellwerk.api.manifests import read_as

    kind, namespace, name = place
    item: Any = manifest.object
    if kind in ("ReplicaSet", "StatefulSet"):
        item = read_as(manifest, ReplicaSet if kind == "ReplicaSet" else StatefulSet)
    sets = tuple(
        one.raw
        for one in manifests
        if one.kind == "ReplicaSet"
        and (one is manifest or (kind == "Deployment" and _belongs(one.raw, namespace, {(kind, name)})))
    )
    owners = {(kind, name), *(("ReplicaSet", one["metadata"]["name"]) for one in sets)}
    pods = tuple(
        one.object
        for one in manifests
        if isinstance(one.object, Pod) and (one.object is item or _belongs(one.raw, namespace, owners))
    )
    return Subject(kind=kind, namespace=namespace, name=name, object=item, pods=pods, sets=sets)


def _belongs(raw: Mapping[str, Any], namespace: str, owners: set[tuple[str, str]]) -> bool:
    metadata = raw["metadata"]
    return metadata.get("namespace", "default") == namespace and any(
        (one.get("kind"), one.get("name")) in owners for one in metadata.get("ownerReferences") or ()
    )


def _key(manifest: "Manifest") -> tuple[str, str]:
    metadata = manifest.raw["metadata"]
    return str(metadata.get("namespace", "default")), str(metadata["name"])


def workload_owners(manifests: "Sequence[Manifest]") -> Iterator[tuple[Place, Place]]:
    """Each Workload with the object that it stands for."""
    for one in (each for each in manifests if each.kind == "Workload"):
        namespace, name = _key(one)
        for owner in one.raw["metadata"].get("ownerReferences") or ():
            if owner["kind"] in _KINDS:
                yield ("Workload", namespace, name), (owner["kind"], namespace, owner["name"])


def case_of(subject: Subject) -> "PodCase | None":
    """The first pod that has no node yet, else one as it would be made; None: nothing waits."""
    from stellwerk.api.groups.batch import Job
    from stellwerk.api.groups.core import Pod, PodSpec
    from stellwerk.api.groups.meta import ObjectMeta, given
    from stellwerk.engine.allocation.pods.waiting import PodCase, pod_case
    from stellwerk.engine.queueing.jobs.workload import is_over

    item, living = subject.object, subject.living
    if subject.waiting is not None:
        return pod_case(subject.waiting)
    if isinstance(item, Pod) or (isinstance(item, Job) and (living or is_over(item))):
        return None
    if not isinstance(item, Job) and len(living) >= subject.wanted:
        return None
    template = item.spec.template
    if not isinstance(template.spec, PodSpec):
        return None
    labels = given(given(template.metadata, ObjectMeta()).labels, {})
    return PodCase(key=(subject.namespace, f"{subject.name}-0"), labels=labels, spec=template.spec)


def owner_kinds(metadata: "ObjectMeta") -> set[str]:
    """The kinds of an object's owners."""
    from stellwerk.api.groups.meta import given

    return {one.kind for one in given(metadata.owner_references, ())}
