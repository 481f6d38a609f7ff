"""Place the pods of one job on GPUs that are whole, shared or cut: best fit, so that whole GPUs stay whole.

The rule in one line: the fullest open GPU that still holds the pod; else an empty GPU on the node that has
the fewest empty ones (MostAllocated, in the kube-scheduler's words). All pods of a job, or none.
"""

from collections.abc import Sequence

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.geometry import Instance, MigProfile, best_start, slice_mask
from stellwerk.engine.partition.need import GpuFacts, Need
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE


class Site(Struct, frozen=True, kw_only=True):
    """A GPU that never changes place: its node (by position), its index there, its facts.

    `layout` holds the instances of a GPU that was cut beforehand; such a GPU serves nothing else.
    `whole_only`: it was left whole beforehand, and is never shared.
    """

    node: int
    index: int
    facts: GpuFacts
    layout: tuple[Instance, ...] = ()
    whole_only: bool = False
    replicas: int = 4


class GpuState(Struct, frozen=True):
    """Who is on a GPU now: its method ("" when empty), how many tenants, and what is left of it.

    `used` is a mask of memory slices (MIG), or of instances of the layout where there is one.
    """

    method: str
    tenants: int
    memory_free: int
    compute_free: int
    used: int
    up: bool = True


class Grant(Struct, frozen=True, kw_only=True):
    """What a pod was given on one GPU (its position among the sites).

    An instance has its `profile`, its `mask`, and where it begins in the GPU's memory (`start_milli`).
    """

    gpu: int
    method: str
    held_milli: int
    memory_bytes: int = 0
    compute_milli: int = 0
    profile: MigProfile | None = None
    mask: int = 0
    start_milli: int = 0


class Request(Struct, frozen=True):
    """`pods` equal pods; `needs` by GPU model, in order of preference."""

    pods: int
    needs: tuple[tuple[str, tuple[Need, ...]], ...]

    @property
    def ways(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """How it may be served: its methods by GPU model."""
        return tuple((model, tuple(need.method for need in options)) for model, options in self.needs)

    @property
    def size(self) -> tuple[int, ...]:
        """Pods, then GPUs, memory and compute of every need: larger in all of it is harder to place."""
        parts: list[int] = [self.pods]
        for _, options in self.needs:
            for need in options:
                parts += need.gpus, need.memory_bytes, need.compute_milli
                if need.accepts:
                    parts += need.accepts[0].size, need.accepts[0].compute_slices
        return tuple(parts)


NO_ROOM = Reason("NoRoom", "no GPU has room now")


def empty(site: Site) -> GpuState:
    """The state of a GPU with nobody on it."""
    method = MIG if site.layout else ""
    return GpuState(method, 0, site.facts.memory_bytes, 1000, 0)


def place(
    sites: Sequence[Site], states: Sequence[GpuState], request: Request, among: Sequence[int] | None = None
) -> tuple[Grant, ...] | Reason:
    """Grants for every pod of the request (in pod order), or why not. `states` is not changed.

    `among` are the only GPUs that can have room for a single pod, where the caller knows that (None: all);
    whole nodes of them. A gang always looks at all.
    """
    everywhere = range(len(sites))
    if request.pods == 1:
        view = View(sites, states, everywhere if among is None else among)
        return _place_pod(view, request) or NO_ROOM
    granted = _place_gang(View(sites, states, everywhere), request)
    choices = max((len(options) for _, options in request.needs), default=0)
    for choice in range(choices if isinstance(granted, Reason) and choices > 1 else 0):
        # What suits the first pods best may leave too little to the last: all in one way, then.
        one_way = tuple((model, options[choice : choice + 1]) for model, options in request.needs)
        granted = _place_gang(View(sites, states, everywhere), Request(request.pods, one_way))
        if not isinstance(granted, Reason):
            break
    return granted


class View(Struct, frozen=True):
    """What one decision looks at: all GPUs, and those among which it searches."""

    sites: Sequence[Site]
    states: Sequence[GpuState]
    among: Sequence[int]


def _place_gang(view: View, request: Request) -> tuple[Grant, ...] | Reason:
    trial = list(view.states)
    granted: list[Grant] = []
    for _ in range(request.pods):
        grants = _place_pod(View(view.sites, trial, view.among), request)
        if not grants:
            return NO_ROOM
        granted += grants
        for grant in grants:
            trial[grant.gpu] = occupy(view.sites[grant.gpu], trial[grant.gpu], grant)
    return tuple(granted)


def occupy(site: Site, state: GpuState, grant: Grant) -> GpuState:
    """The GPU's state with the grant's tenant on it."""
    return GpuState(
        grant.method,
        state.tenants + 1,
        state.memory_free - grant.memory_bytes,
        state.compute_free - grant.compute_milli,
        state.used | grant.mask,
        state.up,
    )


def vacate(site: Site, state: GpuState, grant: Grant) -> GpuState:
    """The GPU's state without the grant's tenant; an emptied GPU may take any method again."""
    tenants = state.tenants - 1
    return GpuState(
        state.method if tenants or site.layout else "",
        tenants,
        state.memory_free + grant.memory_bytes,
        state.compute_free + grant.compute_milli,
        state.used & ~grant.mask,
        state.up,
    )


def _place_pod(view: View, request: Request) -> tuple[Grant, ...]:
    by_model = dict(request.needs)
    options = max((len(needs) for needs in by_model.values()), default=0)
    for choice in range(options):
        grant = _on_open_gpu(view, by_model, choice)
        if grant is not None:
            return (grant,)
    for choice in range(options):
        grants = _on_empty_gpus(view, by_model, choice)
        if grants:
            return grants
    return ()


def _on_open_gpu(view: View, by_model: dict[str, tuple[Need, ...]], choice: int) -> Grant | None:
    """A share of a GPU that already has tenants of the same method: where least is left over."""
    best: tuple[tuple[int, int], int, Need] | None = None
    for gpu in view.among:
        state, site = view.states[gpu], view.sites[gpu]
        if not state.method or state.method == WHOLE or not state.up:
            continue
        options = by_model.get(site.facts.model, ())
        if choice >= len(options) or options[choice].method != state.method:
            continue
        left = _left_over(site, state, options[choice])
        if left is not None and (best is None or left < best[0]):
            best = left, gpu, options[choice]
    return None if best is None else _grant(view.sites[best[1]], best[1], view.states[best[1]], best[2])


def _left_over(site: Site, state: GpuState, need: Need) -> tuple[int, int] | None:
    """What the GPU would have left (smaller is the better fit); None when it has no room."""
    if need.method == TIME_SLICING:
        # Replicas are handed out evenly, as the device plugin does (distributed allocation).
        return (state.tenants, 0) if state.tenants < site.replicas else None
    if need.method == MPS:
        memory, compute = state.memory_free - need.memory_bytes, state.compute_free - need.compute_milli
        if memory < 0 or compute < 0 or state.tenants >= site.facts.mps_clients:
            return None
        return memory, compute
    if site.layout:
        slot = _free_instance(site, state, need)
        return None if slot is None else (site.layout[slot].profile.size, -state.tenants)
    start = best_start(site.facts.mig, need.accepts[0], state.used) if site.facts.mig else None
    return None if start is None else (-state.used.bit_count(), start)


def _free_instance(site: Site, state: GpuState, need: Need) -> int | None:
    """The position in the layout of the smallest free instance that the need accepts."""
    for profile in need.accepts:
        for slot, instance in enumerate(site.layout):
            if instance.profile == profile and not state.used >> slot & 1:
                return slot
    return None


def _on_empty_gpus(view: View, by_model: dict[str, tuple[Need, ...]], choice: int) -> tuple[Grant, ...]:
    """Empty GPUs on the node with the fewest of them that suffice; ties go to the first node."""
    sites, states = view.sites, view.states
    free: dict[int, list[int]] = {}
    for gpu in view.among:
        if states[gpu].method or not states[gpu].up:
            continue
        options = by_model.get(sites[gpu].facts.model, ())
        if choice < len(options) and (options[choice].method == WHOLE or not sites[gpu].whole_only):
            free.setdefault(sites[gpu].node, []).append(gpu)
    best: list[int] = []
    for gpus in free.values():
        asked = by_model[sites[gpus[0]].facts.model][choice].gpus
        if len(gpus) >= asked and (not best or len(gpus) < len(best)):
            best = gpus
    if not best:
        return ()
    need = by_model[sites[best[0]].facts.model][choice]
    return tuple(_grant(sites[gpu], gpu, states[gpu], need) for gpu in best[: need.gpus])


def _grant(site: Site, gpu: int, state: GpuState, need: Need) -> Grant:
    if need.method == MPS:
        return Grant(
            gpu=gpu,
            method=MPS,
            held_milli=need.held_milli,
            memory_bytes=need.memory_bytes,
            compute_milli=need.compute_milli,
        )
    if need.method != MIG:
        return Grant(gpu=gpu, method=need.method, held_milli=need.held_milli)
    assert site.facts.mig is not None, "only a model with MIG has a need of that method"
    if site.layout:
        slot = _free_instance(site, state, need)
        assert slot is not None, "room was found before"
        profile, start, mask = site.layout[slot].profile, site.layout[slot].start, 1 << slot
    else:
        profile = need.accepts[0]
        found = best_start(site.facts.mig, profile, state.used)
        assert found is not None, "room was found before"
        start, mask = found, slice_mask(found, profile.size)
    slices = site.facts.mig.memory_slices
    return Grant(
        gpu=gpu,
        method=MIG,
        held_milli=profile.size * 1000 // slices,
        profile=profile,
        mask=mask,
        start_milli=start * 1000 // slices,
    )
