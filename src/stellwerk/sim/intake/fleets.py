"""The fleet of a replay: as the user names it, as it lies beside the demand, or as the demand implies.

`--fleet` takes a file or folder with a Fleet or Nodes, the name of a built-in fleet, or the short form
`COUNTxPROVIDER/TYPE[@REGION]`, for example `4xscaleway/H100-1-80G`.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.adapters.files import sha256
from stellwerk.adapters.traces import GPU_MEMORY_BYTES
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import stellwerk as api
from stellwerk.api.groups.core import Node
from stellwerk.api.groups.meta import ObjectMeta
from stellwerk.api.manifests import Manifest, load_manifests
from stellwerk.catalog.gpus import gpu_memory_bytes
from stellwerk.catalog.node_types import node_type
from stellwerk.catalog.prices import ExchangeRate
from stellwerk.engine.demand import Demand
from stellwerk.engine.money.fleet_cost import price_fleet
from stellwerk.engine.money.node_fleet import price_nodes
from stellwerk.engine.snapshot import Fleet
from stellwerk.sim.demand.builtin import BUILTIN, fleet_file
from stellwerk.sim.demand.load import FLEET_KINDS, Input, LoadedDemand
from stellwerk.sim.intake.manifests import read_manifests

SHORT = re.compile(r"([1-9][0-9]{0,3})x([A-Za-z0-9-]+)/([^@\s]+)(?:@(.+))?", re.ASCII)
# Where a list of jobs comes without a fleet: one GPU of this type for each job that would run at once.
IMPLIED = ("scaleway", "H100-1-80G")
IMPLIED_NOTE = (
    "No fleet was given: the baseline has {gpus} GPUs, one for each that whole GPUs would need at once, "
    "as {provider} {name}; set your own with --fleet."
)


class FoundFleet(Struct, frozen=True, kw_only=True):
    """A priced fleet, and what was read for it besides the demand."""

    fleet: Fleet
    inputs: tuple[Input, ...] = ()


def fleet_beside(loaded: LoadedDemand, rates: Sequence[ExchangeRate]) -> FoundFleet:
    """The fleet that came with the demand, or the one that it implies; raises InvalidInput."""
    if loaded.fleet_manifests:
        return FoundFleet(fleet=price_manifests(loaded.fleet_manifests, rates))
    return FoundFleet(fleet=_implied(loaded.demand, rates))


def share_memory_bytes(demand: str, named: FoundFleet | None) -> int:
    """What 1000 milli-GPU of a trace stand for: the memory of the fleet's smallest GPU.

    So that two halves always fit on one GPU, as they did where the trace was taken.
    """
    if named is not None:
        return min(node.gpu_memory_bytes for node in named.fleet.nodes)
    if demand in BUILTIN:
        return GPU_MEMORY_BYTES
    return gpu_memory_bytes(node_type(*IMPLIED).gpu_model)


def named_fleet(argument: str, rates: Sequence[ExchangeRate]) -> FoundFleet:
    """The fleet of `--fleet`; raises InvalidInput naming the file and field, or the option."""
    if argument in BUILTIN:
        raw = fleet_file(argument)
        manifests = load_manifests(raw, argument)
        return FoundFleet(
            fleet=price_manifests(manifests, rates), inputs=(Input("fleet", argument, sha256(raw)),)
        )
    short = SHORT.fullmatch(argument)
    if short is not None and not Path(argument).exists():
        count, provider, name, region = short.groups()
        return FoundFleet(fleet=_of_type(int(count), (provider, name, region), rates))
    return _from_files(argument, rates)


def _from_files(argument: str, rates: Sequence[ExchangeRate]) -> FoundFleet:
    manifests, inputs = read_manifests(argument, "fleet")
    found = [manifest for manifest in manifests if manifest.kind in FLEET_KINDS]
    if not found:
        raise InvalidInput(
            "{name} holds neither a Fleet nor a Node",
            fix="see how a fleet is written: stellwerk catalog fleet demo",
            source=argument,
            name=argument,
        )
    return FoundFleet(fleet=price_manifests(found, rates), inputs=inputs)


def price_manifests(manifests: Sequence[Manifest], rates: Sequence[ExchangeRate]) -> Fleet:
    """The one Fleet among the manifests, priced; or, without one, the Nodes."""
    fleets = [manifest for manifest in manifests if isinstance(manifest.object, api.Fleet)]
    if len(fleets) > 1:
        raise InvalidInput(
            "there are {count} Fleets, and a replay has one",
            fix="name the file of one of them with --fleet",
            source=fleets[1].source,
            document=fleets[1].document,
            count=len(fleets),
        )
    try:
        if fleets and isinstance(fleets[0].object, api.Fleet):
            return price_fleet(fleets[0].object, rates)
        return price_nodes([m.object for m in manifests if isinstance(m.object, Node)], rates=rates)
    except InvalidInput as error:
        error.source = error.source or manifests[0].source
        if fleets and error.document is None:
            error.source, error.document = fleets[0].source, fleets[0].document
        raise


def _of_type(count: int, row: tuple[str, str, str | None], rates: Sequence[ExchangeRate]) -> Fleet:
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


def _implied(demand: Demand, rates: Sequence[ExchangeRate]) -> Fleet:
    if any(job.gpus > 1 for job in demand.jobs):
        raise InvalidInput(
            "the jobs of {name} ask for several GPUs on one node, and no fleet says how many a node has",
            fix="name a fleet, for example --fleet 4xlambda/gpu_8x_h100_sxm5",
            name=demand.name,
        )
    gpus = most_at_once(demand)
    fleet = _of_type(gpus, (*IMPLIED, None), rates)
    note = IMPLIED_NOTE.format(gpus=gpus, provider=IMPLIED[0], name=IMPLIED[1])
    return replace(fleet, notes=(note, *fleet.notes))


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
