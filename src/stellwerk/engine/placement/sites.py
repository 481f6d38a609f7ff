"""Lay a policy over a fleet before the first job comes: which GPUs are cut, and what each job asks for."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.engine.demand import Job
from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.partition.geometry import Instance, lay_out
from stellwerk.engine.partition.need import GpuFacts, Need, needs
from stellwerk.engine.partition.policy import MIG, Policy
from stellwerk.engine.placement.place import Request, Site, empty, place
from stellwerk.engine.snapshot import Fleet

WHOLE_POLICY = Policy(name="whole")


class Plan(Struct, frozen=True, kw_only=True):
    """A fleet under a policy: its GPUs in order, and what each job (by name) asks of them."""

    sites: tuple[Site, ...]
    requests: Mapping[str, Request]
    cut_gpus: int = 0


def plan_sites(fleet: Fleet, jobs: Sequence[Job], policy: Policy) -> Plan:
    """Divide the fleet for these jobs. Only a `fixed` policy cuts beforehand; it reads the jobs' GPU-time."""
    facts = {node.gpu_model: gpu_facts(node.gpu_model) for node in fleet.nodes}
    if policy.fixed:
        return _fixed_plan(fleet, jobs, policy, facts)
    return Plan(sites=_sites(fleet, facts, policy), requests=_requests(jobs, facts, policy))


def _sites(fleet: Fleet, facts: Mapping[str, GpuFacts], policy: Policy) -> tuple[Site, ...]:
    return tuple(
        Site(node=position, index=index, facts=facts[node.gpu_model], replicas=policy.replicas)
        for position, node in enumerate(fleet.nodes)
        for index in range(node.gpus)
    )


def _requests(jobs: Sequence[Job], facts: Mapping[str, GpuFacts], policy: Policy) -> dict[str, Request]:
    """One Request object for all jobs that ask for the same, so that the queue can group them."""
    shapes: dict[tuple[object, ...], Request] = {}
    equal: dict[Request, Request] = {}
    requests: dict[str, Request] = {}
    for job in jobs:
        use = job.memory_bytes, job.compute_milli, job.whole, job.isolated, job.is_service, job.advised
        shape = (job.pods, job.gpus, *use)
        if shape not in shapes:
            options = ((model, needs(job, gpu, policy)) for model, gpu in sorted(facts.items()))
            request = Request(job.pods, tuple((model, needed) for model, needed in options if needed))
            shapes[shape] = equal.setdefault(request, request)
        requests[job.name] = shapes[shape]
    return requests


def _fixed_plan(fleet: Fleet, jobs: Sequence[Job], policy: Policy, facts: Mapping[str, GpuFacts]) -> Plan:
    """Cut as many GPUs as slices have their part of the GPU-time, fewer where a job could else never run.

    A job that whole GPUs could serve is never rejected for the sake of a cut: fewer GPUs are cut until all of
    them have a place in the empty fleet, as slices or as whole GPUs; if need be, none is.
    """
    layouts = {model: layout for model, gpu in facts.items() if (layout := _layout(gpu, policy))}
    plain = _sites(fleet, facts, policy)
    whole = _requests(jobs, facts, WHOLE_POLICY)
    sliced = {name: _sliced(request, layouts) for name, request in _requests(jobs, facts, policy).items()}
    pairs = list(dict.fromkeys((sliced[job.name], whole[job.name]) for job in jobs))
    cuttable = [gpu for gpu, site in enumerate(plain) if site.facts.model in layouts]
    for cut in range(_gpus_to_cut(len(plain), len(cuttable), jobs, sliced), 0, -1):
        chosen = set(cuttable[-cut:])
        sites = tuple(_divided(site, gpu in chosen, layouts) for gpu, site in enumerate(plain))
        served = {pair: _served(pair, sites, plain) for pair in pairs}
        if None not in served.values():
            asked = {job.name: served[sliced[job.name], whole[job.name]] or whole[job.name] for job in jobs}
            return Plan(sites=sites, requests=asked, cut_gpus=cut)
    return Plan(sites=plain, requests=whole)


def _layout(facts: GpuFacts, policy: Policy) -> tuple[Instance, ...]:
    """The policy's geometry on this model, else mig-parted's "all-balanced"; () where it cannot be cut so."""
    if facts.mig is None:
        return ()
    counts = policy.geometry or dict(facts.geometry)
    return lay_out(facts.mig, counts) or ()


def _sliced(request: Request, layouts: Mapping[str, tuple[Instance, ...]]) -> Request:
    """The request for instances that the layouts have; with no needs where there are none for it."""
    found = tuple(
        (model, options[:1])
        for model, options in request.needs
        if model in layouts and _fits(options[0], layouts[model])
    )
    return Request(request.pods, found)


def _fits(need: Need, layout: tuple[Instance, ...]) -> bool:
    profiles = {instance.profile for instance in layout}
    return need.method == MIG and any(profile in profiles for profile in need.accepts)


def _divided(site: Site, is_cut: bool, layouts: Mapping[str, tuple[Instance, ...]]) -> Site:
    layout = layouts[site.facts.model] if is_cut else ()
    return Site(
        node=site.node,
        index=site.index,
        facts=site.facts,
        layout=layout,
        whole_only=not is_cut,
        replicas=site.replicas,
    )


def _served(pair: tuple[Request, Request], sites: Sequence[Site], plain: Sequence[Site]) -> Request | None:
    """How the divided fleet serves a job: its slices, else whole GPUs; None if only the uncut fleet could."""
    sliced, whole = pair
    if sliced.needs and _has_place(sliced, sites):
        return sliced
    return whole if _has_place(whole, sites) or not _has_place(whole, plain) else None


def _has_place(request: Request, sites: Sequence[Site]) -> bool:
    return not isinstance(place(sites, [empty(site) for site in sites], request), Reason)


def _gpus_to_cut(gpus: int, cuttable: int, jobs: Sequence[Job], sliced: Mapping[str, Request]) -> int:
    """The slices' part of all GPU-time, in GPUs, rounded down; at least one where anything can be sliced."""
    whole_time = sliced_time = 0
    for job in jobs:
        time = job.duration_ns * job.pods
        options = sliced[job.name].needs
        if options:
            sliced_time += time * options[0][1][0].held_milli
        else:
            whole_time += time * job.gpus * 1000
    if not sliced_time:
        return 0
    return min(cuttable, max(1, gpus * sliced_time // (sliced_time + whole_time)))
