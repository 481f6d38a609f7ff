"""Advice as Kubernetes manifests: a claim for each workload that may share, with why and how to undo it.

An instance is made for each pod (ResourceClaimTemplate); MPS and time-slicing share one ResourceClaim.
"""

import hashlib
import re
from typing import Any

from stellwerk.engine.advice.verdict import Share
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING
from stellwerk.report.advice.verdicts import saving_text
from stellwerk.report.text import number
from stellwerk.sim.advice import Advice, Advised

DRIVER = "gpu.nvidia.com"
CONFIG_API = "resource.nvidia.com/v1beta1"
MIB = 1024 * 1024


def advice_manifests(advice: Advice) -> list[tuple[str, str]]:
    """(file name, YAML) for each workload that should share, by name; English, as all of Kubernetes."""
    found: list[tuple[str, str]] = []
    for each in advice.workloads:
        if each.verdict.share is None or each.kept:
            continue
        name = object_name(each.profile.name)
        found.append((f"{name}.yaml", _file(name, each, each.verdict.share, advice.currency)))
    return found


def object_name(workload: str) -> str:
    """A DNS label for a workload's name; a digest keeps names apart that differ only in other letters."""
    plain = re.sub(r"[^a-z0-9]+", "-", workload.lower()).strip("-")[:45].strip("-") or "workload"
    if plain == workload.replace("/", "-"):
        return plain
    return f"{plain}-{hashlib.sha256(workload.encode()).hexdigest()[:8]}"


def _file(name: str, each: Advised, share: Share, currency: str) -> str:
    import yaml

    kind = "ResourceClaimTemplate" if share.method == MIG else "ResourceClaim"
    field = "resourceClaimTemplateName" if share.method == MIG else "resourceClaimName"
    devices = {"devices": _devices(share)}
    reasons = "; ".join(str(reason) for reason in each.verdict.reasons)
    risks = "; ".join(str(reason) for reason in each.verdict.risks)
    before, after = (number(held, "en") for held in (each.held_before_milli, each.held_after_milli))
    saved = saving_text(each, currency, "en")
    comments = [
        f"Why: {each.profile.name} is {each.verdict.kind.kind} ({each.verdict.kind.why}); {reasons}.",
        f"Expected saving: from {before} to {after} thousandths of a GPU; {saved} a month.",
        f"Undo: kubectl delete {kind.lower()} {name}; give its pods back limits: {{nvidia.com/gpu: 1}}.",
        *([f"Risk: {risks}."] if risks else []),
        *_node(share),
        f"In the pod: spec.resourceClaims: [{{name: gpu, {field}: {name}}}];",
        "in its container: resources.claims: [{name: gpu}].",
    ]
    metadata: dict[str, Any] = {"name": name}
    if each.profile.namespace:
        metadata["namespace"] = each.profile.namespace
    document = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": {"spec": devices} if share.method == MIG else devices,
    }
    lines = "".join(f"# {_one_line(comment)}\n" for comment in comments)
    return lines + str(yaml.safe_dump(document, sort_keys=False, width=1_000))


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _node(share: Share) -> list[str]:
    """What the node needs, with NVIDIA's DRA driver and with the device plugin."""
    if share.method == MIG:
        return [
            "Node: MIG mode on; cut by the DRA driver (DynamicMIG), or by label nvidia.com/mig.config.",
            f"Without DRA: limits: {{nvidia.com/mig-{share.profile}: 1}}, and migStrategy mixed.",
        ]
    if share.method == MPS:
        return [
            "Node: DRA driver with featureGates.MPSSupport=true; not together with DynamicMIG.",
            "Without DRA: device plugin, sharing.mps.resources: "
            f"[{{name: nvidia.com/gpu, replicas: {max(2, 1000 // max(1, share.held_milli))}}}].",
            "All pods that refer to this claim share one GPU: one claim for each GPU.",
        ]
    return [
        "Node: DRA driver with featureGates.TimeSlicingSettings=true.",
        f"Without DRA: device plugin, sharing.timeSlicing with {share.replicas} replicas of nvidia.com/gpu.",
        "All pods that refer to this claim share one GPU: one claim for each GPU.",
    ]


def _devices(share: Share) -> dict[str, Any]:
    if share.method == MIG:
        expression = f"device.attributes['{DRIVER}'].profile == '{share.profile}'"
        exactly: dict[str, Any] = {
            "deviceClassName": "mig.nvidia.com",
            "selectors": [{"cel": {"expression": expression}}],
        }
        return {"requests": [{"name": "gpu", "exactly": exactly}]}
    sharing: dict[str, Any] = {"strategy": "TimeSlicing", "timeSlicingConfig": {"interval": "Default"}}
    if share.method != TIME_SLICING:
        sharing = {
            "strategy": "MPS",
            "mpsConfig": {
                "defaultActiveThreadPercentage": -(-share.compute_milli // 10),
                "defaultPinnedDeviceMemoryLimit": f"{-(-share.memory_bytes // MIB)}Mi",
            },
        }
    parameters = {"apiVersion": CONFIG_API, "kind": "GpuConfig", "sharing": sharing}
    return {
        "requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}],
        "config": [{"requests": ["gpu"], "opaque": {"driver": DRIVER, "parameters": parameters}}],
    }
