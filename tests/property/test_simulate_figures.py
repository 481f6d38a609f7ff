"""What can never happen with the figures of a simulation: hours that do not add up, a wait below 0."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.api.manifests import Manifest, load_manifests
from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.sim.queueing.ledger import EVICTED, FINISHED, RUNNING, Queued, QueueLedger, Stay
from stellwerk.sim.queueing.outcome.result import QueueFigures
from stellwerk.sim.queueing.outcome.use import Use, used_of
from stellwerk.sim.queueing.scenarios import Rules, simulate

HOUR = 3_600_000_000_000
END = 100 * HOUR
FLAVORS = ("a100", "h100")
QUEUES = ("a", "b", "c")
ROUNDED = Decimal("0.0005")

QUEUE = """apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {{name: {name}}}
spec:
  resourceGroups:
  - coveredResources: [nvidia.com/gpu]
    flavors:
    - {{name: a100, resources: [{{name: nvidia.com/gpu, nominalQuota: {a100}}}]}}
    - {{name: h100, resources: [{{name: nvidia.com/gpu, nominalQuota: {h100}}}]}}
"""
FLEET = """apiVersion: stellwerk.dev/v1alpha1
kind: Fleet
metadata: {name: f}
spec:
  nodes:
  - {name: a100, gpuModel: A100-SXM4-80GB, gpus: 3, price: {amount: "7.01", currency: EUR}}
  - {name: h100, gpuModel: H100-PCIE-80GB, gpus: 7, price: {amount: "20.03", currency: EUR}}
"""


@st.composite
def ledgers(draw: st.DrawFn) -> QueueLedger:
    """Up to eight Workloads, each with stays one after the other."""
    ledger = QueueLedger(start_ns=0, end_ns=END)
    for number in range(draw(st.integers(0, 8))):
        queue = draw(st.sampled_from(QUEUES))
        key = f"team-{draw(st.sampled_from('xyz'))}/{number}"
        times = sorted(draw(st.lists(st.integers(0, END), min_size=1, max_size=7, unique=True)))
        ledger.queued[key] = Queued(
            key=key, job="", local_queue=queue, cluster_queue=queue, priority=0, created_ns=times[0]
        )
        spans = list(zip(times[1::2], times[2::2], strict=False))
        for at, (start, end) in enumerate(spans):
            last = at == len(spans) - 1
            ended = draw(st.sampled_from([FINISHED, EVICTED, RUNNING])) if last else EVICTED
            usage = {
                FlavorResource(draw(st.sampled_from(FLAVORS)), "nvidia.com/gpu"): draw(st.integers(1, 4))
            }
            stay = Stay(
                key=key,
                cluster_queue=queue,
                usage=usage,
                start_ns=start,
                end_ns=END if ended == RUNNING else end,
                ended=ended,
            )
            ledger.stays.append(stay)
    return ledger


@st.composite
def quotas(draw: st.DrawFn) -> list[Manifest]:
    amounts = st.integers(0, 5)
    queues = [QUEUE.format(name=name, a100=draw(amounts), h100=draw(amounts)) for name in QUEUES]
    return load_manifests("---\n".join([*queues, FLEET]).encode(), "base.yaml")


@given(ledgers(), quotas())
def test_queues_and_the_whole_tell_the_same(ledger: QueueLedger, manifests: list[Manifest]) -> None:
    found = simulate(manifests, [], Rules(play=lambda _: ledger)).outcomes[0]
    for parts in (found.cluster_queues, found.local_queues):
        assert sum(one.jobs.arrived for one in parts) == found.total.jobs.arrived == len(ledger.queued)
        assert sum(one.jobs.never_started for one in parts) == len(found.never_started)
        assert sum(one.evictions for one in parts) == found.total.evictions
        assert abs(held(parts) - held([found.total])) <= ROUNDED * (len(parts) + 1)
        assert found.bill is not None
        assert sum(one.cost.held for one in parts if one.cost) == found.bill.held
        assert sum(one.cost.lost for one in parts if one.cost) == found.bill.lost
    assert found.bill.held + found.bill.idle == found.bill.total
    assert sum(found.bill.held_by_namespace.values()) == found.bill.held


@given(ledgers(), quotas())
def test_each_job_is_in_one_state_and_no_wait_is_negative(
    ledger: QueueLedger, manifests: list[Manifest]
) -> None:
    found = simulate(manifests, [], Rules(play=lambda _: ledger)).outcomes[0]
    for one in (found.total, *found.cluster_queues, *found.local_queues):
        jobs = one.jobs
        assert jobs.finished + jobs.running + jobs.waiting == jobs.arrived
        assert jobs.started + jobs.never_started == jobs.arrived and jobs.never_started <= jobs.waiting
        assert (one.first is None) == (one.last is None) == (not jobs.arrived)
        if one.first is not None and one.last is not None:
            assert 0 <= one.first.p50_ns <= one.first.p95_ns <= one.first.max_ns <= one.last.max_ns
            assert 0 <= one.first.mean_ns <= one.first.max_ns
        for hours in one.hours.values():
            assert hours.lost <= hours.held and (hours.borrowed is None or hours.borrowed >= 0)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9), st.integers(1, 4)), max_size=8),
    st.integers(0, 6),
)
def test_own_use_is_the_integral_that_counting_hour_by_hour_gives(
    spans: list[tuple[int, int, int]], quota: int
) -> None:
    of = FlavorResource("h100", "nvidia.com/gpu")
    stays = [
        Stay(key=str(i), cluster_queue="a", usage={of: gpus}, start_ns=at, end_ns=at + length, ended=FINISHED)
        for i, (at, length, gpus) in enumerate(spans)
    ]
    levels = [sum(gpus for at, length, gpus in spans if at <= moment < at + length) for moment in range(30)]
    expected = Use(held=sum(levels), lost=0, own=sum(min(level, quota) for level in levels))
    assert used_of(stays, {of: quota}).get(of, Use()) == expected


def held(parts: list[QueueFigures] | tuple[QueueFigures, ...]) -> Fraction:
    return sum((Fraction(hours.held) for one in parts for hours in one.hours.values()), Fraction(0))
