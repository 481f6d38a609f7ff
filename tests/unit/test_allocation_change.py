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
from tests.unit.allocation_sample import (
    Object,
    answers,
    claim,
    class_of,
    device,
    obj,
    pod,
    run,
    slice_of,
    write,
)

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
            for name in ("claims", "gates", "freed", "spec", "mapped")
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


def changes(capsys: pytest.CaptureFixture[str], folder: Path, *objects: Object) -> list[Object | None]:
    """The change of each that is refused."""
    return [one["change"] for one in answers(capsys, "-f", write(folder, *objects)) if not one["allocated"]]


def test_who_got_devices_in_this_run_is_left_out_not_freed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = [class_of(), slice_of("n1", device("gpu-0")), claim("t", kind="ResourceClaimTemplate")]
    (by_pod,) = changes(capsys, tmp_path, *cluster, pod("p", "t"), pod("q", "t"))
    assert by_pod and (by_pod["code"], by_pod["values"]) == ("without-pod", {"name": "default/p"})
    (by_claim,) = changes(capsys, tmp_path, *cluster, claim("a"), claim("b"))
    assert by_claim and (by_claim["code"], by_claim["values"]) == ("without-claim", {"name": "default/a"})


def test_a_claim_that_others_use_too_does_not_get_free(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [{"name": "d", "resourceClaimName": "shared"}]
    users = [pod(name, resourceClaims=entries) for name in ("p", "q")]
    cluster = [class_of(), slice_of("n1", device("gpu-0"))]
    (change,) = changes(capsys, tmp_path, *cluster, claim("shared"), *users, claim("late"))
    assert change and change["helps"] is False


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        (None, "55Gi"),
        ({"default": "10Gi", "validRange": {"min": "10Gi", "step": "10Gi"}}, "50Gi"),
        ({"default": "20Gi", "validValues": ["20Gi", "30Gi", "40Gi"]}, "40Gi"),
    ],
)
def test_as_much_is_asked_as_a_shared_device_has_left(
    policy: Object | None, left: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = {"memory": {"value": "80Gi", **({"requestPolicy": policy} if policy else {})}}
    first = "25Gi" if policy is None else "30Gi"
    asks = [
        claim(name, capacity={"requests": {"memory": amount}})
        for name, amount in (("a", first), ("b", "70Gi"))
    ]
    shared = device("gpu-0", allowMultipleAllocations=True) | {"capacity": memory}
    (change,) = changes(capsys, tmp_path, class_of(), slice_of("n1", shared), *asks)
    assert change and (change["code"], change["values"]["left"]) == ("lower-capacity", left)
    asks[1]["spec"]["devices"]["requests"][0]["exactly"]["capacity"]["requests"]["memory"] = left
    assert changes(capsys, tmp_path, class_of(), slice_of("n1", shared), *asks) == []


def test_an_extended_resource_that_nobody_serves_is_mapped_to_a_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wants = {"resources": {"limits": {"example.com/gpu": "1"}}}
    other = class_of("a-nic", "device.driver == 'nic.example.org'")
    cluster = [class_of(), other, slice_of("n1", device("gpu-0"))]
    (change,) = changes(capsys, tmp_path, *cluster, pod("p", **wants))
    assert change and (change["code"], change["values"]["class_name"]) == ("map-extended-resource", "gpu")
    mapped = [class_of(extendedResourceName="example.com/gpu"), *cluster[1:]]
    assert changes(capsys, tmp_path, *mapped, pod("p", **wants)) == []
    implicit = {"resources": {"limits": {change["values"]["implicit"]: "1"}}}
    assert changes(capsys, tmp_path, *cluster, pod("p", **implicit)) == []


def test_no_mig_device_is_offered_to_who_asks_for_a_gpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_type = "device.driver == 'gpu.example.com' && device.attributes['gpu.example.com'].type == '{}'"
    classes = [class_of("gpu", of_type.format("gpu")), class_of("mig", of_type.format("mig"))]
    mig = [device(f"mig-{i}", attributes={"type": {"string": "mig"}}) for i in range(2)]
    cluster = [*classes, slice_of("n1", device("gpu-0"), *mig)]
    (change,) = changes(capsys, tmp_path, *cluster, claim("a"), claim("b"))
    assert change and change["code"] == "without-claim"
    same = class_of("x-gpu", of_type.format("gpu"))
    second = device("gpu-1", attributes={"type": {"string": "gpu"}})
    strict = class_of(
        "gpu", of_type.format("gpu") + " && device.attributes['gpu.example.com'].uuid == 'GPU-gpu-0'"
    )
    cluster = [strict, classes[1], same, slice_of("n1", device("gpu-0"), second, *mig)]
    (change,) = changes(capsys, tmp_path, *cluster, claim("a"), claim("b"))
    assert change and (change["code"], change["values"]["class_name"]) == ("other-class", "x-gpu")


def test_no_change_that_helps_is_not_said_to_be_none_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(
        tmp_path, class_of(), slice_of("n1", device("gpu-0"), device("gpu-1")), claim("a", count=2)
    )
    assert run(capsys, "-f", folder)[0] == 0
    bad = [{"cel": {"expression": "false"}}]
    folder = write(tmp_path, class_of(), slice_of("n1", device("gpu-0")), claim("a", count=2, selectors=bad))
    assert "none of the" in run(capsys, "-f", folder)[1]


def test_who_asks_the_same_again_has_the_same_answer_with_its_own_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each answer is that which the claim or pod has alone beside what is allocated."""
    template = claim("t", kind="ResourceClaimTemplate", count=3)
    cluster = [class_of(extendedResourceName="example.com/gpu"), template, slice_of("n1", device("gpu-0"))]
    wants = {"resources": {"limits": {"example.com/gpu": "2"}}}
    asks = [
        *(claim(name, count=2) for name in ("a", "b")),
        claim("c", count=3),
        claim("d", count=2),
        *(pod(name, "t") for name in ("p", "q")),
        *(pod(name, **wants) for name in ("r", "s")),
        pod("u", "t", nodeSelector={"x": "y"}),
    ]
    together = answers(capsys, "-f", write(tmp_path, *cluster, *asks))
    alone = [answers(capsys, "-f", write(tmp_path, *cluster, one))[0] for one in asks]
    assert together == alone
    assert len({str(one["refused"]) for one in together}) == len(asks)
