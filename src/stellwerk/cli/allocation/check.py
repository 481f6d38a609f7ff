"""`stellwerk check -f claim.yaml`: which layer would refuse this claim today."""

import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from stellwerk.cli.cluster import cluster_options
from stellwerk.cli.options import LANG, OUTPUT, language_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stellwerk.api.manifests import Manifest
    from stellwerk.catalog.versions import Component
    from stellwerk.cli.allocation.live import Live
    from stellwerk.engine.allocation.support.row import Cluster
    from stellwerk.report.text import Language

NONE = "none"


@click.command(
    "check", short_help="Which layer would refuse this claim: API server, Kueue, Karpenter, driver."
)
@click.option(
    "-f", "--file", "files", multiple=True, required=True, metavar="FILE",
    help="Claims, templates, classes, pods: a file or folder (repeatable).",
)  # fmt: skip
@click.option("--kubernetes", metavar="RELEASE", help="1.34 to 1.37 (else the newest).")
@click.option(
    "--gate", "changes", multiple=True, metavar="NAME=true|false",
    help="A feature gate of Kubernetes, Kueue or NVIDIA's driver that is not at its default (repeatable).",
)  # fmt: skip
@click.option("--kueue", metavar="VERSION|none", help="0.14 to 0.20 (else the newest release).")
@click.option("--karpenter", metavar="VERSION|none", help="1.7 to 1.15 (else the newest release).")
@click.option("--karpenter-dra", is_flag=True, help="Karpenter runs with --ignore-dra-requests=false.")
@click.option("--provider", metavar="aws|azure|gcp|kwok", help="Karpenter's provider (else all of them).")
@click.option(
    "--operator-mode", type=click.Choice(["device-plugin", "dra"]), default="dra", show_default=True,
    help="What NVIDIA's GPU operator runs; its own default is device-plugin.",
)  # fmt: skip
@click.option("--operator", metavar="VERSION", help="Of the GPU operator: 26.3 or 26.7 (else the newest).")
@click.option("--driver", metavar="VERSION", help="Of NVIDIA's DRA driver: 0.4 or 0.5 (else 0.5).")
@cluster_options
@OUTPUT
@LANG
@click.pass_context
def command(
    ctx: click.Context, /, files: tuple[str, ...], output: str, lang: str | None, **options: Any
) -> int:
    """Say for each claim, class and pod what each layer does with it, with versions and sources.

    Where one does, the smallest rewrite that all let through is shown, as YAML.

    With --kubeconfig versions, gates and modes are those of a live cluster; an option that is written counts
    instead.

    Exit code 0: no layer refuses it; 1: one does, or lets it wait for ever.
    """
    import shutil

    from stellwerk.cli.allocation.judged import check_scheduler, judge_of_cluster, judge_of_rules
    from stellwerk.engine.allocation.support.check import is_refused
    from stellwerk.engine.allocation.support.rewrite import smallest_rewrite
    from stellwerk.report.allocation.support import render_rewrite, render_support, support_text

    spoken, manifests = language_of(lang), _read(files)
    if options["kubeconfig"] is None:
        cluster = _cluster(options)
        judge, classes = judge_of_rules(cluster), []
    else:
        live = _of_cluster(ctx, options, manifests, spoken)
        cluster = _with_live(_cluster(live.options), live, options["changes"])
        judge, classes = judge_of_cluster(live, cluster), live.classes
    rows = judge(manifests)
    if options["kubeconfig"] is not None and not is_refused(rows):
        check_scheduler(live, cluster, manifests, _stated_gates(options["changes"]))
    rewrite = smallest_rewrite(manifests, judge, classes) if is_refused(rows) else None
    if output == "table":
        text = render_support(rows, spoken, shutil.get_terminal_size((100, 24)).columns)
        text += render_rewrite(rewrite, spoken) if rewrite is not None else ""
    else:
        text = support_text(rows, cluster, (output, rewrite))
    sys.stdout.write(text)
    return 1 if is_refused(rows) else 0


def _of_cluster(
    ctx: click.Context, options: dict[str, Any], manifests: "Sequence[Manifest]", lang: "Language"
) -> "Live":
    from stellwerk.api.manifests import encode
    from stellwerk.cli.allocation.live import Given, read_live_check
    from stellwerk.cli.cluster import open_cluster

    stated = frozenset(
        name for name in options if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    )
    nvidia = any(b"nvidia.com" in encode(each.raw) for each in manifests)
    with open_cluster(options["kubeconfig"], options["context"], lang) as client:
        return read_live_check(Given(options, stated, nvidia), client, lang)


def _with_live(cluster: "Cluster", live: "Live", changes: "Sequence[str]") -> "Cluster":
    from msgspec.structs import replace

    scheduler = None if live.scheduler is None else {**live.scheduler, **_stated_gates(changes)}
    mapped = live.queue.classes if live.queue.configured else None
    return replace(cluster, scheduler_changed=scheduler, parts=live.parts, mapped=mapped)


def _stated_gates(changes: "Sequence[str]") -> dict[str, bool]:
    """Those of the options, which count for API server and scheduler."""
    return {name: value == "true" for name, _, value in (each.partition("=") for each in changes)}


def _read(files: tuple[str, ...]) -> "Sequence[Manifest]":
    from stellwerk.api.errors import InvalidInput
    from stellwerk.api.validation import validate
    from stellwerk.engine.allocation.support.subject import asked_of
    from stellwerk.sim.intake.manifests import read_unchecked

    manifests, _ = read_unchecked(files, "claims")
    # What the API server says of claims and classes is this verb's answer, not a mistake of the user's.
    validate(manifests, devices=False)
    asked = asked_of(manifests)
    if not (asked.claims or asked.classes or asked.pods):
        raise InvalidInput(
            "there is no ResourceClaim, ResourceClaimTemplate, DeviceClass or pod to check",
            fix="give one with -f",
            source=", ".join(files)[:200],
        )
    return manifests


def _cluster(options: "Mapping[str, Any]") -> "Cluster":
    from stellwerk.catalog.versions import (
        DRIVER,
        KARPENTER,
        KUEUE,
        OPERATOR,
        component_version,
        minor_of,
        release,
        releases,
    )
    from stellwerk.engine.allocation.support.row import Cluster

    kubernetes = options["kubernetes"] or releases()[-1]
    release(kubernetes)
    kueue, driver = _optional(KUEUE, options["kueue"]), component_version(DRIVER, options["driver"] or "0.5")
    return Cluster(
        kubernetes=minor_of(kubernetes),
        changed=_changes(options["changes"], minor_of(kubernetes), [row for row in (kueue, driver) if row]),
        kueue=kueue,
        karpenter=_optional(KARPENTER, options["karpenter"]),
        karpenter_dra=options["karpenter_dra"],
        providers=_providers(options["provider"]),
        operator=component_version(OPERATOR, options["operator"] or ""),
        operator_mode=options["operator_mode"],
        driver=driver,
    )


def _optional(component: str, version: str | None) -> "Component | None":
    from stellwerk.catalog.versions import component_version

    return None if version == NONE else component_version(component, version or "")


def _providers(name: str | None) -> "tuple[Component, ...]":
    from stellwerk.api.errors import InvalidInput
    from stellwerk.catalog.versions import PROVIDER, component_version, providers

    if name is not None and name not in providers():
        raise InvalidInput(
            "{provider} is no provider of Karpenter that was read",
            fix="use one of: {known}",
            provider=name[:40],
            known=", ".join(providers()),
        )
    return tuple(component_version(PROVIDER + each) for each in providers() if name in (None, each))


def _changes(given: "Sequence[str]", kubernetes: str, others: "Sequence[Component]") -> "dict[str, bool]":
    """The gates that differ from their defaults, as Kubernetes would take them."""
    from stellwerk.api.errors import InvalidInput
    from stellwerk.catalog.nearest import nearest
    from stellwerk.catalog.versions import gates

    known = dict(gates(kubernetes))
    for component in others:
        known = {**component.gates, **known}
    changed: dict[str, bool] = {}
    for word in given:
        name, _, value = word.partition("=")
        if value not in ("true", "false"):
            raise InvalidInput(
                "--gate {word} has no value", fix="write NAME=true or NAME=false", word=word[:80]
            )
        if name not in known:
            raise InvalidInput(
                "there is no feature gate {name} in Kubernetes {release}, nor in this Kueue or driver",
                fix="use one of: {near}; all: stellwerk catalog versions",
                name=name[:80],
                release=kubernetes,
                near=nearest(name[:80], known),
            )
        if known[name].locked and known[name].default != (value == "true"):
            raise InvalidInput(
                "the feature gate {name} is locked in {release}: it cannot be changed",
                fix="leave it out",
                name=name,
                release=kubernetes,
            )
        changed[name] = value == "true"
    _refuse_alone(changed, kubernetes)
    return changed


def _refuse_alone(changed: "Mapping[str, bool]", kubernetes: str) -> None:
    """Kubernetes does not start with a gate on whose requirements are off."""
    from stellwerk.api.errors import InvalidInput
    from stellwerk.catalog.versions import gates

    known = gates(kubernetes)
    on = {name for name, state in known.items() if changed.get(name, state.default)}
    for name in sorted(on):
        missing = [each for each in known[name].requires if each not in on]
        if missing:
            raise InvalidInput(
                "the feature gate {name} needs {needed}, which is off: {release} does not start so",
                fix="add --gate {needed}=true, or --gate {name}=false",
                name=name,
                needed=missing[0],
                release=kubernetes,
            )
