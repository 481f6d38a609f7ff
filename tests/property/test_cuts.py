"""What must hold for every cut: the job's instance is there, nobody else's is touched, NVML's rules hold."""

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.partition.geometry import Instance, MigTable
from stellwerk.engine.partition.layouts import is_valid, placements
from stellwerk.engine.placement.cuts import Layout, after, cut_for, instance_of, on_idle_instance
from stellwerk.engine.placement.place import Grant, Site

MODELS = ("H100-PCIE-80GB", "A100-SXM4-40GB", "A30", "B200-SXM-180GB", "RTX-PRO-6000-BSE")


@st.composite
def gpus(draw: st.DrawFn) -> tuple[Site, Layout, tuple[Instance, ...], Grant]:
    """A GPU with instances, those of them that are busy, and a grant on slices that nobody uses."""
    site = Site(node=0, index=0, facts=gpu_facts(draw(st.sampled_from(MODELS))))
    table = site.facts.mig
    assert table is not None
    there: list[Instance] = []
    for option in draw(st.permutations(placements(table))):
        if not any(option.mask & other.mask for other in there) and draw(st.booleans()):
            there.append(option)
    there.sort(key=lambda one: one.start)
    busy = tuple(one for one in there if draw(st.booleans()))
    free = [one for one in placements(table) if not any(one.mask & other.mask for other in busy)]
    mig = bool(there) or draw(st.booleans())
    if not free:
        there, busy, free, mig = [], (), list(placements(table)), False
    return site, Layout(mig, tuple(there)), busy, grant_of(draw(st.sampled_from(free)), table)


def grant_of(instance: Instance, table: MigTable) -> Grant:
    return Grant(
        gpu=0,
        method="mig",
        held_milli=instance.profile.size * 1000 // table.memory_slices,
        profile=instance.profile,
        mask=instance.mask,
        start_milli=instance.start * 1000 // table.memory_slices,
    )


@given(gpus())
def test_a_cut_gives_the_job_its_instance_and_leaves_everybody_elses(
    found: tuple[Site, Layout, tuple[Instance, ...], Grant],
) -> None:
    site, layout, busy, grant = found
    cut = cut_for(site, layout, [grant])
    new = layout if cut is None else after(layout, cut)
    assert new.mig and instance_of(site, grant) in new.instances and set(busy) <= set(new.instances)
    assert site.facts.mig is not None and is_valid(site.facts.mig, new.instances)
    assert cut_for(site, new, [grant]) is None, "nothing is left to do"
    if cut is not None:
        gone = set(layout.instances) - set(new.instances)
        assert all(one.mask & grant.mask for one in gone), "only what is in the way goes"


@given(gpus())
def test_an_idle_instance_of_the_profile_is_preferred_and_needs_no_cut(
    found: tuple[Site, Layout, tuple[Instance, ...], Grant],
) -> None:
    site, layout, busy, grant = found
    used = sum(one.mask for one in busy)
    chosen = on_idle_instance(site, layout, used, grant)
    assert chosen.profile == grant.profile and not chosen.mask & used
    idle = [one for one in layout.instances if one.profile == grant.profile and one not in busy]
    assert (cut_for(site, layout, [chosen]) is None) == bool(idle)
    assert site.facts.mig is not None
    assert chosen.start_milli == instance_of(site, chosen).start * 1000 // site.facts.mig.memory_slices


@given(gpus())
def test_a_tenant_without_mig_gets_a_gpu_without_instances(
    found: tuple[Site, Layout, tuple[Instance, ...], Grant],
) -> None:
    site, layout, _, _ = found
    whole = Grant(gpu=0, method="whole", held_milli=1000)
    cut = cut_for(site, layout, [whole])
    new = layout if cut is None else after(layout, cut)
    assert new == Layout() and (cut is None) == (not layout.mig)
