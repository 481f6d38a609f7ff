"""What samples leave open of a pod's time is estimated by a rule; what kube-state-metrics tells counts."""

from stellwerk.engine.rebuild import Judged, demand_from_usage
from stellwerk.engine.stays import stays_of, unknown_in_holes_ms
from stellwerk.engine.usage import UTIL, Usage

from .test_metrics_join import STEP, join, kube, series

# Nothing was scraped from step 5 to step 24.
SCRAPED = [*range(5), *range(25, 40)]


def spans(usage: Usage) -> dict[str, tuple[int, int]]:
    """{pod: (start, end)} in steps."""
    return {stay.pod.pod: (stay.start_ms // STEP, stay.end_ms // STEP) for stay in stays_of(usage)}


def test_a_pod_that_ended_in_a_hole_holds_half_of_it_and_so_does_one_that_began_there() -> None:
    usage = join(
        series(UTIL, dict.fromkeys(range(5), 1), "gone"),
        series(UTIL, dict.fromkeys(range(25, 40), 1), UUID="GPU-a"),
        series(UTIL, dict.fromkeys(range(5), 1), UUID="GPU-b", gpu="1"),
        series(UTIL, dict.fromkeys(range(25, 40), 1), "came", UUID="GPU-b", gpu="1"),
    )
    assert spans(usage) == {"gone": (0, 15), "came": (15, 40)}
    assert unknown_in_holes_ms(usage, stays_of(usage)) == 2 * 20 * STEP


def test_a_pod_on_both_sides_of_a_hole_held_its_gpu_in_it_and_nothing_is_open() -> None:
    usage = join(series(UTIL, dict.fromkeys(SCRAPED, 1), "stays"))
    assert spans(usage) == {"stays": (0, 40)}
    assert unknown_in_holes_ms(usage, stays_of(usage)) == 0


def test_half_of_a_hole_ends_where_another_pod_is_known_to_begin() -> None:
    usage = join(
        series(UTIL, dict.fromkeys(range(5), 1), "gone"),
        series(UTIL, dict.fromkeys(range(25, 40), 1), "came"),
        kube("pod_start_time", 8 * STEP // 1000, pod="came"),
    )
    assert spans(usage) == {"gone": (0, 8), "came": (8, 40)}


def test_a_told_end_in_a_hole_is_taken_as_told() -> None:
    usage = join(
        series(UTIL, dict.fromkeys(range(5), 1), "gone"),
        series(UTIL, dict.fromkeys(range(25, 40), 1)),
        kube("pod_start_time", 0, pod="gone"),
        kube("pod_completion_time", 6 * STEP // 1000, pod="gone"),
    )
    assert spans(usage) == {"gone": (0, 6)}
    assert not any(stay.in_hole for stay in stays_of(usage))


def unseen(resource: str, *more: object) -> Usage:
    """A pod that ran in steps 8 to 12 and that no scrape saw."""
    return join(
        series(UTIL, dict.fromkeys(SCRAPED, 1)),
        kube("pod_container_resource_requests", 2, pod="p", container="a", resource=resource),
        kube("pod_start_time", 8 * STEP // 1000, pod="p"),
        kube("pod_completion_time", 12 * STEP // 1000, pod="p"),
        *more,  # type: ignore[arg-type]
    )


def test_a_pod_that_no_scrape_saw_is_a_job_of_the_gpus_that_it_asked_for_and_never_shares() -> None:
    usage = unseen("nvidia_com_gpu")
    rebuilt = demand_from_usage("x", usage, [Judged()])
    (job,) = rebuilt.demand.jobs
    assert (job.gpus, job.memory_bytes, job.compute_milli, job.whole) == (2, None, None, True)
    assert rebuilt.held_gpu_ms == 2 * 4 * STEP
    assert any(note.startswith("1 pods were in no scrape") for note in rebuilt.demand.notes)


def test_a_request_for_an_instance_or_where_gpus_are_shared_tells_no_gpus() -> None:
    assert not stays_of(unseen("nvidia_com_mig_1g_10gb"))
    shared = unseen(
        "nvidia_com_gpu",
        series(UTIL, dict.fromkeys(range(5), 1), "one", UUID="GPU-b"),
        series(UTIL, dict.fromkeys(range(5), 2), "two", UUID="GPU-b"),
    )
    assert "p" not in spans(shared)
    assert demand_from_usage("x", shared, [Judged()] * 3).demand.left_out
