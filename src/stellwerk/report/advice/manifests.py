"""Advice as Kubernetes manifests: a claim for each workload that may share, with why and how to undo it.

An instance is made for each pod (ResourceClaimTemplate); MPS and time-slicing share one ResourceClaim.
"""

from typing import Any

from stellwerk.engine.advice.advised import Advised
from stellwerk.engine.advice.verdict import Share
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING
from stellwerk.report.advice.verdicts import saving_text
from stellwerk.report.partition.claims import (
    TIME_SLICING_SHARING,
    commented,
    gpu_devices,
    mig_devices,
    mps_sharing,
    object_name,
    resource_claim,
)
from stellwerk.report.text import number
from stellwerk.sim.advice import Advice


def advice_manifests(advice: Advice) -> list[tuple[str, str]]:
    """(file name, YAML) for each workload that should share, by name; English, as all of Kubernetes."""
    found: list[tuple[str, str]] = []
    for each in advice.workloads:
        if each.verdict.share is None or each.kept:
            continue
        name = object_name(each.profile.name)
        found.append((f"{name}.yaml", _file(name, each, each.verdict.share, advice.currency)))
    return found


def _file(name: str, each: Advised, share: Share, currency: str) -> str:
    kind = "ResourceClaimTemplate" if share.method == MIG else "ResourceClaim"
    field = "resourceClaimTemplateName" if share.method == MIG else "resourceClaimName"
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
    metadata = {"name": name}
    if each.profile.namespace:
        metadata["namespace"] = each.profile.namespace
    return commented(comments, resource_claim(metadata, _devices(share), template=share.method == MIG))


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
        return mig_devices(share.profile)
    if share.method == TIME_SLICING:
        return gpu_devices(TIME_SLICING_SHARING)
    return gpu_devices(mps_sharing(share.memory_bytes, share.compute_milli))
