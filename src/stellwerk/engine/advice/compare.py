"""Whole GPU, time-slicing, MPS, MIG and vGPU side by side for equal tenants, and for all workloads together.

A way fits when two tenants or more share a GPU by it: measured memory and compute (p95) of all tenants of a
GPU must be there at once, also where nothing enforces it (time-slicing). Equal tenants are packed exactly;
different ones by placement's best fit, largest first, or each workload apart where that takes fewer GPUs.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

from msgspec.structs import replace

from stellwerk.catalog.sharing.licences import licence_of
from stellwerk.catalog.sharing.ways import Way, published, sharing_ways, vgpu_types
from stellwerk.engine.advice.comparison import Compared, Comparison, Fit, Option, SetOption, Setup
from stellwerk.engine.advice.comparison import SlowdownRange as Range
from stellwerk.engine.advice.month_cost import licence_need, month_cost
from stellwerk.engine.decision import Reason
from stellwerk.engine.demand import Job
from stellwerk.engine.money.exact import rounded
from stellwerk.engine.partition.geometry import MigProfile, MigTable
from stellwerk.engine.partition.need import Need, needs
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE, Policy
from stellwerk.engine.placement.place import Grant, Request, Site, empty, occupy, place

VGPU = "vgpu"
GIB, GB = 1 << 30, 10**9
MOST_PACKED = 400  # Tenants: best fit looks at every GPU for each of them.
# Of equal cost and GPUs the way that isolates most comes first.
RANK = {WHOLE: 0, MIG: 1, VGPU: 2, MPS: 3, TIME_SLICING: 4}
# (way, job, its grant, tenants of the GPU) -> times as long, at best and at worst; and what that rests on.
Slowness = Callable[[str, Job, Grant, int], tuple[Fraction, Fraction, str]]


def compare(jobs: Sequence[Job], setup: Setup, slowness: Slowness) -> Comparison:
    """Every way for every workload (a job's `pods` are its equal tenants), then for all of them together."""
    workloads = tuple(_compared(job, setup, slowness) for job in jobs)
    return Comparison(
        setup=setup,
        workloads=workloads,
        together=_together(workloads, setup) if len(workloads) > 1 else (),
    )


def _compared(job: Job, setup: Setup, slowness: Slowness) -> Compared:
    options = [_option(way, job, setup, slowness) for way in sharing_ways()]
    return Compared(job=job, tenants=job.pods, options=_judged(options))


def _option(way: Way, job: Job, setup: Setup, slowness: Slowness) -> Option:
    fit = fit_of(way, job, setup)
    found = Option(
        way=way.name,
        fits="yes" if isinstance(fit, Fit) else "unknown" if fit.code == "VgpuTypesUnknown" else "no",
        reason=fit.reason if isinstance(fit, Fit) else fit,
        memory=way.memory,
        faults=way.faults,
        performance=way.performance,
        because=fit.reason if isinstance(fit, Fit) else fit,
        conditions=way.conditions,
        against=way.against,
        published=published(setup.facts.model, way.name, job.kind),
    )
    if isinstance(fit, Reason):
        return found
    gpus = job.pods * job.gpus if way.name == WHOLE else -(-job.pods // fit.per_gpu)
    licence = licence_need(way.name, setup, gpus, job.pods)
    on_one = min(fit.per_gpu, job.pods)
    low, high, basis = slowness(way.name, job, fit.grant, on_one)
    return replace(
        found,
        tenants_per_gpu=fit.per_gpu if job.gpus == 1 else None,
        layout=fit.layout,
        gpus=gpus,
        slowdown=Range(low=rounded(low, 3), high=rounded(high, 3), tenants=on_one, basis=basis),
        licence=licence,
        cost=month_cost(setup, gpus, licence),
    )


def _judged(options: Sequence[Option]) -> tuple[Option, ...]:
    """One recommended: the least known cost, then the fewest GPUs, then the strongest isolation."""
    fitting = sorted((option for option in options if option.fits == "yes"), key=_order)
    best = fitting[0] if fitting else None
    return tuple(_verdict(option, best, len(fitting)) for option in options)


def _order(option: Option | SetOption) -> tuple[bool, Fraction, int, bool, Fraction, int]:
    """Known total first, the least of them; then GPUs, then what is known of licences, then isolation."""
    cost = option.cost
    assert cost is not None, "what fits has a cost"
    known = Fraction(cost.total or 0), option.gpus or 0
    return cost.total is None, *known, cost.licences is None, Fraction(cost.licences or 0), RANK[option.way]


def _verdict(option: Option, best: Option | None, fitting: int) -> Option:
    if option.fits != "yes" or best is None:
        return replace(option, verdict=option.fits)
    if option is best:
        return replace(option, verdict="recommended", because=_best_reason(best, fitting))
    return replace(option, verdict="possible", because=_behind(option, best))


def _best_reason(best: Option | SetOption, fitting: int) -> Reason:
    if fitting == 1:
        return Reason("OnlyOne", "no other way fits")
    if best.cost is not None and best.cost.total is not None:
        return Reason("LeastCost", "the least known cost of all that fits; of equals the strongest isolation")
    return Reason("FewestGpus", "the fewest GPUs of all that fits; of equals the strongest isolation")


def _behind(option: Option | SetOption, best: Option | SetOption) -> Reason:
    values: dict[str, str | int] = {"best": best.way, "gpus": best.gpus or 0, "own": option.gpus or 0}
    if option.gpus != best.gpus:
        return Reason("MoreGpus", "{own} GPUs instead of {gpus} with {best}", values)
    if _order(option)[:-1] != _order(best)[:-1]:
        return Reason("CostsMore", "as many GPUs as {best}, but it costs more or its cost is unknown", values)
    return Reason("IsolatesLess", "as many GPUs as {best}, which isolates more", values)


def fit_of(way: Way, job: Job, setup: Setup) -> Fit | Reason:
    """How many tenants of `job` share a GPU by this way and what limits them; or why not, a rule first."""
    refused = _desktop_rule(way, setup) or _size_rule(job, setup)
    if refused is not None:
        return refused
    if way.name == WHOLE:
        alone = Reason("WholeGpu", "each tenant has a GPU of its own")
        if job.gpus > 1:
            alone = Reason("WholeGpus", "each tenant has {gpus} GPUs of its own", {"gpus": job.gpus})
        return Fit(per_gpu=1, reason=alone, grant=Grant(gpu=0, method=WHOLE, held_milli=1000))
    refused = _hard_rule(way, job, setup)
    if refused is not None:
        return refused
    if way.name == MIG:
        return _mig_fit(job, setup)
    return _vgpu_fit(job, setup) if way.name == VGPU else _software_fit(way.name, job, setup)


def _desktop_rule(way: Way, setup: Setup) -> Reason | None:
    if setup.use != "vdi":
        return None
    if not way.virtual_machines:
        return Reason(
            "DesktopsAreVms", "desktops are virtual machines; {way} is for containers", {"way": way.name}
        )
    if licence_of(setup.facts.model, way.name, setup.use) is None:
        values = {"model": setup.facts.model}
        return Reason("NoDesktopLicence", "NVIDIA licenses no virtual workstation on {model}", values)
    return None


def _size_rule(job: Job, setup: Setup) -> Reason | None:
    if (job.memory_bytes or 0) <= setup.facts.memory_bytes:
        return None
    values = {"need": _gib(job.memory_bytes or 0), "has": _gib(setup.facts.memory_bytes)}
    return Reason("MemoryAboveGpu", "a tenant needs {need}, a GPU has {has}", values)


def _hard_rule(way: Way, job: Job, setup: Setup) -> Reason | None:
    """What forbids sharing whatever the sizes are."""
    if job.whole:
        return Reason("MustNotShare", "the workload is marked as one that must not share")
    if job.gpus > 1:
        values: dict[str, str | int] = {"gpus": job.gpus, "why": way.peer_to_peer.why}
        return Reason("SeveralGpus", "each tenant talks across {gpus} GPUs: {why}", values)
    if job.isolated and way.name != MIG:
        return Reason(
            "IsolationNeedsMig", "isolation is required, and only MIG separates tenants in hardware"
        )
    if setup.latency and way.latency.answer == "no":
        return Reason("LatencyAtRisk", "there is a latency objective: {why}", {"why": way.latency.why})
    if not job.memory_bytes or job.compute_milli is None:
        return Reason("NotMeasured", "memory and compute were not measured, so nothing is shared")
    return None


def _software_fit(way: str, job: Job, setup: Setup) -> Fit | Reason:
    """Time-slicing and MPS: what replicas or clients, memory and compute each allow."""
    replicas = Reason("Replicas", "{most} replicas of a GPU", {"most": setup.replicas})
    clients = Reason("Clients", "{most} clients of a GPU", {"most": setup.facts.mps_clients})
    bounds = [(setup.replicas, replicas) if way == TIME_SLICING else (setup.facts.mps_clients, clients)]
    found = _bounded([_memory_bound(job, setup), *_compute_bound(job), *bounds])
    if isinstance(found, Reason):
        return found
    need = Need(method=way, memory_bytes=job.memory_bytes or 0, compute_milli=job.compute_milli or 0)
    grant = Grant(gpu=0, method=way, held_milli=1, memory_bytes=need.memory_bytes)
    return Fit(per_gpu=found[0], reason=found[1], grant=grant)


Bound = tuple[int, Reason]


def _memory_bound(job: Job, setup: Setup) -> Bound:
    values = {"need": _gib(job.memory_bytes or 0), "has": _gib(setup.facts.memory_bytes)}
    most = setup.facts.memory_bytes // (job.memory_bytes or 1)
    return most, Reason("Memory", "memory: {need} for each tenant, {has} on a GPU", values)


def _compute_bound(job: Job) -> tuple[Bound, ...]:
    if not job.compute_milli:
        return ()
    values = {"need": job.compute_milli}
    return (
        (
            1000 // job.compute_milli,
            Reason("Compute", "compute: {need} of 1000 milli-GPU for each tenant (p95)", values),
        ),
    )


def _bounded(bounds: Sequence[Bound]) -> Bound | Reason:
    """The tightest bound, the first of equals; its reason alone where no second tenant has room."""
    most, reason = min(bounds, key=lambda bound: bound[0])
    return reason if most < 2 else (most, reason)


def _mig_fit(job: Job, setup: Setup) -> Fit | Reason:
    table = setup.facts.mig
    if table is None:
        return Reason("NoMig", "{model} has no MIG in the catalog", {"model": setup.facts.model})
    found = needs(job, setup.facts, Policy(name=MIG, services=(MIG,), batches=(MIG,)))
    if found[0].method != MIG:
        return _above_slices(job, table)
    placed = most_instances(found[0].accepts)
    layout = ", ".join(f"{placed.count(name)} x {name}" for name in dict.fromkeys(placed))
    if len(placed) < 2:
        return Reason("OneInstance", "one {profile} is all that a GPU holds of it", {"profile": placed[0]})
    profile = found[0].accepts[0]
    grant = Grant(gpu=0, method=MIG, held_milli=found[0].held_milli, profile=profile)
    reason = Reason("Profile", "profiles: {layout} on a GPU", {"layout": layout})
    return Fit(per_gpu=len(placed), reason=reason, layout=layout, grant=grant)


def _above_slices(job: Job, table: MigTable) -> Reason:
    """Why no profile below the whole GPU serves a tenant: memory, else compute, else both at once."""
    cut = [profile for profile in table.profiles if profile.size < table.memory_slices]
    memory = max((profile.memory_bytes for profile in cut), default=0)
    slices = max((profile.compute_slices for profile in cut), default=0)
    values = {"need": _gib(job.memory_bytes or 0), "has": _gib(memory)}
    if memory < (job.memory_bytes or 0):
        return Reason("MemoryAboveSlice", "a tenant needs {need}, the largest slice has {has}", values)
    parts = {"need": job.compute_milli or 0, "slices": slices, "all": table.compute_slices}
    return Reason(
        "ComputeAboveSlice", "a tenant needs {need} milli-GPU, the largest slice has {slices} of {all}", parts
    )


def most_instances(accepts: Sequence[MigProfile]) -> list[str]:
    """The most instances of these profiles on one GPU, by name in order of place.

    Earliest end first, the smaller profile of equals: exact for intervals (interval scheduling).
    """
    ends = sorted(
        (start + profile.size, profile.size, profile.name, start)
        for profile in accepts
        for start in profile.starts
    )
    free, placed = 0, []
    for end, _size, name, start in ends:
        if start >= free:
            placed.append(name)
            free = end
    return placed


def _vgpu_fit(job: Job, setup: Setup) -> Fit | Reason:
    model = setup.facts.model
    if licence_of(model, VGPU, setup.use) is None:
        return Reason("NoVgpu", "{model} has no vGPU for compute", {"model": model})
    types = vgpu_types(model)
    if not types:
        return Reason("VgpuTypesUnknown", "the catalog has no vGPU types of {model}", {"model": model})
    fitting = [kind for kind in types if kind.framebuffer_gb * GB >= (job.memory_bytes or 0)]
    if not fitting or fitting[0].most < 2:
        largest = max((kind.framebuffer_gb * GB for kind in types if kind.most > 1), default=0)
        values = {"need": _gib(job.memory_bytes or 0), "has": _gib(largest)}
        return Reason("MemoryAboveSlice", "a tenant needs {need}, the largest slice has {has}", values)
    kind = fitting[0]
    named: dict[str, str | int] = {"name": kind.name, "most": kind.most}
    reason = Reason("VgpuType", "vGPU type {name}: {most} on a GPU", named)
    found = _bounded([(kind.most, reason), *_compute_bound(job)])
    if isinstance(found, Reason):
        return found
    grant = Grant(gpu=0, method=TIME_SLICING, held_milli=1000 // kind.most)
    return Fit(per_gpu=found[0], reason=found[1], layout=kind.name, grant=grant)


def _together(workloads: Sequence[Compared], setup: Setup) -> tuple[SetOption, ...]:
    options = [_set_option(way, workloads, setup) for way in sharing_ways()]
    fitting = sorted((option for option in options if option.fits == "yes"), key=_order)
    judged = []
    for option in options:
        if option.fits != "yes":
            judged.append(replace(option, verdict="no"))
        elif option is fitting[0]:
            judged.append(replace(option, verdict="recommended", because=_best_reason(option, len(fitting))))
        else:
            judged.append(replace(option, verdict="possible", because=_behind(option, fitting[0])))
    return tuple(judged)


def _set_option(way: Way, workloads: Sequence[Compared], setup: Setup) -> SetOption:
    """All workloads under one way; what cannot share by it gets whole GPUs, as an operator would give it."""
    sharing: list[tuple[Job, int]] = []
    whole: list[str] = []
    alone = 0
    for each in workloads:
        by_way = {option.way: option for option in each.options}
        gpus, lone = by_way[way.name].gpus, by_way[WHOLE]
        if gpus is None and (lone.gpus is None or (setup.use == "vdi" and not way.virtual_machines)):
            return SetOption(way=way.name, fits="no", because=by_way[way.name].reason)
        if gpus is None or way.name == WHOLE:
            whole.append(each.job.name)
            alone += lone.gpus or 0
        else:
            sharing.append((each.job, gpus))
    if way.name != WHOLE and not sharing:
        nobody = Reason("NobodyShares", "none of the workloads can share by {way}", {"way": way.name})
        return SetOption(way=way.name, fits="no", because=nobody)
    apart = sum(gpus for _, gpus in sharing)
    mixed = _best_fit(way.name, [job for job, _ in sharing], apart, setup)
    gpus = alone + (apart if mixed is None else min(mixed, apart))
    users = sum(each.tenants for each in workloads)
    licensed = gpus - alone if way.name == VGPU and setup.use != "vdi" else gpus
    packing = "exact" if way.name == WHOLE else "apart" if mixed is None or mixed >= apart else "best fit"
    return SetOption(
        way=way.name,
        fits="yes",
        gpus=gpus,
        whole=() if way.name == WHOLE else tuple(whole),
        packing=packing,
        cost=month_cost(setup, gpus, licence_need(way.name, setup, licensed, users)),
        because=Reason("Together", "all workloads together"),
    )


def _best_fit(way: str, jobs: Sequence[Job], most: int, setup: Setup) -> int | None:
    """GPUs when different workloads may meet on one; None where they do not mix, or are too many to try."""
    tenants = [job for job in jobs for _ in range(job.pods)]
    if way not in (MIG, MPS, TIME_SLICING) or len(jobs) < 2 or len(tenants) > MOST_PACKED:
        return None
    # Tenants of time-slicing are packed as MPS packs its own, for the same bounds: with replicas as clients.
    clients = setup.replicas if way == TIME_SLICING else setup.facts.mps_clients
    facts = replace(setup.facts, mps_clients=clients)
    method = MIG if way == MIG else MPS
    policy = Policy(name=method, services=(method,), batches=(method,))
    sites = [Site(node=0, index=index, facts=facts) for index in range(most)]
    states = [empty(site) for site in sites]
    wanted = [(needs(job, facts, policy), job.name) for job in tenants]
    wanted.sort(key=lambda entry: (_size(entry[0][0]), entry[1]))
    for options, _name in wanted:
        granted = place(sites, states, Request(1, ((facts.model, options),)))
        if isinstance(granted, Reason):
            return None
        for grant in granted:
            states[grant.gpu] = occupy(sites[grant.gpu], states[grant.gpu], grant)
    return sum(state.tenants > 0 for state in states)


def _size(need: Need) -> tuple[int, int, int]:
    """Largest first."""
    slices = need.accepts[0].size if need.accepts else 0
    return -slices, -need.memory_bytes, -need.compute_milli


def _gib(memory_bytes: int) -> str:
    tenths = memory_bytes * 10 // GIB
    return f"{tenths // 10}.{tenths % 10} GiB" if tenths % 10 else f"{tenths // 10} GiB"
