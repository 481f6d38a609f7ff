"""`check --kubeconfig`: what runs in a live cluster, as the options that would say so."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.decision import Reason
from stellwerk.report.text import msg

if TYPE_CHECKING:
    from stellwerk.adapters.kube_store.client import Client
    from stellwerk.engine.diagnosis.live.facts import Gates, Installed, LiveFacts
    from stellwerk.report.text import Language

NONE = "none"
UNKNOWN_GATES = msg("the feature gates of {name} cannot be seen; its defaults are assumed: --gate NAME=true")
Tell = Callable[[Reason], None]


class Given(Struct, frozen=True):
    """The options as they are, which of them were written, and whether NVIDIA's devices are asked for."""

    options: Mapping[str, Any]
    stated: frozenset[str]
    nvidia: bool


def live_options(given: Given, client: "Client", lang: "Language") -> dict[str, Any]:
    """The options of check, those that were not written as the cluster shows them; what is assumed is told.

    Raises Unreachable, also where the role lacks a rule that check needs; InvalidInput for a version that the
    cluster does not show: it is not guessed.
    """
    from stellwerk.adapters.kube_store.components import read_components
    from stellwerk.cli.cluster import READ_BY, kinds_of, lacking, reading
    from stellwerk.report.text import reason_text

    facts = reading(client, lambda: read_components(client, kinds_of(READ_BY["check"])))
    if facts.lacking:
        raise lacking(client, facts.lacking)
    found = _shown(facts, given.stated, lambda assumed: click.echo(reason_text(assumed, lang), err=True))
    if given.nvidia:
        _check_nvidia(facts, given.stated)
    gates = [*found.pop("changes"), *given.options["changes"]]  # Of two the later one counts.
    shown = {name: value for name, value in found.items() if name not in given.stated}
    return {**given.options, **shown, "changes": gates}


def _check_nvidia(facts: "LiveFacts", stated: frozenset[str]) -> None:
    """Raise InvalidInput where what hands out NVIDIA's devices would have to be guessed."""
    nvidia = facts.nvidia
    if "operator_mode" not in stated and not (nvidia.publishes or nvidia.plugs):
        raise InvalidInput(
            "the files ask for NVIDIA's devices, and nothing in the cluster is seen to hand them out",
            fix="see: stellwerk doctor --kubeconfig; then say it: --operator-mode device-plugin, or dra",
        )
    if "driver" not in stated and nvidia.publishes and not (nvidia.driver and nvidia.driver.version):
        raise InvalidInput(
            "the files ask for NVIDIA's devices, and the version of NVIDIA's DRA driver is not shown",
            fix="say it: --driver VERSION",
        )


def _shown(facts: "LiveFacts", stated: frozenset[str], tell: Tell) -> dict[str, Any]:
    from stellwerk.catalog.versions import minor_of, releases

    release = minor_of(facts.server.version)
    if release not in releases() and "kubernetes" not in stated:
        raise InvalidInput(
            "the cluster's Kubernetes {version} is not one whose rules were read",
            fix="name the nearest one: --kubernetes {nearest}",
            version=facts.server.version or "?",
            nearest=releases()[-1],
        )
    nvidia = facts.nvidia
    return {
        "kubernetes": release if release in releases() else None,
        **{
            name: _version(title, f"--{name}", seen)
            for name, title, seen in (
                ("kueue", "Kueue", (facts.queue.installed, facts.queue.served)),
                ("karpenter", "Karpenter", (facts.buyer.installed, facts.buyer.served)),
            )
            if name not in stated
        },
        "karpenter_dra": facts.buyer.ignores_claims is False,
        "provider": facts.buyer.providers[0] if len(facts.buyer.providers) == 1 else None,
        "operator_mode": "dra" if nvidia.publishes or not nvidia.plugs else "device-plugin",
        "operator": nvidia.operator.version if nvidia.operator is not None else None,
        "driver": nvidia.driver.version if nvidia.driver is not None else None,
        "changes": _changes(facts, release, tell),
    }


def _version(name: str, option: str, seen: "tuple[Installed | None, bool]") -> str:
    """The version; NONE where its kinds are not served. Raises InvalidInput where it cannot be seen."""
    installed, served = seen
    if installed is not None and installed.version:
        return installed.version
    if not served:
        return NONE
    raise InvalidInput(
        "the cluster serves {name}'s kinds, and nothing in it shows {name}'s version",
        fix="say it: {option} VERSION, or {option} none",
        name=name,
        option=option,
    )


def _changes(facts: "LiveFacts", release: str, tell: Tell) -> list[str]:
    """Gates that differ from their defaults, as far as they are about devices."""
    from stellwerk.catalog.versions import DRIVER, KUEUE, components, gates, releases

    known: set[str] = set(gates(release) if release in releases() else ())
    for component in (*components(KUEUE), *components(DRIVER)):
        known |= set(component.gates)
    seen = {"kube-apiserver": facts.server.gates, "kube-scheduler": facts.server.scheduler_gates}
    for name, installed in (("Kueue", facts.queue.installed), ("NVIDIA's DRA driver", facts.nvidia.driver)):
        if installed is not None:
            seen[name] = installed.gates
    return [text for name, changed in seen.items() for text in _texts(name, changed, known, tell)]


def _texts(name: str, changed: "Gates | None", known: set[str], tell: Tell) -> list[str]:
    if changed is None:
        tell(Reason("gates-assumed", UNKNOWN_GATES, {"name": name}))
        return []
    return [f"{gate}={str(on).lower()}" for gate, on in sorted(changed.items()) if gate in known]
