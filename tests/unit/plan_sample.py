"""A cluster to plan: the example, changed, with metrics of its pods, or with claims instead of resources."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

EXAMPLE = Path(__file__).parents[2] / "examples" / "planning" / "cluster.yaml"
Objects = list[dict[str, Any]]
HOURS, STEP_S, START_S = 26, 300, 1_772_323_200  # From 2026-03-01 00:00 UTC.
GPU_OF = {
    "chat-6c9d7f0": ("assistants", "serve-1", "0"),
    "chat-6c9d7f1": ("assistants", "serve-2", "0"),
    "embed-6c9d7f0": ("assistants", "serve-3", "0"),
    "rerank-6c9d7f0": ("assistants", "serve-4", "0"),
}


def example() -> Objects:
    """The example's objects, each test's own."""
    return list(yaml.safe_load_all(EXAMPLE.read_text()))


def of_kind(objects: Objects, kind: str, name: str = "") -> dict[str, Any]:
    """The object of a kind, by name where there are several."""
    return next(one for one in objects if one["kind"] == kind and name in ("", one["metadata"]["name"]))


def unmeasured(objects: Objects) -> Objects:
    """Without the annotations that say what a workload uses."""
    for one in objects:
        one["metadata"].pop("annotations", None)
    return objects


def write(folder: Path, objects: Objects, name: str = "cluster.json") -> str:
    """The objects as one file; its path."""
    path = folder / name
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    return str(path)


def metrics(folder: Path, busy: Callable[[str], tuple[int, float]], crowded_hours: int = 0) -> str:
    """26 hours of the exporter's samples: `busy` gives a pod's MiB and its share of SMs active.

    In the first `crowded_hours` other pods had the GPUs that are free now.
    """
    path = folder / "series.csv"
    path.write_text("\n".join(_lines(busy, crowded_hours * 3600 // STEP_S)) + "\n")
    return str(path)


def exposition(busy: Callable[[str], tuple[int, float]], start_s: int = START_S) -> Iterator[str]:
    """The same samples as exposition text with times in ms, for a database."""
    lines = _lines(busy, 0)
    names = next(lines).split(",")
    for line in lines:
        row = dict(zip(names, line.split(","), strict=True))
        time_s = int(row.pop("timestamp")) - START_S + start_s
        metric, value = row.pop("metric"), row.pop("value")
        labels = ",".join(f'{name}="{text}"' for name, text in row.items())
        yield f"{metric}{{{labels}}} {value} {time_s * 1000}"


def _lines(busy: Callable[[str], tuple[int, float]], crowded: int) -> Iterator[str]:
    yield "timestamp,metric,value,Hostname,UUID,gpu,modelName,namespace,pod,container"
    tuned = {f"tune-x7k2p/{index}": ("research", "train-1", str(index)) for index in range(4)}
    crowd = {f"crowd-{at}": ("research", "train-1", str(at)) for at in range(4, 8)}
    for step in range(HOURS * 3600 // STEP_S):
        for name, (namespace, node, index) in {
            **tuned,
            **GPU_OF,
            **(crowd if step < crowded else {}),
        }.items():
            pod = name.partition("/")[0]
            memory, active = busy(pod)
            at = f"{START_S + step * STEP_S}"
            of = f"{node},GPU-{node}-{index},{index},NVIDIA H100 80GB HBM3,{namespace},{pod},main"
            yield f"{at},DCGM_FI_DEV_FB_USED,{memory},{of}"
            yield f"{at},DCGM_FI_PROF_SM_ACTIVE,{active},{of}"
            yield f"{at},DCGM_FI_PROF_DRAM_ACTIVE,{active / 2},{of}"


def claimed() -> Objects:
    """The serving part of the example with NVIDIA's DRA driver: a slice a node, a claim a pod."""
    found = [one for one in example() if one["kind"] not in ("ClusterPolicy", "Job", "Workload")]
    found = [one for one in found if one["metadata"]["name"] != "tune-x7k2p"]
    for one in list(found):
        name = one["metadata"]["name"]
        if one["kind"] == "Node":
            for place in ("capacity", "allocatable"):
                one["status"][place].pop("nvidia.com/gpu")
            found.append(_slice(name, int(one["metadata"]["labels"]["nvidia.com/gpu.count"])))
        elif one["kind"] in ("Deployment", "Pod"):
            spec = one["spec"] if one["kind"] == "Pod" else one["spec"]["template"]["spec"]
            spec["containers"][0]["resources"] = {"claims": [{"name": "card"}]}
            spec["resourceClaims"] = [{"name": "card", "resourceClaimTemplateName": "whole"}]
            if one["kind"] == "Pod":
                found.append(_claim(name, spec["nodeName"]))
    cluster = {"metadata": {"name": "gpus"}, "spec": {"draDriver": {"featureGates": {"DynamicMIG": False}}}}
    return [*found, {"apiVersion": "nvidia.com/v1alpha1", "kind": "GPUCluster", **cluster}]


def _slice(node: str, gpus: int) -> dict[str, Any]:
    attributes = {"type": {"string": "gpu"}, "productName": {"string": "NVIDIA H100 80GB HBM3"}}
    devices = [{"name": f"gpu-{index}", "attributes": attributes} for index in range(gpus)]
    pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{node}-gpu"},
        "spec": {"driver": "gpu.nvidia.com", "nodeName": node, "pool": pool, "devices": devices},
    }


def _claim(pod: str, node: str) -> dict[str, Any]:
    result = {"driver": "gpu.nvidia.com", "pool": node, "device": "gpu-0", "request": "gpu"}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": f"{pod}-card", "namespace": "assistants"},
        "spec": {
            "devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}]}
        },
        "status": {
            "allocation": {"devices": {"results": [result]}},
            "reservedFor": [{"resource": "pods", "name": pod, "uid": "0"}],
        },
    }
