"""What parity's simulation says of devices, as Kubernetes 1.36.3 was seen to decide. No cluster is needed."""

from typing import Any

import pytest

from tests.cluster.parity.claims import devices_after
from tests.cluster.parity.record import Record
from tests.cluster.parity.scenario import DEVICE, Json, Scenario, Step, namespace, node

SICK = {"key": "parity.test/worn", "value": "yes", "effect": "NoExecute"}
RESOURCE = "parity.test/gpu"


def of(kind: str, name: str, spec: Json, version: str = "v1", **metadata: Any) -> Json:
    named = {"name": name, **metadata}
    return {"apiVersion": f"resource.k8s.io/{version}", "kind": kind, "metadata": named, "spec": spec}


def pool(host: str, devices: int, **of_each: Any) -> Json:
    spec = {"driver": "parity.test", "nodeName": host, "pool": {"name": host, "generation": 1}}
    spec["pool"]["resourceSliceCount"] = 1  # type: ignore[index]
    return of(
        "ResourceSlice", host, {**spec, "devices": [{"name": f"d{i}", **of_each} for i in range(devices)]}
    )


def claim(name: str, **exactly: Any) -> Json:
    requests = [{"name": "gpu", "exactly": {"deviceClassName": "gpus", **exactly}}]
    return of("ResourceClaim", name, {"devices": {"requests": requests}}, namespace="p1")


def pod(name: str, claimed: str = "", host: str = "") -> Json:
    """With a claim, or, with none, a whole device as an extended resource."""
    resources: Json = {"claims": [{"name": "gpu"}]} if claimed else {"limits": {RESOURCE: "1"}}
    spec: Json = {"containers": [{"name": "main", "image": "none", "resources": resources}]}
    if claimed:
        spec["resourceClaims"] = [{"name": "gpu", "resourceClaimName": claimed}]
    if host:
        spec["nodeSelector"] = {"kubernetes.io/hostname": host}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "p1"}, "spec": spec}


def last(slices: list[Json], steps: list[Step], real: list[Record] | None = None) -> Record:
    hosts = [node(each["metadata"]["name"], {}, 8) for each in slices]
    classes = of("DeviceClass", "gpus", {"extendedResourceName": RESOURCE})
    objects = (namespace("p1"), *hosts, classes, *slices)
    scenario = Scenario(seed=1, feature="taints", kind=DEVICE, objects=objects, steps=tuple(steps))
    return devices_after(scenario, real)[-1]


RULE = of("DeviceTaintRule", "worn", {"deviceSelector": {"driver": "parity.test"}, "taint": SICK}, "v1beta2")


@pytest.mark.parametrize(
    ("tolerations", "stays"),
    [
        ([], False),
        ([{"operator": "Exists"}], False),  # For the scheduler it tolerates everything.
        ([{"operator": "Exists", "effect": "NoExecute"}], True),
        ([{"key": "parity.test/worn", "operator": "Equal", "value": "yes", "effect": "NoExecute"}], True),
    ],
)
def test_only_a_toleration_that_names_the_effect_keeps_a_pod(tolerations: list[Json], stays: bool) -> None:
    made = Step(create=(claim("c", tolerations=tolerations), pod("a", "c")))
    found = last([pool("n0", 1)], [made, Step(create=(RULE,))])
    assert bool(found) is stays


def test_a_pod_with_an_extended_resource_is_not_evicted() -> None:
    found = last([pool("n0", 1)], [Step(create=(pod("a"),)), Step(create=(RULE,))])
    assert found["a"]["devices"] == [["container-0-request-0", "n0", "d0"]]


@pytest.mark.parametrize("step", [Step(delete=(("", "Pod", "a"),)), Step(finish=(("Pod", "a"),))])
def test_who_ends_gives_its_devices_to_who_waits(step: Step) -> None:
    first = Step(create=(claim("c", count=2), pod("a", "c")))
    second = Step(create=(claim("d"), pod("b", "d")))
    assert last([pool("n0", 2)], [first, second])["b"] == {"node": "", "devices": []}
    assert last([pool("n0", 2)], [first, second, step]) == {
        "b": {"node": "n0", "devices": [["gpu", "n0", "d0"]]}
    }


def test_a_claim_that_no_pod_uses_any_more_waits_for_one() -> None:
    first = Step(create=(claim("c", allocationMode="All"), pod("a", "c")))
    steps = [first, Step(delete=(("", "Pod", "a"),)), Step(create=(claim("d"), pod("b", "d")))]
    assert last([pool("n0", 1)], steps)["b"]["devices"] == [["gpu", "n0", "d0"]]


def test_the_node_of_several_is_the_one_that_was_really_taken() -> None:
    slices, step = [pool("n0", 1), pool("n1", 1)], Step(create=(claim("c"), pod("a", "c")))
    there: Record = {"a": {"node": "n1", "devices": [["gpu", "n1", "d0"]]}}
    assert last(slices, [step])["a"]["node"] == "n0"
    assert last(slices, [step], [there]) == there
    nowhere: Record = {"a": {"node": "n1", "devices": [["gpu", "n1", "d7"]]}}
    assert last(slices, [step], [nowhere])["a"]["node"] == "n0"  # What cannot be is not made to agree.
