"""Objects of a cluster reduced to what a plan reads, so that they can be kept beside it.

What a pod runs, and with which environment, is left out: a plan decides on resources, and a file that is
passed on for checking is no place for what people put into environment variables.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from stellwerk.api.manifests import encode

METADATA = (
    "name",
    "namespace",
    "labels",
    "ownerReferences",
    "creationTimestamp",
    "resourceVersion",
    "generation",
)
ANNOTATIONS = ("stellwerk.dev/", "kueue.x-k8s.io/", "karpenter.sh/")
CONTAINER = ("name", "resources", "restartPolicy")
POD = (
    "nodeName",
    "nodeSelector",
    "affinity",
    "tolerations",
    "schedulingGates",
    "priorityClassName",
    "resourceClaims",
    "runtimeClassName",
)
PATTERN = ("replicas", "parallelism", "completions", "suspend", "selector")
POLICY = {"devicePlugin": ("enabled", "config"), "mig": ("strategy",), "migManager": ("enabled", "config")}


def kept_state(objects: Iterable[Mapping[str, Any]]) -> str:
    """The objects, reduced, as a List in JSON: what `stellwerk plan -f` reads; numbers stay numbers."""
    document = {"apiVersion": "v1", "kind": "List", "items": [trimmed(raw) for raw in objects]}
    return encode(document).decode() + "\n"


def trimmed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The object without what no plan reads; kinds that hold no pod are kept as they are."""
    found = dict(raw)
    found["metadata"] = _metadata(raw.get("metadata") or {})
    kind = raw.get("kind")
    spec = raw.get("spec") or {}
    if kind == "Pod":
        found["spec"] = _pod(spec)
        found["status"] = _some(raw.get("status") or {}, ("phase", "resourceClaimStatuses"))
    elif kind == "Node":
        found["spec"] = _some(spec, ("providerID", "taints", "unschedulable"))
        found["status"] = _some(raw.get("status") or {}, ("capacity", "allocatable", "conditions"))
    elif isinstance(spec.get("template"), dict) and kind != "NodePool":
        found["spec"] = {**_some(spec, PATTERN), "template": _template(spec["template"])}
        found.pop("status", None)
    elif kind == "Workload":
        sets = [
            {**each, "template": _template(each.get("template") or {})} for each in spec.get("podSets") or ()
        ]
        found["spec"] = {**spec, "podSets": sets}
    elif kind == "ClusterPolicy":
        found["spec"] = {
            part: _some(spec[part], fields)
            for part, fields in POLICY.items()
            if isinstance(spec.get(part), dict)
        }
        found.pop("status", None)
    return found


def _some(item: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    return {field: item[field] for field in fields if field in item}


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    found = _some(metadata, METADATA)
    notes = {
        name: text
        for name, text in (metadata.get("annotations") or {}).items()
        if name.startswith(ANNOTATIONS)
    }
    return {**found, "annotations": notes} if notes else found


def _template(template: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "metadata": _metadata(template.get("metadata") or {}),
        "spec": _pod(template.get("spec") or {}),
    }


def _pod(spec: Mapping[str, Any]) -> dict[str, Any]:
    found = _some(spec, POD)
    for field in ("initContainers", "containers"):
        if field in spec:
            found[field] = [_some(each, CONTAINER) for each in spec[field] or ()]
    return found
