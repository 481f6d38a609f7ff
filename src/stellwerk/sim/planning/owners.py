"""Who made the pods that have GPUs or wait for them: Deployments, StatefulSets, Jobs, or nobody."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import UNSET, Struct, structs

from stellwerk.api.groups import core
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.manifests import Manifest, read_as
from stellwerk.engine.allocation.pods.node_fit import node_refuses
from stellwerk.engine.annotations import measured_job
from stellwerk.engine.partition.inventory import Gpu
from stellwerk.engine.planning.today import GPU, MIG, Owner, PlacedPod

QUEUE_NAME = "kueue.x-k8s.io/queue-name"
CHANGES = frozenset({"Deployment", "StatefulSet"})
ENDED = frozenset({"Succeeded", "Failed"})
Key = tuple[str, str, str]  # Kind, namespace, name.


class _Templated(Struct, frozen=True):
    """An object with a template, whatever its kind."""

    metadata: ObjectMeta = ObjectMeta()


class _Spec(Struct, frozen=True):
    template: core.PodTemplateSpec = core.PodTemplateSpec()


class _Template(Struct, frozen=True):
    """An object whose pods are of a template, a Deployment or a StatefulSet."""

    spec: _Spec = _Spec()


class _Pod(Struct, frozen=True):
    """A pod with GPUs: what it asks for, by name of the container that asks first."""

    manifest: Manifest
    placed: PlacedPod
    gpus: int
    profile: str
    claim: str
    containers: tuple[str, ...]


def owners_of(
    manifests: Sequence[Manifest], gpus: Sequence[Gpu], nodes: Sequence[core.Node]
) -> tuple[Owner, ...]:
    """Owners by key. `gpus`: who is on a device by a claim. Raises InvalidInput for a bad annotation."""
    templates = {_key(one): one for one in manifests if one.kind in ("Deployment", "StatefulSet", "Job")}
    held = _held(gpus)
    groups: dict[Key, list[_Pod]] = {}
    for manifest in manifests:
        if isinstance(manifest.object, core.Pod) and (pod := _pod(manifest, manifest.object, held)):
            groups.setdefault(root_of(manifest, templates), []).append(pod)
    names: dict[str, int] = {}
    for _, namespace, name in groups:
        names[f"{namespace}/{name}"] = names.get(f"{namespace}/{name}", 0) + 1
    found = [_owner(key, pods, templates, names) for key, pods in groups.items()]
    found = [
        structs.replace(owner, nodes=_allowed(templates[key], nodes)) if owner.changes else owner
        for key, owner in zip(groups, found, strict=True)
    ]
    return tuple(sorted(found, key=lambda owner: owner.key))


def _allowed(maker: Manifest, nodes: Sequence[core.Node]) -> frozenset[str] | None:
    """The nodes that its pods may be on; None: all."""
    spec = read_as(maker, _Template).spec.template.spec
    if not isinstance(spec, core.PodSpec):
        return None
    spec = structs.replace(spec, node_name=UNSET)
    found = [given(node.metadata.name, "") for node in nodes if node_refuses(node, spec) is None]
    return None if len(found) == len(nodes) else frozenset(found)


def _key(manifest: Manifest) -> Key:
    metadata = manifest.raw.get("metadata") or {}
    return manifest.kind, str(metadata.get("namespace") or "default"), str(metadata.get("name") or "")


def root_of(manifest: Manifest, templates: Mapping[Key, Manifest]) -> Key:
    """The Deployment, StatefulSet or Job that made a pod; else the pod itself."""
    kind, namespace, name = _key(manifest)
    for reference in manifest.raw["metadata"].get("ownerReferences") or ():
        made = str(reference.get("kind")), namespace, str(reference.get("name"))
        if made in templates:
            return made
        # A ReplicaSet is named after its Deployment, and a hash.
        deployment = "Deployment", namespace, made[2].rpartition("-")[0]
        if made[0] == "ReplicaSet" and deployment in templates:
            return deployment
    return kind, namespace, name


def _held(gpus: Sequence[Gpu]) -> dict[str, tuple[int, str]]:
    """By pod: how many whole or shared GPUs it is on, and the profile of its instance."""
    found: dict[str, tuple[int, str]] = {}
    for gpu in gpus:
        for tenant in gpu.tenants:
            found[tenant.name] = found.get(tenant.name, (0, ""))[0] + 1, ""
        for instance in gpu.instances:
            if instance.tenant:
                found[instance.tenant] = 1, instance.profile
    return found


def _pod(manifest: Manifest, pod: core.Pod, held: Mapping[str, tuple[int, str]]) -> _Pod | None:
    if given(given(pod.status, core.PodStatus()).phase, "") in ENDED or pod.spec is None:
        return None
    name = f"{given(pod.metadata.namespace, 'default')}/{given(pod.metadata.name, '')}"
    spec: core.PodSpec = pod.spec
    placed = PlacedPod(name, given(spec.node_name, ""))
    asked = _asks(spec)
    if asked.gpus or asked.profile:
        return _Pod(manifest, placed, asked.gpus or 1, asked.profile, "", asked.containers)
    claims = given(spec.resource_claims, ())
    if not claims or name not in held:
        return None
    count, profile = held[name]
    # Of several claims nobody says which one a container has its GPU by.
    claim = claims[0].name if len(claims) == 1 else ""
    using = tuple(
        each.name
        for each in spec.containers
        if any(use.name == claim for use in given(_resources(each).claims, ()))
    )
    return _Pod(manifest, placed, count, profile, claim or "?", using)


class _Asks(Struct, frozen=True):
    """What a pod asks for by extended resources."""

    gpus: int
    profile: str
    containers: tuple[str, ...]


def _asks(spec: core.PodSpec) -> _Asks:
    asked, containers = asked_of(spec)
    profile = next((each for each in asked if each != GPU), "")
    return _Asks(asked.get(GPU, 0), profile.removeprefix(MIG).replace("gb.", "gb+"), containers)


def _asked_by(maker: Manifest) -> _Asks | None:
    """What the pods ask for that a template makes from now on: older ones may still be there."""
    spec = read_as(maker, _Template).spec.template.spec
    found = _asks(spec) if isinstance(spec, core.PodSpec) else None
    return found if found is not None and (found.gpus or found.profile) else None


def asked_of(spec: core.PodSpec) -> tuple[dict[str, int], tuple[str, ...]]:
    """GPUs and instances of a pod's containers by resource, and the containers that ask for them."""
    asked: dict[str, int] = {}
    names: list[str] = []
    for container in spec.containers:
        resources = _resources(container)
        amounts = {**given(resources.requests, {}), **given(resources.limits, {})}
        mine = {
            name: amount.value()
            for name, amount in amounts.items()
            if (name == GPU or name.startswith(MIG)) and amount.nanos > 0
        }
        if mine:
            names.append(container.name)
        for name, amount in mine.items():
            asked[name] = asked.get(name, 0) + amount
    return asked, tuple(names)


def _resources(container: core.Container) -> core.ResourceRequirements:
    return given(container.resources, core.ResourceRequirements())


def _owner(
    key: Key, pods: Sequence[_Pod], templates: Mapping[Key, Manifest], names: Mapping[str, int]
) -> Owner:
    kind, namespace, name = key
    own = f"{namespace}/{name}"
    maker = templates.get(key, pods[0].manifest)
    metadata = read_as(maker, _Templated).metadata
    job = measured_job(maker, metadata, 1)
    first = min(pods, key=lambda pod: pod.placed.name)
    labels = {**given(metadata.labels, {}), **_template_labels(maker)}
    asked = _asked_by(maker) if kind in CHANGES and not first.claim else None
    containers = first.containers if asked is None else asked.containers
    return Owner(
        kind=kind,
        # Owners of one name and different kinds are told apart.
        key=own if names[own] == 1 else f"{own} ({kind})",
        pods=tuple(sorted((pod.placed for pod in pods), key=lambda pod: pod.name)),
        gpus=max(pod.gpus for pod in pods) if asked is None else asked.gpus,
        profile=first.profile if asked is None else asked.profile,
        claim=first.claim,
        containers=containers,
        local_queue=labels.get(QUEUE_NAME, ""),
        changes=kind in CHANGES and first.claim != "?" and len(containers) == 1,
        memory_bytes=job.memory_bytes,
        compute_milli=job.compute_milli,
        whole=job.whole,
        isolated=job.isolated,
    )


def _template_labels(maker: Manifest) -> dict[str, str]:
    template: Any = (maker.raw.get("spec") or {}).get("template") or {}
    return dict((template.get("metadata") or {}).get("labels") or {})


def pods_by_owner(owners: Sequence[Owner]) -> Iterator[tuple[str, str]]:
    """Each pod with its owner's key."""
    return ((pod.name, owner.key) for owner in owners for pod in owner.pods)
