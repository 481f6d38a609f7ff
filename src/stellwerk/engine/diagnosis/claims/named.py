"""What the files only name, and the cluster does not have; what it has, and cannot be changed."""

from collections.abc import Iterator
from typing import Any

import msgspec

from stellwerk.api.defaults import defaulted_claim, defaulted_template
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import ResourceClaim, ResourceClaimTemplate
from stellwerk.api.manifests import Manifest
from stellwerk.catalog.nearest import nearest
from stellwerk.engine.allocation.support.row import (
    API_SERVER,
    PENDS,
    REFUSES,
    RESOURCE_VALIDATION,
    SCHEDULER,
    Cluster,
    Row,
    Seen,
    Wrong,
    row,
)
from stellwerk.engine.allocation.support.scheduler import classes_of
from stellwerk.engine.allocation.support.subject import Asked, AskedPod
from stellwerk.engine.decision import Reason
from stellwerk.engine.diagnosis.claims.there import Both, key_of

PLUGIN = "pkg/scheduler/framework/plugins/dynamicresources/dynamicresources.go"
LIFECYCLE = "staging/src/k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go"
RUNTIME_CLASS = "plugin/pkg/admission/runtimeclass/admission.go"


def named_rows(asked: Asked, both: Both, cluster: Cluster) -> Iterator[Row]:
    """A row for each object that is named and not there, and for each that is there as another one."""
    yield from _namespaces(asked, both, cluster)
    yield from _changed(both, cluster)
    known = both.classes()
    for claim in asked.claims:
        for name, at in classes_of(claim.devices).items():
            if name and name not in known:
                wrong = _no_class(name, f"{claim.path}.{at}", list(known))
                yield row(SCHEDULER, PENDS, claim.object, wrong, _seen(cluster, PLUGIN))
    for pod in asked.pods:
        yield from _claims_of(pod, both, cluster)
        yield from _runtime_class(pod, both, cluster)


def _seen(cluster: Cluster, file: str) -> Seen:
    return Seen(cluster.versions(), cluster.source(file))


def _namespaces(asked: Asked, both: Both, cluster: Cluster) -> Iterator[Row]:
    known = both.namespaces()
    claims = [(one.object, one.namespace) for one in asked.claims if not one.there]
    for name, namespace in (*claims, *((pod.object, pod.namespace) for pod in asked.pods)):
        if namespace not in known:
            values = {"namespace": namespace[:63]}
            wrong = Wrong(
                path="metadata.namespace",
                reason=Reason("no-namespace", "there is no namespace {namespace}", values),
                fix=Reason("make-namespace", "kubectl create namespace {namespace}", values),
            )
            yield row(API_SERVER, REFUSES, name, wrong, _seen(cluster, LIFECYCLE))


def _changed(both: Both, cluster: Cluster) -> Iterator[Row]:
    """The spec of a claim, and of a template, stays as it was created."""
    held = {key_of(one): one for one in both.there.manifests}
    for each in both.written:
        mine, theirs = _spec(each), _spec(held.get(key_of(each)))
        if mine is None or theirs is None or mine == theirs:
            continue
        kind, namespace, name = key_of(each)
        values = {"kind": kind, "name": name[:80], "namespace": namespace[:63]}
        wrong = Wrong(
            path="spec",
            reason=Reason(
                "immutable",
                "the cluster has {kind} {name} with another spec, which cannot be changed",
                values,
            ),
            fix=Reason(
                "delete-first",
                "give it another name, or: kubectl delete {kind} {name} -n {namespace}",
                values,
            ),
        )
        yield row(API_SERVER, REFUSES, f"{kind} {name}", wrong, _seen(cluster, RESOURCE_VALIDATION))


def _spec(manifest: Manifest | None) -> Any:
    """As the API server stores it; None for what may be changed."""
    match None if manifest is None else manifest.object:
        case ResourceClaim() as claim:
            return _without_empty(msgspec.to_builtins(defaulted_claim(claim).spec, enc_hook=str))
        case ResourceClaimTemplate() as template:
            return _without_empty(msgspec.to_builtins(defaulted_template(template).spec.spec, enc_hook=str))
    return None


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        found = {name: _without_empty(each) for name, each in value.items()}
        return {name: each for name, each in found.items() if each not in (None, {}, [], (), "", False)}
    return [_without_empty(each) for each in value] if isinstance(value, list | tuple) else value


def _no_class(name: str, path: str, known: list[str]) -> Wrong:
    near = nearest(name[:80], dict.fromkeys(known, "")) or "-"
    values = {"class": name[:80], "near": near}
    return Wrong(
        path=path,
        reason=Reason("no-device-class", "the cluster has no DeviceClass {class}: the pod waits", values),
        fix=Reason("use-class", "use one of: {near}; see: kubectl get deviceclasses", values),
    )


def _claims_of(pod: AskedPod, both: Both, cluster: Cluster) -> Iterator[Row]:
    """Claims and templates that the pod names and nobody has."""
    known = {key_of(one) for one in both.all_}
    for i, entry in enumerate(given(pod.spec.resource_claims, ())):
        for kind, field, name in (
            ("ResourceClaim", "resourceClaimName", given(entry.resource_claim_name, "")),
            (
                "ResourceClaimTemplate",
                "resourceClaimTemplateName",
                given(entry.resource_claim_template_name, ""),
            ),
        ):
            if not name or (kind, pod.namespace, name) in known:
                continue
            values = {"kind": kind, "name": name[:80], "namespace": pod.namespace[:63]}
            wrong = Wrong(
                path=f"{pod.path}.resourceClaims[{i}].{field}",
                reason=Reason(
                    "no-claim", "namespace {namespace} has no {kind} {name}: the pod waits for it", values
                ),
                fix=Reason(
                    "make-claim", "create it, or use one of: kubectl get {kind} -n {namespace}", values
                ),
            )
            yield row(SCHEDULER, PENDS, pod.object, wrong, _seen(cluster, PLUGIN))


def _runtime_class(pod: AskedPod, both: Both, cluster: Cluster) -> Iterator[Row]:
    name = given(pod.spec.runtime_class_name, "")
    if not name or any(key_of(one) == ("RuntimeClass", "", name) for one in both.all_):
        return
    values = {"name": name[:80]}
    wrong = Wrong(
        path=f"{pod.path}.runtimeClassName",
        reason=Reason("no-runtime-class", "there is no RuntimeClass {name}: no such pod is taken", values),
        fix=Reason("see-runtime-classes", "use one of: kubectl get runtimeclasses", values),
    )
    yield row(API_SERVER, REFUSES, pod.object, wrong, _seen(cluster, RUNTIME_CLASS))
