"""What manifests ask for that are planned all at once: whole GPUs, measured use, or a MIG profile."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, structs

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import apps, batch, core
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest
from stellwerk.engine.annotations import DURATION, MEMORY, measured_job
from stellwerk.engine.demand import Job
from stellwerk.engine.workload import is_owned, pod_spec, pods_of

MIG_RESOURCE, GPU_RESOURCE = "nvidia.com/mig-", "nvidia.com/gpu"
MOST_GPUS = 1024
NANO = 1_000_000_000
ENDED = frozenset({"Succeeded", "Failed"})
Item = batch.Job | core.Pod | apps.Deployment


class Wanted(Struct, frozen=True):
    """What one object asks for: a MIG profile, or a job; and whether it says how long it runs."""

    name: str
    pods: int
    profile: str
    job: Job | None
    timed: bool


def wanted_of(manifests: Sequence[Manifest]) -> Iterator[Wanted]:
    """Each Job, Pod and Deployment that asks for a GPU and has pods that have not ended.

    A Pod that an object of the file made is that object's. Raises InvalidInput for what cannot be planned.
    """
    owners = {
        (
            manifest.kind,
            given(manifest.object.metadata.namespace, "default"),
            given(manifest.object.metadata.name, ""),
        )
        for manifest in manifests
        if isinstance(manifest.object, batch.Job | apps.Deployment)
    }
    for manifest in manifests:
        item = manifest.object
        if not isinstance(item, Item) or _is_over(item, owners):
            continue
        spec, path = pod_spec(item)
        asked = {} if spec is None else _asked(manifest, spec, path)
        pods = pods_of(manifest, item)
        if asked and pods:
            yield _wanted(manifest, item, pods, asked)


def _is_over(item: Item, owners: set[tuple[str, str, str]]) -> bool:
    if not isinstance(item, core.Pod):
        return False
    status = given(item.status, core.PodStatus())
    return is_owned(item.metadata, owners) or given(status.phase, "") in ENDED


def _wanted(manifest: Manifest, item: Item, pods: int, asked: Mapping[str, int]) -> Wanted:
    metadata = item.metadata
    name = f"{given(metadata.namespace, 'default')}/{given(metadata.name, '')}"
    timed = DURATION in given(metadata.annotations, {})
    profiles = [resource for resource in asked if resource != GPU_RESOURCE]
    if not profiles:
        job = measured_job(manifest, metadata, 1)
        return Wanted(
            name, pods, "", structs.replace(job, name=name, pods=pods, gpus=asked[GPU_RESOURCE]), timed
        )
    if len(asked) > 1 or sum(asked.values()) > 1:
        raise InvalidInput(
            "a pod of {name} asks for {count} MIG instances or GPUs at once, which cannot be planned yet",
            fix="ask for one instance a pod, or for whole GPUs",
            name=name,
            count=sum(asked.values()),
            **manifest.at("spec"),
        )
    # NVIDIA's resource names write 1g.10gb+me as 1g.10gb.me.
    return Wanted(name, pods, profiles[0].removeprefix(MIG_RESOURCE).replace("gb.", "gb+"), None, timed)


def _asked(manifest: Manifest, spec: core.PodSpec, path: str) -> dict[str, int]:
    """GPUs and instances of one pod by resource: what its containers hold at once, sidecars with them."""
    if given(spec.resource_claims, ()):
        raise InvalidInput(
            "GPUs by resourceClaims cannot be planned yet: the plan decides itself how a GPU is shared",
            fix="ask for nvidia.com/gpu, with the measured use in the annotation {annotation}",
            annotation=MEMORY,
            **manifest.at(f"{path}.resourceClaims"),
        )
    sidecars, most = dict[str, int](), dict[str, int]()
    for position, container in enumerate(given(spec.init_containers, ())):
        asked = _of_container(manifest, container, f"{path}.initContainers[{position}]")
        most = _largest(most, _sum(sidecars, asked))
        if given(container.restart_policy, "") == "Always":
            sidecars = _sum(sidecars, asked)
    running = sidecars
    for position, container in enumerate(spec.containers):
        running = _sum(running, _of_container(manifest, container, f"{path}.containers[{position}]"))
    return _largest(most, running)


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}


def _largest(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in sorted({*one, *other})}


def _of_container(manifest: Manifest, container: core.Container, path: str) -> dict[str, int]:
    """What a container asks for, in its limits or else in its requests."""
    resources = given(container.resources, core.ResourceRequirements())
    found: dict[str, int] = {}
    for field, amounts in (("requests", resources.requests), ("limits", resources.limits)):
        for resource, quantity in given(amounts, {}).items():
            if resource != GPU_RESOURCE and not resource.startswith((MIG_RESOURCE, f"{GPU_RESOURCE}.")):
                continue
            place = manifest.at(f"{path}.resources.{field}[{resource}]")
            if resource.startswith(f"{GPU_RESOURCE}."):
                raise InvalidInput(
                    "{resource} cannot be planned: the plan decides itself how a GPU is shared",
                    fix="ask for nvidia.com/gpu, with the measured use in the annotation {annotation}",
                    resource=resource,
                    annotation=MEMORY,
                    **place,
                )
            if quantity.nanos % NANO or not 0 <= quantity.nanos <= MOST_GPUS * NANO:
                raise InvalidInput(
                    "{value} of {resource} is no whole number from 0 to {limit}",
                    fix="ask for whole GPUs or instances; a share is measured use in an annotation",
                    value=str(quantity),
                    resource=resource,
                    limit=MOST_GPUS,
                    **place,
                )
            if quantity.nanos:
                found[resource] = quantity.nanos // NANO
    return found
