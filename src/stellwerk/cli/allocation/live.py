"""`check --kubeconfig`: what runs in a live cluster, as the options that would say so, and what it holds."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.decision import Reason
from stellwerk.report.text import msg

if TYPE_CHECKING:
    from stellwerk.adapters.kube_store.client import Client
    from stellwerk.adapters.kube_store.read import Cluster as Held
    from stellwerk.api.groups.resource import DeviceClass
    from stellwerk.api.manifests import Manifest
    from stellwerk.engine.diagnosis.live.facts import Gates, Installed, Lacking, LiveFacts, QueueFacts
    from stellwerk.report.text import Language

NONE = "none"
UNKNOWN_GATES = msg("the feature gates of {name} cannot be seen; its defaults are assumed: --gate NAME=true")
ASSUMED_SAME = msg("the feature gates of {name} cannot be seen; those of the API server are assumed")
SCHEDULER = "kube-scheduler"
Tell = Callable[[Reason], None]


class Given(Struct, frozen=True):
    """The options as they are, which of them were written, and whether NVIDIA's devices are asked for."""

    options: Mapping[str, Any]
    stated: frozenset[str]
    nvidia: bool


class Live(Struct, frozen=True, kw_only=True):
    """A live cluster: options as it shows them, its objects, and what no option says.

    `scheduler`: gates of the scheduler that differ from their defaults (None: not seen). `parts`: what hands
    out NVIDIA's devices (None: `operator_mode` was written). `queue`: Kueue, with its Configuration.
    """

    options: dict[str, Any]
    manifests: "list[Manifest]"
    scheduler: "Gates | None"
    parts: frozenset[str] | None
    queue: "QueueFacts"

    @property
    def classes(self) -> "list[DeviceClass]":
        """Its DeviceClasses."""
        from stellwerk.api.groups.resource import DeviceClass

        return [one.object for one in self.manifests if isinstance(one.object, DeviceClass)]


def read_live_check(given: Given, client: "Client", lang: "Language") -> Live:
    """What the cluster shows for check; options that were written count instead; what is assumed is told.

    Raises Unreachable, also where the role lacks a rule that check needs; InvalidInput for a version that the
    cluster does not show: it is not guessed.
    """
    from stellwerk.adapters.kube_store.components import read_components
    from stellwerk.adapters.kube_store.read import read_cluster
    from stellwerk.cli.cluster import HELD, RUNNING, kinds_of, lacking, reading
    from stellwerk.report.text import reason_text

    facts = reading(client, lambda: read_components(client, kinds_of(RUNNING)))
    held = reading(client, lambda: read_cluster(client, kinds_of(HELD)))
    if facts.lacking or held.denied:
        raise lacking(client, (*held.denied, *_only_here(facts, held)))
    found = _shown(facts, given.stated, lambda assumed: click.echo(reason_text(assumed, lang), err=True))
    if given.nvidia:
        _check_nvidia(facts, given.stated)
    gates = [*found.pop("changes"), *given.options["changes"]]  # Of two the later one counts.
    shown = {name: value for name, value in found.items() if name not in given.stated}
    mode_written = "operator_mode" in given.stated
    return Live(
        options={**given.options, **shown, "changes": gates},
        manifests=held.manifests,
        scheduler=facts.server.scheduler_gates,
        parts=None if mode_written else parts_of(facts),
        queue=facts.queue,
    )


def _only_here(facts: "LiveFacts", held: "Held") -> "list[Lacking]":
    """Rules that reading the components lacks, and reading the objects does not."""
    told = {(each.rule.group, each.rule.resource) for each in held.denied}
    return [each for each in facts.lacking if (each.group, each.resource) not in told]


def parts_of(facts: "LiveFacts") -> frozenset[str]:
    """What hands out NVIDIA's devices: as what runs says it, or as slices and nodes show it."""
    from stellwerk.engine.allocation.nvidia.opaque import DOMAIN_DRIVER, GPU_DRIVER
    from stellwerk.engine.allocation.support.row import DOMAINS, GPUS, PLUGIN

    nvidia = facts.nvidia
    driver = nvidia.driver.parts if nvidia.driver is not None else ()
    planned = nvidia.gpu_cluster is not None and nvidia.driver is None
    shown = {
        PLUGIN: nvidia.plugs or any(any(each.resources.values()) for each in facts.nodes),
        GPUS: "gpus" in driver or planned or GPU_DRIVER in facts.slices,
        DOMAINS: "compute-domains" in driver or planned or DOMAIN_DRIVER in facts.slices,
    }
    return frozenset(name for name, there in shown.items() if there)


def _check_nvidia(facts: "LiveFacts", stated: frozenset[str]) -> None:
    """Raise InvalidInput where what hands out NVIDIA's devices would have to be guessed."""
    nvidia, parts = facts.nvidia, parts_of(facts)
    if "operator_mode" not in stated and not parts:
        raise InvalidInput(
            "the files ask for NVIDIA's devices, and nothing in the cluster is seen to hand them out",
            fix="see: stellwerk doctor --kubeconfig; then say it: --operator-mode device-plugin, or dra",
        )
    published = bool(parts - {"plugin"})
    if "driver" not in stated and published and not (nvidia.driver and nvidia.driver.version):
        raise InvalidInput(
            "the files ask for NVIDIA's devices, and the version of NVIDIA's DRA driver is not shown",
            fix="say it: --driver VERSION",
        )
    if "operator" not in stated and nvidia.operator is not None and not nvidia.operator.version:
        raise InvalidInput(
            "the files ask for NVIDIA's devices, and the version of the GPU operator is not shown",
            fix="say it: --operator VERSION",
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
    """Gates that differ from their defaults, as far as they are about devices; the scheduler's are apart."""
    from stellwerk.catalog.versions import DRIVER, KUEUE, components, gates, releases

    known: set[str] = set(gates(release) if release in releases() else ())
    for component in (*components(KUEUE), *components(DRIVER)):
        known |= set(component.gates)
    if facts.server.scheduler_gates is None:
        tell(Reason("gates-same", ASSUMED_SAME, {"name": SCHEDULER}))
    seen = {"kube-apiserver": facts.server.gates}
    for name, installed in (("Kueue", facts.queue.installed), ("NVIDIA's DRA driver", facts.nvidia.driver)):
        if installed is not None:
            seen[name] = installed.gates
    return [text for name, changed in seen.items() for text in _texts(name, changed, known, tell)]


def _texts(name: str, changed: "Gates | None", known: set[str], tell: Tell) -> list[str]:
    if changed is None:
        tell(Reason("gates-assumed", UNKNOWN_GATES, {"name": name}))
        return []
    return [f"{gate}={str(on).lower()}" for gate, on in sorted(changed.items()) if gate in known]
