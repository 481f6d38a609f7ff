"""Nodes and who waits, from kube-state-metrics and Kueue: lives, cordons, pending; pauses invent nothing."""

from array import array
from collections.abc import Mapping

import pytest

from stellwerk.engine.joining.join import join_series
from stellwerk.engine.joining.series import Findings, Series
from stellwerk.engine.usage import UTIL, NodeLife, Usage

STEP = 60_000
DAY = 86_400_000  # The series begin a day after 1970.


def at(step: int) -> int:
    return DAY + step * STEP


def series(metric: str, values: Mapping[int, int], **labels: str) -> Series:
    """Samples at {step: value in whole units}."""
    times = array("q", map(at, values))
    return Series(metric, labels, times, array("q", (1000 * value for value in values.values())))


def gpu(node: str, steps: range) -> Series:
    return series(UTIL, dict.fromkeys(steps, 50), UUID=f"GPU-{node}", gpu="0", Hostname=node)


def created(node: str, steps: range, born: int) -> Series:
    return series("kube_node_created", dict.fromkeys(steps, at(born) // 1000), node=node)


def cordon(node: str, values: Mapping[int, int]) -> Series:
    return series("kube_node_spec_unschedulable", values, node=node)


def phase(pod: str, values: Mapping[int, int], name: str = "Pending") -> Series:
    return series("kube_pod_status_phase", values, namespace="lab", pod=pod, phase=name)


def asks(pod: str, resource: str = "nvidia_com_gpu") -> Series:
    labels = {"namespace": "lab", "pod": pod, "container": "c", "resource": resource}
    return series("kube_pod_container_resource_requests", {0: 1}, **labels)


def join(*given: Series) -> Usage:
    return join_series(given, Findings(), "test")


def lives(usage: Usage, node: str = "n") -> tuple[NodeLife, ...]:
    return usage.cluster.nodes[node].lives


def codes(usage: Usage) -> set[str]:
    return {warning.code for warning in usage.warnings}


def stretches(*pairs: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple((at(start), at(end)) for start, end in pairs)


ALWAYS = cordon("other", dict.fromkeys(range(60), 0))


def test_a_life_is_from_creation_to_one_interval_after_the_last_sample_if_the_metrics_go_on() -> None:
    usage = join(gpu("n", range(10, 40)), created("n", range(6, 40), 5), ALWAYS)
    assert lives(usage) == (NodeLife(at(5), at(40), begun=True, gone=True),)
    assert lives(usage, "other") == (NodeLife(at(0), at(60), begun=False, gone=False),)


def test_a_node_that_is_still_there_when_the_metrics_end_is_not_gone() -> None:
    usage = join(gpu("n", range(60)), created("n", range(60), -100), ALWAYS)
    assert lives(usage) == (NodeLife(at(-100), at(60), begun=True, gone=False),)


def test_a_gpu_that_goes_on_being_measured_shows_that_its_node_is_not_gone() -> None:
    usage = join(gpu("n", range(60)), created("n", range(20), -100), ALWAYS)
    assert not lives(usage)[0].gone


def test_a_pause_with_the_same_creation_is_one_life_and_a_new_creation_is_another() -> None:
    one = join(gpu("n", range(60)), created("n", range(10), 0), created("n", range(40, 60), 0), ALWAYS)
    assert lives(one) == (NodeLife(at(0), at(60), begun=True, gone=False),)
    two = join(gpu("n", range(60)), created("n", range(10), 0), created("n", range(40, 60), 39), ALWAYS)
    assert lives(two) == (
        NodeLife(at(0), at(10), begun=True, gone=True),
        NodeLife(at(39), at(60), begun=True, gone=False),
    )


def test_without_creation_a_node_is_gone_only_where_other_nodes_were_seen() -> None:
    seen = dict.fromkeys([*range(10), *range(40, 60)], 0)
    assert len(lives(join(gpu("n", range(60)), cordon("n", seen)))) == 1  # Nobody was scraped in the pause.
    assert lives(join(gpu("n", range(60)), cordon("n", seen), ALWAYS)) == (
        NodeLife(at(0), at(10), begun=False, gone=True),
        NodeLife(at(40), at(60), begun=True, gone=False),
    )


def test_one_answer_to_an_instant_query_ends_no_life() -> None:
    usage = join(gpu("n", range(60)), created("n", range(30, 31), 0), created("m", range(30, 31), 0))
    assert not any(life.gone for node in ("n", "m") for life in lives(usage, node))


def test_a_cordon_holds_from_sample_to_sample_and_not_through_a_pause() -> None:
    values = {0: 0, 1: 1, 2: 1, 3: 0, 4: 0, 5: 1, 30: 1, 31: 0}
    usage = join(gpu("n", range(60)), cordon("n", values))
    assert usage.cluster.nodes["n"].cordoned == stretches((1, 3), (5, 6), (30, 31))
    assert "cordon-gap" in codes(usage) and "cordon-gap" not in codes(join(gpu("n", range(9)), ALWAYS))


def test_a_pod_waits_while_it_is_pending_without_a_node_and_asked_for_gpus() -> None:
    values = {step: int(2 <= step < 8) for step in range(12)}
    waits = phase("p", values)
    assert join(gpu("n", range(60)), waits, asks("p")).cluster.pending == stretches((2, 8))
    assert join(gpu("n", range(60)), waits, asks("p", "nvidia_com_mig_1g_10gb")).cluster.pending
    assert not join(gpu("n", range(60)), waits, asks("p", "cpu")).cluster.pending
    assert not join(gpu("n", range(60)), waits, asks("q")).cluster.pending
    assert not join(gpu("n", range(60)), phase("p", values, "Running"), asks("p")).cluster.pending


@pytest.mark.parametrize(
    "bound",
    [
        series("kube_pod_info", dict.fromkeys(range(5, 12), 1), namespace="lab", pod="p", node="n"),
        series("kube_pod_status_scheduled_time", {11: at(5) // 1000}, namespace="lab", pod="p"),
        series(
            "kube_pod_status_scheduled", {s: int(s > 4) for s in range(12)},
            namespace="lab", pod="p", condition="true",
        ),
    ],
)  # fmt: skip
def test_a_pod_that_has_a_node_pulls_its_image_and_waits_for_no_gpu(bound: Series) -> None:
    values = {step: int(2 <= step < 8) for step in range(12)}
    usage = join(gpu("n", range(60)), phase("p", values), asks("p"), bound)
    assert usage.cluster.pending == stretches((2, 5))


def test_the_schedulers_word_is_enough() -> None:
    word = series("kube_pod_status_unschedulable", {3: 1, 4: 1}, namespace="lab", pod="p")
    assert join(gpu("n", range(60)), word, asks("p")).cluster.pending == stretches((3, 5))


def test_kueues_workloads_wait_before_they_have_pods() -> None:
    queues = (
        series("kueue_pending_workloads", {0: 0, 1: 2, 2: 0}, cluster_queue="a", status="active"),
        series("kueue_pending_workloads", {0: 0, 1: 0, 2: 1, 3: 0}, cluster_queue="a", status="inadmissible"),
    )
    usage = join(gpu("n", range(60)), *queues)
    assert usage.cluster.pending == stretches((1, 3)) and "metric-ignored" not in codes(usage)


def test_what_is_not_known_is_said() -> None:
    usage = join(gpu("n", range(60)), created("other", range(60), 0), phase("p", {1: 1, 30: 1}))
    assert {"node-unmatched", "pending-unmatched"} <= codes(usage) and not usage.cluster.pending
    usage = join(gpu("n", range(60)), created("n", range(60), 0), phase("p", {1: 1, 30: 1}), asks("p"))
    assert {"cordon-missing", "pending-gap"} <= codes(usage)
    assert usage.cluster.pending == stretches((1, 2), (30, 31))
