"""A receipt is the same bytes each time, holds no float, and names what differs; what is none is refused."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.demand import Job, demand_of
from stellwerk.report.export import to_json, to_yaml
from stellwerk.report.receipt import (
    Evidence,
    InputFile,
    canonical,
    compare,
    hashes_of,
    make_receipt,
    plain_receipt,
    read_receipt,
    receipt_bytes,
    sha256_of,
)
from tests.unit import report_sample as sample

EVIDENCE = Evidence(
    arguments={"demand": "demo", "size": True, "rates": []},
    inputs=(InputFile(role="demand", name="demo", sha256="0" * 64),),
    hashes={"demand": "1" * 64, "fleet": "2" * 64, "prices": "3" * 64, "policy": "4" * 64},
)


def receipt() -> dict[str, Any]:
    return make_receipt(sample.replay(sized=True), EVIDENCE)


DATA = receipt_bytes(receipt())


def test_two_receipts_of_one_replay_are_the_same_bytes_and_canonical() -> None:
    assert receipt_bytes(receipt()) == DATA
    plain = json.dumps(json.loads(DATA), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert plain.encode() + b"\n" == DATA


def test_the_pictures_are_in_it_by_hash_only() -> None:
    assert b"samples" not in DATA and b"heldMilli" not in DATA
    full = sample.replay(sized=True)
    first, *rest = full.outcomes
    (run,) = first.runs
    changed = replace(first, runs=(replace(run, samples=run.samples[1:]),))
    other = make_receipt(replace(full, outcomes=(changed, *rest)), EVIDENCE)
    assert [each.path for each in compare(receipt(), other)] == ["result.picturesSha256", "resultSha256"]


def test_what_was_written_is_read_again_and_is_the_same() -> None:
    assert compare(plain_receipt(read_receipt(DATA, "receipt.json")), receipt()) == []


def test_a_changed_figure_is_named_with_policy_and_run() -> None:
    old = receipt()
    old["result"]["outcomes"][2]["runs"][1]["cost"]["month"] = "1.00"
    found = {each.path: each for each in compare(old, receipt())}
    assert found["result.outcomes[mps].runs[proportional].cost.month"].new == '"7572.20"'
    # Who changed a figure by hand did not change the hash of the result.
    assert "resultSha256" in found


def test_true_is_not_one_and_missing_is_not_null() -> None:
    same = {"result": {}, "resultSha256": sha256_of({})}
    assert compare({"a": 1} | same, {"a": True} | same)
    assert compare({"a": None}, {})[0].new == "-"


def test_a_float_is_refused_by_the_writer_and_the_reader() -> None:
    with pytest.raises(AssertionError, match=r"a\.b\[1\]"):
        canonical({"a": {"b": [1, 0.5]}})
    old = receipt()
    old["arguments"]["days"] = 0.5
    with pytest.raises(InvalidInput) as caught:
        read_receipt(json.dumps(old).encode(), "receipt.json")
    assert (caught.value.source, caught.value.path) == ("receipt.json", "arguments.days")


def test_fleet_and_prices_have_hashes_of_their_own() -> None:
    demand = demand_of("d", 0, 10, [Job(name="a", team="t", arrival_ns=0, duration_ns=1)])
    fleet = sample.fleet()
    dearer = replace(sample.RENT, per_hour=Decimal("9"))
    nodes = tuple(replace(node, cost=replace(node.cost, terms=(dearer,))) for node in fleet.nodes)
    old, new = hashes_of(demand, fleet, []), hashes_of(demand, replace(fleet, nodes=nodes), [])
    assert {name for name in old if old[name] != new[name]} == {"prices"}
    smaller = hashes_of(demand, sample.fleet(3), [])
    assert {name for name in old if old[name] != smaller[name]} == {"fleet", "prices"}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5_000, DATA[:-20], DATA * 2,
        b"\x00" * 1000,
        b'{"kind":"Receipt","apiVersion":"stellwerk.dev/v1alpha1"}',
        DATA.replace(b'"seed":7', b'"seed":"7"'),
        DATA.replace(b'"seed":7', b'"seed":1e999'),
        DATA.replace(b'"seed":7', b'"seed":' + b"9" * 5_000),
        DATA.replace(b'"1111', b'"xyz1'),
    ],
)  # fmt: skip
def test_what_is_no_receipt_is_invalid_input(data: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_receipt(data, "receipt.json")
    assert caught.value.source == "receipt.json" and caught.value.fix


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.integers(0, 255))
def test_one_changed_byte_is_refused_or_found(place: int, byte: int) -> None:
    data = DATA[:place] + bytes([byte]) + DATA[place + 1 :]
    try:
        read = read_receipt(data, "receipt.json")
    except InvalidInput:
        return
    same = compare(plain_receipt(read), receipt()) == []
    assert same == (json.loads(data) == json.loads(DATA))


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    )
)
def test_any_json_is_refused_without_a_traceback(value: object) -> None:
    plain = receipt()
    for name in ("arguments", "inputs", "hashes", "result", "seed"):
        data = json.dumps(plain | {name: value}).encode()
        try:
            read_receipt(data, "receipt.json")
        except InvalidInput as error:
            assert str(error)


def test_json_and_yaml_say_the_same_in_camel_case_without_floats() -> None:
    import yaml

    replay = sample.replay()
    plain = json.loads(to_json(replay), parse_float=lambda text: pytest.fail(f"float {text}"))
    assert plain == yaml.safe_load(to_yaml(replay))
    assert plain["outcomes"][0]["runs"][0]["cost"]["month"] == "7572.20"
    assert plain["fleet"]["nodes"][0]["gpuModel"] == "H100-PCIE-80GB"
    assert b"_ns" not in to_json(replay)
