"""Node types that clouds sell: provider x instance type x region, with list price, date and source.

List prices without VAT, storage and egress. A price that no source states is None, never 0; a date that the
source does not give stays the text that says so ("2025-2026 (dump undated)").
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.data import read
from stellwerk.catalog.nearest import nearest
from stellwerk.catalog.prices import Price


class NodeType(Struct, frozen=True, kw_only=True):
    """One row. `gpu_count` below 1: a vGPU part of a GPU. `gpu_memory_mib`: as the vendor says, not NVML."""

    provider: str
    name: str = msgspec.field(name="instance_type")
    region: str | None = None
    vcpu: int | None = None
    memory_gib: Decimal | None = None
    arch: str
    gpu_model: str
    gpu_count: Decimal
    gpu_memory_mib: int | None = None
    local_nvme_gb: int | None = None
    network_gbps: Decimal | None = None
    efa_devices: int | None = None
    allocatable_cpu: str | None = None
    allocatable_memory: str | None = None
    price_hourly: Decimal | None = None
    spot_price_hourly: Decimal | None = None
    currency: str
    price_date: str = ""
    source: str
    licence: str
    notes: str = ""

    @property
    def whole_gpus(self) -> int | None:
        """GPUs of a node; None: the type holds a part of one GPU only."""
        return int(self.gpu_count) if self.gpu_count == int(self.gpu_count) else None

    def price(self, capacity_type: str = "on-demand") -> Price | None:
        """The price of one node and hour; None where the catalog has none for that capacity type."""
        amounts = {"on-demand": self.price_hourly, "spot": self.spot_price_hourly}
        amount = amounts.get(capacity_type)
        if amount is None:
            return None
        return Price(amount=amount, currency=self.currency, date=self.price_date, source=self.source)


class _File(Struct, frozen=True):
    rows: tuple[NodeType, ...]


@cache
def node_types() -> tuple[NodeType, ...]:
    """All rows, in the catalog's order."""
    return msgspec.json.decode(read("node_types.json"), type=_File).rows


@cache
def _by_name() -> Mapping[tuple[str, str], tuple[NodeType, ...]]:
    rows: dict[tuple[str, str], tuple[NodeType, ...]] = {}
    for row in node_types():
        key = (row.provider, row.name)
        rows[key] = (*rows.get(key, ()), row)
    return rows


def find_node_types(
    name: str, provider: str | None = None, region: str | None = None
) -> tuple[NodeType, ...]:
    """All rows of that name, of one provider and in one region where these are given; none is no error."""
    rows = [row for row in node_types() if row.name == name and provider in (None, row.provider)]
    return tuple(rows if region is None else _in_region(rows, region))


def node_type(provider: str, name: str, region: str | None = None) -> NodeType:
    """The row of an instance type; without `region` if there is one row only.

    `region` is the row's text or one of the regions in it (`fr-par-2` of `fr-par-2/pl-waw-2`). Raises
    InvalidInput with the nearest names, or the regions that have a row.
    """
    rows = _by_name().get((provider, name))
    if rows is None:
        raise _unknown_name(provider, name)
    found = rows if region is None else _in_region(rows, region)
    if len(found) == 1:
        return found[0]
    regions = ", ".join(sorted({row.region or "(none)" for row in rows}))
    if not found:
        raise InvalidInput(
            "Instance type {name} of {provider} has no price for region {region}",
            fix="use one of its regions: {regions}; all: stellwerk catalog node-types",
            name=name,
            provider=provider,
            region=region,
            regions=regions,
        )
    raise InvalidInput(
        "Instance type {name} of {provider} has a price for each of several regions",
        fix="set region to one of: {regions}; all: stellwerk catalog node-types",
        name=name,
        provider=provider,
        regions=regions,
    )


def _in_region(rows: Sequence[NodeType], region: str) -> Sequence[NodeType]:
    """The row of exactly that text, else rows that list `region` ("GRA,FRA", "GRA (EU)")."""
    exact = [row for row in rows if row.region == region]
    return exact or [row for row in rows if region in re.split(r"[/,\s()]+", row.region or "")]


def _unknown_name(provider: str, name: str) -> InvalidInput:
    providers = sorted({row.provider for row in node_types()})
    if provider not in providers:
        return InvalidInput(
            "Provider {provider} is not in the catalog",
            fix="use one of: {providers}; all: stellwerk catalog node-types",
            provider=provider,
            providers=", ".join(providers),
        )
    return InvalidInput(
        "Instance type {name} of {provider} is not in the catalog",
        fix="use one of: {near}; all: stellwerk catalog node-types",
        name=name,
        provider=provider,
        near=nearest(name, {row.name for row in node_types() if row.provider == provider}),
    )
