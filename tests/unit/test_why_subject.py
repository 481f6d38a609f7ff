"""Whom a name means in a cluster, which pods are its own, and how many it wants."""

from typing import Any

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import Manifest, typed
from stellwerk.cli.queueing.subject import case_of, subject_of

POD = {"containers": [{"name": "c", "image": "x"}]}


def thing(kind: str, name: str, namespace: str = "a", owner: str = "", **spec: Any) -> Manifest:
    """`owner`: Kind/name."""
    of, _, called = owner.partition("/")
    references = [{"apiVersion": "x", "kind": of, "name": called, "uid": "u"}] if owner else []
    version = {"Pod": "v1", "Job": "batch/v1", "Workload": "kueue.x-k8s.io/v1beta2"}.get(kind, "apps/v1")
    status = spec.pop("status", {})
    raw = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": references},
        "spec": {"template": {"spec": POD}, **spec} if kind != "Pod" else {**POD, **spec},
        "status": status,
    }
    return typed(Manifest(raw=raw, object=None, source=f"{kind} {name}", document=1))


THERE = [
    thing("Deployment", "web", replicas=2),
    thing("ReplicaSet", "web-1", owner="Deployment/web"),
    thing("Pod", "web-1-x", owner="ReplicaSet/web-1", nodeName="n"),
    thing("ReplicaSet", "web-1", "b", owner="Deployment/web"),
    thing("Pod", "web-1-y", "b", owner="ReplicaSet/web-1"),
    thing("StatefulSet", "same"),
    thing("Pod", "same"),
    thing("StatefulSet", "twice"),
    thing("Deployment", "twice"),
    thing("Job", "train", "b"),
    thing("Workload", "job-train-1", "b", owner="Job/train", podSets=[]),
]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("web", ("Deployment", "a", "web")),
        ("a/web", ("Deployment", "a", "web")),
        ("deploy/web", ("Deployment", "a", "web")),
        ("Deployment/web", ("Deployment", "a", "web")),
        ("b/rs/web-1", ("ReplicaSet", "b", "web-1")),
        ("b/web-1", ("ReplicaSet", "b", "web-1")),
        ("same", ("StatefulSet", "a", "same")),
        ("pod/same", ("Pod", "a", "same")),
        ("a/sts/twice", ("StatefulSet", "a", "twice")),
        ("job-train-1", ("Job", "b", "train")),
        ("wl/job-train-1", ("Job", "b", "train")),
    ],
)
def test_a_name_means_one_object(name: str, found: tuple[str, str, str]) -> None:
    one = subject_of(THERE, name)
    assert (one.kind, one.namespace, one.name) == found


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("twice", "write one of: a/deployment/twice, a/statefulset/twice"),
        ("rs/web-1", "write one of: a/web-1, b/web-1"),
        ("wob", "write one of: a/web"),
        ("pod/web", "write one of: "),
        ("a/b/c/d", "write one of: "),
    ],
)
def test_a_name_that_means_none_or_several_is_answered_with_those_that_there_are(name: str, fix: str) -> None:
    with pytest.raises(InvalidInput) as error:
        subject_of(THERE, name)
    assert error.value.fix.format(**error.value.values).startswith(fix)


def test_pods_of_a_deployment_are_those_of_its_replica_sets_in_its_namespace() -> None:
    one = subject_of(THERE, "web")
    assert [pod.metadata.name for pod in one.pods] == ["web-1-x"]
    assert (one.wanted, one.waiting) == (2, None)
    case = case_of(one)
    assert case is not None and case.key == ("a", "web-0")


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, 1),
        ({"parallelism": 5}, 5),
        ({"parallelism": 5, "completions": 2}, 2),
        ({"parallelism": 5, "completions": 7, "status": {"succeeded": 4}}, 3),
        ({"parallelism": 5, "status": {"succeeded": 1}}, 0),
        ({"parallelism": 5, "suspend": True}, 0),
    ],
)
def test_a_job_wants_as_many_pods_as_it_still_needs(spec: dict[str, Any], wanted: int) -> None:
    assert subject_of([thing("Job", "j", **spec)], "j").wanted == wanted
