"""Kubernetes objects to demand: what is read, what is left out, every mistake by file, document and field."""

from typing import Any

import msgspec
import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import load_manifests
from stellwerk.engine.demand import NS_PER_S, Demand, Job
from stellwerk.engine.workload import NO_GPU, NO_PODS, OTHER_KIND, OWNED, demand_from_manifests

HOUR_NS = 3600 * NS_PER_S
PREFIX = "stellwerk.dev/"
Object = dict[str, Any]


def gpu_container(gpus: object = 1, field: str = "limits", resource: str = "nvidia.com/gpu") -> Object:
    return {"name": "main", "resources": {field: {resource: gpus}}}


def job(name: str = "a", **changes: Any) -> Object:
    notes = {"arrival": "2026-11-02T08:00:00Z", "duration": "2h"} | changes.pop("notes", {})
    metadata = {
        "name": name,
        "annotations": {PREFIX + key: value for key, value in notes.items() if value is not None},
    } | changes.pop("metadata", {})
    pod = {"containers": [gpu_container()]} | changes.pop("pod", {})
    spec = {"template": {"spec": pod}} | changes.pop("spec", {})
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def period(start: str = "2026-11-02T00:00:00Z", duration: str = "168h") -> Object:
    spec = {"start": start, "duration": duration}
    api_version = "stellwerk.dev/v1alpha1"
    return {"apiVersion": api_version, "kind": "Period", "metadata": {"name": "week"}, "spec": spec}


def demand(*objects: Object) -> Demand:
    text = b"\n---\n".join(msgspec.yaml.encode(item) for item in objects)
    return demand_from_manifests("jobs.yaml", load_manifests(text, "jobs.yaml"))


def test_everything_that_a_manifest_says_is_in_the_job() -> None:
    notes = {
        "gpu-memory": "22Gi",
        "gpu-compute": "300m",
        "gpu-compute-mean": "0.085",
        "whole-gpu": "true",
        "isolation": "required",
    }
    labels = {PREFIX + "workload-kind": "training"}
    item = job(notes=notes, metadata={"namespace": "vision", "labels": labels}, spec={"parallelism": 3})
    item["metadata"]["annotations"] = {
        **{PREFIX + key: value for key, value in notes.items()},
        PREFIX + "arrival": "2026-11-02T10:00:00+02:00",
        PREFIX + "duration": "3h30m",
    }
    found = demand(item)
    assert found.jobs == (
        Job(
            name="vision/a",
            team="vision",
            kind="training",
            arrival_ns=8 * HOUR_NS,
            duration_ns=3 * HOUR_NS + HOUR_NS // 2,
            pods=3,
            memory_bytes=22 * 2**30,
            compute_milli=300,
            used_milli=85,
            whole=True,
            isolated=True,
        ),
    )


def test_what_a_manifest_does_not_say_has_the_documented_defaults() -> None:
    found = demand(job())
    expected = Job(name="default/a", team="default", arrival_ns=8 * HOUR_NS, duration_ns=2 * HOUR_NS)
    assert found.jobs == (expected,)
    assert found.notes == ("1 jobs carry no measured memory and compute, so they never share a GPU.",)


def test_a_deployment_and_a_pod_are_read_as_well() -> None:
    metadata = job()["metadata"]
    pod_spec = {"containers": [gpu_container(2, "requests")]}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"replicas": 2, "template": {"spec": pod_spec}},
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec}
    found = demand(deployment, pod)
    assert [(item.name, item.kind, item.pods, item.gpus) for item in found.jobs] == [
        ("default/deployment/a", "inference", 2, 2),
        ("default/pod/a", "unknown", 1, 2),
    ]


def test_the_gpus_of_a_pod_follow_kubernetes() -> None:
    sidecar = {**gpu_container(1), "name": "sidecar", "restartPolicy": "Always"}
    init = {**gpu_container(4), "name": "init"}
    assert demand(job(pod={"containers": [gpu_container(1), gpu_container("2")]})).jobs[0].gpus == 3
    assert demand(job(pod={"initContainers": [init]})).jobs[0].gpus == 4
    assert demand(job(pod={"initContainers": [sidecar]})).jobs[0].gpus == 2
    assert demand(job(pod={"initContainers": [sidecar, init]})).jobs[0].gpus == 5


def test_creation_stands_in_for_a_missing_arrival() -> None:
    metadata = {"creationTimestamp": "2026-11-03T01:00:00Z"}
    item = job(notes={"arrival": None}, metadata=metadata)
    item["metadata"]["annotations"] = {PREFIX + "duration": "1h"}
    assert demand(item).jobs[0].arrival_ns == HOUR_NS


def test_without_a_period_it_is_the_days_of_the_arrivals() -> None:
    found = demand(job("a"), job("b", notes={"arrival": "2026-11-04T23:59:59Z"}))
    assert found.period_ns == 72 * HOUR_NS
    assert found.start_ns % (24 * HOUR_NS) == 0


def test_a_period_sets_start_and_length() -> None:
    found = demand(period("2026-11-01T12:00:00Z", "36h"), job())
    assert (found.period_ns, found.jobs[0].arrival_ns) == (36 * HOUR_NS, 20 * HOUR_NS)


def test_what_is_not_replayed_is_counted() -> None:
    owner = [{"apiVersion": "batch/v1", "kind": "Job", "name": "a", "uid": "1"}]
    pod_spec = {"containers": [gpu_container()]}
    owned = {"name": "a-x", "ownerReferences": owner}
    found = demand(
        job("a"),
        job("cpu", pod={"containers": [{"name": "main"}]}, notes={"arrival": None, "duration": None}),
        job("none", spec={"parallelism": 0, "template": {"spec": pod_spec}}),
        {"apiVersion": "v1", "kind": "Pod", "metadata": owned, "spec": pod_spec},
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}},
    )
    assert [item.name for item in found.jobs] == ["default/a"]
    assert {item.text: item.count for item in found.left_out} == {
        NO_GPU: 1,
        NO_PODS: 1,
        OWNED: 1,
        OTHER_KIND: 1,
    }


def test_pods_of_a_replica_set_belong_to_its_deployment_if_that_is_there() -> None:
    owner = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9f", "uid": "1"}]
    pod = job("web-5d9f-x")
    pod |= {"apiVersion": "v1", "kind": "Pod", "spec": pod["spec"]["template"]["spec"]}
    pod["metadata"]["ownerReferences"] = owner
    deployment = job("web") | {"apiVersion": "apps/v1", "kind": "Deployment"}
    assert [item.name for item in demand(pod, deployment).jobs] == ["default/web"]
    assert [item.name for item in demand(pod).jobs] == ["default/web-5d9f-x"]


def test_a_suspended_job_is_replayed() -> None:
    item = job()
    item["spec"]["suspend"] = True
    assert len(demand(item).jobs) == 1


NOTE = "metadata.annotations[stellwerk.dev/{}]"
LIMIT = "spec.template.spec.containers[0].resources.limits[{}]"
CLAIMS = {"containers": [{"name": "main"}], "resourceClaims": [{"name": "gpu", "resourceClaimName": "x"}]}


@pytest.mark.parametrize(
    ("objects", "path", "said"),
    [
        ([job(notes={"duration": None})], "metadata.annotations", "stellwerk.dev/duration is missing"),
        ([job(notes={"duration": "0s"})], NOTE.format("duration"), "no duration above 0"),
        ([job(notes={"duration": "-2h"})], NOTE.format("duration"), "no duration above 0"),
        ([job(notes={"duration": "two hours"})], NOTE.format("duration"), "no duration above 0"),
        ([job(notes={"duration": "999999h"})], NOTE.format("duration"), "below ten years"),
        ([job(notes={"arrival": None})], "metadata.annotations", "stellwerk.dev/arrival is missing"),
        ([job(notes={"arrival": "monday"})], NOTE.format("arrival"), "no RFC 3339 time"),
        ([job(notes={"arrival": "2026-02-30T00:00:00Z"})], NOTE.format("arrival"), "no RFC 3339 time"),
        ([job(notes={"gpu-memory": "-1Gi"})], NOTE.format("gpu-memory"), "no amount of memory"),
        ([job(notes={"gpu-memory": "2Ti"})], NOTE.format("gpu-memory"), "no amount of memory"),
        ([job(notes={"gpu-memory": "much"})], NOTE.format("gpu-memory"), "no amount of memory"),
        ([job(notes={"gpu-compute": "1001m"})], NOTE.format("gpu-compute"), "no share of one GPU"),
        ([job(notes={"gpu-compute": "-1m"})], NOTE.format("gpu-compute"), "no share of one GPU"),
        ([job(notes={"gpu-compute-mean": "8%"})], NOTE.format("gpu-compute-mean"), "no share of one GPU"),
        ([job(notes={"whole-gpu": "yes"})], NOTE.format("whole-gpu"), "none of false, true"),
        ([job(notes={"isolation": "soft"})], NOTE.format("isolation"), "none of required"),
        (
            [job(metadata={"labels": {PREFIX + "workload-kind": "game"}})],
            "metadata.labels[stellwerk.dev/workload-kind]",
            "no workload kind",
        ),
        (
            [job(pod={"containers": [gpu_container("500m")]})],
            LIMIT.format("nvidia.com/gpu"),
            "not a whole number of GPUs",
        ),
        (
            [job(pod={"containers": [gpu_container(-1)]})],
            LIMIT.format("nvidia.com/gpu"),
            "not a whole number of GPUs",
        ),
        (
            [job(pod={"containers": [gpu_container(1, resource="nvidia.com/mig-1g.10gb")]})],
            LIMIT.format("nvidia.com/mig-1g.10gb"),
            "cannot be replayed",
        ),
        (
            [job(pod={"containers": [gpu_container(1, resource="nvidia.com/gpu.shared")]})],
            LIMIT.format("nvidia.com/gpu.shared"),
            "cannot be replayed",
        ),
        ([job(pod=CLAIMS)], "spec.template.spec.resourceClaims", "cannot be replayed"),
        (
            [job(spec={"parallelism": -1, "template": {"spec": {"containers": []}}})],
            "spec.parallelism",
            "-1 pods",
        ),
        ([job(), job()], "metadata.name", "there twice"),
        ([job("")], "metadata.name", "has no name"),
        (
            [period(), job(notes={"arrival": "2026-11-09T00:00:00Z"})],
            NOTE.format("arrival"),
            "outside the Period",
        ),
        ([period("2026-11-02T08:00:01Z"), job()], NOTE.format("arrival"), "outside the Period"),
        ([job(), period("then")], "spec.start", "no RFC 3339 time"),
        ([job(), period(duration="0h")], "spec.duration", "no duration above 0"),
        ([job(), period(), period()], "metadata.name", "more than one Period"),
        (
            [job("a", notes={"arrival": "2001-01-01T00:00:00Z"}), job("b")],
            NOTE.format("arrival"),
            "ten years apart",
        ),
    ],
)
def test_a_mistake_is_named_with_its_field(objects: list[Object], path: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        demand(*objects)
    error = caught.value
    assert said in str(error)
    assert (error.source, error.path) == ("jobs.yaml", path)
    assert error.document and "{" not in error.fix.format(**error.values)


def test_the_errors_for_shared_requests_say_where_measured_use_goes() -> None:
    item = job(pod={"containers": [gpu_container(1, resource="nvidia.com/mig-3g.40gb")]})
    with pytest.raises(InvalidInput) as caught:
        demand(item)
    fix = caught.value.fix.format(**caught.value.values)
    assert "nvidia.com/gpu" in fix and "stellwerk.dev/gpu-memory" in fix


def test_objects_without_any_gpu_are_no_demand() -> None:
    with pytest.raises(InvalidInput, match=r"no Job, Pod or Deployment that asks for nvidia\.com/gpu"):
        demand({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
