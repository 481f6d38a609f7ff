"""`stellwerk catalog`: the facts that figures rest on, each with date and source."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stellwerk.catalog.mig import MigProfile
    from stellwerk.catalog.versions import Gate


@click.group("catalog", short_help="List GPU models, MIG profiles, node types with prices, fleets, rates.")
def command() -> None:
    """List the facts that figures rest on, with their dates and sources."""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Columns parted by two spaces, as kubectl prints them."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@command.command("gpus")
def gpus() -> None:
    """GPU models with memory, SMs, bandwidth, MIG and the datasheet."""
    from stellwerk.catalog.gpus import gpu_models

    rows = [
        (
            gpu.id,
            f"{gpu.memory_bytes // 2**20} MiB",
            str(gpu.sm_count),
            _or_unknown(gpu.memory_bandwidth_gb_s),
            "yes" if gpu.mig_supported else "no",
            gpu.confidence,
            gpu.datasheet,
        )
        for gpu in gpu_models()
    ]
    _table(("MODEL", "MEMORY", "SMS", "GB/S", "MIG", "CONFIDENCE", "SOURCE"), rows)


@command.command("mig")
@click.argument("model")
def mig(model: str) -> None:
    """MIG profiles of a GPU MODEL, with their placements, lost SMs, and published times of cutting."""
    from stellwerk.api.errors import InvalidInput
    from stellwerk.catalog.mig import left_sms, mig_model
    from stellwerk.catalog.sharing.cutting import cutting_times

    found = mig_model(model)
    if found is None:
        raise InvalidInput(
            "{model} cannot be cut by MIG", fix="see which models can: stellwerk catalog gpus", model=model
        )
    rows = [
        (
            profile.name,
            _or_unknown(profile.memory_mib),
            _or_unknown(profile.sm_count),
            str(profile.max_instances),
            _or_dash(left_sms(model, profile)),
            " ".join(f"{place.start}+{place.size}" for place in profile.placements) or "unknown",
        )
        for profile in found.profiles
    ]
    _table(("PROFILE", "MIB", "SMS", "MOST", "SMS LEFT", "PLACEMENTS (START+SIZE)"), rows)
    click.echo()
    for line in _lost_sms(model, found.profiles):
        click.echo(line)
    for time in cutting_times(model):
        click.echo(f"{time.step}: {time.least_seconds} to {time.most_seconds} s ({time.conditions})")
        click.echo(f"  source: {time.source} of {time.date}")
    if not cutting_times(model):
        click.echo("how long a cut takes: nothing published was found for this model")


def _lost_sms(model: str, profiles: Sequence["MigProfile"]) -> Iterator[str]:
    """What is lost where the GPU is cut into as many instances as it can hold."""
    from stellwerk.catalog.gpus import gpu_model
    from stellwerk.catalog.mig import left_sms

    smallest = profiles[0]
    lost = left_sms(model, smallest)
    if lost is None or smallest.sm_count is None:
        yield "lost SMs: unknown, since the SMs of an instance are not published"
        return
    used, total = smallest.max_instances * smallest.sm_count, gpu_model(model).sm_count
    yield f"lost SMs: {smallest.max_instances} x {smallest.name} have {used} of {total} SMs, {lost} are lost"


@command.command("node-types")
@click.option("--gpu", default="", help="Only models whose name holds this text.")
@click.option("--provider", default="", help="Only this provider.")
def node_types(gpu: str, provider: str) -> None:
    """Node types with GPUs: provider, type, region, price an hour, its date and source."""
    from stellwerk.catalog.node_types import node_types as all_types

    rows = [
        (
            row.provider,
            row.name,
            row.region or "-",
            f"{row.gpu_count}x {row.gpu_model}",
            _price(row.price("on-demand")),
            _price(row.price("spot")),
            row.price_date,
            row.source,
        )
        for row in all_types()
        if gpu.lower() in (row.gpu_model or "").lower() and provider in ("", row.provider)
    ]
    _table(("PROVIDER", "TYPE", "REGION", "GPUS", "ON-DEMAND/H", "SPOT/H", "DATE", "SOURCE"), rows)


@command.command("fleet")
@click.argument("name")
def fleet(name: str) -> None:
    """The manifest of a built-in fleet, as an example to write your own from."""
    from stellwerk.api.errors import InvalidInput
    from stellwerk.sim.demand.builtin import BUILTIN, fleet_file

    if name not in BUILTIN:
        raise InvalidInput(
            "there is no built-in fleet {name}",
            fix="use one of: {known}",
            name=name,
            known=", ".join(BUILTIN),
        )
    click.echo(fleet_file(name).decode(), nl=False)


@command.command("rates")
def rates() -> None:
    """The exchange rate that stands in for a dated one of yours (--rate)."""
    from stellwerk.catalog.ownership import exchange_rate

    rate = exchange_rate()
    _table(
        ("BASE", "QUOTE", "RATE", "DATE", "SOURCE"),
        [(rate.base, rate.quote, str(rate.rate), rate.date, rate.source)],
    )


@command.command("sharing")
def sharing() -> None:
    """Ways of sharing with their limits, and published measurements: what a file for --slowdown may cite."""
    from stellwerk.catalog.published.interference import interference
    from stellwerk.catalog.sharing.ways import sharing_ways

    for way in sharing_ways():
        click.echo(f"{way.name}  (as of {way.date})")
        answers = {"memory apart": way.memory, "faults apart": way.faults, "speed apart": way.performance}
        for name, answer in {**answers, "peer-to-peer": way.peer_to_peer}.items():
            click.echo(f"  {name}: {answer.answer}, {answer.why}\n    source: {answer.source}")
        click.echo(f"  most tenants: {way.most_tenants}")
        for limit in way.limits:
            click.echo(f"  {limit.name}: {limit.value}\n    source: {limit.source}")
    click.echo()
    for found in interference():
        click.echo(f"{found.gpu}  {found.method}\n  {found.workload}")
        for name, values in found.figures.items():
            click.echo(f"  {name}: " + ", ".join(f"{key} {value}" for key, value in values.items()))
        click.echo(f"  source: {found.source}")


@command.command("versions")
def versions() -> None:
    """Feature gates of DRA in each Kubernetes release; what Kueue, Karpenter and NVIDIA do with DRA."""
    from stellwerk.catalog.versions import components, gates_by_release, known_facts, release, releases

    names = releases()
    rows = [(gate, *(_gate(state) for state in states)) for gate, states in gates_by_release()]
    _table(("GATE", *names), rows)
    click.echo("on or off: the default; locked: it cannot be changed; -: the release has no such gate")
    for name in names:
        click.echo(f"source of {name}: {release(name).source}")
    for component in dict.fromkeys(row.component for row in components()):
        click.echo(f"\n{component}")
        for row in components(component):
            states = "; ".join(f"{gate} {_gate(state)}" for gate, state in row.gates.items())
            click.echo(f"  {row.version}  {row.source(row.file)}".rstrip())
            click.echo(f"    gates: {states}") if states else None
        for fact in known_facts(component):
            click.echo(f"  {_span(fact.since, fact.until)}: {fact.text}\n    source: {fact.file}")


def _span(since: str, until: str) -> str:
    if since == until:
        return since or "all"
    return f"{since or 'first'} to {until or 'newest'}"


def _gate(state: "Gate | None") -> str:
    if state is None:
        return "-"
    return f"{state.stage} {'on' if state.default else 'off'}" + (" locked" if state.locked else "")


@command.command("network")
def network() -> None:
    """Published bandwidths of links between GPUs, shares of a step, placements compared, and NICs."""
    from stellwerk.catalog.published.network import network_facts

    facts = network_facts()
    bandwidths = [
        (
            row.link,
            f"{row.bus_gb_s:f}",
            _or_dash(row.line_gb_s),
            row.conditions,
            row.date,
            row.source,
        )
        for row in facts.measurements
    ]
    _table(("LINK", "BUS GB/S", "LINE GB/S", "CONDITIONS", "DATE", "SOURCE"), bandwidths)
    click.echo()
    steps = [(row.workload, f"{row.efficiency:f}", row.conditions, row.source) for row in facts.steps]
    _table(("WORKLOAD", "EFFICIENCY", "CONDITIONS", "SOURCE"), steps)
    click.echo()
    placements = [
        (row.workload, row.good, row.bad, " to ".join(f"{end:f}" for end in row.slower), row.source)
        for row in facts.placements
    ]
    _table(("WORKLOAD", "GOOD", "BAD", "TIMES AS LONG", "SOURCE"), placements)
    click.echo()
    nics = [
        (
            row.provider,
            row.name,
            row.rdma or "-",
            f"{row.nics} x {row.nic_gbps:f}",
            _or_dash(row.tcp_gbps),
            row.source,
        )
        for row in facts.node_types
    ]
    _table(("PROVIDER", "TYPE", "RDMA", "NICS X GBIT/S", "TCP GBIT/S", "SOURCE"), nics)


def _price(price: Any) -> str:
    return "unknown" if price is None else f"{price.amount} {price.currency}"


def _or_unknown(value: object) -> str:
    return "unknown" if value is None else str(value)


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)
