"""What a partition is planned from and what comes out: GPUs today, what is asked, and the target per GPU.

Memory is bytes, compute thousandths of a GPU ("milli"), times seconds.
"""

import re

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.policy import MIG, MPS, WHOLE

DRA, DEVICE_PLUGIN = "dra", "device-plugin"
EXECUTORS = (DRA, DEVICE_PLUGIN)


_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def request_name(pod: str) -> str:
    """The request of a pod: a plan numbers the pods of one, so `chat/0` is of `chat`; else the pod itself."""
    request, _, number = pod.rpartition("/")
    return request if request and number.isdecimal() else pod


def namespace_of(pod: str) -> str:
    """The namespace in a pod's or a request's name: `lab/chat` is in lab; "": the name says none."""
    namespace, slash, _ = request_name(pod).partition("/")
    return namespace if slash and _NAMESPACE.fullmatch(namespace) else ""


def request_namespace(request: str) -> str:
    """The namespace in a request's name (`lab/chat`, `lab/7`); "": the name says none."""
    namespace, slash, _ = request.partition("/")
    return namespace if slash and _NAMESPACE.fullmatch(namespace) else ""


class GpuInstance(Struct, frozen=True, kw_only=True):
    """A GPU instance in place: MIG `profile` at memory slice `start`; `tenant` is its pod ("": nobody)."""

    profile: str
    start: int
    tenant: str = ""


class Tenant(Struct, frozen=True, kw_only=True):
    """Who is on a GPU that is whole or shared by MPS or time-slicing, and its limits there."""

    name: str
    memory_bytes: int = 0
    compute_milli: int = 0


class Gpu(Struct, frozen=True, kw_only=True):
    """One GPU: `method` is how it is given out ("": nobody is on it, and it is not cut).

    `instances` are those of a GPU with the method `mig`; `tenants` those of any other. `replicas` is what
    the device plugin's configuration says (1: not shared by it).
    """

    node: str
    index: int
    model: str
    method: str = ""
    instances: tuple[GpuInstance, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    replicas: int = 1

    @property
    def key(self) -> tuple[str, int]:
        """Node and index: which GPU it is."""
        return self.node, self.index

    @property
    def busy(self) -> bool:
        """Whether anybody is on it."""
        return bool(self.tenants) or any(instance.tenant for instance in self.instances)


class PartitionRequest(Struct, frozen=True, kw_only=True):
    """`pods` equal pods, each with `gpus` whole GPUs, or a part of one.

    `profile`: a MIG profile by name, and no other. Without it `memory_bytes` and `compute_milli` are what a
    pod needs; None: not measured, so it gets a whole GPU. `methods` are the ways that it may be given.
    """

    name: str
    pods: int = 1
    gpus: int = 1
    profile: str = ""
    memory_bytes: int | None = None
    compute_milli: int | None = None
    methods: tuple[str, ...] = (WHOLE, MIG, MPS)


class Limits(Struct, frozen=True, kw_only=True):
    """The rules of a plan.

    `executor`: under DRA each GPU has a method of its own; the device plugin has one a node. `replicas`:
    tenants of a time-sliced GPU at most. `drain`: pods may be moved. `node_limit`: of branch and bound.
    `prices`: a month of a GPU by model, in whole units; of plans with as few GPUs the cheaper one is taken.
    """

    executor: str = DRA
    replicas: int = 4
    drain: bool = False
    node_limit: int = 200
    prices: tuple[tuple[str, int], ...] = ()


class Step(Struct, frozen=True, kw_only=True):
    """One thing to do, in order: `action` is drain, destroy, mode, create, share or place.

    `seconds` is how long it takes, where a source says so. `subject`: a profile, a method or a pod.
    """

    action: str
    node: str
    gpu: int
    subject: str
    start: int = -1
    pod: str = ""
    seconds: int | None = None


class Unserved(Struct, frozen=True, kw_only=True):
    """Pods of a request for which the plan has no place, and why."""

    request: str
    pods: int
    reason: Reason


class PartitionPlan(Struct, frozen=True, kw_only=True):
    """The target per GPU, the steps to it, and what is proven of it.

    `gpus_used` counts GPUs with anybody on them, `bound` what no plan under the same rules goes below (both
    count an unserved pod as one more GPU than there are), so `gap` 0 is a proven optimum. `drained` are the
    pods that move. `gpus_before`: GPUs in use today.
    """

    executor: str
    gpus: tuple[Gpu, ...]
    steps: tuple[Step, ...]
    unserved: tuple[Unserved, ...]
    gpus_used: int
    gpus_before: int
    bound: int
    drained: tuple[str, ...] = ()

    @property
    def gap(self) -> int:
        """GPUs between this plan and what is proven; 0: it is an optimum."""
        return max(0, self.gpus_used - self.bound)
