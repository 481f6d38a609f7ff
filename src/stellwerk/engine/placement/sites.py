"""Lay a policy over a fleet before the first job comes: which GPUs are cut, which stay whole."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stellwerk.engine.demand import Job
from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.partition.geometry import Instance, lay_out
from stellwerk.engine.partition.need import GpuFacts, Need, needs
from stellwerk.engine.partition.policy import MIG, WHOLE, Policy
from stellwerk.engine.placement.place import Request, Site
from stellwerk.engine.snapshot import Fleet


class Plan(Struct, frozen=True, kw_only=True):
    """A fleet under a policy: its GPUs in order, and what each job asks of them."""

    sites: tuple[Site, ...]
    requests: Mapping[str, Request]
    cut_gpus: int = 0


def plan_sites(fleet: Fleet, jobs: Sequence[Job], policy: Policy) -> Plan:
    """Divide the fleet for these jobs. Only a `fixed` policy cuts beforehand; it reads the jobs' GPU-time."""
    models = sorted({node.gpu_model for node in fleet.nodes})
    facts = {model: gpu_facts(model) for model in models}
    layouts = {model: _layout(facts[model], policy) for model in models} if policy.fixed else {}
    requests = _requests(jobs, facts, policy, layouts)
    cut = _gpus_to_cut(fleet, jobs, requests) if policy.fixed else 0
    if policy.fixed and not cut:
        requests = _requests(jobs, facts, Policy(name="whole"), {})
    first_cut = fleet.gpus - cut
    sites: list[Site] = []
    for position, node in enumerate(fleet.nodes):
        for index in range(node.gpus):
            is_cut = policy.fixed and len(sites) >= first_cut and bool(layouts[node.gpu_model])
            sites.append(
                Site(
                    node=position,
                    index=index,
                    facts=facts[node.gpu_model],
                    layout=layouts[node.gpu_model] if is_cut else (),
                    whole_only=policy.fixed and not is_cut,
                    replicas=policy.replicas,
                )
            )
    return Plan(sites=tuple(sites), requests=requests, cut_gpus=cut)


def _layout(facts: GpuFacts, policy: Policy) -> tuple[Instance, ...]:
    """The policy's geometry on this model, else mig-parted's "all-balanced"; () where it cannot be cut so."""
    if facts.mig is None:
        return ()
    counts = policy.geometry or dict(facts.geometry)
    return lay_out(facts.mig, counts) or ()


def _requests(
    jobs: Sequence[Job],
    facts: Mapping[str, GpuFacts],
    policy: Policy,
    layouts: Mapping[str, tuple[Instance, ...]],
) -> dict[str, Request]:
    """One Request object per shape of job: jobs of one shape share it, so that the queue can group them."""
    shapes: dict[tuple[object, ...], Request] = {}
    requests: dict[str, Request] = {}
    for job in jobs:
        shape = (
            job.pods,
            job.gpus,
            job.memory_bytes,
            job.compute_milli,
            job.whole,
            job.isolated,
            job.is_service,
        )
        if shape not in shapes:
            shapes[shape] = Request(job.pods, _by_model(job, facts, policy, layouts))
        requests[job.name] = shapes[shape]
    return requests


def _by_model(
    job: Job,
    facts: Mapping[str, GpuFacts],
    policy: Policy,
    layouts: Mapping[str, tuple[Instance, ...]],
) -> tuple[tuple[str, tuple[Need, ...]], ...]:
    found = []
    for model, gpu in facts.items():
        options = needs(job, gpu, policy)
        if policy.fixed and options and not _fits(options[0], layouts[model]):
            options = (Need(method=WHOLE, gpus=job.gpus),)
        if options:
            found.append((model, options))
    return tuple(found)


def _fits(need: Need, layout: tuple[Instance, ...]) -> bool:
    profiles = {instance.profile for instance in layout}
    return need.method != MIG or any(profile in profiles for profile in need.accepts)


def _gpus_to_cut(fleet: Fleet, jobs: Sequence[Job], requests: Mapping[str, Request]) -> int:
    """Cut as many GPUs as slices have their part of the GPU-time, rounded down, the last of the fleet first.

    The largest request for whole GPUs keeps one node whole for each of its pods; a fleet too small for both
    is not cut at all, because a rejected job is worse than a slow one.
    """
    whole_time = sliced_time = 0
    kept = pods = 0
    for job in jobs:
        options = [need for _, needs_of in requests[job.name].needs for need in needs_of[:1]]
        if not options:
            continue
        time = job.duration_ns * job.pods
        if options[0].method == MIG:
            sliced_time += time * options[0].held_milli
        else:
            whole_time += time * job.gpus * 1000
            if (job.gpus * job.pods, job.gpus) > (kept * pods, kept):
                kept, pods = job.gpus, job.pods
    if not sliced_time:
        return 0
    most = fleet.gpus - _prefix_for(fleet, kept, pods)
    share = fleet.gpus * sliced_time // (sliced_time + whole_time)
    return max(0, min(most, max(1, share)))


def _prefix_for(fleet: Fleet, gpus: int, pods: int) -> int:
    """How many GPUs from the front must stay whole so that `pods` pods of `gpus` GPUs fit."""
    if not pods:
        return 0
    seen = fitting = 0
    for node in fleet.nodes:
        for taken in range(1, node.gpus + 1):
            if taken % gpus == 0:
                fitting += 1
            if fitting >= pods:
                return seen + taken
        seen += node.gpus
    return fleet.gpus
