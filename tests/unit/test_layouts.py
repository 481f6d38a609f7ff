"""Every reachable layout of each model, counted against the catalog and NVIDIA's 19."""

import pytest
from msgspec.structs import replace

from stellwerk.catalog.mig import mig_models
from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.geometry import Instance, MigTable
from stellwerk.engine.partition.layouts import cut, is_valid, layouts, patterns, placements

MODELS = {
    "A100-SXM4-40GB": (19, 78, 239),
    "A100-SXM4-80GB": (19, 78, 239),
    "H100-SXM5-80GB": (19, 78, 239),
    "H200-SXM5-141GB": (19, 78, 239),
    "B200-SXM-180GB": (19, 78, 239),
    "A30": (5, 5, 17),
}


def table_of(model: str, names: set[str] | None = None, variants: bool = True) -> MigTable:
    table = mig_table(model)
    assert table is not None
    kept = (p for p in table.profiles if (names is None or p.name in names) and (variants or not p.variant))
    return replace(table, profiles=tuple(kept))


def base_names(model: str) -> set[str]:
    """The plain profiles, of which those with one compute slice only in their smallest memory."""
    plain = table_of(model, variants=False).profiles
    smallest = min(p.size for p in plain)
    return {p.name for p in plain if p.compute_slices > 1 or p.size == smallest}


@pytest.mark.parametrize("model", MODELS)
def test_maximal_layouts_are_as_many_as_known(model: str) -> None:
    base = layouts(table_of(model, base_names(model)))
    double = layouts(table_of(model, variants=False))
    every = layouts(table_of(model))
    assert (len(base), len(double), len(every)) == MODELS[model]


def test_rtx_pro_6000_has_five_layouts_of_its_plain_profiles() -> None:
    assert len(layouts(table_of("RTX-PRO-6000-BSE", variants=False))) == 5


def test_counts_agree_with_every_enumeration_of_the_catalog() -> None:
    counted = [group for group in mig_models() if group.counts is not None]
    assert len(counted) >= 5
    for group in counted:
        model, counts = group.applies_to[0], group.counts
        assert counts is not None
        base = layouts(table_of(model, set(counts.base_profiles)))
        assert len(base) == counts.base_maximal_placements
        assert (
            len({tuple(sorted(i.profile.name for i in found)) for found in base})
            == counts.base_distinct_multisets
        )
        double = layouts(table_of(model, variants=False))
        assert len(double) == counts.with_double_memory_1g_maximal_placements
        if group.name != "RTX-PRO-6000-96GB":  # The catalog enumerated no media or graphics variants there.
            assert len(layouts(table_of(model))) == counts.all_profiles_maximal_placements


@pytest.mark.parametrize("model", [*MODELS, "RTX-PRO-6000-BSE"])
def test_a_layout_is_valid_and_nothing_more_fits(model: str) -> None:
    table = table_of(model)
    for found in layouts(table):
        assert is_valid(table, found)
        assert not any(is_valid(table, [*found, option]) for option in placements(table))


def test_two_instances_with_media_engines_do_not_fit() -> None:
    table = table_of("A100-SXM4-80GB")
    media = table.profile("1g.10gb+me")
    assert media is not None
    assert is_valid(table, [Instance(media, 0)])
    assert not is_valid(table, [Instance(media, 0), Instance(media, 1)])


def test_graphics_instances_are_not_mixed_with_others() -> None:
    table = table_of("RTX-PRO-6000-BSE")
    graphics, plain = table.profile("1g.24gb+gfx"), table.profile("1g.24gb")
    assert graphics is not None and plain is not None
    assert is_valid(table, [Instance(graphics, 0), Instance(graphics, 3)])
    assert not is_valid(table, [Instance(graphics, 0), Instance(plain, 3)])


def test_patterns_beside_an_instance_in_use_are_what_its_place_leaves() -> None:
    table = table_of("H100-SXM5-80GB", base_names("H100-SXM5-80GB"))
    three = table.profile("3g.40gb")
    assert three is not None
    low, high = patterns(table, (Instance(three, 0),)), patterns(table, (Instance(three, 4),))
    assert (("3g.40gb", 1),) in low and (("4g.40gb", 1),) not in low
    assert (("4g.40gb", 1),) in high


def test_a_cut_keeps_the_idle_instances_that_serve() -> None:
    table = table_of("H100-SXM5-80GB")
    two = table.profile("2g.20gb")
    assert two is not None
    idle = (Instance(two, 2),)
    assert cut(table, (), idle, (two,)) == idle
    both = cut(table, (), idle, (two, two))
    assert both is not None and idle[0] in both
    assert cut(table, (Instance(two, 0), Instance(two, 2), Instance(two, 4)), (), (two,)) is None
