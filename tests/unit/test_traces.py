"""The openb trace as it is shipped, and files with its columns."""

import hashlib

import pytest

from stellwerk.adapters.traces import (
    CPU_ONLY,
    NEVER_SCHEDULED,
    NO_WORK,
    NOT_IN_WINDOW,
    Window,
    openb_bytes,
    openb_demand,
    openb_nodes,
    openb_pods,
    pods_demand,
)
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.demand import NS_PER_S

DAY_NS = 86_400 * NS_PER_S
HEADER = "name,num_gpu,gpu_milli,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"


def test_the_trace_is_the_published_one() -> None:
    published = {
        "openb_pod_list_default.csv.xz": "1ee7ed79c27a3b0861cda8ddba86a004c6aba904caafa329a76ae93ca63834a8",
        "openb_node_list_gpu_node.csv.xz": "2beca64b4d3dfa342036a34b56a495c6cef9225db836c81f541282cb1df320b5",
        "openb_node_list_all_node.csv.xz": "5a85c2af79c66a1efff8bbcbda430400aae56d8431370d738480967e1a9c6b15",
    }
    for name, digest in published.items():
        assert hashlib.sha256(openb_bytes(name)).hexdigest() == digest


def test_it_holds_8152_pods_and_6212_gpus() -> None:
    assert len(openb_pods()) == 8152
    assert sum(node.gpus for node in openb_nodes()) == 6212
    assert len(openb_nodes("openb_node_list_all_node.csv.xz")) == 1523


def test_the_last_14_days_are_counted_out() -> None:
    demand = openb_demand()
    left_out = {item.text: item.count for item in demand.left_out}
    # Of 3,332 GPU pods whose life overlaps the window, 480 were never scheduled.
    assert len(demand.jobs) == 2852 == 3332 - left_out[NEVER_SCHEDULED]
    assert left_out == {NOT_IN_WINDOW: 4381, CPU_ONLY: 439, NEVER_SCHEDULED: 480}
    assert len(demand.jobs) + sum(left_out.values()) == 8152
    assert demand.period_ns == 14 * DAY_NS
    assert any("607 failed pods" in note for note in demand.notes)
    assert any("A10, G2, G3, P100, T4, V100M16, V100M32" in note for note in demand.notes)


def test_the_window_holds_the_gpu_hours_that_the_trace_has() -> None:
    # Summed apart, from the file: (deletion - max(window's start, scheduling)) x GPUs, in seconds.
    seconds = sum(job.duration_ns * job.gpus for job in openb_demand().jobs) // NS_PER_S
    assert seconds == 58_029_666


def test_pods_that_ran_into_the_window_are_clipped_to_its_start() -> None:
    first = next(job for job in openb_demand().jobs if job.name == "openb-pod-0000")
    # Deleted at 12,537,496 s; the window starts at 12,902,960 - 14 x 86,400 = 11,693,360 s.
    assert first.arrival_ns == 0
    assert first.duration_ns == (12_537_496 - 11_693_360) * NS_PER_S


def test_a_share_is_compute_and_memory_and_a_whole_gpu_is_not_shared() -> None:
    jobs = {job.name: job for job in openb_demand().jobs}
    share = jobs["openb-pod-0001"]  # 460 milli-GPU.
    assert share.memory_bytes == 81_920 * 2**20 * 460 // 1000
    assert (share.compute_milli, share.used_milli, share.observed_share_milli) == (460, 460, 460)
    assert not share.whole
    whole = jobs["openb-pod-0000"]
    assert whole.whole and whole.memory_bytes is None and whole.used_milli is None
    assert whole.observed_share_milli == 1000


def test_a_shorter_window_holds_fewer_jobs() -> None:
    one, seven = openb_demand(days=1), openb_demand(days=7)
    assert 0 < len(one.jobs) < len(seven.jobs) < 2852
    assert all(job.arrival_ns < DAY_NS for job in one.jobs)


def test_a_file_with_these_columns_is_read_whole() -> None:
    rows = (
        "a,1,1000,LS,Running,0,90000,10\n"
        "b,1,500,BE,Failed,100,200,150\n"
        "c,0,0,BE,Running,0,50,0\n"
        "d,1,1000,BE,Pending,0,50,\n"
        "e,2,1000,,Succeeded,60,60,60\n"
    )
    demand = pods_demand((HEADER + rows).encode(), "pods.csv", Window(days=None))
    assert [(job.name, job.team, job.arrival_ns, job.duration_ns) for job in demand.jobs] == [
        ("a", "LS", 0, 89_990 * NS_PER_S),
        ("b", "BE", 100 * NS_PER_S, 50 * NS_PER_S),
    ]
    assert {item.text: item.count for item in demand.left_out} == {
        CPU_ONLY: 1,
        NEVER_SCHEDULED: 1,
        NO_WORK: 1,
    }
    assert demand.period_ns == 2 * DAY_NS


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,1,1000,LS,Running,0,ten,0", "row 2, column deletion_time"),
        ("a,1,1000,LS,Running,0,-5,0", "row 2, column deletion_time"),
        ("a,1,1001,LS,Running,0,5,0", "row 2, column gpu_milli"),
        ("a,1,0,LS,Running,0,5,0", "row 2, column gpu_milli"),
        ("a,99,1000,LS,Running,0,5,0", "row 2, column num_gpu"),
        ("a,1,1000,LS,Running,9,5,9", "before it was created"),
        (",1,1000,LS,Running,0,5,0", "empty or stands there twice"),
        ("a,1,1000,LS,Running,0,5,0\na,1,1000,LS,Running,0,5,0", "row 3, column name"),
        ("a,1,1000", "has 3 fields, the header has 8"),
        ("a,0,0,LS,Running,0,5,0", "no pod that held a GPU"),
    ],
)
def test_a_wrong_row_is_named(row: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        pods_demand((HEADER + row + "\n").encode(), "pods.csv", Window(days=None))
    assert said in str(caught.value)
    assert caught.value.source == "pods.csv" and caught.value.fix
