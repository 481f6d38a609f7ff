"""Queues in simulation, from manifests to the books."""

import msgspec
import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import Manifest, load_manifests
from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.engine.queueing.snapshot import Configuration
from stellwerk.sim.queueing.ledger import EVICTED, FINISHED, RUNNING, QueueLedger
from stellwerk.sim.queueing.play import Options, play
from tests.simulation.queue_worlds import Json, admission_check, cluster_queue, job, kueue, local_queue

DURATION, ARRIVAL = "stellwerk.dev/duration", "stellwerk.dev/arrival"
START = "2026-01-01T00:00:00Z"
MINUTE = 60_000_000_000
PERIOD = {
    "apiVersion": "stellwerk.dev/v1alpha1",
    "kind": "Period",
    "metadata": {"name": "day"},
    "spec": {"start": START, "duration": "30m"},
}


def manifests(*items: Json) -> list[Manifest]:
    text = msgspec.json.encode({"apiVersion": "v1", "kind": "List", "items": items})
    return load_manifests(text, "jobs.yaml")


def quota(cpu: int, **spec: object) -> list[Json]:
    spec = {"preemption": {"withinClusterQueue": "LowerPriority"}, **spec}
    return [
        kueue("ResourceFlavor", "small", {}),
        kueue("WorkloadPriorityClass", "high", value=100),
        cluster_queue("q", {"small": (cpu, None)}, **spec),
        local_queue("n", "q"),
    ]


def timed(item: Json, minute: int, duration: str) -> Json:
    item["metadata"]["annotations"] |= {DURATION: duration, ARRIVAL: f"2026-01-01T00:{minute:02}:00Z"}
    return item


def played(*items: Json, options: Options | None = None) -> QueueLedger:
    return play(manifests(*items), Configuration(), options)


def stays(ledger: QueueLedger) -> list[tuple[str, float, float, str, str]]:
    """Job, start and end in minutes, how it ended and why."""
    return [
        (
            ledger.queued[one.key].job.removeprefix("Job/"),
            round((one.start_ns - ledger.start_ns) / MINUTE, 2),
            round((one.end_ns - ledger.start_ns) / MINUTE, 2),
            one.ended,
            one.reason,
        )
        for one in ledger.stays
    ]


def test_who_is_preempted_starts_anew() -> None:
    low, high = job("low", "n"), job("high", "n", priority="high")
    ledger = played(*quota(1), timed(low, 0, "20m"), timed(high, 10, "5m"))
    assert stays(ledger) == [
        ("low", 0.0, 10.0, EVICTED, "Preempted"),
        ("high", 10.0, 15.0, FINISHED, ""),
        ("low", 15.02, 35.02, FINISHED, ""),
    ]
    assert ledger.stays[0].usage == {FlavorResource("small", "cpu"): 1000}
    queued = next(iter(ledger.queued.values()))
    assert (queued.local_queue, queued.cluster_queue, queued.priority) == ("main", "q", 0)
    assert ledger.answers == {} and ledger.unqueued == 0


def test_the_period_ends_what_runs_and_says_why_others_wait() -> None:
    ledger = played(PERIOD, *quota(1), timed(job("a", "n"), 20, "1h"), timed(job("b", "n"), 21, "1h"))
    assert stays(ledger) == [("a", 20.0, 30.0, RUNNING, "")]
    (answer,) = ledger.answers.values()
    assert answer.endswith("insufficient unused quota for cpu in flavor small, 1 more needed")
    assert ledger.end_ns - ledger.start_ns == 30 * MINUTE


def test_a_job_without_queue_runs_at_once_and_is_only_counted() -> None:
    free = timed(job("free", "n"), 0, "5m")
    free["metadata"]["labels"] = {}
    free["spec"]["suspend"] = False
    ledger = played(*quota(1), free, timed(job("a", "n"), 0, "5m"))
    assert ledger.unqueued == 1 and [one[0] for one in stays(ledger)] == ["a"]


def test_checks_take_the_time_that_they_are_given() -> None:
    spec = {"admissionChecksStrategy": {"admissionChecks": [{"name": "prepared"}]}}
    objects = [admission_check("prepared"), *quota(1, **spec), timed(job("a", "n"), 0, "5m")]
    ledger = played(*objects, options=Options(checks_ns=2 * MINUTE))
    assert stays(ledger) == [("a", 0.0, 7.0, FINISHED, "")]  # Quota is held from the beginning.


def test_a_queue_that_leads_nowhere_keeps_its_jobs() -> None:
    ledger = played(*quota(1), timed(job("a", "n", queue="missing"), 0, "5m"))
    assert [one.cluster_queue for one in ledger.queued.values()] == [""]
    assert not ledger.stays and list(ledger.answers.values()) == ["LocalQueue missing doesn't exist"]


def test_the_same_manifests_give_the_same_books() -> None:
    items = [timed(job(f"j{i}", "n", pods=1 + i % 3), i % 7, f"{1 + i % 5}m") for i in range(30)]
    assert played(*quota(4), *items) == played(*quota(4), *items)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"annotations": {ARRIVAL: START}}, "items[0].metadata.annotations"),
        ({"annotations": {DURATION: "soon"}}, f"items[0].metadata.annotations[{DURATION}]"),
        ({"annotations": {DURATION: "1m", ARRIVAL: "now"}}, f"items[0].metadata.annotations[{ARRIVAL}]"),
        (
            {"annotations": {DURATION: "1m", ARRIVAL: "2025-01-01T00:00:00Z"}},
            f"items[0].metadata.annotations[{ARRIVAL}]",
        ),
    ],
)
def test_a_job_of_which_too_little_is_known_is_refused(change: Json, path: str) -> None:
    item = job("a", "n")
    item["metadata"] |= change
    with pytest.raises(InvalidInput) as error:
        played(item, PERIOD, *quota(1))
    assert (error.value.source, error.value.path) == ("jobs.yaml", path)


def test_workloads_that_preempt_one_another_without_end_are_an_error() -> None:
    low, high = job("low", "n"), job("high", "n", priority="high")
    with pytest.raises(InvalidInput, match=r"n/job-low-.* was evicted 1 times"):
        played(*quota(1), timed(low, 0, "20m"), timed(high, 10, "5m"), options=Options(most_evictions=1))


@pytest.mark.parametrize(
    ("stops", "evicted"),
    [
        ({}, {"borrower": 1, "own": 1}),
        ({("n", "borrower"): 0, ("n", "own"): 1_000_000}, {"borrower": 2, "own": 1}),
        ({("n", "own"): 0, ("n", "borrower"): 1_000_000}, {"borrower": 1, "own": 1}),
    ],
)
def test_under_fair_sharing_who_stops_first_may_be_let_in_again_for_a_moment(
    stops: dict[tuple[str, str], int], evicted: dict[str, int]
) -> None:
    """As a real Kueue did in parity's fair-sharing scenario 5044: until the other victim has stopped too,
    the preemptor's queue counts with it, and so has the larger share.
    """
    cohort: Json = {"cohortName": "all", "preemption": {"reclaimWithinCohort": "LowerPriority"}}
    within = {"withinClusterQueue": "LowerPriority", "reclaimWithinCohort": "LowerPriority"}
    strict: Json = {"cohortName": "all", "preemption": within, "fairSharing": {"weight": "3"}}
    spare = cluster_queue("", {"small": (2, None)})["spec"]["resourceGroups"]
    objects = [
        kueue("ResourceFlavor", "small", {}),
        kueue("WorkloadPriorityClass", "high", value=100),
        kueue("WorkloadPriorityClass", "mid", value=50),
        kueue("Cohort", "all", {"resourceGroups": spare}),
        cluster_queue("q0", {"small": (1, None)}, **strict, queueingStrategy="StrictFIFO"),
        cluster_queue("q1", {"small": (1, None)}, **cohort, fairSharing={"weight": "1"}),
        local_queue("n", "q0", "q0"),
        local_queue("n", "q1", "q1"),
        timed(job("borrower", "n", queue="q1", pods=2), 0, "1h"),
        timed(job("own", "n", queue="q0", pods=2, priority="mid"), 1, "1h"),
        timed(job("preemptor", "n", queue="q0", pods=3, priority="high"), 2, "1h"),
    ]
    configuration = Configuration(fair_sharing=("LessThanOrEqualToFinalShare", "LessThanInitialShare"))
    ledger = play(manifests(PERIOD, *objects), configuration, Options(stops=stops))
    counted: dict[str, int] = {}
    for name, _, _, ended, _ in stays(ledger):
        if ended == EVICTED:
            counted[name] = counted.get(name, 0) + 1
    assert counted == evicted


def test_a_circle_of_a_real_kueue_is_found() -> None:
    """Parity's fair-sharing scenario 9044: Kueue 0.19.2 preempts three Jobs by one another without end."""
    both: Json = {"cohortName": "all", "fairSharing": {"weight": "3"}}
    any_lower = {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"}
    lower = {"reclaimWithinCohort": "LowerPriority", "withinClusterQueue": "LowerOrNewerEqualPriority"}
    jobs = [("j2", "q0", 1, 1, ""), ("j4", "q1", 1, 2, "mid"), ("j5", "q1", 2, 1, "mid")]
    jobs.append(("j6", "q0", 2, 1, "mid"))
    objects = [
        kueue("ResourceFlavor", "small", {}),
        kueue("WorkloadPriorityClass", "mid", value=500),
        kueue("Cohort", "all", {}),
        cluster_queue("q0", {"small": (2, 3)}, **both, preemption=any_lower),
        cluster_queue("q1", {"small": (3, None)}, **both, preemption=lower),
        *(local_queue("n", name, name) for name in ("q0", "q1")),
        *(
            timed(job(name, "n", queue=queue, cpu=cpu, pods=pods, priority=priority), minute, "2h")
            for minute, (name, queue, cpu, pods, priority) in enumerate(jobs)
        ),
    ]
    configuration = Configuration(fair_sharing=("LessThanOrEqualToFinalShare", "LessThanInitialShare"))
    with pytest.raises(InvalidInput, match="preempt one another without end"):
        play(manifests(PERIOD, *objects), configuration, Options(most_evictions=30))
    play(manifests(PERIOD, *objects[:-1]), configuration, Options(most_evictions=30))


def test_a_workload_without_its_job_is_refused() -> None:
    workload = kueue("Workload", "w", {"queueName": "main", "podSets": []}, "n")
    with pytest.raises(InvalidInput, match="nothing says how long it runs"):
        played(workload, *quota(1))


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="is there twice"):
        played(timed(job("a", "n"), 0, "5m"), timed(job("a", "n"), 1, "5m"), *quota(1))
