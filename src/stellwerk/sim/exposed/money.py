"""What the fleet has cost so far, and what was decided so far: counters that only grow, over all rounds.

A team pays for the GPU-time that it held, at the fleet's price; what nobody held is idle, a line of its own.
The amounts are not rounded: a cent dealt to another team from one scrape to the next would look like a
counter that began anew. At the end of the period they are the bill, but for the dealing of cents.
"""

from collections.abc import Iterator
from fractions import Fraction

from stellwerk.adapters.metrics.family import Sample
from stellwerk.engine.demand import NS_PER_HOUR, NS_PER_S
from stellwerk.engine.money.exact import fraction
from stellwerk.engine.snapshot import Fleet
from stellwerk.sim.exposed.timeline import Moment, Tally, Timeline

MILLI_NS_PER_S = 1000 * NS_PER_S


def money_samples(timeline: Timeline, moment: Moment) -> Iterator[Sample]:
    """GPU-time and cost so far by team; no cost while the price of a node is unknown."""
    fleet = timeline.fleet
    held = timeline.held_until(moment.at_ns)
    if moment.round:
        for team, amount in timeline.held_until(moment.period_ns).items():
            held[team] += moment.round * amount
    shown_ns = moment.round * moment.period_ns + moment.at_ns
    paid = fleet.gpus * 1000 * shown_ns
    for team in timeline.queues:
        yield Sample(
            "stellwerk_gpu_held_seconds_total", (("team", team),), Fraction(held[team], MILLI_NS_PER_S)
        )
    yield Sample("stellwerk_gpu_paid_seconds_total", (), Fraction(paid, MILLI_NS_PER_S))
    per_milli_ns = milli_ns_cost(fleet)
    if per_milli_ns is None:
        return
    currency = ("currency", fleet.currency)
    for team in timeline.queues:
        labels = ("team", team), ("cause", "held"), currency
        yield Sample("stellwerk_cost_total", labels, held[team] * per_milli_ns)
    idle = paid - sum(held.values())
    yield Sample("stellwerk_cost_total", (("team", ""), ("cause", "idle"), currency), idle * per_milli_ns)


def price_samples(fleet: Fleet) -> Iterator[Sample]:
    """What an hour of each node costs, by term; nothing of a node whose price is unknown."""
    for node in fleet.nodes:
        terms: dict[str, Fraction] = {}
        for term in () if node.cost.unknown else node.cost.terms:
            terms[term.name] = terms.get(term.name, Fraction(0)) + fraction(term.per_hour)
        for name, per_hour in terms.items():
            labels = ("node", node.name), ("model", node.gpu_model), ("term", name)
            currency = ("currency", node.cost.currency)
            yield Sample("stellwerk_node_cost_per_hour", (*labels, currency), per_hour)


def decision_samples(timeline: Timeline, moment: Moment) -> Iterator[Sample]:
    """Jobs so far, by team and by what was decided of them or became of them."""
    for team, queue in timeline.queues.items():
        tallies = {
            "started": queue.started,
            "finished": queue.finished,
            "interrupted": queue.interrupted,
            "refused": queue.refused,
        }
        for decision, tally in tallies.items():
            labels = ("team", team), ("decision", decision)
            yield Sample("stellwerk_decisions_total", labels, _so_far(tally, moment))


def milli_ns_cost(fleet: Fleet) -> Fraction | None:
    """What a milli-GPU-nanosecond of the fleet costs, every GPU alike, as its bill has it; None: unknown."""
    if any(node.cost.unknown or not node.cost.terms for node in fleet.nodes):
        return None
    per_hour = sum((fraction(term.per_hour) for node in fleet.nodes for term in node.cost.terms), Fraction(0))
    return per_hour / (fleet.gpus * 1000 * NS_PER_HOUR)


def _so_far(tally: Tally, moment: Moment) -> int:
    return tally.until(moment.at_ns) + moment.round * tally.until(moment.period_ns)
