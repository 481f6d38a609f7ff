"""A plan with every method, as the tests of files and exports take it."""

from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.inventory import Gpu, GpuInstance, PartitionPlan, Step, Tenant, Unserved

GIB = 1 << 30
H100 = "H100-PCIE-80GB"
CUT = (
    GpuInstance(profile="3g.40gb", start=0, tenant="chat/0"),
    GpuInstance(profile="2g.20gb", start=4, tenant="chat/1"),
    GpuInstance(profile="1g.10gb", start=6),
)


def gpu(node: str, index: int, method: str = "", *pods: str, replicas: int = 1) -> Gpu:
    """A GPU that is not cut, with equal tenants."""
    tenants = tuple(Tenant(name=pod, memory_bytes=18 * GIB, compute_milli=250) for pod in pods)
    if method == "whole":
        tenants = tuple(Tenant(name=pod) for pod in pods)
    return Gpu(node=node, index=index, model=H100, method=method, tenants=tenants, replicas=replicas)


def cut(node: str, index: int, instances: tuple[GpuInstance, ...] = CUT, model: str = H100) -> Gpu:
    """A GPU that MIG cuts."""
    return Gpu(node=node, index=index, model=model, method="mig", instances=instances)


def plan(*gpus: Gpu, executor: str = "dra") -> PartitionPlan:
    """A plan of these GPUs, with steps and a request that has no place."""
    used = sum(each.busy for each in gpus)
    return PartitionPlan(
        executor=executor,
        gpus=gpus,
        steps=(
            Step(action="drain", node="gpu-0", gpu=0, subject="old/0", pod="old/0"),
            Step(action="create", node="gpu-0", gpu=0, subject="3g.40gb", start=0, seconds=2),
        ),
        unserved=(
            Unserved(request="huge", pods=2, reason=Reason("memory", "{need} is too much", {"need": 3})),
        ),
        gpus_used=used + 2,
        gpus_before=used,
        bound=used + 1,
        drained=("old/0",),
    )


def mixed() -> PartitionPlan:
    """Every method on two nodes, under DRA."""
    return plan(
        cut("gpu-0", 0),
        gpu("gpu-0", 1, "mps", "embed/0", "embed/1", replicas=4),
        gpu("gpu-1", 0, "whole", "train/0"),
        gpu("gpu-1", 1, "time-slicing", "notebook/0", "notebook/1", replicas=4),
        gpu("gpu-1", 2),
    )


def plugin_plan() -> PartitionPlan:
    """Every method of the device plugin, a node each."""
    return plan(
        cut("gpu-0", 0),
        gpu("gpu-1", 0, "mps", "a/0", "b/0", replicas=4),
        gpu("gpu-1", 1, replicas=4),
        gpu("gpu-2", 0, "time-slicing", "c/0", replicas=3),
        gpu("gpu-3", 0, "whole", "d/0"),
        executor="device-plugin",
    )
