"""Equal things once: pods that ask for the same are one shape, GPUs in the same state one pool."""

from collections.abc import Sequence

from msgspec import Struct

from stellwerk.engine.partition.facts import gpu_facts, mig_table
from stellwerk.engine.partition.geometry import Instance, MigProfile
from stellwerk.engine.partition.inventory import (
    DEVICE_PLUGIN,
    DRA,
    Gpu,
    Limits,
    PartitionRequest,
    namespace_of,
    request_namespace,
)
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE
from stellwerk.engine.partition.program.packing import Capacity

SHARED = {MPS, TIME_SLICING}


class Shape(Struct, frozen=True, kw_only=True):
    """What a pod asks, without its name. `moved`: it runs now, and has to leave its instance.

    `namespace`: with whom it may share a claim ("" where it shares none, or its name says none).
    """

    gpus: int = 1
    profile: str = ""
    memory_bytes: int | None = None
    compute_milli: int | None = None
    methods: tuple[str, ...] = ()
    namespace: str = ""
    moved: bool = False

    @property
    def known(self) -> bool:
        """Whether its use was measured: what was not is never shared."""
        return self.memory_bytes is not None and self.compute_milli is not None


def shape_of(request: PartitionRequest, executor: str = DRA) -> Shape:
    """The request's shape; only whole GPUs for several of them, or for what was not measured.

    Under DRA the tenants of a GPU share a ResourceClaim, and a pod refers to those of its own namespace only.
    """
    if request.profile:
        return Shape(profile=request.profile, methods=(MIG,))
    known = request.memory_bytes is not None and request.compute_milli is not None
    methods = tuple(sorted(request.methods)) if known and request.gpus == 1 else (WHOLE,)
    return Shape(
        gpus=request.gpus,
        memory_bytes=request.memory_bytes,
        compute_milli=request.compute_milli,
        methods=methods,
        namespace=request_namespace(request.name) if executor == DRA and SHARED & set(methods) else "",
    )


def pod_names(request: PartitionRequest) -> list[str]:
    """The pods' names: the request's own, numbered from 0 where there are several."""
    if request.pods == 1:
        return [request.name]
    return [f"{request.name}/{number}" for number in range(request.pods)]


def profiles_of(shape: Shape, model: str) -> tuple[MigProfile, ...]:
    """The profiles of this model that serve the shape, smallest first.

    By name: that profile alone. By need: memory and compute slices suffice, and it is no media or graphics
    variant and not the GPU itself, whose seat is the whole GPU.
    """
    table = mig_table(model)
    if table is None or MIG not in shape.methods:
        return ()
    if shape.profile:
        found = table.profile(shape.profile)
        return () if found is None else (found,)
    memory, compute = shape.memory_bytes or 0, shape.compute_milli or 0
    return tuple(
        profile
        for profile in table.profiles
        if not profile.variant
        and profile.size < table.memory_slices
        and profile.reported_bytes is not None
        and profile.reported_bytes >= memory
        and profile.compute_slices * 1000 >= compute * table.compute_slices
    )


def takes_whole(shape: Shape, model: str) -> bool:
    """Whether a whole GPU of this model serves the shape."""
    return WHOLE in shape.methods and (shape.memory_bytes or 0) <= gpu_facts(model).memory_bytes


class Pool(Struct, frozen=True, kw_only=True):
    """GPUs in the same state. `kept` are instances in use, `idle` those without a pod; `method` is that of
    the tenants there (""; then nobody is on it, or it is cut), `namespace` theirs. `node`: of which node,
    where that matters. `replicas` of the device plugin's configuration, of which `taken` have a pod.
    """

    model: str
    node: str = ""
    method: str = ""
    kept: tuple[Instance, ...] = ()
    idle: tuple[Instance, ...] = ()
    room: Capacity | None = None
    namespace: str = ""
    replicas: int = 1
    taken: int = 0

    @property
    def unused(self) -> bool:
        """Nobody is on it: a pod here opens one more GPU."""
        return not self.kept and not self.method


def pools_of(gpus: Sequence[Gpu], limits: Limits) -> dict[Pool, list[int]]:
    """Positions of the GPUs by pool, in order; a GPU that can take nobody any more is in none."""
    found: dict[Pool, list[int]] = {}
    for position, gpu in enumerate(gpus):
        pool = _pool(gpu, limits)
        if pool is not None:
            found.setdefault(pool, []).append(position)
    return found


def _pool(gpu: Gpu, limits: Limits) -> Pool | None:
    if gpu.tenants and limits.executor == DEVICE_PLUGIN:
        return _replica_pool(gpu)
    if gpu.tenants:
        room = room_of(gpu, limits.replicas)
        if room is None:
            return None
        namespace = namespace_of(gpu.tenants[0].name)
        return Pool(model=gpu.model, method=gpu.method, room=room, namespace=namespace)
    kept, idle = split(gpu)
    return Pool(model=gpu.model, kept=kept, idle=idle, room=capacity_of(gpu.model, MPS, limits.replicas))


def _replica_pool(gpu: Gpu) -> Pool | None:
    """Free replicas: of MPS always, since each has limits; of time-slicing where all keep to their part."""
    part = gpu_facts(gpu.model).memory_bytes // gpu.replicas
    known = all(0 < tenant.memory_bytes <= part for tenant in gpu.tenants)
    if gpu.method not in SHARED or len(gpu.tenants) >= gpu.replicas or (gpu.method != MPS and not known):
        return None
    return Pool(model=gpu.model, method=gpu.method, replicas=gpu.replicas, taken=len(gpu.tenants))


def split(gpu: Gpu) -> tuple[tuple[Instance, ...], tuple[Instance, ...]]:
    """The GPU's instances in use, and those without a pod."""
    table = mig_table(gpu.model)
    kept: list[Instance] = []
    idle: list[Instance] = []
    for instance in gpu.instances:
        profile = None if table is None else table.profile(instance.profile)
        assert profile is not None, "instances were checked when they were read"
        (kept if instance.tenant else idle).append(Instance(profile, instance.start))
    return tuple(kept), tuple(idle)


def capacity_of(model: str, method: str, replicas: int) -> Capacity:
    """What an empty GPU offers to tenants of MPS or time-slicing."""
    facts = gpu_facts(model)
    tenants = replicas if method == TIME_SLICING else facts.mps_clients
    return Capacity(facts.memory_bytes, 1000, tenants)


def room_of(gpu: Gpu, replicas: int) -> Capacity | None:
    """What its tenants leave to others; None: nothing, or nobody may join.

    Nobody joins a tenant without limits: what was not measured is not shared.
    """
    if gpu.method not in SHARED or not all(t.memory_bytes and t.compute_milli for t in gpu.tenants):
        return None
    full = capacity_of(gpu.model, gpu.method, replicas)
    left = Capacity(
        full.memory_bytes - sum(tenant.memory_bytes for tenant in gpu.tenants),
        full.compute_milli - sum(tenant.compute_milli for tenant in gpu.tenants),
        full.tenants - len(gpu.tenants),
    )
    return left if min(left.memory_bytes, left.compute_milli, left.tenants) > 0 else None
