"""Metrics as a demand: what `whatif` replays, and how near the unchanged replay comes to them."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from stellwerk.adapters.metrics.load import load_usage
from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.gpus import gpu_models
from stellwerk.engine.advice.profiles import workload_names
from stellwerk.engine.advice.rules import Margins
from stellwerk.engine.money.exact import rounded
from stellwerk.engine.partition.policy import ANY
from stellwerk.engine.rebuild import Judged, Rebuilt, demand_from_usage
from stellwerk.engine.snapshot import Fleet, FleetNode, NodeCost
from stellwerk.engine.usage import Usage
from stellwerk.sim.advice import advise_usage
from stellwerk.sim.demand.load import Input
from stellwerk.sim.result import Replay

MS_PER_HOUR = 3_600_000
FLEET_OPTION = "--fleet"


class Measured(Struct, frozen=True, kw_only=True):
    """A usage, and the jobs rebuilt from it."""

    usage: Usage
    rebuilt: Rebuilt
    inputs: tuple[Input, ...]


class Agreement(Struct, frozen=True, kw_only=True, rename="camel"):
    """GPU-hours held as measured, and as the unchanged replay (whole GPUs) has them."""

    measured: Decimal
    replayed: Decimal

    @property
    def off_percent(self) -> Decimal:
        """How far the replay is off, in percent of what was measured."""
        if not self.measured:
            return Decimal(0)
        return rounded(
            abs(Fraction(self.replayed) - Fraction(self.measured)) * 100 / Fraction(self.measured), 1
        )


def load_measured(path: str, fleet: Fleet | None) -> Measured:
    """The metrics of a file or folder as a demand; raises InvalidInput, also where no pod had a GPU.

    `fleet` is the one that the user named: its GPU model stands in where the exporter named none.
    """
    loaded = load_usage([path])
    name = path.rstrip("/").rpartition("/")[2]
    rebuilt = demand_from_usage(name, loaded.usage, judged_pods(loaded.usage, fleet))
    if not rebuilt.demand.jobs:
        raise InvalidInput(
            "{name} shows no pod on a GPU",
            fix="let DCGM exporter map pods (DCGM_EXPORTER_KUBERNETES=true), then export its series again",
            source=path,
            name=path,
        )
    inputs = tuple(Input("metrics", item.name, item.sha256) for item in loaded.inputs)
    return Measured(usage=loaded.usage, rebuilt=rebuilt, inputs=inputs)


def judged_pods(usage: Usage, fleet: Fleet | None) -> tuple[Judged, ...]:
    """What each pod is, and how it should share, as `stellwerk advise` tells it of its workload.

    One that is kept as it is, since sharing saves nothing, shares nothing here either.
    """
    advised = {one.profile.name: one for one in advise_usage(usage, fleet, Margins()).workloads}
    found = (advised[name] for name in workload_names(usage))
    return tuple(
        Judged(
            one.verdict.kind.kind, one.verdict.choice if one.verdict.choice in ANY and not one.kept else ""
        )
        for one in found
    )


def fleet_of(usage: Usage) -> Fleet:
    """The nodes and GPUs that were measured, without prices; a model that the catalog lacks is refused."""
    known = {model.id: model for model in gpu_models()}
    nodes: dict[str, dict[str, str]] = {}
    for device in usage.devices:
        if device.model not in known:
            raise InvalidInput(
                "the metrics show {node} with GPU model {model}, which the catalog does not have",
                fix="name the fleet yourself with --fleet; known models: stellwerk catalog gpus",
                model=device.model or "unknown",
                node=device.node or "a node",
            )
        nodes.setdefault(device.node, {})[device.uuid or device.key] = device.model
    unknown = NodeCost(currency="EUR", unknown=FLEET_OPTION)
    return Fleet(
        name="measured",
        currency="EUR",
        nodes=tuple(
            FleetNode(
                name=name or "node",
                gpu_model=min(gpus.values()),
                gpus=len(gpus),
                gpu_memory_bytes=known[min(gpus.values())].memory_bytes,
                cost=unknown,
            )
            for name, gpus in sorted(nodes.items())
        ),
    )


def agreement(measured: Measured, replay: Replay) -> Agreement:
    """Held GPU-hours: measured, and of whole GPUs in the replay."""
    hours = rounded(Fraction(measured.rebuilt.held_gpu_ms, MS_PER_HOUR), 3)
    return Agreement(measured=hours, replayed=replay.outcomes[0].runs[0].gpu_hours.held)


def shared_pods(usage: Usage) -> Sequence[str]:
    """Pods that shared a device, or had a GPU instance, when measured: whole GPUs are not how they ran."""
    cut = {device.key for device in usage.devices if device.profile}
    return [pod.name for pod in usage.pods if pod.shared_with or cut & set(pod.devices)]
