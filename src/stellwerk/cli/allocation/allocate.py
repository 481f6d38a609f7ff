"""`stellwerk allocate -f DIR`: which devices on which node, or why not and what would help."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from stellwerk.cli.options import LANG, OUTPUT, language_of

if TYPE_CHECKING:
    from stellwerk.engine.allocation.pods.cluster import Rules
    from stellwerk.engine.allocation.pods.turn import Outcome
    from stellwerk.engine.allocation.pods.world import World
    from stellwerk.report.allocation.document import Setting
    from stellwerk.report.text import Language

# The releases whose scheduler took a DeviceTaintRule without a selector for all devices; and that in which a
# slice could have counters and devices, and alternatives were not scored.
TAINTS_ALL, FIRST = frozenset({"1.34", "1.35", "1.36"}), "1.34"


@click.command(
    "allocate", short_help="Say which devices each claim gets, on which node, or why not and what would help."
)
@click.option(
    "-f",
    "--file",
    "paths",
    required=True,
    multiple=True,
    metavar="DIR|FILE",
    help="Nodes, ResourceSlices, DeviceClasses, claims, templates, pods (repeatable).",
)
@click.option(
    "--state", metavar="FILE", help="ResourceClaims as they are now: an earlier run's -o json or yaml."
)
@click.option(
    "--kubernetes",
    default="1.37",
    show_default=True,
    metavar="RELEASE",
    help="The release whose gates hold: 1.34 to 1.37.",
)
@click.option(
    "--gate", "settings", multiple=True, metavar="NAME=true|false", help="Turn a gate on or off (repeatable)."
)
@OUTPUT
@LANG
def command(
    paths: tuple[str, ...], state: str | None, kubernetes: str, settings: tuple[str, ...], **shown: str | None
) -> int:
    """Allocate devices to the claims of pods, one pod after another, as Kubernetes' allocator does.

    What claims already have is in use. Nothing is changed; `-o json` holds the claims as the scheduler would
    write them.

    Exit code 0: all are allocated; 1: not all.
    """
    lang = language_of(shown["lang"])
    with _uncollected():
        world, outcome, setting = _decide(paths, state, (kubernetes, settings))
        sys.stdout.write(_text(world, outcome, setting, (shown["output"] or "table", lang)))
    return 0 if outcome.all_allocated else 1


@contextmanager
def _uncollected() -> Iterator[None]:
    """A large cluster is millions of objects without a cycle: looking for cycles takes half of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _decide(
    paths: tuple[str, ...], state: str | None, under: tuple[str, tuple[str, ...]]
) -> "tuple[World, Outcome, Setting]":
    from stellwerk.api.errors import InvalidInput
    from stellwerk.catalog.versions import minor_of
    from stellwerk.engine.allocation.gates import gates_on
    from stellwerk.engine.allocation.pods.expressions import check_expressions
    from stellwerk.engine.allocation.pods.turn import allocate_pods
    from stellwerk.engine.allocation.pods.world import world_of
    from stellwerk.report.allocation.document import Setting
    from stellwerk.sim.intake.cluster import read_cluster

    release = minor_of(under[0])
    gates = gates_on(release, under[1])
    manifests = read_cluster(paths, state)
    check_expressions(manifests, gates)
    world = world_of(manifests, combined_slices=release == FIRST)
    outcome = allocate_pods(world, rules_of(release, gates))
    if not outcome.answers:
        raise InvalidInput(
            "{name} asks for devices in DaemonSets only, whose pods are not looked at"
            if outcome.notes
            else "{name} has no ResourceClaim, and no pod that asks for devices",
            fix="add a ResourceClaim, or a Pod, Job, Deployment, ReplicaSet or StatefulSet with devices",
            source=", ".join(paths)[:200],
            name=", ".join(paths)[:200],
        )
    return world, outcome, Setting(release, gates)


def rules_of(release: str, gates: "frozenset[str]") -> "Rules":
    """What holds in a minor release of Kubernetes under these gates."""
    from stellwerk.engine.allocation.gates import gates_to_turn_on
    from stellwerk.engine.allocation.pods.cluster import Rules

    return Rules(
        gates=gates,
        to_turn_on=gates_to_turn_on(release, gates),
        none_means_all=release in TAINTS_ALL,
        scores_alternatives=release != FIRST,
    )


def _text(world: "World", outcome: "Outcome", setting: "Setting", shown: tuple[str, "Language"]) -> str:
    import shutil

    from stellwerk.report.allocation.devices import offered_devices
    from stellwerk.report.allocation.document import allocation_text

    form, lang = shown
    devices = offered_devices(world.slices)
    if form != "table":
        return allocation_text(outcome, devices, setting, form)
    from stellwerk.report.allocation.table import render_allocation

    width = shutil.get_terminal_size((100, 24)).columns
    return render_allocation(outcome, devices, setting, (lang, width))
