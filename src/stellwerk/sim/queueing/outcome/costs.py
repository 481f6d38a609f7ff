"""Hours as money: what queues held, at the price of their flavors' nodes, and what of the quota was idle."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import stellwerk as api
from stellwerk.api.groups.core import Node
from stellwerk.api.groups.kueue import ResourceFlavor, ResourceFlavorSpec
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest
from stellwerk.catalog.prices import ExchangeRate
from stellwerk.engine.decision import Reason
from stellwerk.engine.money.bill import amount
from stellwerk.engine.money.exact import rounded
from stellwerk.engine.money.flavor_price import (
    FlavorPrice,
    LabeledNode,
    flavor_price,
    fleet_labels,
    node_labels,
)
from stellwerk.engine.money.quota_bill import Held, QuotaBill, quota_bill
from stellwerk.engine.queueing.amounts import UNLIMITED
from stellwerk.sim.intake.fleets import price_manifests
from stellwerk.sim.queueing.ledger import Stay
from stellwerk.sim.queueing.outcome.figures import GPU, Part, Period, Quotas
from stellwerk.sim.queueing.outcome.result import Bill, Cost, QueueFigures
from stellwerk.sim.queueing.outcome.use import held_of

IGNORED = "{labels} of flavor {name} are not looked at for its price: a Fleet says nothing about them"
NO_GPUS = "no quota is for nvidia.com/gpu: other resources have hours, and no price of their own"
MORE_QUOTA = "the quotas of flavor {name} are {quota} GPUs, its nodes have {gpus}: all {quota} are billed"
UNLIMITED_QUOTA = "the quota of flavor {name} has no limit: what of it is idle is not billed"


class Fleets(Struct, frozen=True, kw_only=True):
    """The nodes that prices come from, in one currency; none where the manifests name no fleet."""

    currency: str = "EUR"
    nodes: tuple[LabeledNode, ...] = ()
    notes: tuple[Reason, ...] = ()


class Costs(Struct, frozen=True, kw_only=True):
    """The bill with each LocalQueue's and ClusterQueue's part; None where a price is not known (`notes`)."""

    bill: Bill | None = None
    by_local_queue: Mapping[str, Cost] = {}
    by_cluster_queue: Mapping[str, Cost] = {}
    notes: tuple[Reason, ...] = ()

    def of(self, figures: QueueFigures, costs: Mapping[str, Cost]) -> QueueFigures:
        """The figures of a queue with what it cost."""
        nothing = Cost(held=amount(0), lost=amount(0))
        return replace(figures, cost=costs.get(figures.name, nothing)) if self.bill else figures


def fleets_of(manifests: Sequence[Manifest], rates: Sequence[ExchangeRate]) -> Fleets:
    """The Fleet among the manifests, else their Nodes with GPUs. Raises InvalidInput for a wrong Fleet.

    Nodes are there for other reasons too: where they cannot be priced, that is a note.
    """
    fleets = [one for one in manifests if isinstance(one.object, api.Fleet)]
    nodes = [one for one in manifests if isinstance(one.object, Node)]
    if fleets and isinstance(fleets[0].object, api.Fleet):
        fleet = price_manifests(fleets, rates)
        return Fleets(currency=fleet.currency, nodes=fleet_labels(fleets[0].object, fleet))
    if not nodes:
        return Fleets()
    try:
        fleet = price_manifests(nodes, rates)
    except InvalidInput as error:
        return Fleets(notes=(Reason("UnpricedNodes", "the Nodes have no price: {why}", {"why": str(error)}),))
    found = [one.object for one in nodes if isinstance(one.object, Node)]
    return Fleets(currency=fleet.currency, nodes=node_labels(found, fleet))


def flavor_labels(manifests: Iterable[Manifest]) -> dict[str, Mapping[str, str]]:
    """The node labels of each ResourceFlavor."""
    return {
        given(one.object.metadata.name, ""): given(
            given(one.object.spec, ResourceFlavorSpec()).node_labels, {}
        )
        for one in manifests
        if isinstance(one.object, ResourceFlavor)
    }


class Billed(Struct, frozen=True, kw_only=True):
    """What is billed: LocalQueues with their stays, every quota of the trees, over a period."""

    local_queues: Sequence[Part]
    quotas: Sequence[Quotas]
    period: Period


def costs_of(billed: Billed, labels: Mapping[str, Mapping[str, str]], fleets: Fleets) -> Costs:
    """The bill of GPUs; other resources have no price of their own."""
    held = [line for part in billed.local_queues for line in _lines(part)]
    quota_ns, unlimited = _quota_ns(billed)
    flavors = sorted({line.flavor for line in held} | set(quota_ns))
    if not flavors:
        return Costs(notes=(Reason("NoGpus", NO_GPUS),))
    priced = {name: flavor_price(name, labels.get(name, {}), fleets.nodes) for name in flavors}
    notes = (*fleets.notes, *_price_notes(priced))
    prices = {name: one.per_gpu_hour for name, one in priced.items() if one.per_gpu_hour is not None}
    if len(prices) < len(flavors):
        return Costs(notes=notes)
    notes += _more_than_nodes(priced, quota_ns, billed.period)
    bill = quota_bill(held, quota_ns, prices)
    return Costs(
        bill=_bill(bill, fleets.currency, prices),
        by_cluster_queue=_grouped(bill, lambda queue, _: queue),
        by_local_queue=_grouped(bill, lambda _, local: local),
        notes=(*notes, *(Reason("Unlimited", UNLIMITED_QUOTA, {"name": name}) for name in unlimited)),
    )


def _lines(part: Part) -> Iterator[Held]:
    """What a LocalQueue held, by ClusterQueue and flavor; no name holds a space."""
    by_queue: dict[str, list[Stay]] = defaultdict(list)
    for stay in part.stays:
        by_queue[stay.cluster_queue].append(stay)
    for queue, stays in sorted(by_queue.items()):
        for of, use in held_of(stays).items():
            if of.resource == GPU:
                yield Held(queue=f"{queue} {part.name}", flavor=of.flavor, held_ns=use.held, lost_ns=use.lost)


def _quota_ns(billed: Billed) -> tuple[dict[str, int], list[str]]:
    """What all quotas of each flavor would have given; flavors without a limit give what is held."""
    amounts: dict[str, int] = {}
    unlimited: set[str] = set()
    for quotas in billed.quotas:
        for of, nominal in quotas.items():
            if of.resource == GPU:
                amounts[of.flavor] = amounts.get(of.flavor, 0) + (0 if nominal == UNLIMITED else nominal)
                unlimited |= {of.flavor} if nominal == UNLIMITED else set()
    length = billed.period.length_ns
    found = {flavor: 0 if flavor in unlimited else held * length for flavor, held in amounts.items()}
    return found, sorted(unlimited)


def _price_notes(priced: Mapping[str, FlavorPrice]) -> list[Reason]:
    unpriced = [one.reason for one in priced.values() if one.reason is not None]
    ignored = [
        Reason("IgnoredLabels", IGNORED, {"name": name, "labels": ", ".join(one.ignored)})
        for name, one in priced.items()
        if one.ignored
    ]
    return [*unpriced, *ignored]


def _more_than_nodes(
    priced: Mapping[str, FlavorPrice], quota_ns: Mapping[str, int], period: Period
) -> tuple[Reason, ...]:
    """Where quota is given for GPUs that are not there, these would have to be bought."""
    length = max(1, period.length_ns)  # Where nobody ever started no time passes.
    quotas = {name: amount // length for name, amount in quota_ns.items()}
    return tuple(
        Reason("MoreQuota", MORE_QUOTA, {"name": name, "quota": quotas[name], "gpus": one.gpus})
        for name, one in priced.items()
        if quotas.get(name, 0) > one.gpus
    )


def _bill(bill: QuotaBill, currency: str, prices: Mapping[str, Fraction]) -> Bill:
    namespaces = _summed(bill.held, lambda _, local: local.partition("/")[0])
    return Bill(
        currency=currency,
        total=amount(bill.total),
        held=amount(sum(bill.held.values())),
        lost=amount(sum(bill.lost.values())),
        idle=amount(sum(bill.idle.values())),
        idle_by_flavor={name: amount(cents) for name, cents in bill.idle.items()},
        held_by_namespace={name: amount(cents) for name, cents in namespaces.items()},
        gpu_hour_by_flavor={name: rounded(price, 4) for name, price in sorted(prices.items())},
    )


def _grouped(bill: QuotaBill, name_of: Callable[[str, str], str]) -> dict[str, Cost]:
    held, lost = _summed(bill.held, name_of), _summed(bill.lost, name_of)
    return {name: Cost(held=amount(held[name]), lost=amount(lost[name])) for name in held}


def _summed(cents: Mapping[str, int], name_of: Callable[[str, str], str]) -> dict[str, int]:
    """By what `name_of` (ClusterQueue, LocalQueue) says."""
    found: dict[str, int] = {}
    for line, part in cents.items():
        queue, _, local = line.partition(" ")
        name = name_of(queue, local)
        found[name] = found.get(name, 0) + part
    return dict(sorted(found.items()))
