"""Fleet, Period and Interference: counts, names, money and times that make sense."""

import re
from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct, UnsetType

from stellwerk.api.checks.names import check_choice, check_duration, check_name, check_time
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.stellwerk import (
    Fleet,
    FleetFaults,
    FleetNodeGroup,
    Interference,
    Money,
    Owned,
    Period,
)
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown

MAX_COUNT, MAX_NODES, MAX_GPUS = 10_000, 100_000, 1_024
MAX_FAILURES = 900  # Of a thousand cuts: what always fails never ends.
MAX_AMOUNT, MAX_PLACES = Decimal(10) ** 15, 12
CAPACITY_TYPES = ("on-demand", "spot")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DATE = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?:[Tt ].{0,40})?")
_AMOUNT = (Decimal(0), MAX_AMOUNT)


class _Field(Struct, frozen=True):
    """A number at a path, and the least and greatest that it may be."""

    path: str
    number: Decimal | UnsetType
    least: Decimal = _AMOUNT[0]
    most: Decimal = _AMOUNT[1]
    zero: bool = True


def check_period(manifest: Manifest, period: Period) -> None:
    """Start and duration; raises InvalidInput."""
    check_time(manifest, "spec.start", period.spec.start)
    check_duration(manifest, "spec.duration", period.spec.duration)


def check_interference(manifest: Manifest, interference: Interference) -> None:
    """Each factor is above 0 and finite; raises InvalidInput."""
    for i, factor in enumerate(interference.spec.factors):
        path = f"spec.factors[{i}].factor"
        _check_number(manifest, _Field(path, factor.factor, most=Decimal(1000), zero=False))


def check_fleet(manifest: Manifest, fleet: Fleet) -> None:
    """The whole Fleet; raises InvalidInput."""
    spec = fleet.spec
    if not spec.nodes:
        raise InvalidInput("the fleet has no nodes", fix="add one", **manifest.at("spec.nodes"))
    if not isinstance(spec.currency, UnsetType):
        _check_currency(manifest, "spec.currency", spec.currency)
    for i, rate in enumerate(given(spec.exchange_rates, ())):
        path = f"spec.exchangeRates[{i}]"
        _check_currency(manifest, f"{path}.base", rate.base)
        _check_currency(manifest, f"{path}.quote", rate.quote)
        _check_number(manifest, _Field(f"{path}.rate", rate.rate, zero=False))
        _check_date(manifest, f"{path}.date", rate.date)
    for i, group in enumerate(spec.nodes):
        _check_group(manifest, f"spec.nodes[{i}]", group)
    _check_node_names(manifest, spec.nodes)
    if not isinstance(spec.faults, UnsetType):
        _check_faults(manifest, spec.faults)
    if not isinstance(spec.mig, UnsetType):
        for field in ("create", "destroy", "mode"):
            text = getattr(spec.mig, field)
            if not isinstance(text, UnsetType) and text not in ("0", "0s"):
                check_duration(manifest, f"spec.mig.{field}", text)


def _check_faults(manifest: Manifest, faults: FleetFaults) -> None:
    losses = faults.losses_per_node_month
    _check_number(manifest, _Field("spec.faults.lossesPerNodeMonth", losses, most=Decimal(1000)))
    for field, text in (
        ("repair", faults.repair),
        ("reconfigurationTimeout", faults.reconfiguration_timeout),
    ):
        if not isinstance(text, UnsetType):
            check_duration(manifest, f"spec.faults.{field}", text)
    failures = given(faults.reconfiguration_failures_per_thousand, 0)
    if not 0 <= failures <= MAX_FAILURES:
        raise InvalidInput(
            "{number} is out of range",
            fix="write an integer from 0 to {most}",
            **manifest.at("spec.faults.reconfigurationFailuresPerThousand"),
            number=failures,
            most=MAX_FAILURES,
        )


def node_names(group: FleetNodeGroup) -> list[str]:
    """The names of a group's nodes: its own for one, numbered from 0 for more."""
    count = given(group.count, 1)
    return [group.name] if count == 1 else [f"{group.name}-{i}" for i in range(count)]


def _check_group(manifest: Manifest, path: str, group: FleetNodeGroup) -> None:
    check_name(manifest, f"{path}.name", group.name)
    _check_integer(manifest, f"{path}.count", given(group.count, 1), MAX_COUNT)
    _check_integer(manifest, f"{path}.gpus", given(group.gpus, 1), MAX_GPUS)
    costs: Mapping[str, object] = {
        "instanceType": group.instance_type,
        "price": group.price,
        "owned": group.owned,
    }
    named = [field for field, value in costs.items() if not isinstance(value, UnsetType)]
    if len(named) > 1:
        raise InvalidInput(
            "the node group has {fields}; its cost comes from one of them",
            fix="keep one and remove the others",
            **manifest.at(f"{path}.{named[1]}"),
            fields=" and ".join(named),
        )
    if isinstance(group.instance_type, UnsetType):
        _check_hardware(manifest, path, group)
    capacity_type = given(group.capacity_type, CAPACITY_TYPES[0])
    check_choice(manifest, f"{path}.capacityType", capacity_type, CAPACITY_TYPES)
    if not isinstance(group.price, UnsetType):
        _check_money(manifest, f"{path}.price", group.price)
    if not isinstance(group.owned, UnsetType):
        _check_owned(manifest, f"{path}.owned", group.owned)


def _check_hardware(manifest: Manifest, path: str, group: FleetNodeGroup) -> None:
    for field, value in (("gpuModel", group.gpu_model), ("gpus", group.gpus)):
        if isinstance(value, UnsetType):
            raise InvalidInput(
                "the field {field} is missing; without instanceType nothing else says it",
                fix="add {field}, such as {example}",
                **manifest.at(f"{path}.{field}"),
                field=field,
                example="gpuModel: H100-PCIE-80GB" if field == "gpuModel" else "gpus: 2",
            )


def _check_owned(manifest: Manifest, path: str, owned: Owned) -> None:
    for name, value, other in (
        ("powerWatts", owned.power_watts, owned.energy_price),
        ("energyPrice", owned.energy_price, owned.power_watts),
    ):
        if isinstance(value, UnsetType) and not isinstance(other, UnsetType):
            raise InvalidInput(
                "the field {field} is missing; power and its price go together",
                fix="add {field}, or remove the other where the price of a place includes energy",
                **manifest.at(f"{path}.{name}"),
                field=name,
            )
    for field in (
        _Field(f"{path}.years", owned.years, most=Decimal(100), zero=False),
        _Field(f"{path}.residualPercent", owned.residual_percent, most=Decimal(100)),
        _Field(f"{path}.powerWatts", owned.power_watts),
        _Field(f"{path}.pue", owned.pue, least=Decimal(1), most=Decimal(100)),
    ):
        _check_number(manifest, field)
    for name, money in (
        ("capex", owned.capex),
        ("energyPrice", owned.energy_price),
        ("staffPerYear", owned.staff_per_year),
        ("colocationPerYear", owned.colocation_per_year),
    ):
        if not isinstance(money, UnsetType):
            _check_money(manifest, f"{path}.{name}", money)


def _check_money(manifest: Manifest, path: str, money: Money) -> None:
    _check_number(manifest, _Field(f"{path}.amount", money.amount))
    _check_currency(manifest, f"{path}.currency", money.currency)
    _check_date(manifest, f"{path}.date", money.date)


def _check_number(manifest: Manifest, field: _Field) -> None:
    number = field.number
    if isinstance(number, UnsetType):
        return
    # An exponent is looked at before any arithmetic: 1E+999999 would fill the memory.
    exponent = number.as_tuple().exponent
    exact = isinstance(exponent, int) and exponent >= -MAX_PLACES and number.adjusted() <= 15
    if exact and field.least <= number <= field.most and (field.zero or number):
        return
    raise InvalidInput(
        "{number} is out of range, or has more than {places} places",
        fix="write a number from {least} to {most}{but_zero}",
        **manifest.at(field.path),
        number=shown(number),
        places=MAX_PLACES,
        least=str(field.least),
        most=str(field.most.quantize(Decimal(1))),
        but_zero="" if field.zero else ", not 0",
    )


def _check_integer(manifest: Manifest, path: str, number: int, most: int) -> None:
    if not 1 <= number <= most:
        raise InvalidInput(
            "{number} is out of range",
            fix="write an integer from 1 to {most}",
            **manifest.at(path),
            number=number,
            most=most,
        )


def _check_currency(manifest: Manifest, path: str, currency: str) -> None:
    if not _CURRENCY.fullmatch(currency):
        raise InvalidInput(
            "{value} is not a currency",
            fix="write three capital letters, such as EUR",
            **manifest.at(path),
            value=shown(currency) or '""',
        )


def _check_date(manifest: Manifest, path: str, date: str | UnsetType) -> None:
    if not isinstance(date, UnsetType) and not _DATE.fullmatch(date):
        raise InvalidInput(
            "{value} is not a date",
            fix="write year-month-day, such as 2026-01-31",
            **manifest.at(path),
            value=shown(date) or '""',
        )


def _check_node_names(manifest: Manifest, groups: tuple[FleetNodeGroup, ...]) -> None:
    total = sum(given(group.count, 1) for group in groups)
    if total > MAX_NODES:
        raise InvalidInput(
            "the fleet has {total} nodes; the limit is {limit}",
            fix="make it smaller",
            **manifest.at("spec.nodes"),
            total=total,
            limit=MAX_NODES,
        )
    seen: set[str] = set()
    for i, group in enumerate(groups):
        for name in node_names(group):
            if name in seen:
                raise InvalidInput(
                    "two nodes are called {name}",
                    fix="rename this group",
                    **manifest.at(f"spec.nodes[{i}].name"),
                    name=name,
                )
            seen.add(name)
