"""Claims, classes and pods as manifests, and what `check` says of them."""

import json
from typing import Any

from stellwerk.api.manifests import load_manifests
from stellwerk.api.validation import validate
from stellwerk.catalog.versions import (
    DRIVER,
    KARPENTER,
    KUEUE,
    OPERATOR,
    PROVIDER,
    component_version,
    providers,
)
from stellwerk.engine.allocation.support.check import check_support
from stellwerk.engine.allocation.support.row import DRA, Cluster, Row
from stellwerk.engine.allocation.support.subject import asked_of

RESOURCE = "resource.k8s.io/v1"
NEWEST = "1.37"


def cluster(kubernetes: str = NEWEST, **changed: Any) -> Cluster:
    """All layers at their newest release; keywords are fields of Cluster, or gates."""
    fields = {name: changed.pop(name) for name in list(changed) if name in Cluster.__struct_fields__}
    plain: dict[str, Any] = {
        "kueue": component_version(KUEUE),
        "karpenter": component_version(KARPENTER),
        "karpenter_dra": False,
        "providers": tuple(component_version(PROVIDER + name) for name in providers()),
        "operator": component_version(OPERATOR),
        "operator_mode": DRA,
        "driver": component_version(DRIVER, "0.5"),
    }
    return Cluster(kubernetes=kubernetes, changed=changed, **{**plain, **fields})


def exactly(device_class: str = "gpu.nvidia.com", **fields: Any) -> dict[str, Any]:
    return {"exactly": {"deviceClassName": device_class, **fields}}


def template(*requests: dict[str, Any], **devices: Any) -> dict[str, Any]:
    """A ResourceClaimTemplate whose requests are called a, b, c if they do not say another name."""
    named = [
        {"name": "abcdefgh"[i % 8] + (str(i) if i > 7 else ""), **each} for i, each in enumerate(requests)
    ]
    return {
        "apiVersion": RESOURCE,
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": "t"},
        "spec": {"spec": {"devices": {"requests": named, **devices}}},
    }


def claim(*requests: dict[str, Any], **devices: Any) -> dict[str, Any]:
    made = template(*requests, **devices)
    return {**made, "kind": "ResourceClaim", "spec": made["spec"]["spec"]}


def device_class(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": RESOURCE, "kind": "DeviceClass", "metadata": {"name": "c"}, "spec": spec}


def pod(named: list[dict[str, Any]], **resources: Any) -> dict[str, Any]:
    container = {"name": "c", "resources": resources}
    spec = {"containers": [container], "resourceClaims": named}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


def rows(*objects: dict[str, Any], of: Cluster | None = None) -> tuple[Row, ...]:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    manifests = load_manifests(text.encode(), "x.json")
    validate(manifests, devices=False)
    return check_support(asked_of(manifests), of or cluster())


def verdicts(found: tuple[Row, ...], layer: str) -> list[tuple[str, str, str]]:
    """(verdict, code, field below spec.devices) of one layer."""
    return [
        (each.verdict, each.reason.code, each.field.rpartition("spec.devices.")[2])
        for each in found
        if each.layer == layer
    ]
