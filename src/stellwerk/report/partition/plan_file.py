"""A PartitionPlan as a stellwerk.dev/v1alpha1 object, which reads back to the same plan."""

from typing import Any

import msgspec

from stellwerk.api.quantity import NANO, Quantity
from stellwerk.engine.partition.inventory import Gpu, PartitionPlan, Step, Tenant, Unserved
from stellwerk.report.partition.yaml_text import yaml_text

API_VERSION, KIND = "stellwerk.dev/v1alpha1", "PartitionPlan"


def plan_document(plan: PartitionPlan, name: str) -> dict[str, Any]:
    """The plan as an object with the name `name` (DNS-1123); what is empty is left out."""
    spec = {
        "executor": plan.executor,
        "gpus": [_gpu(gpu) for gpu in plan.gpus],
        "steps": [_step(step) for step in plan.steps],
        "drained": list(plan.drained),
        "unserved": [_unserved(unserved) for unserved in plan.unserved],
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {key: value for key, value in spec.items() if value or key == "gpus"},
        "status": {
            "gpusUsed": plan.gpus_used,
            "gpusBefore": plan.gpus_before,
            "bound": plan.bound,
            "gap": plan.gap,
        },
    }


def plan_text(plan: PartitionPlan, name: str, form: str) -> str:
    """The document as text; `form` is json or yaml."""
    document = plan_document(plan, name)
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    return yaml_text(document)


def _gpu(gpu: Gpu) -> dict[str, Any]:
    found: dict[str, Any] = {"node": gpu.node, "index": gpu.index, "model": gpu.model}
    if gpu.method:
        found["method"] = gpu.method
    if gpu.replicas != 1:
        found["replicas"] = gpu.replicas
    if gpu.instances:
        found["instances"] = [
            {"profile": each.profile, "start": each.start} | ({"tenant": each.tenant} if each.tenant else {})
            for each in gpu.instances
        ]
    if gpu.tenants:
        found["tenants"] = [_tenant(tenant) for tenant in gpu.tenants]
    return found


def _tenant(tenant: Tenant) -> dict[str, str]:
    found = {"name": tenant.name}
    if tenant.memory_bytes:
        found["memory"] = str(Quantity(tenant.memory_bytes * NANO, "binary"))
    if tenant.compute_milli:
        found["compute"] = f"{tenant.compute_milli}m"
    return found


def _step(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {
        "action": step.action,
        "node": step.node,
        "gpu": step.gpu,
        "subject": step.subject,
    }
    if step.start >= 0:
        found["start"] = step.start
    if step.pod:
        found["pod"] = step.pod
    if step.seconds is not None:
        found["seconds"] = step.seconds
    return found


def _unserved(unserved: Unserved) -> dict[str, Any]:
    reason: dict[str, Any] = {"code": unserved.reason.code, "text": unserved.reason.text}
    if unserved.reason.values:
        reason["values"] = dict(unserved.reason.values)
    return {"request": unserved.request, "pods": unserved.pods, "reason": reason}
