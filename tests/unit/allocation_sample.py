"""Small clusters for `stellwerk allocate`: objects as JSON, written to a folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from stellwerk.cli.main import main

API = "resource.k8s.io/v1"
Object = dict[str, Any]


def obj(kind: str, name: str, spec: Object | None = None, **more: Any) -> Object:
    api = {"Node": "v1", "Pod": "v1", "Job": "batch/v1"}.get(kind, API)
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **({"spec": spec} if spec else {}), **more}


def device(name: str, **more: Any) -> Object:
    memory = more.pop("memory", "80Gi")
    attributes = {"type": {"string": "gpu"}, "uuid": {"string": f"GPU-{name}"}, **more.pop("attributes", {})}
    return {"name": name, "attributes": attributes, "capacity": {"memory": {"value": memory}}, **more}


def slice_of(node: str, *devices: Object, **more: Any) -> Object:
    driver = more.pop("driver", "gpu.example.com")
    pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": driver, "nodeName": node, "pool": pool, "devices": list(devices), **more}
    return obj("ResourceSlice", f"{node}-{driver}", spec)


def class_of(
    name: str = "gpu", expression: str = "device.driver == 'gpu.example.com'", **more: Any
) -> Object:
    return obj("DeviceClass", name, {"selectors": [{"cel": {"expression": expression}}], **more})


def claim(name: str, *, devices: Object | None = None, kind: str = "ResourceClaim", **exactly: Any) -> Object:
    request = {"name": "gpu", "exactly": {"deviceClassName": "gpu", **exactly}}
    spec = {"devices": {"requests": [request], **(devices or {})}}
    return obj(kind, name, {"spec": spec} if kind == "ResourceClaimTemplate" else spec)


def pod(name: str, template: str = "", **more: Any) -> Object:
    resources = more.pop("resources", None)
    container = {"name": "main", "image": "example/x:1", **({"resources": resources} if resources else {})}
    entries = [{"name": "devices", "resourceClaimTemplateName": template}] if template else []
    labels = more.pop("labels", {})
    spec = {"containers": [container], **({"resourceClaims": entries} if entries else {}), **more}
    return obj("Pod", name, spec, metadata={"labels": labels})


def node(name: str, labels: Object | None = None, allocatable: Object | None = None, **spec: Any) -> Object:
    status = {"allocatable": allocatable} if allocatable else {}
    return obj("Node", name, spec or None, metadata={"labels": labels or {}}, status=status)


def write(folder: Path, *objects: Object) -> str:
    """All of them as one file; returns the folder."""
    items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    (folder / "objects.json").write_text(json.dumps(items))
    return str(folder)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["allocate", "--lang", "en", *arguments])
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


def answers(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[Object]:
    """The report's answers."""
    code, out, err = run(capsys, *arguments, "-o", "json")
    assert code in (0, 1), err
    found: list[Object] = json.loads(out)["report"]["answers"]
    assert code == (0 if all(one["allocated"] for one in found) else 1)
    return found
