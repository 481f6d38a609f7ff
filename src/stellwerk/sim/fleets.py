"""The fleet of a replay: as the user names it, as it lies beside the demand, or as the demand implies.

`--fleet` takes a file or folder with a Fleet or Nodes, the name of a built-in fleet, or the short form
`COUNTxPROVIDER/TYPE[@REGION]`, for example `4xscaleway/H100-1-80G`.
"""

import re
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import stellwerk as api
from stellwerk.api.groups.meta import ObjectMeta
from stellwerk.api.manifests import Manifest
from stellwerk.catalog.prices import ExchangeRate
from stellwerk.engine.demand import Demand
from stellwerk.engine.money.fleet import price_manifests
from stellwerk.engine.money.fleet_cost import price_fleet
from stellwerk.engine.snapshot import Fleet
from stellwerk.sim.demand import BUILTIN
from stellwerk.sim.demand.load import LoadedDemand, LoadedFleet, builtin_fleet, load_fleet

SHORT = re.compile(r"([1-9][0-9]{0,3})x([A-Za-z0-9-]+)/([^@\s]+)(?:@(.+))?", re.ASCII)
# Where a list of jobs comes without a fleet: one GPU of this type for each job that would run at once.
IMPLIED = ("scaleway", "H100-1-80G")
IMPLIED_NOTE = (
    "No fleet was given: the baseline has {gpus} GPUs, one for each that whole GPUs would need at once, "
    "as {provider} {name}; set your own with --fleet."
)


class Sources(Struct, frozen=True, kw_only=True):
    """What a fleet may come from: the loaded demand (and what lay beside it), and the user's rates."""

    demand: LoadedDemand
    rates: tuple[ExchangeRate, ...]
    argument: str


class FoundFleet(Struct, frozen=True, kw_only=True):
    """A priced fleet, and the (role, name, sha256) of what was read for it."""

    fleet: Fleet
    inputs: tuple[tuple[str, str, str], ...] = ()


def resolve_fleet(argument: str | None, sources: Sources) -> FoundFleet:
    """The fleet to replay on; raises InvalidInput naming the file and field, or the option."""
    if argument is not None:
        return _named(argument, sources)
    if sources.demand.fleet_manifests:
        return FoundFleet(fleet=price_manifests(sources.demand.fleet_manifests, sources.rates))
    if sources.argument in BUILTIN:
        return _loaded(builtin_fleet(sources.argument), sources)
    return _implied(sources)


def _named(argument: str, sources: Sources) -> FoundFleet:
    if argument in BUILTIN:
        return _loaded(builtin_fleet(argument), sources)
    short = SHORT.fullmatch(argument)
    if short is None or Path(argument).exists():
        return _loaded(load_fleet(argument), sources)
    count, provider, name, region = short.groups()
    return FoundFleet(fleet=_of_type(int(count), (provider, name, region), sources.rates))


def _loaded(found: LoadedFleet, sources: Sources) -> FoundFleet:
    fleet = price_manifests(found.manifests, sources.rates)
    return FoundFleet(fleet=fleet, inputs=found.inputs)


def _of_type(count: int, row: tuple[str, str, str | None], rates: tuple[ExchangeRate, ...]) -> Fleet:
    provider, name, region = row
    instance_type = api.InstanceType(provider=provider, name=name)
    if region:
        instance_type = replace(instance_type, region=region)
    group = api.FleetNodeGroup(name="gpu", count=count, instance_type=instance_type)
    manifest = api.Fleet(
        api_version="stellwerk.dev/v1alpha1",
        kind="Fleet",
        metadata=ObjectMeta(name=f"{count}x{provider}/{name}"),
        spec=api.FleetSpec(nodes=(group,)),
    )
    try:
        return price_fleet(manifest, rates)
    except InvalidInput as error:
        error.path = "--fleet"
        raise


def _implied(sources: Sources) -> FoundFleet:
    demand = sources.demand.demand
    if any(job.gpus > 1 for job in demand.jobs):
        raise InvalidInput(
            "the jobs of {name} ask for several GPUs on one node, and no fleet says how many a node has",
            fix="name a fleet, for example --fleet 4xlambda/gpu_8x_h100_sxm5",
            name=demand.name,
        )
    gpus = most_at_once(demand)
    fleet = _of_type(gpus, (*IMPLIED, None), sources.rates)
    note = IMPLIED_NOTE.format(gpus=gpus, provider=IMPLIED[0], name=IMPLIED[1])
    return FoundFleet(fleet=replace(fleet, notes=(note, *fleet.notes)))


def most_at_once(demand: Demand) -> int:
    """The most GPUs that jobs would hold at once if each started on arrival; at least 1."""
    changes: list[tuple[int, int]] = []
    for job in demand.jobs:
        gpus = job.gpus * job.pods
        changes += [(job.arrival_ns, gpus), (job.arrival_ns + job.duration_ns, -gpus)]
    most = held = 0
    for _, change in sorted(changes):
        held += change
        most = max(most, held)
    return max(1, most)


def manifests_of(fleet: list[Manifest]) -> list[Manifest]:
    """The Fleet and Node objects among manifests."""
    return [manifest for manifest in fleet if manifest.raw.get("kind") in ("Fleet", "Node")]
