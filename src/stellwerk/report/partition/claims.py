"""Parts of Kubernetes objects for NVIDIA's DRA driver: names, requests, the driver's own configuration."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from stellwerk.report.partition.yaml_text import yaml_text

DRIVER = "gpu.nvidia.com"
GPU_CLASS, MIG_CLASS = "gpu.nvidia.com", "mig.nvidia.com"
RESOURCE_API, CONFIG_API = "resource.k8s.io/v1", "resource.nvidia.com/v1beta1"
MIB = 1024 * 1024
TIME_SLICING_SHARING = {"strategy": "TimeSlicing", "timeSlicingConfig": {"interval": "Default"}}


def object_name(workload: str) -> str:
    """A DNS label for a workload's name; a digest keeps names apart that differ only in other letters."""
    plain = re.sub(r"[^a-z0-9]+", "-", workload.lower()).strip("-")[:45].strip("-") or "workload"
    if plain == workload.replace("/", "-"):
        return plain
    return f"{plain}-{hashlib.sha256(workload.encode()).hexdigest()[:8]}"


def commented(comments: Iterable[str], document: dict[str, Any]) -> str:
    """A YAML document below its comments, each on one line."""
    return comment_lines(comments) + yaml_text(document)


def comment_lines(comments: Iterable[str]) -> str:
    """Each text as one comment line: what a user named must not end the comment."""
    return "".join(f"# {_one_line(comment)}".rstrip() + "\n" for comment in comments)


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def joined(head: Iterable[str], parts: Sequence[str]) -> str:
    """A file of several documents below its head of comments."""
    return comment_lines(head) + "".join(f"---\n{part}" for part in parts)


def mps_sharing(memory_bytes: int, compute_milli: int) -> dict[str, Any]:
    """What each client of the GPU gets at most, rounded up to MiB and percent; 0: no limit."""
    config: dict[str, Any] = {}
    if compute_milli:
        config["defaultActiveThreadPercentage"] = -(-compute_milli // 10)
    if memory_bytes:
        config["defaultPinnedDeviceMemoryLimit"] = mebibytes(memory_bytes)
    return {"strategy": "MPS", "mpsConfig": config}


def mebibytes(amount: int) -> str:
    """Bytes as a quantity in MiB, rounded up."""
    return f"{-(-amount // MIB)}Mi"


def mig_devices(profile: str, selectors: Sequence[str] = ()) -> dict[str, Any]:
    """The `devices` of a claim for one GPU instance; `selectors` are further CEL expressions."""
    wanted = f"device.attributes['{DRIVER}'].profile == '{profile}'"
    return {"requests": [_request(MIG_CLASS, (wanted, *selectors))]}


def gpu_devices(
    sharing: dict[str, Any] | None = None, selectors: Sequence[str] = (), count: int = 1
) -> dict[str, Any]:
    """The `devices` of a claim for `count` GPUs; with `sharing` the pods that refer to it share them so."""
    devices: dict[str, Any] = {"requests": [_request(GPU_CLASS, selectors, count)]}
    if sharing is not None:
        parameters = {"apiVersion": CONFIG_API, "kind": "GpuConfig", "sharing": sharing}
        devices["config"] = [{"requests": ["gpu"], "opaque": {"driver": DRIVER, "parameters": parameters}}]
    return devices


def _request(device_class: str, selectors: Sequence[str], count: int = 1) -> dict[str, Any]:
    exactly: dict[str, Any] = {"deviceClassName": device_class}
    if count > 1:
        exactly["count"] = count
    if selectors:
        exactly["selectors"] = [{"cel": {"expression": expression}} for expression in selectors]
    return {"name": "gpu", "exactly": exactly}


def resource_claim(metadata: dict[str, str], devices: dict[str, Any], template: bool) -> dict[str, Any]:
    """A ResourceClaim that pods share, or as `template` one that is made for each pod."""
    spec: dict[str, Any] = {"devices": devices}
    return {
        "apiVersion": RESOURCE_API,
        "kind": "ResourceClaimTemplate" if template else "ResourceClaim",
        "metadata": metadata,
        "spec": {"spec": spec} if template else spec,
    }
