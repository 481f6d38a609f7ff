"""Kubernetes' own allocator gives what was recorded of it, and the random cases ask for all that it reads.

Nothing of ours is tested here but the oracle and the generator, which other tests stand on.
"""

import json
import lzma
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.differential.dra_cases import FEATURES, random_case, random_cases
from tests.differential.go_allocator import MISSING, GoAllocator, go_allocator

Json = dict[str, Any]
RECORDED = Path(__file__).parents[3] / "shared" / "conformance" / "dra-allocator.jsonl.xz"
RANDOM = 150


@pytest.fixture(scope="module")
def oracle() -> GoAllocator:
    found = go_allocator()
    if found is None:
        pytest.skip(MISSING)
    return found


@pytest.fixture(scope="module")
def recorded() -> list[Json]:
    if not RECORDED.is_file():
        pytest.skip("the recorded cases need ../shared/conformance")
    with lzma.open(RECORDED, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _unordered(value: Any) -> Any:
    """Every list sorted: "stable" goes through pools in no order, which its recorded test allows."""
    if isinstance(value, dict):
        return {key: _unordered(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((_unordered(inner) for inner in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value


def _agrees(expected: Json, answer: Json, implementation: str) -> bool:
    if answer["kind"] != expected["kind"]:
        return False
    if expected["kind"] == "error":
        return expected["errorContains"] in answer["errorText"]
    if expected["kind"] == "none":
        return True
    if implementation == "stable" and expected["match"] == "unordered":
        return bool(_unordered(answer["allocations"]) == _unordered(expected["allocations"]))
    return bool(answer["allocations"] == expected["allocations"])


@pytest.mark.parametrize("implementation", ["experimental", "incubating", "stable"])
def test_recorded_cases_come_out_as_recorded(
    oracle: GoAllocator, recorded: list[Json], implementation: str
) -> None:
    cases = [case for case in recorded if case["implementations"][implementation]["supported"]]
    assert len(cases) > 100
    answers = oracle.run(cases, implementation)
    wrong = [
        case["name"]
        for case, answer in zip(cases, answers, strict=True)
        if not _agrees(case["expected"], answer, implementation)
    ]
    assert not wrong


def test_a_field_that_the_api_lacks_is_refused(oracle: GoAllocator) -> None:
    case = random_case(1)
    case["input"]["resourceClaims"][0]["spec"]["devicez"] = {}
    with pytest.raises(RuntimeError, match="devicez"):
        oracle.run([case])


def test_a_seed_is_a_case() -> None:
    assert random_cases(5, 20) == random_cases(5, 20)
    assert random_case(5) != random_case(6)


def test_random_cases_have_every_outcome_and_no_long_search(oracle: GoAllocator) -> None:
    found = oracle.run(random_cases(0, 2 * RANDOM))
    kinds = Counter(answer["kind"] for answer in found)
    assert set(kinds) == {"allocated", "none", "error"}, kinds
    assert min(kinds.values()) > RANDOM // 5, kinds
    devices = [sum(len(a["devices"].get("results", [])) for a in f.get("allocations", [])) for f in found]
    assert sum(count > 1 for count in devices) > RANDOM // 2
    assert sum(f["kind"] == "none" and f["steps"] >= 3 for f in found) > RANDOM // 3
    assert max(answer["steps"] for answer in found) < 30_000


def _drop(value: Any, keys: set[str]) -> None:
    for key in keys & set(value if isinstance(value, dict) else ()):
        del value[key]
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _drop(inner, keys)


def _without(place: str, *keys: str) -> Callable[[Json], None]:
    return lambda case: _drop(case["input"][place], set(keys))


def _without_feature(name: str) -> Callable[[Json], None]:
    return lambda case: case["featureFlags"].update({name: False})


def _nothing_used(name: str) -> Callable[[Json], None]:
    return lambda case: case["input"]["allocatedState"].update({name: []})


def _without_constraint_requests(case: Json) -> None:
    for claim in case["input"]["resourceClaims"]:
        for constraint in claim["spec"]["devices"].get("constraints", []):
            constraint.pop("requests", None)


def _without_newer_slices(case: Json) -> None:
    kept = [s for s in case["input"]["resourceSlices"] if not s["metadata"]["name"].startswith("new-")]
    case["input"]["resourceSlices"] = kept


SLICE_FIELDS = (
    "taints consumesCounters compatibilityGroups allowMultipleAllocations requestPolicy bindingConditions"
    " bindsToNode skipNodeOperations nodeName nodeSelector allNodes perDeviceNodeSelection attributes"
    " capacity"
)
CLAIM_FIELDS = "tolerations constraints selectors derivedAttributes capacity adminAccess config"
CHANGES: dict[str, Callable[[Json], None]] = {
    **{f"slice: {field}": _without("resourceSlices", field) for field in SLICE_FIELDS.split()},
    **{f"claim: {field}": _without("resourceClaims", field) for field in CLAIM_FIELDS.split()},
    **{f"class: {field}": _without("deviceClasses", field) for field in ("selectors", "config")},
    **{f"feature: {name}": _without_feature(name) for name in FEATURES},
    "used devices": _nothing_used("allocatedDevices"),
    "used capacity": _nothing_used("aggregatedCapacity"),
    "a constraint's requests": _without_constraint_requests,
    "slices of a newer generation": _without_newer_slices,
    "node: declaredFeatures": _without("node", "status"),
}


@pytest.fixture(scope="module")
def answers(oracle: GoAllocator) -> dict[str, list[Json]]:
    """The answers to the random cases as they are and after each change; asked at once: it is quicker."""
    text = json.dumps(random_cases(0, RANDOM))
    cases: list[Json] = json.loads(text)
    for change in CHANGES.values():
        changed = json.loads(text)
        for case in changed:
            change(case)
        cases += changed
    found = [{k: a[k] for k in a if k not in ("steps", "nanoseconds")} for a in oracle.run(cases)]
    return {name: found[n * RANDOM : (n + 1) * RANDOM] for n, name in enumerate(["", *CHANGES])}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_case_states_decides_some_answers(answers: dict[str, list[Json]], change: str) -> None:
    assert answers[change] != answers[""], f"no answer depends on {change}"


def _two_nodes() -> Json:
    """One device on each of two nodes, and a claim for one device: a variant for the benchmark."""
    kinds = {"apiVersion": "resource.k8s.io/v1"}
    pools = [{"name": name, "generation": 1, "resourceSliceCount": 1} for name in ("a", "b")]
    exactly = {"deviceClassName": "any", "allocationMode": "ExactCount", "count": 1}
    return {
        "nodes": [{"metadata": {"name": pool["name"]}} for pool in pools],
        "deviceClasses": [{**kinds, "metadata": {"name": "any"}, "spec": {}}],
        "resourceSlices": [
            {
                **kinds,
                "metadata": {"name": pool["name"]},
                "spec": {"driver": "d", "nodeName": pool["name"], "pool": pool, "devices": [{"name": "x"}]},
            }
            for pool in pools
        ],
        "resourceClaims": [
            {
                **kinds,
                "metadata": {"name": "c"},
                "spec": {"devices": {"requests": [{"name": "r", "exactly": exactly}]}},
            }
        ],
        "allocatedState": {"allocatedDevices": [{"driver": "d", "pool": "b", "device": "x"}]},
    }


def test_the_benchmark_measures_each_operation(oracle: GoAllocator, tmp_path: Path) -> None:
    variants = tmp_path / "variants.json"
    variants.write_text(json.dumps({"two": _two_nodes()}), encoding="utf-8")
    implementations = ["experimental", "incubating", "stable"]
    figures = oracle.bench(variants, implementations, "-sample", "2ms", "-samples", "2")
    operations = ["one-node", "new+one-node", "all-nodes"]
    assert [(f["implementation"], f["operation"]) for f in figures] == [
        (implementation, operation) for implementation in implementations for operation in operations
    ]
    assert all(f["nodesAllocated"] == 1 and 0 < f["minCpuNs"] <= f["medianCpuNs"] for f in figures)
