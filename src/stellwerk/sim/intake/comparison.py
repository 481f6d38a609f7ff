"""The input of `compare`: workloads from manifests, a GPU model, its price, licences, what sharing costs."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.adapters.files import expand, list_manifest_files, read_raw
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import apps, batch, core, stellwerk
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest, load_manifests
from stellwerk.api.validation import validate
from stellwerk.catalog.gpus import gpu_model
from stellwerk.catalog.ownership import exchange_rate
from stellwerk.catalog.prices import ExchangeRate, Price
from stellwerk.engine.advice.compare import VGPU, Slowness, compare
from stellwerk.engine.advice.comparison import Comparison, LicencePrice, Setup
from stellwerk.engine.annotations import ARRIVAL, DURATION
from stellwerk.engine.decision import Reason
from stellwerk.engine.demand import Demand, Job
from stellwerk.engine.money.exchange import Quote, parse_rate, quote
from stellwerk.engine.money.fleet_cost import OLD_RATE
from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.placement.place import Grant, Site
from stellwerk.engine.snapshot import Fleet, NodeCost
from stellwerk.engine.workload import MAX_PODS, demand_from_manifests
from stellwerk.sim.demand.load import FLEET_KINDS
from stellwerk.sim.intake.fleets import IMPLIED, named_fleet, price_manifests
from stellwerk.sim.intake.numbers import check_between
from stellwerk.sim.intake.slowdowns import slowdowns_of
from stellwerk.sim.slowdown import Slowdown, Tenants, load_milli, speed

DEFAULT_MODEL = "H100-PCIE-80GB"
FLEET_OPTION = "--fleet COUNTxPROVIDER/TYPE"
_LICENCE = re.compile(
    r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([A-Z]{3})/(gpu|user)/(year|month)@([0-9]{4}-[0-9]{2}-[0-9]{2})",
    re.ASCII,
)
# A comparison knows no time: what a replay would ask for is the same for all.
_TIMES = {ARRIVAL: "2026-01-01T00:00:00Z", DURATION: "1h"}
IMPLIED_PRICE = "No fleet was given: a GPU costs what {provider} {name} costs; set your own with --fleet."
FIRST_MODEL = "The fleet has several GPU models; this is about {model}: choose another one with --gpu."
PART_OF_NODE = "A node has {gpus} GPUs; a GPU is counted with its part of the node's price."
TENANTS_NOTE = "Each workload is compared with {tenants} tenants, as --tenants says."


class CompareArguments(Struct, frozen=True, kw_only=True):
    """What the command line gives; `tenants` None: the replicas of the manifests."""

    file: str
    gpu: str = ""
    fleet: str = ""
    tenants: int | None = None
    latency: bool = False
    use: str = "containers"
    licence_prices: tuple[str, ...] = ()
    slowdown: str = "range"
    replicas: int = 4
    rates: tuple[str, ...] = ()


def run_comparison(arguments: CompareArguments) -> Comparison:
    """Read, compare, and say what was assumed. Raises InvalidInput, naming file and field, or the option."""
    _check_range("--tenants", arguments.tenants, (1, MAX_PODS))
    _check_range("--replicas", arguments.replicas, (2, 48))
    rates = tuple(parse_rate(text) for text in arguments.rates)
    prices = tuple(parse_licence_price(text) for text in arguments.licence_prices)
    slowdowns, _ = slowdowns_of(arguments.slowdown)
    manifests = _read(arguments.file)
    demand = demand_from_manifests(arguments.file, [_timeless(manifest) for manifest in manifests])
    jobs = [_tenants(job, arguments.tenants) for job in sorted(demand.jobs, key=lambda job: job.name)]
    setup, notes = _setup(arguments, [m for m in manifests if m.kind in FLEET_KINDS], rates)
    setup = replace(setup, licence_prices=prices)
    found = compare(jobs, setup, _slowness(slowdowns, setup))
    return replace(found, notes=(*notes, *_rate_notes(found), *_demand_notes(demand, arguments.tenants)))


def _check_range(option: str, value: int | None, limits: tuple[int, int]) -> None:
    if value is not None:
        check_between(option, value, *limits)


def parse_licence_price(text: str) -> LicencePrice:
    """`4500 USD/gpu/year@2026-11-01` (or /user/, /month) as a price for a year. Raises InvalidInput."""
    found = _LICENCE.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(
            "{text} is not the price of a licence",
            fix='write amount, currency, unit (gpu or user), time and day: "4500 USD/gpu/year@2026-11-01"',
            path="--licence-price",
            text=text[:80],
        )
    amount, currency, unit, time, date = found.groups()
    yearly = Decimal(amount) * (12 if time == "month" else 1)
    return LicencePrice(unit, Price(amount=yearly, currency=currency, date=date, source="--licence-price"))


def _read(name: str) -> list[Manifest]:
    files = [str(path) for path in list_manifest_files(name)] if _is_directory(name) else [name]
    manifests = [
        manifest for file in files for manifest in load_manifests(expand(read_raw(file), file), file)
    ]
    validate(manifests)
    return [manifest for manifest in manifests if not isinstance(manifest.object, stellwerk.Period)]


def _is_directory(name: str) -> bool:
    """An empty name is a slip, although a Path reads it as the current directory; a name may be too long."""
    try:
        return bool(name) and Path(name).is_dir()
    except (OSError, ValueError):
        return False


def _timeless(manifest: Manifest) -> Manifest:
    """The object with the times that a replay asks for, whatever it says itself."""
    item = manifest.object
    if not isinstance(item, batch.Job | core.Pod | apps.Deployment):
        return manifest
    annotations: Mapping[str, str] = {**given(item.metadata.annotations, {}), **_TIMES}
    return replace(manifest, object=replace(item, metadata=replace(item.metadata, annotations=annotations)))


def _tenants(job: Job, tenants: int | None) -> Job:
    return job if tenants is None else replace(job, pods=tenants)


def _setup(
    arguments: CompareArguments, beside: Sequence[Manifest], rates: tuple[ExchangeRate, ...]
) -> tuple[Setup, tuple[str, ...]]:
    """The GPU model and what it costs: of --fleet, of a Fleet beside the workload, or of the catalog."""
    asked = gpu_model(arguments.gpu).id if arguments.gpu else ""
    notes: tuple[str, ...] = ()
    if arguments.fleet:
        fleet: Fleet | None = named_fleet(arguments.fleet, rates).fleet
    elif beside:
        fleet = price_manifests(beside, rates)
    elif asked in ("", DEFAULT_MODEL):
        fleet = named_fleet(f"1x{IMPLIED[0]}/{IMPLIED[1]}", rates).fleet
        notes = (IMPLIED_PRICE.format(provider=IMPLIED[0], name=IMPLIED[1]),)
    else:
        fleet = None
    rules: dict[str, Any] = {
        "replicas": arguments.replicas,
        "latency": arguments.latency,
        "use": arguments.use,
        "rates": (*rates, exchange_rate()),
    }
    if fleet is None:
        unknown = NodeCost(currency="EUR", unknown=FLEET_OPTION)
        return Setup(facts=gpu_facts(asked), node=unknown, **rules), ()
    node = next((node for node in fleet.nodes if asked in ("", node.gpu_model)), None)
    if node is None:
        raise InvalidInput(
            "the fleet {fleet} has no GPU of model {model}",
            fix="use one of: {known}",
            path="--gpu",
            fleet=fleet.name,
            model=asked,
            known=", ".join(sorted({node.gpu_model for node in fleet.nodes})),
        )
    if not asked and len({node.gpu_model for node in fleet.nodes}) > 1:
        notes = (*notes, FIRST_MODEL.format(model=node.gpu_model))
    if node.gpus > 1:
        notes = (*notes, PART_OF_NODE.format(gpus=node.gpus))
    setup = Setup(facts=gpu_facts(node.gpu_model), node=node.cost, node_gpus=node.gpus, **rules)
    return setup, (*notes, *fleet.notes)


def _rate_notes(found: Comparison) -> tuple[str, ...]:
    """The note on the catalog's old rate, if a licence is converted by it."""
    rate, setup = exchange_rate(), found.setup
    needs = (option.licence for each in found.workloads for option in each.options if option.licence)
    ways = (
        quote(need.per_year.currency, setup.node.currency, setup.rates) for need in needs if need.per_year
    )
    if not any(isinstance(way, Quote) and way.rate == rate for way in ways):
        return ()
    return (OLD_RATE.format(rate=Quote(rate).source, base=rate.base, quote=rate.quote),)


def _demand_notes(demand: Demand, tenants: int | None) -> tuple[str, ...]:
    left_out = {"count": "", "reason": ""}
    notes = []
    for part in demand.left_out:
        left_out = {"count": str(part.count), "reason": part.text}
        notes.append(str(Reason("LeftOut", "Left out: {count}: {reason}", left_out)))
    if tenants is not None:
        notes.append(TENANTS_NOTE.format(tenants=tenants))
    return (*demand.notes, *notes)


def _slowness(slowdowns: Sequence[Slowdown], setup: Setup) -> Slowness:
    """How much longer a tenant takes, by the bounds of a replay; a file's factors go first."""
    site = Site(node=0, index=0, facts=setup.facts, replicas=setup.replicas)

    def slowness(way: str, job: Job, grant: Grant, tenants: int) -> tuple[Fraction, Fraction, str]:
        company = Tenants(tenants, tenants * load_milli(job))
        # A vGPU takes turns as time-slicing does, but a factor measured on that is none for it.
        used = [replace(each, factors={}) for each in slowdowns] if way == VGPU else slowdowns
        speeds = [Fraction(*speed(each, job, site, grant, company)) for each in used]
        basis = "given" if any(grant.method in each.factors for each in used) else "range"
        return 1 / max(speeds), 1 / min(speeds), basis

    return slowness
