"""The smallest change: which ones are tried, in which order, and that its answer is true."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from stellwerk.api.groups.resource import DeviceTaint, ResourceClaim
from stellwerk.api.manifests import load_manifests
from stellwerk.api.mismatch import decode_hook
from stellwerk.engine.allocation.change import (
    MOST_GIVEN_UP,
    MOST_TRIES,
    Case,
    Change,
    Choices,
    NoChange,
    changes_of,
    drivers_of,
    smallest_change,
)
from stellwerk.engine.allocation.pods.world import world_of
from tests.unit.allocation_sample import Object, answers, claim, class_of, device, obj, slice_of, write

TAINT = DeviceTaint(key="k", effect="NoSchedule", value="v")
NOTHING = Choices(classes={}, taints=(), holders=(), gates=())
ALL = Choices(
    classes={"gpu": frozenset({"d"}), "other": frozenset({"d"}), "far": frozenset({"e"})},
    taints=(TAINT,),
    holders=("default/b",),
    gates=("DRAConsumableCapacity",),
)


def case_of(*claims: Object) -> Case:
    typed = tuple(msgspec.convert(one, ResourceClaim, dec_hook=decode_hook) for one in claims)
    return Case(claims=typed, gates=frozenset())


def two() -> Object:
    selectors = [{"cel": {"expression": f"{i} < 3"}} for i in range(2)]
    constraints = [{"matchAttribute": "d/x"}]
    return claim("a", count=3, selectors=selectors, devices={"constraints": constraints})


def test_the_kinds_of_change_come_in_the_stated_order() -> None:
    codes = [reason.code for reason, _ in changes_of(case_of(two()), ALL)]
    assert codes == [
        *["drop-selector"] * 2,
        *["lower-count"] * 2,
        "tolerate-taint",
        "drop-constraint",
        "other-class",
        "free-claim",
        "enable-gate",
    ]


def test_each_change_changes_one_thing() -> None:
    case = case_of(two())
    for reason, changed in changes_of(case, ALL):
        fields = [
            name
            for name in ("claims", "gates", "freed", "spec")
            if getattr(case, name) != getattr(changed, name)
        ]
        assert len(fields) == 1, reason


def test_the_first_change_that_works_is_the_answer() -> None:
    def works(case: Case) -> str:
        return "n" if case.freed or case.gates else ""

    found = smallest_change(case_of(two()), ALL, works)
    assert isinstance(found, Change) and (found.reason.code, found.node) == ("free-claim", "n")


def test_no_says_whether_all_was_tried() -> None:
    assert smallest_change(case_of(two()), ALL, lambda _: "") == NoChange(9, True)
    assert smallest_change(case_of(two()), ALL, lambda case: None if case.freed else "") == NoChange(9, False)
    many = Choices(classes={}, taints=(), holders=[f"c{i}" for i in range(MOST_TRIES * 2)], gates=())
    assert smallest_change(case_of(claim("a")), many, lambda _: "") == NoChange(MOST_TRIES, False)
    assert smallest_change(case_of(claim("a")), many, lambda _: None) == NoChange(MOST_GIVEN_UP, False)


def test_a_class_of_another_driver_is_no_alternative() -> None:
    tried = [
        reason.values["class_name"]
        for reason, _ in changes_of(case_of(claim("a")), ALL)
        if reason.code == "other-class"
    ]
    assert tried == ["other"]


def test_alternatives_of_first_available_are_changed_one_by_one() -> None:
    listed = [{"name": name, "deviceClassName": "gpu", "count": 2} for name in ("x", "y")]
    asked = obj("ResourceClaim", "a", {"devices": {"requests": [{"name": "r", "firstAvailable": listed}]}})
    found = [reason.values["request"] for reason, _ in changes_of(case_of(asked), NOTHING)]
    assert found == ["r/x", "r/y"]


def test_the_drivers_of_a_class_are_those_that_it_names() -> None:
    objects: list[Any] = [
        class_of(),
        class_of("any", "true"),
        slice_of("n1", device("a")),
        slice_of("n1", device("a"), driver="other.example.com"),
    ]
    text = msgspec.json.encode({"apiVersion": "v1", "kind": "List", "items": objects})
    world = world_of(load_manifests(text, "x"))
    found = drivers_of(world.classes, world.slices)
    assert found == {"gpu": frozenset({"gpu.example.com"}), "any": frozenset()}


SLICE = slice_of(
    "n1",
    device("gpu-0", attributes={"rack": {"string": "a"}}),
    device("gpu-1", attributes={"rack": {"string": "b"}}, taints=[{"key": "k", "effect": "NoSchedule"}]),
)
HELD = claim("held")
HELD["status"] = {
    "allocation": {
        "devices": {
            "results": [{"request": "gpu", "driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"}]
        }
    }
}


@pytest.mark.parametrize(
    ("objects", "code"),
    [
        ([claim("a", selectors=[{"cel": {"expression": "false"}}])], "drop-selector"),
        ([claim("a", count=4)], "lower-count"),
        ([HELD, claim("a")], "tolerate-taint"),
        (
            [
                claim(
                    "a",
                    count=2,
                    tolerations=[{"operator": "Exists"}],
                    devices={"constraints": [{"matchAttribute": "gpu.example.com/rack"}]},
                )
            ],
            "lower-count",
        ),
        (
            [
                obj(
                    "ResourceClaim",
                    "a",
                    {
                        "devices": {
                            "requests": [
                                {
                                    "name": name,
                                    "exactly": {
                                        "deviceClassName": "gpu",
                                        "tolerations": [{"operator": "Exists"}],
                                    },
                                }
                                for name in ("r", "s")
                            ],
                            "constraints": [{"matchAttribute": "gpu.example.com/rack"}],
                        }
                    },
                )
            ],
            "drop-constraint",
        ),
        (
            [
                class_of("none", "device.driver == 'gpu.example.com' && false"),
                claim("a", deviceClassName="none"),
            ],
            "other-class",
        ),
        (
            [HELD, claim("a", tolerations=[{"key": "other", "operator": "Exists"}], count=1)],
            "tolerate-taint",
        ),
    ],
)
def test_the_change_is_one_that_the_allocator_takes(
    objects: list[Object], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answers(capsys, "-f", write(tmp_path, class_of(), SLICE, *objects))
    assert found[-1]["change"]["code"] == code and found[-1]["change"]["node"] == "n1"


def test_devices_of_a_claim_are_freed_where_nothing_else_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path, class_of(), slice_of("n1", device("gpu-0")), HELD, claim("a"))
    answer = answers(capsys, "-f", folder)[-1]
    assert answer["change"]["values"] == {"holder": "default/held"}
