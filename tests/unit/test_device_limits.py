"""What the API server refuses of slices, claims, classes and taint rules is refused, with its field."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.unit.allocation_sample import Object, claim, class_of, device, obj, run, slice_of, write

Steps = tuple[str | int, ...]
BASE: dict[str, Object] = {
    "slice": slice_of("n1", device("gpu-0")),
    "class": class_of(),
    "claim": claim("a", devices={"constraints": [{"matchAttribute": "d.example.com/x"}]}),
    "rule": obj(
        "DeviceTaintRule", "r", {"taint": {"key": "k", "effect": "NoSchedule"}, "deviceSelector": {}}
    ),
}
D: Steps = ("spec", "devices", 0)
R: Steps = ("spec", "devices", "requests", 0, "exactly")
CASES: list[tuple[str, Steps, Any, str]] = [
    ("slice", ("spec", "driver"), "x" * 64, "spec.driver"),
    ("slice", ("spec", "driver"), "no driver", "spec.driver"),
    ("slice", ("spec", "pool", "name"), "a//b", "spec.pool.name"),
    ("slice", ("spec", "pool", "resourceSliceCount"), 0, "spec.pool.resourceSliceCount"),
    ("slice", ("spec", "pool", "generation"), -1, "spec.pool.generation"),
    ("slice", ("spec", "allNodes"), True, "exactly one of"),
    ("slice", ("spec", "nodeName"), "", "exactly one of"),
    ("slice", (*D, "name"), "GPU_0", "spec.devices[0].name"),
    ("slice", ("spec", "devices"), [device("a"), device("a")], "spec.devices[1]"),
    ("slice", ("spec", "devices"), [device(f"d{i}") for i in range(129)], "the 128"),
    (
        "slice",
        ("spec", "devices"),
        [device(f"d{i}", taints=[{"key": "k", "effect": "None"}]) for i in range(65)],
        "the 64",
    ),
    ("slice", (*D, "attributes", "a-b"), {"int": 1}, "name of an attribute"),
    ("slice", (*D, "attributes", "x"), {}, "exactly one of"),
    ("slice", (*D, "attributes", "x"), {"int": 1, "bool": True}, "exactly one of"),
    ("slice", (*D, "attributes", "x"), {"string": "ä" * 33}, "longer than 64 bytes"),
    ("slice", (*D, "attributes", "x"), {"strings": []}, "the field value is missing"),
    ("slice", (*D, "attributes", "x"), {"ints": list(range(60))}, "the 48"),
    ("slice", (*D, "attributes"), {f"a{i}": {"int": i} for i in range(33)}, "the 32"),
    ("slice", (*D, "taints"), [{"key": "k", "effect": "Never"}], "taints[0].effect"),
    ("slice", (*D, "taints"), [{"key": "k", "effect": "None"}] * 17, "the 16"),
    ("slice", (*D, "nodeName"), "n1", "perDeviceNodeSelection"),
    (
        "slice",
        (*D, "consumesCounters"),
        [{"counterSet": "c", "counters": {}}],
        "the field counters is missing",
    ),
    ("class", ("spec", "selectors"), [{}], "spec.selectors[0].cel"),
    ("class", ("spec", "selectors"), [{"cel": {"expression": "true"}}] * 33, "the 32"),
    ("class", ("spec", "selectors", 0, "cel", "expression"), "device.", "spec.selectors[0].cel.expression"),
    ("class", ("spec", "extendedResourceName"), "gpu", "extended resource"),
    ("class", ("spec", "extendedResourceName"), "x.kubernetes.io/gpu", "extended resource"),
    ("claim", (*R, "count"), -1, "count"),
    ("claim", (*R, "allocationMode"), "Some", "allocationMode"),
    ("claim", (*R, "allocationMode"), "All", ""),
    ("claim", (*R, "deviceClassName"), "", "deviceClassName"),
    ("claim", (*R, "tolerations"), [{"operator": "Exists", "value": "v"}], "no value"),
    ("claim", (*R, "tolerations"), [{"operator": "Less"}], "operator"),
    (
        "claim",
        ("spec", "devices", "requests", 0, "firstAvailable"),
        [{"name": "x", "deviceClassName": "gpu"}],
        "exactly one of",
    ),
    ("claim", ("spec", "devices", "requests", 0, "name"), "a/b", "requests[0].name"),
    ("claim", ("spec", "devices", "constraints"), [{}], "needs matchAttribute or distinctAttribute"),
    ("claim", ("spec", "devices", "constraints"), [{"matchAttribute": "x"}], "constraints[0].matchAttribute"),
    ("claim", ("spec", "devices", "constraints", 0, "requests"), ["none"], "is not a request of this claim"),
    ("claim", ("spec", "devices", "constraints", 0, "requests"), ["gpu", "gpu"], "is there twice"),
    ("claim", ("spec", "devices", "config"), [{}], "config[0].opaque"),
    (
        "claim",
        ("status",),
        {"reservedFor": [{"resource": "pods", "name": "p", "uid": "u"}]},
        "status.reservedFor",
    ),
    ("rule", ("spec", "taint", "key"), "", "spec.taint.key"),
    ("rule", ("spec", "taint", "effect"), "Evict", "spec.taint.effect"),
]


def changed(kind: str, steps: Steps, value: Any) -> list[Object]:
    objects = deepcopy(BASE)
    place: Any = objects[kind]
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = value
    return list(objects.values())


@pytest.mark.parametrize(("kind", "steps", "value", "said"), CASES)
def test_a_bad_field_is_named(
    kind: str, steps: Steps, value: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "-f", write(tmp_path, *changed(kind, steps, value)))
    if not said:
        assert code in (0, 1)
        return
    assert code == 2 and said in err and err.count("\n") == 1, err


def test_the_objects_are_good_before_they_are_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "-f", write(tmp_path, *BASE.values()))
    assert code in (0, 1) and not err
