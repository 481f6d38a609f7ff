"""Demand from Kubernetes objects: Jobs, Pods and Deployments that ask for nvidia.com/gpu.

What a manifest does not say stands in annotations of the object (`stellwerk.dev/...`): arrival, duration, and
measured use. The team is the namespace. GPUs of a pod follow Kubernetes' rule for extended resources: the sum
over containers and sidecars, or what an init container needs if that is more (KEP-753).
"""

from collections import Counter
from collections.abc import Container, Iterator, Sequence

from msgspec import Struct, structs

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import apps, batch, core, stellwerk
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.manifests import Manifest
from stellwerk.api.quantity import NANO
from stellwerk.engine.annotations import (
    COMPUTE,
    DAY_NS,
    MAX_PERIOD_NS,
    MEMORY,
    annotated_job,
    arrival,
    moment,
    positive_duration,
)
from stellwerk.engine.demand import Demand, Job, LeftOut, demand_of

GPU = "nvidia.com/gpu"
MAX_GPUS, MAX_PODS = 64, 10_000
_NOT_READ = frozenset({"StatefulSet", "DaemonSet", "CronJob", "ReplicaSet", "ReplicationController"})

NO_GPU = "objects ask for no GPU"
NO_PODS = "objects have no pods (parallelism or replicas is 0)"
OWNED = "pods belong to a Job or Deployment that is replayed itself"
OTHER_KIND = "objects are of a kind that is not replayed (StatefulSet, DaemonSet, CronJob, ReplicaSet)"
REASONS = (NO_GPU, NO_PODS, OWNED, OTHER_KIND)
UNMEASURED = "{count} jobs carry no measured memory and compute, so they never share a GPU."

Workload = batch.Job | core.Pod | apps.Deployment


class _Found(Struct, frozen=True, kw_only=True):
    """An object with GPUs and pods: what of it is already known. `arrival_ns` counts from 1970."""

    manifest: Manifest
    metadata: ObjectMeta
    pods: int
    gpus: int
    arrival_ns: int
    arrival_path: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.manifest.kind, given(self.metadata.namespace, "default"), given(self.metadata.name, "")


def demand_from_manifests(name: str, manifests: Sequence[Manifest]) -> Demand:
    """The jobs in `manifests`, in the period of their Period object or in the days of their arrivals.

    Raises InvalidInput, with file, document and field, for what cannot be replayed.
    """
    skipped: Counter[str] = Counter()
    found = list(_find(manifests, skipped))
    if not found:
        raise InvalidInput(
            "{name} has no Job, Pod or Deployment that asks for nvidia.com/gpu",
            fix="add nvidia.com/gpu to the limits of a container",
            source=name,
            name=name,
        )
    _check_unique(found)
    start_ns, period_ns = _period(manifests, found)
    names = Counter(item.key[1:] for item in found)
    jobs = []
    for item in found:
        kind, namespace, own = item.key
        # Objects of two kinds may bear one name; only then does the kind tell them apart.
        unique = f"{namespace}/{own}" if names[namespace, own] == 1 else f"{namespace}/{kind.lower()}/{own}"
        jobs.append(_job(item, unique, start_ns))
    unmeasured = sum(job.memory_bytes is None or job.compute_milli is None for job in jobs if not job.whole)
    return structs.replace(
        demand_of(name, start_ns, period_ns, jobs),
        left_out=tuple(LeftOut(skipped[text], text) for text in REASONS if skipped[text]),
        notes=(UNMEASURED.format(count=unmeasured),) if unmeasured else (),
    )


def _find(manifests: Sequence[Manifest], skipped: Counter[str]) -> Iterator[_Found]:
    """Objects with GPUs and pods; what is skipped is counted by its reason."""
    owners = {
        (manifest.kind, given(item.metadata.namespace, "default"), given(item.metadata.name, ""))
        for manifest in manifests
        if isinstance(item := manifest.object, batch.Job | apps.Deployment)
    }
    for manifest in manifests:
        item = manifest.object
        if not isinstance(item, batch.Job | core.Pod | apps.Deployment):
            skipped.update([OTHER_KIND] if manifest.kind in _NOT_READ else [])
            continue
        gpus, pods = _gpus(manifest, item), pods_of(manifest, item)
        owned = isinstance(item, core.Pod) and is_owned(item.metadata, owners)
        reason = OWNED if owned else NO_GPU if not gpus else NO_PODS if not pods else ""
        if reason:
            skipped[reason] += 1
            continue
        arrival_ns, path = arrival(manifest, item.metadata)
        yield _Found(
            manifest=manifest,
            metadata=item.metadata,
            pods=pods,
            gpus=gpus,
            arrival_ns=arrival_ns,
            arrival_path=path,
        )


def is_owned(metadata: ObjectMeta, owners: set[tuple[str, str, str]]) -> bool:
    """Whether the pod was made by one of the objects: by a Job, or by a Deployment's ReplicaSet."""
    return owner_of(metadata, owners) is not None


def owner_of(metadata: ObjectMeta, owners: Container[tuple[str, str, str]]) -> tuple[str, str, str] | None:
    """Which of the objects (kind, namespace, name) made the pod, None if none did."""
    namespace = given(metadata.namespace, "default")
    for reference in given(metadata.owner_references, ()):
        if (reference.kind, namespace, reference.name) in owners:
            return reference.kind, namespace, reference.name
        # A ReplicaSet is named after its Deployment, and a hash.
        maker = ("Deployment", namespace, reference.name.rpartition("-")[0])
        if reference.kind == "ReplicaSet" and maker in owners:
            return maker
    return None


def pods_of(manifest: Manifest, item: Workload) -> int:
    """How many pods start together."""
    if isinstance(item, core.Pod):
        return 1
    is_job = isinstance(item, batch.Job)
    count = given(item.spec.parallelism, 1) if isinstance(item, batch.Job) else given(item.spec.replicas, 1)
    if not 0 <= count <= MAX_PODS:
        raise InvalidInput(
            "{count} pods cannot be replayed: 0 to {limit} can",
            fix="correct the number, or split the object",
            count=count,
            limit=MAX_PODS,
            **manifest.at("spec.parallelism" if is_job else "spec.replicas"),
        )
    return count


def pod_spec(item: Workload) -> tuple[core.PodSpec | None, str]:
    """The pod's spec, and where it stands in the object."""
    if isinstance(item, core.Pod):
        return item.spec, "spec"
    spec = item.spec.template.spec
    return (spec if isinstance(spec, core.PodSpec) else None), "spec.template.spec"


def _gpus(manifest: Manifest, item: Workload) -> int:
    """GPUs of one pod."""
    spec, path = pod_spec(item)
    if spec is None:
        return 0
    if given(spec.resource_claims, ()):
        raise InvalidInput(
            "GPUs by resourceClaims cannot be replayed yet: a replay decides itself how a GPU is shared",
            fix="ask for nvidia.com/gpu, with the measured use in the annotation {annotation}",
            annotation=MEMORY,
            **manifest.at(f"{path}.resourceClaims"),
        )
    sidecars = most = 0
    for i, container in enumerate(given(spec.init_containers, ())):
        asked = _asked(manifest, container, f"{path}.initContainers[{i}]")
        most = max(most, sidecars + asked)
        if given(container.restart_policy, "") == "Always":
            sidecars += asked
    running = [_asked(manifest, item, f"{path}.containers[{i}]") for i, item in enumerate(spec.containers)]
    return max(most, sidecars + sum(running))


def _asked(manifest: Manifest, container: core.Container, path: str) -> int:
    """Whole GPUs that a container asks for, in its limits or else in its requests."""
    asked = 0
    resources = given(container.resources, core.ResourceRequirements())
    for field, amounts in (("requests", resources.requests), ("limits", resources.limits)):
        for name, quantity in given(amounts, {}).items():
            place = manifest.at(f"{path}.resources.{field}[{name}]")
            if name.startswith("nvidia.com/mig-") or name == "nvidia.com/gpu.shared":
                raise InvalidInput(
                    "{resource} cannot be replayed: a replay decides itself how a GPU is shared",
                    fix="ask for nvidia.com/gpu, with the measured use in the annotation {annotation}",
                    resource=name,
                    annotation=MEMORY,
                    **place,
                )
            if name != GPU:
                continue
            if quantity.nanos % NANO or not 0 <= quantity.nanos <= MAX_GPUS * NANO:
                raise InvalidInput(
                    "{value} is not a whole number of GPUs from 0 to {limit}",
                    fix="ask for whole GPUs; a share is measured use, in the annotation {annotation}",
                    value=str(quantity),
                    limit=MAX_GPUS,
                    annotation=COMPUTE,
                    **place,
                )
            asked = quantity.nanos // NANO
    return asked


def _check_unique(found: list[_Found]) -> None:
    seen: dict[tuple[str, str, str], Manifest] = {}
    for item in found:
        kind, namespace, name = item.key
        if not name:
            raise InvalidInput(
                "the {kind} has no name, so a replay cannot tell it from others",
                fix="add metadata.name; generateName is not enough",
                kind=kind,
                **item.manifest.at("metadata.name"),
            )
        if item.key in seen:
            raise InvalidInput(
                "the {kind} {namespace}/{name} is there twice; the first is in {first}, document {number}",
                fix="rename or remove one of the two",
                kind=kind,
                namespace=namespace,
                name=name,
                first=seen[item.key].source,
                number=seen[item.key].document,
                **item.manifest.at("metadata.name"),
            )
        seen[item.key] = item.manifest


def _period(manifests: Sequence[Manifest], found: list[_Found]) -> tuple[int, int]:
    """Start and length, of the Period or of the days of the arrivals; every arrival lies within."""
    declared = [manifest for manifest in manifests if isinstance(manifest.object, stellwerk.Period)]
    if len(declared) > 1:
        raise InvalidInput(
            "there is more than one Period",
            fix="keep the one that is to be replayed",
            **declared[1].at("metadata.name"),
        )
    arrivals = [item.arrival_ns for item in found]
    start = min(arrivals) // DAY_NS * DAY_NS
    length = (max(arrivals) // DAY_NS + 1) * DAY_NS - start
    if declared:
        start, length = _declared(declared[0])
    elif length > MAX_PERIOD_NS:
        last = max(found, key=lambda item: item.arrival_ns)
        raise InvalidInput(
            "the arrivals lie more than ten years apart",
            fix="correct this arrival, or the first one",
            **last.manifest.at(last.arrival_path),
        )
    for item in found:
        if not start <= item.arrival_ns < start + length:
            raise InvalidInput(
                "the arrival lies outside the Period {period}",
                fix="correct the arrival, or the Period's start and duration",
                period=given(_metadata_of(declared[0]).name, ""),
                **item.manifest.at(item.arrival_path),
            )
    return start, length


def _declared(manifest: Manifest) -> tuple[int, int]:
    """Start and length of a Period object."""
    assert isinstance(manifest.object, stellwerk.Period)
    spec = manifest.object.spec
    start = moment(manifest, spec.start, "spec.start")
    return start, positive_duration(manifest, spec.duration, "spec.duration")


def _metadata_of(manifest: Manifest) -> ObjectMeta:
    assert isinstance(manifest.object, stellwerk.Period)
    return manifest.object.metadata


def _job(item: _Found, name: str, start_ns: int) -> Job:
    return structs.replace(
        annotated_job(item.manifest, item.metadata),
        name=name,
        arrival_ns=item.arrival_ns - start_ns,
        pods=item.pods,
        gpus=item.gpus,
    )
