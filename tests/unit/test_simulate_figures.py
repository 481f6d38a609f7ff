"""Waits, hours, shares and EUR of a simulation, worked out by hand on books of four Workloads.

One hour is the unit. Quota: team-a 2 GPUs, team-b 1, one cohort; the period is 10 hours, a GPU-hour 3 EUR.

    a/one    comes at 0, runs 0-4 on 2 GPUs, finishes
    a/two    comes at 1, runs 4-5 on 1 GPU, is evicted, runs again 7-8, finishes
    b/three  comes at 2, runs 2-4 on 1 GPU and 4-9 goes on: 2-9 on 1 GPU, finishes
    b/four   comes at 6, never starts
"""

from decimal import Decimal

from stellwerk.api.manifests import Manifest, load_manifests
from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.sim.queueing.ledger import EVICTED, FINISHED, RUNNING, Queued, QueueLedger, Stay
from stellwerk.sim.queueing.outcome.figures import Period, figures_of, parts_of, shown_resource
from stellwerk.sim.queueing.outcome.result import Cost, Jobs, Outcome, QueueFigures, Waits
from stellwerk.sim.queueing.outcome.use import Use, held_of, used_of
from stellwerk.sim.queueing.scenarios import Change, Rules, simulate

HOUR = 3_600_000_000_000
H100 = FlavorResource("h100", "nvidia.com/gpu")
QUEUE = """apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {{name: {name}}}
spec:
  cohortName: company
  resourceGroups:
  - coveredResources: [nvidia.com/gpu]
    flavors:
    - {{name: h100, resources: [{{name: nvidia.com/gpu, nominalQuota: {quota}}}]}}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {{name: gpus, namespace: {name}}}
spec: {{clusterQueue: {name}}}
"""
FLAVOR = "apiVersion: kueue.x-k8s.io/v1beta2\nkind: ResourceFlavor\nmetadata: {name: h100}\n"
FLEET = """apiVersion: stellwerk.dev/v1alpha1
kind: Fleet
metadata: {name: f}
spec:
  nodes:
  - {name: node, gpuModel: H100-PCIE-80GB, gpus: 2, price: {amount: "6", currency: EUR}}
"""


def queued(key: str, at: int) -> Queued:
    team, name = key.split("/")
    return Queued(
        key=key, job=f"Job/{name}", local_queue="gpus", cluster_queue=team, priority=0, created_ns=at * HOUR
    )


def stay(key: str, gpus: int, start: int, end: int, ended: str = FINISHED) -> Stay:
    return Stay(
        key=key,
        cluster_queue=key.split("/")[0],
        usage={H100: gpus},
        start_ns=start * HOUR,
        end_ns=end * HOUR,
        ended=ended,
        reason="Preempted" if ended == EVICTED else "",
    )


def ledger() -> QueueLedger:
    people = [queued("a/one", 0), queued("a/two", 1), queued("b/three", 2), queued("b/four", 6)]
    return QueueLedger(
        start_ns=0,
        end_ns=10 * HOUR,
        queued={one.key: one for one in people},
        stays=[
            stay("a/one", 2, 0, 4),
            stay("a/two", 1, 4, 5, EVICTED),
            stay("a/two", 1, 7, 8),
            stay("b/three", 1, 2, 9),
        ],
        answers={"b/four": "no quota"},
        cycles=7,
    )


def manifests(a: int = 2, fleet: str = FLEET) -> list[Manifest]:
    documents = [FLAVOR, QUEUE.format(name="a", quota=a), QUEUE.format(name="b", quota=1)]
    return load_manifests("---\n".join([*documents, *([fleet] if fleet else [])]).encode(), "base.yaml")


def outcome(fleet: str = FLEET) -> Outcome:
    return simulate(manifests(fleet=fleet), [], Rules(play=lambda _: ledger())).outcomes[0]


def by_name(found: tuple[QueueFigures, ...]) -> dict[str, QueueFigures]:
    return {one.name: one for one in found}


def test_jobs_are_counted_by_what_became_of_them() -> None:
    queues = by_name(outcome().cluster_queues)
    assert queues["a"].jobs == Jobs(arrived=2, started=2, finished=2, running=0, waiting=0, never_started=0)
    assert queues["b"].jobs == Jobs(arrived=2, started=1, finished=1, running=0, waiting=1, never_started=1)
    assert outcome().total.jobs.arrived == 4
    assert (queues["a"].evictions, queues["a"].eviction_reasons) == (1, {"Preempted": 1})
    assert (queues["a"].last_finish_ns, queues["b"].last_finish_ns) == (8 * HOUR, 9 * HOUR)


def test_who_never_started_waits_up_to_the_end_and_who_was_evicted_waits_again() -> None:
    queues = by_name(outcome().cluster_queues)
    # a: first admissions after 0 and 3 hours; the last ones after 0 and 6. b: 0, and 10 - 6 = 4.
    assert queues["a"].first == Waits(mean_ns=3 * HOUR // 2, p50_ns=0, p95_ns=3 * HOUR, max_ns=3 * HOUR)
    assert queues["a"].last == Waits(mean_ns=3 * HOUR, p50_ns=0, p95_ns=6 * HOUR, max_ns=6 * HOUR)
    assert queues["b"].first == Waits(mean_ns=2 * HOUR, p50_ns=0, p95_ns=4 * HOUR, max_ns=4 * HOUR)
    assert outcome().never_started[0].answer == "no quota"


def test_hours_lost_borrowed_and_shares() -> None:
    queues = by_name(outcome().cluster_queues)
    # a: 2 x 4 + 1 + 1 = 10 of 20 that its quota gives, all within it; b: 7 of 10. Together 17.
    a, b = queues["a"].hours["nvidia.com/gpu"], queues["b"].hours["nvidia.com/gpu"]
    assert (a.held, a.lost, a.nominal, a.own, a.borrowed) == (10, 1, 20, 10, 0)
    assert (b.held, b.lost, b.nominal, b.own, b.borrowed) == (7, 0, 10, 7, 0)
    assert (a.share, b.share) == (Decimal("0.5882"), Decimal("0.4118"))
    assert (a.of_nominal, a.own_use, b.of_nominal) == (Decimal("0.5"), Decimal("0.5"), Decimal("0.7"))


def test_what_is_held_beyond_the_quota_at_that_moment_is_borrowed() -> None:
    # Quota 2: from 0 to 4 there are 3 GPUs, from 4 to 6 one: 2 x 4 + 1 x 2 = 10 of 14 are its own.
    stays = [stay("a/x", 2, 0, 4), stay("a/y", 1, 0, 6)]
    assert used_of(stays, {H100: 2}) == {H100: Use(held=14 * HOUR, lost=0, own=10 * HOUR)}
    assert used_of(stays, {}) == {H100: Use(held=14 * HOUR, lost=0, own=0)}
    assert used_of(stays, {H100: 2**63 - 1})[H100].own == 14 * HOUR


def test_the_bill_is_what_the_quota_costs_and_all_lines_add_up() -> None:
    found = outcome()
    # 3 GPUs x 10 h x 3 EUR = 90; a 10 h = 30, b 7 h = 21, idle 13 h = 39; a's lost hour 3.
    assert found.bill is not None
    bill = found.bill
    assert (bill.total, bill.held, bill.idle, bill.lost) == (90, 51, 39, 3)
    assert bill.held_by_namespace == {"a": 30, "b": 21} and bill.gpu_hour_by_flavor == {"h100": 3}
    assert by_name(found.local_queues)["a/gpus"].cost == Cost(held=Decimal(30), lost=Decimal(3))
    assert by_name(found.cluster_queues)["b"].cost == Cost(held=Decimal(21), lost=Decimal(0))
    assert found.total.cost == Cost(held=Decimal(51), lost=Decimal(3))


def test_without_a_price_there_are_hours_only_and_the_note_says_what_to_add() -> None:
    found = outcome(fleet="")
    assert found.bill is None and all(one.cost is None for one in found.cluster_queues)
    assert [str(note) for note in found.notes] == [
        "a GPU-hour of flavor h100 has no price: add a Fleet, or Nodes of a known instance type"
    ]


def test_a_course_that_ends_earlier_is_judged_over_the_same_time() -> None:
    short = QueueLedger(
        start_ns=0, end_ns=5 * HOUR, queued={"a/one": queued("a/one", 0)}, stays=[stay("a/one", 2, 0, 5)]
    )
    change = load_manifests(QUEUE.format(name="a", quota=3).partition("---")[0].encode(), "more.yaml")
    books = iter([ledger(), short])
    found = simulate(
        manifests(),
        [Change(name="more", source="more.yaml", documents=change)],
        Rules(play=lambda _: next(books)),
    )
    assert (found.start_ns, found.end_ns) == (0, 10 * HOUR)
    after = found.outcomes[1]
    assert by_name(after.cluster_queues)["a"].hours["nvidia.com/gpu"].nominal == 30
    assert after.bill is not None and (after.bill.total, after.bill.held) == (120, 30)
    note = "the quotas of flavor h100 are 4 GPUs, its nodes have 2: all 4 are billed"
    assert note in [str(one) for one in after.notes]


def test_who_runs_at_the_end_holds_and_does_not_wait() -> None:
    books = QueueLedger(
        start_ns=0, end_ns=5 * HOUR, queued={"a/x": queued("a/x", 1)}, stays=[stay("a/x", 1, 3, 5, RUNNING)]
    )
    part = parts_of(books, {"a": {H100: 1}}, {}).cluster_queues[0]
    found = figures_of(part, Period(0, 5 * HOUR), held_of(books.stays))
    assert found.jobs.running == 1 and found.jobs.waiting == 0
    assert most(found) == (2 * HOUR, 2 * HOUR) and found.last_finish_ns is None


def test_who_was_evicted_and_is_not_back_waits_up_to_the_end() -> None:
    books = QueueLedger(
        start_ns=0, end_ns=5 * HOUR, queued={"a/x": queued("a/x", 0)}, stays=[stay("a/x", 1, 1, 2, EVICTED)]
    )
    part = parts_of(books, {"a": {H100: 1}}, {}).cluster_queues[0]
    found = figures_of(part, Period(0, 5 * HOUR), held_of(books.stays))
    assert found.jobs == Jobs(arrived=1, started=1, finished=0, running=0, waiting=1, never_started=0)
    assert most(found) == (HOUR, 5 * HOUR)


def test_a_queue_that_leads_nowhere_and_one_without_work_have_figures_too() -> None:
    lost = Queued(key="c/x", job="", local_queue="gone", cluster_queue="", priority=0, created_ns=0)
    books = QueueLedger(start_ns=0, end_ns=HOUR, queued={"c/x": lost})
    parts = parts_of(books, {"a": {H100: 1}}, {"a/gpus": "a"})
    assert [part.name for part in parts.cluster_queues] == ["", "a"]
    assert [part.name for part in parts.local_queues] == ["a/gpus", "c/gone"]
    idle = figures_of(parts.cluster_queues[1], Period(0, HOUR), {})
    assert idle.hours["nvidia.com/gpu"].held == 0 and idle.first is None


def test_tables_show_gpus_else_other_devices_else_cpus() -> None:
    assert shown_resource(["cpu", "nvidia.com/gpu", "example.com/fpga"]) == "nvidia.com/gpu"
    assert shown_resource(["cpu", "example.com/fpga", "memory"]) == "example.com/fpga"
    assert shown_resource(["memory", "cpu"]) == "cpu"


def test_thousandths_of_cpus_are_hours_of_cpus_and_bytes_are_gibibytes() -> None:
    usage = {FlavorResource("f", "cpu"): 1500, FlavorResource("f", "memory"): 3 << 29}
    its = Stay(key="a/x", cluster_queue="a", usage=usage, start_ns=0, end_ns=2 * HOUR, ended=FINISHED)
    books = QueueLedger(start_ns=0, end_ns=2 * HOUR, queued={"a/x": queued("a/x", 0)}, stays=[its])
    part = parts_of(books, {"a": {FlavorResource("f", "cpu"): 3000}}, {}).cluster_queues[0]
    found = figures_of(part, Period(0, 2 * HOUR), held_of(books.stays)).hours
    assert (found["cpu"].held, found["cpu"].nominal, found["memory"].held) == (3, 6, 3)


def most(found: QueueFigures) -> tuple[int, int]:
    """The longest waits to the first and to the last admission."""
    assert found.first is not None and found.last is not None
    return found.first.max_ns, found.last.max_ns
