"""`Books`: watches Workloads, and writes down who waited, and who held which quota from when to when."""

from collections import Counter

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.control.queueing.events import Effect, Event, Json, Listed, ObjectChanged, ObjectDeleted
from stellwerk.control.queueing.kinds import JOB, LOCAL_QUEUE, WORKLOAD
from stellwerk.control.queueing.seen import Item, Kind, Name, Seen, named
from stellwerk.control.queueing.workloads import DEACTIVATED
from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.engine.queueing.requests.total import Counting, workload_info, workload_key
from stellwerk.engine.queueing.snapshot import holds_quota
from stellwerk.engine.queueing.standing import true_condition
from stellwerk.sim.queueing.ledger import EVICTED, FINISHED, RUNNING, Queued, QueueLedger, Stay, Step


class _Open(Struct, frozen=True):
    """A stay that goes on."""

    start: int
    cluster_queue: str
    usage: dict[FlavorResource, int]
    steps: tuple[Step, ...] = ()

    def now_holding(self, usage: dict[FlavorResource, int], now: int) -> "_Open":
        """The same stay, with so much from now on."""
        latest = self.steps[-1].usage if self.steps else self.usage
        return self if usage == latest else replace(self, steps=(*self.steps, Step(now, usage)))


class Books:
    """A controller that asks for nothing. `most_evicted`: who was evicted most often, and how often."""

    kinds: tuple[Kind, ...] = (LOCAL_QUEUE, WORKLOAD, JOB)

    def __init__(self, start_ns: int, counting: Counting) -> None:
        self.ledger = QueueLedger(start_ns=start_ns, end_ns=start_ns)
        self._counting = counting
        self._seen = Seen(self.kinds)
        self._open: dict[str, _Open] = {}
        self._started: set[str] = set()
        self._latest: dict[str, Json] = {}
        self._evicted: Counter[str] = Counter()
        self._succeeded: dict[Name, tuple[int, int]] = {}  # Of Jobs: how many pods, and since when.
        self.most_evicted = "", 0

    def handle(self, event: Event, now: int) -> list[Effect]:
        """Write down what follows from a change."""
        match event:
            case ObjectChanged(raw) if raw["kind"] == "Job":
                self._count_pods(raw, now)
            case ObjectChanged(raw):
                if self._is_news(raw) and (item := self._seen.observe(raw)) is not None:
                    self._note(item, now)
            case ObjectDeleted(raw):
                if (item := self._seen.forget(raw)) is not None and isinstance(item.typed, Workload):
                    self._close(workload_key(item.typed), now, (EVICTED, "Deleted"))
            case Listed():
                for item in self._seen.compare(event)[0]:
                    self._note(item, now)
            case _:
                pass
        return []

    def end(self, now: int) -> QueueLedger:
        """The simulation is over."""
        ledger = self.ledger
        ledger.end_ns = now
        for key in sorted(self._open):
            self._close(key, now, (RUNNING, ""))
        for key in sorted(self.ledger.queued.keys() - self._started):
            ledger.answers[key] = _answer(self._latest[key])
        return ledger

    def _count_pods(self, raw: Json, now: int) -> None:
        """Pods that ended well stay so, whatever becomes of the others."""
        name, done = named(raw)[1], int((raw.get("status") or {}).get("succeeded") or 0)
        if done > self._succeeded.get(name, (0, 0))[0]:
            self._succeeded[name] = done, now

    def _is_news(self, raw: Json) -> bool:
        """Most changes of a Workload are none of its quota; its messages are read at the end."""
        kind, name, _ = named(raw)
        if kind != WORKLOAD:
            return True
        key = "/".join(name)
        before, self._latest[key] = self._latest.get(key, {}), raw
        reserved, finished = _is_true(raw, "QuotaReserved"), _is_true(raw, "Finished")
        holds = reserved and not finished and raw["spec"].get("active", True)
        if key not in self.ledger.queued or holds != (key in self._open):
            return True
        return holds and _reclaimable(before) != _reclaimable(raw)

    def _note(self, item: Item, now: int) -> None:
        workload = item.typed
        if not isinstance(workload, Workload):
            return
        key = workload_key(workload)
        if key not in self.ledger.queued:
            self.ledger.queued[key] = self._queued(workload, now)
        if holds_quota(workload):
            self._started.add(key)
            info = workload_info(workload, self._counting)
            found = self._open.get(key) or _Open(now, info.cluster_queue, info.usage())
            self._open[key] = found.now_holding(info.usage(), now)
        elif key in self._open:
            evicted = true_condition(workload, "Evicted")
            done = true_condition(workload, "Finished") is not None
            # Who is deactivated counts no more, even before that is written as an eviction.
            reason = DEACTIVATED if evicted is None else given(evicted.reason, "")
            self._close(key, now, (FINISHED, "") if done else (EVICTED, reason))

    def _close(self, key: str, now: int, how: tuple[str, str]) -> None:
        found = self._open.pop(key, None)
        if found is None:
            return
        stay = Stay(
            key=key,
            cluster_queue=found.cluster_queue,
            usage=found.usage,
            start_ns=found.start,
            end_ns=now,
            ended=how[0],
            reason=how[1],
            steps=found.steps,
            kept_ns=max(found.start, self._kept(key)),
        )
        self.ledger.stays.append(stay)
        if stay.ended == EVICTED:
            self._evicted[key] += 1
            if self._evicted[key] > self.most_evicted[1]:
                self.most_evicted = key, self._evicted[key]

    def _kept(self, key: str) -> int:
        """When pods of the Workload's Job last ended well."""
        namespace = key.partition("/")[0]
        job = self.ledger.queued[key].job.partition("/")[2]
        return self._succeeded.get((namespace, job), (0, 0))[1]

    def _queued(self, workload: Workload, now: int) -> Queued:
        namespace, queue = given(workload.metadata.namespace, ""), given(workload.spec.queue_name, "")
        local = self._seen.get(LOCAL_QUEUE, namespace, queue)
        owners = [
            one for one in given(workload.metadata.owner_references, ()) if given(one.controller, False)
        ]
        return Queued(
            key=workload_key(workload),
            job=f"{owners[0].kind}/{owners[0].name}" if owners else "",
            local_queue=queue,
            cluster_queue="" if local is None else given(local.typed.spec.cluster_queue, ""),
            priority=given(workload.spec.priority, 0),
            created_ns=now,
        )


def _is_true(raw: Json, kind: str) -> bool:
    conditions = (raw.get("status") or {}).get("conditions") or ()
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)


def _reclaimable(raw: Json) -> object:
    """Pods that ended, and whose quota is free although others of the Workload run."""
    return (raw.get("status") or {}).get("reclaimablePods") or ()


def _answer(raw: Json) -> str:
    for one in (raw.get("status") or {}).get("conditions") or ():
        if one["type"] == "QuotaReserved" and one["status"] == "False":
            return str(one.get("message", ""))
    return ""
