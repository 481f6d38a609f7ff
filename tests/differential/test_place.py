"""`place` against trying everything: it finds a place exactly where one exists, and never an impossible one.

The judge is `ports.gpus.conflict`, which knows nothing of best fit: it says what one GPU can hold.
"""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.partition.geometry import lay_out, slice_mask
from stellwerk.engine.partition.need import Need
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE
from stellwerk.engine.placement.place import GpuState, Grant, Request, Site, empty, occupy, place, vacate
from stellwerk.ports.gpus import conflict

FACTS = gpu_facts("H100-PCIE-80GB")
A30 = gpu_facts("A30")
GIB = 2**30


def sites() -> st.SearchStrategy[tuple[Site, ...]]:
    """One to three nodes of one to three GPUs; some GPUs were cut beforehand, some must stay whole."""
    kinds = st.sampled_from(["plain", "plain", "cut", "whole"])
    return st.lists(st.lists(kinds, min_size=1, max_size=3), min_size=1, max_size=3).map(
        lambda nodes: tuple(
            _site(node, index, kind) for node, gpus in enumerate(nodes) for index, kind in enumerate(gpus)
        )
    )


def _site(node: int, index: int, kind: str) -> Site:
    facts = A30 if node == 2 else FACTS
    assert facts.mig is not None
    layout = lay_out(facts.mig, dict(facts.geometry)) if kind == "cut" else ()
    return Site(node=node, index=index, facts=facts, layout=layout or (), whole_only=kind == "whole")


def needs() -> st.SearchStrategy[Need]:
    assert FACTS.mig is not None
    profiles = FACTS.mig.profiles[:-1]
    return st.one_of(
        st.builds(Need, method=st.just(WHOLE), gpus=st.integers(1, 3)),
        st.just(Need(method=TIME_SLICING)),
        st.builds(
            Need,
            method=st.just(MPS),
            memory_bytes=st.integers(1, 24).map(lambda gib: gib * GIB),
            compute_milli=st.integers(1, 1000),
        ),
        st.integers(0, len(profiles) - 1).map(lambda first: Need(method=MIG, accepts=profiles[first:])),
    )


def every_grant(site: Site, gpu: int, need: Need) -> list[Grant]:
    """All that the need could be given on this GPU, by the model's tables alone."""
    if need.method == WHOLE:
        return [Grant(gpu=gpu, method=WHOLE, held_milli=1000)]
    if site.whole_only or (site.layout and need.method != MIG):
        return []
    if need.method == TIME_SLICING:
        return [Grant(gpu=gpu, method=TIME_SLICING, held_milli=1000)]
    if need.method == MPS:
        share = Grant(
            gpu=gpu,
            method=MPS,
            held_milli=0,
            memory_bytes=need.memory_bytes,
            compute_milli=need.compute_milli,
        )
        return [share]
    if site.layout:
        return [
            Grant(gpu=gpu, method=MIG, held_milli=0, profile=instance.profile, mask=1 << slot)
            for slot, instance in enumerate(site.layout)
            if instance.profile in need.accepts
        ]
    profile = need.accepts[0]
    return [
        Grant(gpu=gpu, method=MIG, held_milli=0, profile=profile, mask=slice_mask(start, profile.size))
        for start in profile.starts
    ]


def possible(where: tuple[Site, ...], tenants: list[list[Grant]], need: Need) -> bool:
    """Is there any way to serve one pod of this need?"""
    fitting = [
        gpu
        for gpu, site in enumerate(where)
        if (need.method != MIG or site.facts is FACTS)
        and any(not conflict(site, tenants[gpu], grant) for grant in every_grant(site, gpu, need))
    ]
    if need.method != WHOLE:
        return bool(fitting)
    nodes = itertools.groupby(fitting, key=lambda gpu: where[gpu].node)
    return any(len(list(gpus)) >= need.gpus for _, gpus in nodes)


@settings(max_examples=400, deadline=None)
@given(sites(), st.lists(st.tuples(needs(), st.booleans(), st.integers(0, 99)), max_size=25))
def test_a_place_is_found_exactly_where_one_exists(
    where: tuple[Site, ...], steps: list[tuple[Need, bool, int]]
) -> None:
    states: list[GpuState] = [empty(site) for site in where]
    tenants: list[list[Grant]] = [[] for _ in where]
    running: list[tuple[Grant, ...]] = []
    for need, leaves, which in steps:
        if leaves and running:
            for grant in running.pop(which % len(running)):
                tenants[grant.gpu].remove(grant)
                states[grant.gpu] = vacate(where[grant.gpu], states[grant.gpu], grant)
            continue
        # An A30 has other profiles than an H100: only a need that both have in common is asked of both.
        models = (
            ((FACTS.model, (need,)),)
            if need.method == MIG
            else ((FACTS.model, (need,)), (A30.model, (need,)))
        )
        found = place(where, states, Request(1, models))
        assert isinstance(found, tuple) == possible(where, tenants, need)
        if isinstance(found, Reason):
            continue
        for grant in found:
            assert not conflict(where[grant.gpu], tenants[grant.gpu], grant)
            tenants[grant.gpu].append(grant)
            states[grant.gpu] = occupy(where[grant.gpu], states[grant.gpu], grant)
        assert len({where[grant.gpu].node for grant in found}) == 1 and len(found) == need.gpus
        running.append(found)
    for grants in list(running):
        for grant in grants:
            states[grant.gpu] = vacate(where[grant.gpu], states[grant.gpu], grant)
    assert states == [empty(site) for site in where], "what was given is given back"
