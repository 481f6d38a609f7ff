"""What is asked about, taken from manifests: claims, device classes, and pods with what they refer to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, UnsetType
from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.apps import Deployment
from stellwerk.api.groups.batch import Job
from stellwerk.api.groups.core import Namespace, Pod, PodSpec, PodTemplateSpec
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    DeviceClaim,
    DeviceClass,
    DeviceClassSpec,
    ResourceClaim,
    ResourceClaimTemplate,
)
from stellwerk.api.manifests import Manifest, without_nulls
from stellwerk.api.mismatch import decode_hook
from stellwerk.api.yaml_events import key_path
from stellwerk.catalog.dra import dra_facts

QUEUE = "kueue.x-k8s.io/queue-name"
TEMPLATED = ("StatefulSet", "DaemonSet", "ReplicaSet")


class _Templated(Struct, frozen=True):
    template: PodTemplateSpec


class AskedClaim(Struct, frozen=True, kw_only=True):
    """A ResourceClaim or a template: `path` leads to spec.devices; `unknown`: fields that nothing reads.

    `there`: it is not in the files but in the cluster, and the files name it. `queued`: Kueue looks at it,
    since it manages what uses it; so it is where nothing that was read does.
    """

    object: str
    name: str
    namespace: str
    template: bool
    path: str
    devices: DeviceClaim
    unknown: tuple[str, ...]
    there: bool = False
    queued: bool = True


class AskedClass(Struct, frozen=True, kw_only=True):
    """A DeviceClass; `unknown`: paths of fields that nothing reads."""

    object: str
    name: str
    spec: DeviceClassSpec
    unknown: tuple[str, ...]


class AskedPod(Struct, frozen=True, kw_only=True):
    """Pods of one form: `path` leads to their spec; `managed`: Kueue decides when they start."""

    object: str
    namespace: str
    path: str
    spec: PodSpec
    managed: bool

    def uses(self, claim: AskedClaim) -> bool:
        """Whether one of its claims is this one, or is made of this template."""
        if claim.namespace != self.namespace:
            return False
        entries = given(self.spec.resource_claims, ())
        names = (
            each.resource_claim_template_name if claim.template else each.resource_claim_name
            for each in entries
        )
        return any(given(name, "") == claim.name for name in names)


class Asked(Struct, frozen=True, kw_only=True):
    """All that is asked about; `admin_namespaces`: those that may use adminAccess.

    `context_classes`: DeviceClasses of the cluster that no file has.
    """

    claims: tuple[AskedClaim, ...]
    classes: tuple[AskedClass, ...]
    pods: tuple[AskedPod, ...]
    admin_namespaces: frozenset[str]
    context_classes: tuple[AskedClass, ...] = ()

    def kind_of(self, device_class: str) -> str:
        """The kind of NVIDIA's device that a class stands for (gpu, mig, vfio, channel, daemon), or ""."""
        if device_class in NVIDIA_CLASSES:
            return NVIDIA_CLASSES[device_class]
        for row in (*self.classes, *self.context_classes):
            if row.name == device_class:
                return _kind_by_selector(row.spec)
        return ""


ADMIN_LABEL = "resource.kubernetes.io/admin-access"
# The kind of device by DeviceClass, in the order of the catalog's list of classes.
NVIDIA_CLASSES: Mapping[str, str] = dict(
    zip(dra_facts().device_classes, ("gpu", "mig", "vfio", "daemon", "channel"), strict=True)
)


def names_queue(manifest: Manifest) -> bool:
    """Whether it names a LocalQueue of Kueue."""
    labels = (manifest.raw.get("metadata") or {}).get("labels") or {}
    return isinstance(labels, dict) and bool(labels.get(QUEUE))


def asked_of(
    manifests: Sequence[Manifest],
    context: Sequence[Manifest] = (),
    managed: Callable[[Manifest], bool] = names_queue,
) -> Asked:
    """The claims, classes and pods among the manifests. Raises InvalidInput for a broken pod template.

    `context`: what the cluster has; of it those claims and templates that pods of the manifests name are
    asked about too. `managed`: whether Kueue decides when the pods of an object start.
    """
    pods = tuple(_pods(manifests, managed))
    written = tuple(_claims(manifests))
    known = {(each.template, each.namespace, each.name) for each in written}
    there = [
        each
        for each in _claims([one for one in context if not _is_of_pod(one)], there=True)
        if (each.template, each.namespace, each.name) not in known and any(pod.uses(each) for pod in pods)
    ]
    classes = tuple(_classes(manifests))
    names = {each.name for each in classes}
    return Asked(
        claims=tuple(_queued(each, pods) for each in (*written, *there)),
        classes=classes,
        pods=pods,
        admin_namespaces=_admin_namespaces(manifests, context),
        context_classes=tuple(each for each in _classes(context) if each.name not in names),
    )


def _is_of_pod(manifest: Manifest) -> bool:
    """A claim that was made for a pod: the pod of a file gets one of its own."""
    owners = (manifest.raw.get("metadata") or {}).get("ownerReferences") or ()
    return any(isinstance(each, dict) and each.get("kind") == "Pod" for each in owners)


def _queued(claim: AskedClaim, pods: Sequence[AskedPod]) -> AskedClaim:
    users = [pod for pod in pods if pod.uses(claim)]
    return replace(claim, queued=not users or any(pod.managed for pod in users))


def _classes(manifests: Sequence[Manifest]) -> Iterator[AskedClass]:
    for each in manifests:
        if isinstance(item := each.object, DeviceClass):
            name = given(item.metadata.name, "")
            yield AskedClass(object=_name(each), name=name, spec=item.spec, unknown=_unknown(each))


def _admin_namespaces(manifests: Sequence[Manifest], context: Sequence[Manifest]) -> frozenset[str]:
    """A namespace of the files counts as it is there: with the labels of both."""
    return frozenset(
        given(item.metadata.name, "")
        for each in (*manifests, *context)
        if isinstance(item := each.object, Namespace)
        and given(item.metadata.labels, {}).get(ADMIN_LABEL) == "true"
    )


def _claims(manifests: Sequence[Manifest], there: bool = False) -> Iterator[AskedClaim]:
    for each in manifests:
        match each.object:
            case ResourceClaim() as claim:
                path, spec, template = "spec.devices", claim.spec, False
            case ResourceClaimTemplate() as made:
                path, spec, template = "spec.spec.devices", made.spec.spec, True
            case _:
                continue
        yield AskedClaim(
            object=_name(each),
            name=str((each.raw.get("metadata") or {}).get("name") or ""),
            namespace=_namespace(each),
            template=template,
            path=path,
            devices=given(spec.devices, DeviceClaim()),
            unknown=() if there else _unknown(each),
            there=there,
        )


def _pods(manifests: Sequence[Manifest], managed: Callable[[Manifest], bool]) -> Iterator[AskedPod]:
    for each in manifests:
        path, spec = "spec.template.spec", _template_spec(each)
        if isinstance(each.object, Pod):
            path, spec = "spec", each.object.spec
        if spec is None:
            continue
        yield AskedPod(
            object=_name(each),
            namespace=_namespace(each),
            path=path,
            spec=spec,
            managed=managed(each),
        )


def _template_spec(manifest: Manifest) -> PodSpec | None:
    match manifest.object:
        case Job() as job:
            return _spec_of(job.spec.template)
        case Deployment() as deployment:
            return _spec_of(deployment.spec.template)
    if manifest.kind not in TEMPLATED:
        return None
    try:
        found = msgspec.convert(without_nulls(manifest.raw.get("spec")), _Templated, dec_hook=decode_hook)
    except msgspec.ValidationError:
        raise InvalidInput(
            "the pod template of this {kind} cannot be read",
            fix="compare it with: kubectl explain {kind}.spec.template",
            **manifest.at("spec.template"),
            kind=manifest.kind,
        ) from None
    return _spec_of(found.template)


def _spec_of(template: PodTemplateSpec) -> PodSpec | None:
    return None if isinstance(template.spec, UnsetType) else template.spec


def _kind_by_selector(spec: DeviceClassSpec) -> str:
    """A class of one's own that selects NVIDIA's devices: by the text of its selectors."""
    text = " ".join(
        selector.cel.expression
        for selector in given(spec.selectors, ())
        if not isinstance(selector.cel, UnsetType)
    )
    if "gpu.nvidia.com" not in text and "compute-domain.nvidia.com" not in text:
        return ""
    return next(
        (kind for kind in NVIDIA_CLASSES.values() if f"'{kind}'" in text or f'"{kind}"' in text), "gpu"
    )


def _unknown(manifest: Manifest) -> tuple[str, ...]:
    """Fields that were written but that the object does not have; metadata aside, of which little is read."""
    read = msgspec.to_builtins(manifest.object, enc_hook=str)
    spec = manifest.raw.get("spec")
    return tuple(_missing(spec, read.get("spec"), "spec"))


def _missing(raw: Any, read: Any, path: str) -> Iterator[str]:
    if isinstance(raw, dict) and isinstance(read, dict):
        for key, value in raw.items():
            at = key_path(path, str(key))
            if value is not None and key not in read:
                yield at
            elif key in read and at.rpartition(".")[2] not in ("parameters", "metadata"):
                yield from _missing(value, read[key], at)
    elif isinstance(raw, list) and isinstance(read, list | tuple):
        for i, (value, other) in enumerate(zip(raw, read, strict=False)):
            yield from _missing(value, other, f"{path}[{i}]")


def _name(manifest: Manifest) -> str:
    metadata = manifest.raw.get("metadata") or {}
    return f"{manifest.kind} {metadata.get('name') or metadata.get('generateName') or ''}".strip()


def _namespace(manifest: Manifest) -> str:
    return str((manifest.raw.get("metadata") or {}).get("namespace") or "default")
