"""The fleet's queue as Kueue 0.19.2 shows one: a ClusterQueue over all GPUs, a LocalQueue for each team.

A replay's queue is best-effort first in, first out, without quotas between teams: so one ClusterQueue of
the fleet's name has all its GPUs as nominal quota, with a flavor for each GPU model. Each job that waits was
tried and did not fit, which Kueue calls inadmissible until something changes. A job that the replay refused
does not wait.
"""

from collections.abc import Iterator
from fractions import Fraction

from stellwerk.adapters.metrics.family import Labels, Sample
from stellwerk.sim.exposed.timeline import Moment, Queue, Tally, Timeline

RESOURCE = "nvidia.com/gpu"
LOCAL_QUEUE = "default"
ROLE = ("replica_role", "standalone")


def queue_samples(timeline: Timeline, moment: Moment) -> Iterator[Sample]:
    """Who waits and who is admitted, by ClusterQueue and LocalQueue, and the quota."""
    at, name = moment.at_ns, ("cluster_queue", timeline.fleet.name)
    waiting = {team: _difference(queue.waiting, at) for team, queue in timeline.queues.items()}
    admitted = {team: _running(queue, at) for team, queue in timeline.queues.items()}
    gpus = sum(_difference(queue.waiting_gpus, at) for queue in timeline.queues.values())
    yield from _states("kueue_pending_workloads", (name,), sum(waiting.values()))
    for metric in ("kueue_reserving_active_workloads", "kueue_admitted_active_workloads"):
        yield Sample(metric, (name, ROLE), sum(admitted.values()))
    started = sum(
        queue.started.until(at) + moment.round * queue.started.until(moment.period_ns)
        for queue in timeline.queues.values()
    )
    yield Sample("kueue_admitted_workloads_total", (name, ("priority_class", ""), ROLE), started)
    for status in ("pending", "active", "terminating"):
        yield Sample("kueue_cluster_queue_status", (name, ("status", status), ROLE), int(status == "active"))
    yield Sample("kueue_cluster_queue_resource_pending", (name, ("resource", RESOURCE), ROLE), gpus)
    yield from _quota(timeline, at)
    for team in timeline.queues:
        local = ("name", LOCAL_QUEUE), ("namespace", team)
        yield from _states("kueue_local_queue_pending_workloads", local, waiting[team])
        yield Sample("kueue_local_queue_admitted_active_workloads", (*local, ROLE), admitted[team])


def _difference(tallies: tuple[Tally, Tally], at_ns: int) -> int:
    began, ceased = tallies
    return began.until(at_ns) - ceased.until(at_ns)


def _running(queue: Queue, at_ns: int) -> int:
    over = queue.finished.until(at_ns) + queue.interrupted.until(at_ns)
    return queue.started.until(at_ns) - over


def _states(metric: str, labels: Labels, waiting: int) -> Iterator[Sample]:
    yield Sample(metric, (*labels, ("status", "active"), ROLE), 0)
    yield Sample(metric, (*labels, ("status", "inadmissible"), ROLE), waiting)


def _quota(timeline: Timeline, at_ns: int) -> Iterator[Sample]:
    """GPUs of each model: all, and those that are held; a shared GPU counts by what is held of it."""
    paid: dict[str, int] = {}
    held: dict[str, int] = {}
    for site, course in zip(timeline.sites, timeline.courses, strict=True):
        model = timeline.fleet.nodes[site.node].gpu_model.lower()
        paid[model] = paid.get(model, 0) + 1
        held[model] = held.get(model, 0) + course.held_milli(at_ns)
    for model in sorted(paid):
        labels: Labels = (
            ("cohort", ""),
            ("cluster_queue", timeline.fleet.name),
            ("flavor", model),
            ("resource", RESOURCE),
            ROLE,
        )
        for part in ("reservation", "usage"):
            yield Sample(f"kueue_cluster_queue_resource_{part}", labels, Fraction(held[model], 1000))
        yield Sample("kueue_cluster_queue_nominal_quota", labels, paid[model])
