"""All that a replayed fleet shows at one moment: GPUs, pods, queue, money, decisions, and the moment."""

from collections.abc import Iterator
from fractions import Fraction

from stellwerk.adapters.metrics.family import Sample
from stellwerk.engine.demand import NS_PER_S
from stellwerk.sim.exposed.devices import device_samples
from stellwerk.sim.exposed.money import decision_samples, money_samples
from stellwerk.sim.exposed.pods import pod_samples
from stellwerk.sim.exposed.queue import queue_samples
from stellwerk.sim.exposed.timeline import Moment, Timeline


def shown_samples(timeline: Timeline, moment: Moment) -> Iterator[Sample]:
    """Every sample of the timeline at that moment; the same for the same arguments."""
    yield from _moment(timeline, moment)
    yield from device_samples(timeline, moment)
    yield from pod_samples(timeline, moment)
    yield from queue_samples(timeline, moment)
    yield from money_samples(timeline, moment)
    yield from decision_samples(timeline, moment)


def _moment(timeline: Timeline, moment: Moment) -> Iterator[Sample]:
    run = ("policy", timeline.policy), ("slowdown", timeline.slowdown)
    yield Sample("stellwerk_shown_policy_info", run, 1)
    shown = Fraction(timeline.demand.start_ns + moment.at_ns, NS_PER_S)
    yield Sample("stellwerk_shown_time_seconds", (), shown)
    yield Sample("stellwerk_shown_speed_ratio", (), moment.speed)
    yield Sample("stellwerk_shown_rounds_total", (), moment.round)
    for position, node in enumerate(timeline.fleet.nodes):
        up = int(timeline.is_up(position, moment.at_ns))
        yield Sample("stellwerk_node_up", (("node", node.name),), up)
