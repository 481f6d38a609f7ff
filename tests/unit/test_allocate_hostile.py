"""`stellwerk allocate` on input that means harm: a clear refusal or an answer, in bounded time.

The times are of the machine's own processor; they bound what must not explode, with room for a busy machine.
"""

import time
from pathlib import Path

import pytest

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

ONE = slice_of("n1", device("gpu-0"), device("gpu-1"))
LOOPS = "[1,2,3,4,5,6,7,8,9].all({0}, {1})"
SECONDS = 5.0


def selecting(expression: str) -> Object:
    return claim("a", selectors=[{"cel": {"expression": expression}}])


def nested(depth: int) -> str:
    text = "true"
    for i in range(depth):
        text = LOOPS.format(f"x{i}", text)
    return text


def counted(node: str, parts: int) -> list[Object]:
    """Partitions that share two counters so that no twenty of them fit."""
    devices = [
        device(
            f"p{i}",
            consumesCounters=[
                {
                    "counterSet": "c",
                    "counters": {"m": {"value": str(3 + i % 5)}, "k": {"value": str(1 + i % 3)}},
                }
            ],
        )
        for i in range(parts)
    ]
    sets = slice_of(
        node, sharedCounters=[{"name": "c", "counters": {"m": {"value": "50"}, "k": {"value": "20"}}}]
    )
    sets["metadata"]["name"] = f"{node}-sets"
    del sets["spec"]["devices"]
    both = [slice_of(node, *devices), sets]
    for one in both:
        one["spec"]["pool"]["resourceSliceCount"] = 2
    return both


REFUSED = {
    "firstAvailable of 10,000": (
        [
            obj(
                "ResourceClaim",
                "a",
                {
                    "devices": {
                        "requests": [
                            {
                                "name": "r",
                                "firstAvailable": [
                                    {"name": f"s{i}", "deviceClassName": "gpu"} for i in range(10_000)
                                ],
                            }
                        ]
                    }
                },
            )
        ],
        "10000 entries are more than the 8",
    ),
    "a slice of 100,000 devices": (
        [slice_of("n2", *({"name": f"d{i}"} for i in range(100_000))), claim("a")],
        "100000 entries are more than the 128",
    ),
    "deep CEL": ([selecting("(" * 3000 + "true" + ")" * 3000)], "the CEL expression is not valid"),
    "loops in loops": ([selecting(nested(8))], "the CEL expression is too complex"),
    "long CEL": ([selecting("true || " * 2000 + "true")], "longer than 10240 bytes"),
    "too many pods": (
        [obj("Job", "j", {"parallelism": 2_000_000_000, "template": {"spec": pod("x", "t")["spec"]}})],
        "pods are more than the 10000",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_api_server_would_not_take_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects, said = REFUSED[name]
    folder = write(tmp_path, class_of(), ONE, *objects)
    start = time.process_time()
    code, out, err = run(capsys, "-f", folder)
    assert time.process_time() - start < SECONDS
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1 and len(err) < 1_000


@pytest.mark.parametrize("count", [10**6, 10**18])
def test_a_huge_count_is_refused_as_kubernetes_does(
    count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = time.process_time()
    (answer,) = answers(capsys, "-f", write(tmp_path, class_of(), ONE, claim("a", count=count)))
    assert time.process_time() - start < SECONDS
    assert "exceeds the claim limit of 32" in answer["refused"][0]["reasons"][0]["text"]
    assert answer["change"]["values"] == {"claim": "default/a", "request": "gpu", "fewer": 2, "count": count}


@pytest.mark.parametrize("nodes", [1, 20])
def test_counters_that_cannot_add_up_end_with_an_answer(
    nodes: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slices = [one for i in range(nodes) for one in counted(f"n{i}", 64)]
    folder = write(tmp_path, class_of(), *slices, claim("a", count=20))
    start = time.process_time()
    (answer,) = answers(capsys, "-f", folder)
    assert time.process_time() - start < SECONDS
    assert answer["refused"][0]["reasons"][0]["code"] == "error"
    assert answer["change"]["code"] == "lower-count" and answer["change"]["values"]["fewer"] < 20


def test_a_counter_set_that_is_not_there_makes_the_pool_invalid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slices = counted("n1", 2)
    slices[0]["spec"]["devices"][0]["consumesCounters"][0]["counterSet"] = "other"
    (answer,) = answers(capsys, "-f", write(tmp_path, class_of(), *slices, claim("a")))
    assert "invalid resource pools" in answer["refused"][0]["reasons"][0]["text"]
    assert answer["change"] == {"helps": False, "tried": answer["change"]["tried"], "complete": True}


def test_many_claims_of_an_unknown_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claims = [claim(f"a{i}", deviceClassName="none") for i in range(300)]
    start = time.process_time()
    code, out, _ = run(capsys, "-f", write(tmp_path, class_of(), ONE, *claims))
    assert time.process_time() - start < SECONDS
    assert code == 1 and "could not retrieve device class none" in " ".join(out.split())
    assert "... 260 more are not allocated" in out


def test_a_name_does_not_reach_the_terminal_as_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = selecting("device.attributes['gpu.example.com'].type == '\\x1b[31m'")
    _, out, _ = run(capsys, "-f", write(tmp_path, class_of(), ONE, chosen))
    assert "\x1b" not in out
