"""PartitionPlan: words, names, counts and amounts that make sense; what a model allows comes later."""

import string
from collections.abc import Collection, Mapping

from msgspec import UnsetType

from stellwerk.api.checks.fleet import MAX_GPUS
from stellwerk.api.checks.names import check_choice, check_name
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.stellwerk import PartitionPlan, PlanGpu, PlanReason, PlanStep, PlanTenant
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown
from stellwerk.api.quantity import MILLI, NANO, Quantity

EXECUTORS = ("dra", "device-plugin")
METHODS = ("whole", "mig", "mps", "time-slicing")
ACTIONS = ("drain", "destroy", "mode", "create", "share", "place")
MOST = 10_000


def check_partition_plan(manifest: Manifest, plan: PartitionPlan) -> None:
    """The whole PartitionPlan; raises InvalidInput."""
    spec = plan.spec
    check_choice(manifest, "spec.executor", given(spec.executor, EXECUTORS[0]), EXECUTORS)
    if not spec.gpus:
        raise InvalidInput("the plan has no GPUs", fix="add one", **manifest.at("spec.gpus"))
    first: dict[tuple[str, int], int] = {}
    for i, gpu in enumerate(spec.gpus):
        path = f"spec.gpus[{i}]"
        _check_gpu(manifest, path, gpu)
        earlier = first.setdefault((gpu.node, gpu.index), i)
        if earlier != i:
            raise InvalidInput(
                "GPU {index} of node {node} is there twice; the first is spec.gpus[{first}]",
                fix="remove one of the two",
                **manifest.at(f"{path}.index"),
                index=gpu.index,
                node=gpu.node,
                first=earlier,
            )
    for i, step in enumerate(given(spec.steps, ())):
        _check_step(manifest, f"spec.steps[{i}]", step)
    for i, unserved in enumerate(given(spec.unserved, ())):
        path = f"spec.unserved[{i}]"
        _check_number(manifest, f"{path}.pods", unserved.pods, 1, MOST)
        _check_reason(manifest, f"{path}.reason", unserved.reason)
    if not isinstance(plan.status, UnsetType):
        for field, number in (
            ("gpusUsed", plan.status.gpus_used),
            ("gpusBefore", plan.status.gpus_before),
            ("bound", plan.status.bound),
        ):
            _check_number(manifest, f"status.{field}", number, 0, 2**31 - 1)


def _check_gpu(manifest: Manifest, path: str, gpu: PlanGpu) -> None:
    check_name(manifest, f"{path}.node", gpu.node)
    _check_number(manifest, f"{path}.index", gpu.index, 0, MAX_GPUS - 1)
    method, instances, tenants = given(gpu.method, ""), given(gpu.instances, ()), given(gpu.tenants, ())
    if method:
        check_choice(manifest, f"{path}.method", method, METHODS)
    _check_number(manifest, f"{path}.replicas", given(gpu.replicas, 1), 1, MAX_GPUS)
    if instances and method != "mig":
        raise InvalidInput(
            "a GPU has instances with the method mig only, not with {method}",
            fix="write method: mig, or list its pods under tenants",
            **manifest.at(f"{path}.instances"),
            method=method or '""',
        )
    if tenants and method in ("", "mig"):
        raise InvalidInput(
            "a GPU with the method {method} has no tenants",
            fix="name the pod of an instance in its tenant, or write another method",
            **manifest.at(f"{path}.tenants"),
            method=method or '""',
        )
    if method == "whole" and len(tenants) > 1:
        raise InvalidInput(
            "a whole GPU has one tenant, not {count}",
            fix="write method: mps or time-slicing where they share it",
            **manifest.at(f"{path}.tenants"),
            count=len(tenants),
        )
    for i, tenant in enumerate(tenants):
        _check_tenant(manifest, f"{path}.tenants[{i}]", tenant, [each.name for each in tenants[:i]])


def _check_tenant(manifest: Manifest, path: str, tenant: PlanTenant, others: Collection[str]) -> None:
    if not tenant.name or tenant.name in others:
        raise InvalidInput(
            "the tenant {name} has no name, or is twice on one GPU",
            fix="give each pod its own name",
            **manifest.at(f"{path}.name"),
            name=shown(tenant.name) or '""',
        )
    memory, compute = given(tenant.memory, Quantity(0)), given(tenant.compute, Quantity(0))
    if memory.nanos < 0 or memory.nanos % NANO:
        raise InvalidInput(
            "{value} is not an amount of memory",
            fix='write a quantity such as "22Gi"',
            **manifest.at(f"{path}.memory"),
            value=str(memory),
        )
    if not 0 <= compute.nanos <= NANO or compute.nanos % MILLI:
        raise InvalidInput(
            "{value} is not a share of one GPU",
            fix='write a quantity from 0 to 1, such as "85m" for 8.5 percent',
            **manifest.at(f"{path}.compute"),
            value=str(compute),
        )


def _check_step(manifest: Manifest, path: str, step: PlanStep) -> None:
    check_choice(manifest, f"{path}.action", step.action, ACTIONS)
    _check_number(manifest, f"{path}.gpu", step.gpu, 0, MAX_GPUS - 1)
    _check_number(manifest, f"{path}.seconds", given(step.seconds, 0), 0, 2**31 - 1)


def _check_reason(manifest: Manifest, path: str, reason: PlanReason) -> None:
    """The text is filled with the values later: it must name them, and nothing else of Python's formats."""
    values: Mapping[str, object] = given(reason.values, {})
    try:
        places = [part[1:] for part in string.Formatter().parse(reason.text) if part[1] is not None]
    except ValueError:
        places = [("", "", "")]
    for name, form, conversion in places:
        if name not in values or form or conversion:
            raise InvalidInput(
                "the text has a place that its values do not fill",
                fix="write text without braces",
                **manifest.at(f"{path}.text"),
            )


def _check_number(manifest: Manifest, path: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise InvalidInput(
            "{number} is not between {least} and {most}",
            fix="write an integer in this range",
            **manifest.at(path),
            number=number,
            least=least,
            most=most,
        )
