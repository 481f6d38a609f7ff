"""The measured inference pods of ../shared on 80 GB GPUs: what was packed by hand, and better."""

from collections import defaultdict
from pathlib import Path

import pytest
from msgspec.structs import replace

from stellwerk.adapters.files import expand, read_raw
from stellwerk.adapters.rows import read_table
from stellwerk.adapters.usage import known_usage
from stellwerk.engine.partition.inventory import Gpu, PartitionRequest
from stellwerk.engine.partition.plan import plan_partition
from stellwerk.sim.partitions.plan_job import PartitionArguments, plan_job
from stellwerk.sim.partitions.requests import request_of

PODS = Path(__file__).parents[3] / "shared" / "data" / "usage" / "genai_pod_gpu_1min.csv.xz"
pytestmark = pytest.mark.skipif(not PODS.is_file(), reason="the measured pods (../shared) are not here")
FLEET = "120xscaleway/H100-1-80G"


def present_at_111() -> list[PartitionRequest]:
    """The pods of the first minute in which there are 111: memory maximum and p95 compute of their 24 h."""
    content = expand(read_raw(PODS), str(PODS))
    present = defaultdict(set)
    for _, (pod, minute, *_) in read_table(content, "pods").rows:
        present[int(minute)].add(f"pod-{pod}")
    names = present[min(minute for minute, pods in present.items() if len(pods) == 111)]
    jobs = {job.name.removeprefix("pod-"): job for job in known_usage(content, str(PODS)).jobs}
    return [request_of(jobs[name.removeprefix("pod-")], ("mig", "mps", "whole")) for name in sorted(names)]


def test_111_pods_need_84_gpus_by_mig_and_fewer_than_66_by_mps() -> None:
    """By hand it was 84 and 66; both are now proven optima, the second one of fewer GPUs."""
    pods = present_at_111()
    fleet = [Gpu(node="n", index=index, model="H100-SXM5-80GB") for index in range(111)]
    assert len(pods) == 111
    mig = plan_partition(fleet, [replace(pod, methods=("mig", "whole")) for pod in pods])
    mps = plan_partition(fleet, [replace(pod, methods=("mps", "whole")) for pod in pods])
    assert (mig.gpus_used, mig.gap, mig.unserved) == (84, 0, ())
    assert (mps.gpus_used, mps.gap, mps.unserved) == (62, 0, ())


def test_planned_on_the_first_half_and_judged_on_the_second() -> None:
    found = plan_job(PartitionArguments(demand=str(PODS), fleet=FLEET, plan_hours=12))
    assert found.plan.gpus_used < found.whole_gpus == 115
    assert found.overflows, "some pods take more later, and the plan says so"
    assert found.hindsight_gpus is not None and found.hindsight_gpus < found.plan.gpus_used
