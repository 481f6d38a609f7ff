"""Usage and fleets by hand, for tests of the measured bill. Times are minutes from an invented midnight."""

from array import array
from collections.abc import Mapping, Sequence
from decimal import Decimal

from stellwerk.engine.money.measured.result import MeasuredBill, Span
from stellwerk.engine.snapshot import CostTerm, Fleet, FleetNode, NodeCost
from stellwerk.engine.usage import DeviceUse, Hole, PodUse, Samples, Usage

MINUTE = 60_000
HOUR = 60 * MINUTE
START = 1_772_323_200_000  # 2026-03-01 00:00 UTC
INTERVAL = 30_000
GIB = 2**30


def at(minutes: int) -> int:
    return START + minutes * MINUTE


def span(start: int, end: int) -> Span:
    return Span(at(start), at(end))


def series(values: Mapping[int, int]) -> Samples:
    """A sample each minute's value holds, twice a minute as a scraper of 30 s would have it."""
    times = sorted(values)
    doubled = [(at(m) + half, values[m]) for m in times for half in (0, INTERVAL)]
    return Samples(array("q", [time for time, _ in doubled]), array("q", [value for _, value in doubled]))


def steady(start: int, end: int, value: int) -> Samples:
    return series(dict.fromkeys(range(start, end), value))


def node(
    name: str, per_hour: str = "4.00", gpus: int = 1, term: str = "rent", kwh: str | None = None
) -> FleetNode:
    part = CostTerm(name=term, per_hour=Decimal(per_hour), formula="", date="2026-01-01", source="test")
    cost = NodeCost(currency="EUR", terms=(part,), energy_per_kwh=None if kwh is None else Decimal(kwh))
    return FleetNode(name=name, gpu_model="H100-PCIE-80GB", gpus=gpus, gpu_memory_bytes=80 * GIB, cost=cost)


def fleet(*nodes: FleetNode) -> Fleet:
    return Fleet(name="test", currency="EUR", nodes=nodes)


def gpu(where: str, uuid: str, measured: tuple[int, int] | None = None, **more: Samples) -> DeviceUse:
    """An uncut GPU; `measured` in minutes, else for as long as the usage."""
    found = dict(more)
    if measured is not None:
        found["DCGM_FI_DEV_SM_CLOCK"] = steady(*measured, 1)
    return DeviceUse(key=uuid, node=where, uuid=uuid, index="0", model="H100-PCIE-80GB", series=found)


def instance(where: str, uuid: str, profile: str, number: int) -> DeviceUse:
    return DeviceUse(
        key=f"{uuid}/{number}",
        node=where,
        uuid=uuid,
        index="0",
        model="H100-PCIE-80GB",
        profile=profile,
        instance=str(number),
    )


def pod(name: str, devices: Sequence[str], minutes: tuple[int, int], **more: Samples) -> PodUse:
    """`team/pod`, on these devices."""
    team, _, short = name.partition("/")
    start, end = minutes
    return PodUse(
        namespace=team,
        pod=short,
        team=team,
        devices=tuple(devices),
        start_ms=at(start),
        end_ms=at(end),
        series=more,
    )


def usage(
    minutes: int, devices: Sequence[DeviceUse], pods: Sequence[PodUse] = (), holes: Sequence[Hole] = ()
) -> Usage:
    return Usage(
        start_ms=START,
        end_ms=at(minutes),
        interval_ms=INTERVAL,
        devices=tuple(devices),
        pods=tuple(pods),
        holes=tuple(holes),
    )


def cents(bill: MeasuredBill) -> dict[str, int]:
    """Cents by "team part" or cause."""
    found: dict[str, int] = {}
    for line in bill.lines:
        name = f"{line.team} {line.part}".strip()
        found[name] = found.get(name, 0) + line.cents
    return found
