"""How each GPU is given out: from a PartitionPlan file, or from ResourceSlices and ResourceClaims."""

from collections.abc import Sequence

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import stellwerk as api
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown
from stellwerk.api.quantity import Quantity
from stellwerk.catalog.gpus import gpu_model
from stellwerk.catalog.nearest import nearest
from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.geometry import Instance, MigTable
from stellwerk.engine.partition.inventory import (
    DRA,
    Gpu,
    GpuInstance,
    PartitionPlan,
    Step,
    Tenant,
    Unserved,
)
from stellwerk.engine.partition.layouts import Room
from stellwerk.engine.partition.policy import MIG
from stellwerk.sim.intake.dra_state import gpus_of_slices
from stellwerk.sim.intake.manifests import read_manifests

ROLE = "partitions"


def read_state(path: str) -> tuple[Gpu, ...]:
    """Today's GPUs: of a PartitionPlan in its order, or of NVIDIA's DRA driver by node and index.

    `path` is a file or folder. Raises InvalidInput naming file, document and field.
    """
    manifests, _ = read_manifests(path, ROLE)
    if any(isinstance(manifest.object, api.PartitionPlan) for manifest in manifests):
        return _plan(manifests, path).gpus
    found = gpus_of_slices(manifests)
    if not found:
        raise InvalidInput(
            "{name} holds neither a PartitionPlan nor a GPU of NVIDIA's DRA driver",
            fix="give a PartitionPlan, or: kubectl get resourceslices,resourceclaims -A -o yaml",
            source=path,
            name=shown(path),
        )
    for gpu, manifest, place in found:
        _check_layout(manifest, place, gpu)
    return tuple(gpu for gpu, _, _ in found)


def read_plan(path: str) -> PartitionPlan:
    """The one PartitionPlan of a file or folder; raises InvalidInput.

    Without a status the GPUs in use are counted, and nothing is proven (`bound` 0).
    """
    return _plan(read_manifests(path, ROLE)[0], path)


def _plan(manifests: Sequence[Manifest], path: str) -> PartitionPlan:
    plans = [manifest for manifest in manifests if isinstance(manifest.object, api.PartitionPlan)]
    if len(plans) != 1:
        raise InvalidInput(
            "{name} holds {count} PartitionPlans, and one is needed",
            fix="name a file with one PartitionPlan, such as stellwerk partition -o yaml writes",
            source=path,
            name=shown(path),
            count=len(plans),
        )
    [manifest] = plans
    plan = manifest.object
    assert isinstance(plan, api.PartitionPlan), "only plans were taken"
    spec = plan.spec
    gpus = tuple(_gpu(manifest, f"spec.gpus[{i}]", gpu) for i, gpu in enumerate(spec.gpus))
    unserved = tuple(map(_unserved, given(spec.unserved, ())))
    used = sum(gpu.busy for gpu in gpus) + sum(each.pods for each in unserved)
    status = given(plan.status, api.PartitionPlanStatus(gpus_used=used, gpus_before=used, bound=0))
    return PartitionPlan(
        executor=given(spec.executor, DRA),
        gpus=gpus,
        steps=tuple(map(_step, given(spec.steps, ()))),
        unserved=unserved,
        gpus_used=status.gpus_used,
        gpus_before=status.gpus_before,
        bound=status.bound,
        drained=given(spec.drained, ()),
    )


def _gpu(manifest: Manifest, path: str, gpu: api.PlanGpu) -> Gpu:
    found = Gpu(
        node=gpu.node,
        index=gpu.index,
        model=_model(manifest, f"{path}.model", gpu.model),
        method=given(gpu.method, ""),
        replicas=given(gpu.replicas, 1),
        instances=tuple(
            GpuInstance(profile=each.profile, start=each.start, tenant=given(each.tenant, ""))
            for each in given(gpu.instances, ())
        ),
        tenants=tuple(
            Tenant(
                name=each.name,
                memory_bytes=given(each.memory, Quantity(0)).value(),
                compute_milli=given(each.compute, Quantity(0)).milli_value(),
            )
            for each in given(gpu.tenants, ())
        ),
    )
    _check_layout(manifest, path, found)
    return found


def _model(manifest: Manifest, path: str, name: str) -> str:
    try:
        return gpu_model(name).id
    except InvalidInput as error:
        place = manifest.at(path)
        error.source, error.document, error.path = place["source"], place["document"], place["path"]
        raise


def _check_layout(manifest: Manifest, path: str, gpu: Gpu) -> None:
    """The model has these profiles at these memory slices, and they go together."""
    if gpu.method != MIG:
        return
    table = mig_table(gpu.model)
    if table is None:
        raise InvalidInput(
            "{model} cannot be cut by MIG, or its placements are not published",
            fix="write another method; models with MIG: stellwerk catalog gpus",
            **manifest.at(f"{path}.method"),
            model=gpu.model,
        )
    room = Room(table)
    for i, instance in enumerate(gpu.instances):
        place = f"{path}.instances[{i}]"
        found = _instance(manifest, place, (gpu.model, table), instance)
        if not room.holds(found):
            raise InvalidInput(
                "{profile} at memory slice {start} does not fit beside the other instances of {model}",
                fix="move or remove an instance: stellwerk catalog mig {model}",
                **manifest.at(place),
                profile=instance.profile,
                start=instance.start,
                model=gpu.model,
            )
        room.take(found)


def _instance(manifest: Manifest, path: str, on: tuple[str, MigTable], instance: GpuInstance) -> Instance:
    model, table = on
    profile = table.profile(instance.profile)
    if profile is None:
        raise InvalidInput(
            "{model} has no MIG profile {profile}",
            fix="use one of: {near}; all: stellwerk catalog mig {model}",
            **manifest.at(f"{path}.profile"),
            model=model,
            profile=shown(instance.profile) or '""',
            near=nearest(instance.profile, (each.name for each in table.profiles)),
        )
    if instance.start not in profile.starts:
        raise InvalidInput(
            "{profile} cannot start at memory slice {start} of {model}",
            fix="use one of: {starts}",
            **manifest.at(f"{path}.start"),
            profile=profile.name,
            start=instance.start,
            model=model,
            starts=", ".join(map(str, profile.starts)),
        )
    return Instance(profile, instance.start)


def _step(step: api.PlanStep) -> Step:
    return Step(
        action=step.action,
        node=step.node,
        gpu=step.gpu,
        subject=step.subject,
        start=given(step.start, -1),
        pod=given(step.pod, ""),
        seconds=given(step.seconds, None),
    )


def _unserved(unserved: api.PlanUnserved) -> Unserved:
    reason = unserved.reason
    return Unserved(
        request=unserved.request,
        pods=unserved.pods,
        reason=Reason(reason.code, reason.text, given(reason.values, {})),
    )
