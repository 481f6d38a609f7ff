"""The books of a simulation of queues: who waited when, and who held which quota from when to when."""

from collections.abc import Mapping

from msgspec import Struct, field

from stellwerk.engine.queueing.amounts import FlavorResource

FINISHED, EVICTED, RUNNING = "finished", "evicted", "running"


class Step(Struct, frozen=True):
    """From this time (ns) on a Workload holds so much: of some of its pods the quota is free already."""

    at_ns: int
    usage: Mapping[FlavorResource, int]


class Stay(Struct, frozen=True, kw_only=True):
    """A Workload between an admission and its end (ns). `usage` in Kueue's amounts (thousandths of CPUs).

    `steps`: what it held later, in order of time, where that was not the same up to the end.

    `ended`: `finished`, `evicted` (it waits again, and what it did since `kept_ns` is lost), or `running`
    when the simulation ended. `reason`: of the eviction. `kept_ns`: when pods of it last ended well, else its
    start.
    """

    key: str
    cluster_queue: str
    usage: Mapping[FlavorResource, int]
    start_ns: int
    end_ns: int
    ended: str
    reason: str = ""
    steps: tuple[Step, ...] = ()
    kept_ns: int = 0


class Queued(Struct, frozen=True, kw_only=True):
    """A Workload, and whose it is. `key` is namespace/name; `cluster_queue` "" where its queue leads nowhere.

    `job`: kind/name of its owner.
    """

    key: str
    job: str
    local_queue: str
    cluster_queue: str
    priority: int
    created_ns: int


class QueueLedger(Struct, kw_only=True):
    """Everything that happened between `start_ns` and `end_ns`. `queued` by key, in order of arrival.

    `answers`: by key, why a Workload that never started waits, in Kueue's words. `unqueued`: Jobs without a
    queue, which run at once and are no part of this.
    """

    start_ns: int
    end_ns: int
    queued: dict[str, Queued] = field(default_factory=dict)
    stays: list[Stay] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    cycles: int = 0
    unqueued: int = 0
