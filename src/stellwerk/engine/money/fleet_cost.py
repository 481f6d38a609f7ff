"""A Fleet manifest priced: each node with its GPUs and what it costs an hour, in one currency.

Rates in order: the user's own (`--rate`), the Fleet's, then the catalog's, which is old: a note says so.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from stellwerk.api.duration import parse_duration
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import stellwerk as api
from stellwerk.api.groups.meta import given
from stellwerk.catalog.node_types import NodeType
from stellwerk.catalog.ownership import exchange_rate
from stellwerk.catalog.prices import ExchangeRate
from stellwerk.engine.decision import Reason
from stellwerk.engine.money.checked import (
    checked_amount,
    checked_currency,
    checked_owned,
    checked_price,
    checked_rates,
)
from stellwerk.engine.money.exchange import Quote
from stellwerk.engine.money.node_cost import Target, own, rent
from stellwerk.engine.money.node_group import Offer, check_nodes, counted, gpus_of, model_of, offer_of
from stellwerk.engine.snapshot import Faults, Fleet, FleetNode, NodeCost, NodeNetwork, Reconfiguration
from stellwerk.engine.topology.describe import Hardware, describe

LIST_PRICES = Reason("ListPrices", "Catalog prices are list prices without VAT, storage and egress.")
OLD_RATE = (
    "Prices are converted at the catalog's last rate, {rate}, which is old: "
    "give the rate of today with --rate {base}{quote}=RATE@DATE."
)


class PricedGroup(Struct, frozen=True):
    """Equal nodes of one group, and the sentences that their cost needs."""

    nodes: tuple[FleetNode, ...]
    notes: tuple[str, ...] = ()


def price_fleet(manifest: api.Fleet, rates: Sequence[ExchangeRate] = ()) -> Fleet:
    """The Fleet of the manifest; `rates` come before its own.

    Raises InvalidInput with the field's path; the caller adds the file. A missing price or rate is no error:
    the node's cost is unknown and names the option that sets it.
    """
    spec = manifest.spec
    name = given(manifest.metadata.name, "fleet")
    target = Target(checked_currency(given(spec.currency, "EUR"), "spec.currency"), _all_rates(spec, rates))
    priced = [
        _priced_group(group, f"spec.nodes[{at}]", name, target)
        for at, group in enumerate(counted(spec.nodes))
    ]
    nodes = tuple(node for group in priced for node in group.nodes)
    check_nodes(nodes)
    notes = [note for group in priced for note in group.notes]
    return Fleet(
        name=name,
        currency=target.currency,
        nodes=nodes,
        faults=_faults(spec.faults),
        reconfiguration=_reconfiguration(spec),
        notes=tuple(dict.fromkeys((*notes, *rate_notes(nodes)))),
    )


def cost_of_row(row: NodeType, capacity_type: str, target: Target, option: str) -> NodeCost:
    """The catalog's price of a node type in the target's currency; `option` sets it where there is none."""
    price = row.price(capacity_type)
    return NodeCost(currency=target.currency, unknown=option) if price is None else rent(price, target)


def row_notes(row: NodeType) -> tuple[str, ...]:
    """What a reader of a catalog price must know: what a list price leaves out, and the row's own note."""
    if not row.notes:
        return (str(LIST_PRICES),)
    values = {"provider": row.provider, "name": row.name, "text": row.notes}
    return (str(LIST_PRICES), str(Reason("CatalogNote", "The catalog on {provider} {name}: {text}.", values)))


def unknown_note(name: str, cost: NodeCost) -> tuple[str, ...]:
    """The sentence for a cost that is unknown; none for a known one."""
    if not cost.unknown:
        return ()
    values = {"name": name, "option": cost.unknown}
    return (str(Reason("UnknownCost", "The cost of {name} is unknown: set {option}.", values)),)


def rate_notes(nodes: Iterable[FleetNode]) -> tuple[str, ...]:
    """The note on the catalog's old rate, if one cost rests on it."""
    rate = exchange_rate()
    text = Quote(rate).source
    if not any(text in term.source for node in nodes for term in node.cost.terms):
        return ()
    values = {"rate": text, "base": rate.base, "quote": rate.quote}
    return (str(Reason("OldRate", OLD_RATE, values)),)


def _all_rates(spec: api.FleetSpec, rates: Sequence[ExchangeRate]) -> tuple[ExchangeRate, ...]:
    return (*rates, *checked_rates(given(spec.exchange_rates, ()), "spec.exchangeRates"), exchange_rate())


def _priced_group(group: api.FleetNodeGroup, path: str, fleet: str, target: Target) -> PricedGroup:
    offer = offer_of(group, path, fleet)
    model = model_of(offer)
    cost = _cost(offer, target)
    count = given(group.count, 1)
    gpus = gpus_of(offer)
    node = FleetNode(
        name=group.name,
        gpu_model=model.id,
        gpus=gpus,
        gpu_memory_bytes=model.memory_bytes,
        cost=cost,
        network=_network(offer, Hardware(model, gpus, offer.row)),
    )
    names = [group.name] if count == 1 else [f"{group.name}-{i}" for i in range(count)]
    notes = row_notes(offer.row) if offer.row and cost.terms else ()
    notes = (*notes, *unknown_note(group.name, cost))
    return PricedGroup(tuple(replace(node, name=name) for name in names), notes)


def _network(offer: Offer, hardware: Hardware) -> NodeNetwork | UnsetType:
    if isinstance(offer.group.network, UnsetType):
        return UNSET
    return describe(offer.group.network, hardware, f"{offer.path}.network")


def _cost(offer: Offer, target: Target) -> NodeCost:
    group, path = offer.group, offer.path
    option = f"{path}.price of Fleet {offer.fleet}"
    if offer.row:
        return cost_of_row(offer.row, given(group.capacity_type, "on-demand"), target, option)
    if not isinstance(group.price, UnsetType):
        return rent(checked_price(group.price, f"{path}.price"), target)
    if isinstance(group.owned, UnsetType):
        return NodeCost(currency=target.currency, unknown=option)
    owned = checked_owned(group.owned, f"{path}.owned")
    if isinstance(owned, str):
        return NodeCost(currency=target.currency, unknown=f"{owned} of Fleet {offer.fleet}")
    return own(owned, target)


def _faults(faults: api.FleetFaults | UnsetType) -> Faults:
    if isinstance(faults, UnsetType):
        return Faults()
    losses = given(faults.losses_per_node_month, None)
    milli = Fraction(checked_amount(losses, "spec.faults.lossesPerNodeMonth")) * 1000 if losses else 0
    if milli != int(milli) or milli > 1_000_000:
        raise InvalidInput(
            "{value} losses per node and month are not between 0 and 1000, in thousandths",
            fix='write a number with at most three decimals: "0.5"',
            path="spec.faults.lossesPerNodeMonth",
            value=str(losses),
        )
    return Faults(
        losses_per_node_month_milli=int(milli),
        repair_ns=_duration_ns(given(faults.repair, "1h"), "spec.faults.repair"),
    )


def _reconfiguration(spec: api.FleetSpec) -> Reconfiguration | UnsetType:
    """What cutting a GPU takes; not set where that is no time, and never fails."""
    mig, faults = given(spec.mig, api.FleetMig()), given(spec.faults, api.FleetFaults())
    found = Reconfiguration(
        create_ns=_duration_ns(given(mig.create, "0"), "spec.mig.create"),
        destroy_ns=_duration_ns(given(mig.destroy, "0"), "spec.mig.destroy"),
        mode_ns=_duration_ns(given(mig.mode, "0"), "spec.mig.mode"),
        failures_per_thousand=given(faults.reconfiguration_failures_per_thousand, 0),
        timeout_ns=_duration_ns(
            given(faults.reconfiguration_timeout, "5m"), "spec.faults.reconfigurationTimeout"
        ),
    )
    takes = found.create_ns + found.destroy_ns + found.mode_ns
    return found if takes or found.failures_per_thousand else UNSET


def _duration_ns(text: str, path: str) -> int:
    try:
        duration_ns = parse_duration(text)
    except ValueError:
        duration_ns = -1
    if duration_ns < 0:
        raise InvalidInput(
            '"{value}" is not a duration',
            fix='write hours and minutes: "1h30m"',
            path=path,
            value=text[:40],
        )
    return duration_ns
