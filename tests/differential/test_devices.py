"""What devices count as, and which Workloads are inadmissible for them, is what Kueue's own code says."""

from pathlib import Path
from typing import Any

from stellwerk.api.groups.core import LimitRange
from stellwerk.api.groups.kueue_config import DeviceClassMapping
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.node import RuntimeClass
from stellwerk.api.groups.resource import DeviceClass, ResourceClaimTemplate, ResourceSlice
from stellwerk.engine.queueing.gates import feature_gates
from stellwerk.engine.queueing.requests.devices.claimed import (
    NAMED_CLAIM,
    OFF,
    claimed_devices,
    needs_devices,
)
from stellwerk.engine.queueing.requests.devices.claims import Rules
from stellwerk.engine.queueing.requests.devices.cluster import devices_of
from stellwerk.engine.queueing.requests.devices.mapping import device_classes_of
from stellwerk.engine.queueing.requests.devices.problem import Refused
from stellwerk.engine.queueing.requests.limits import adjusted, bounds_of, overheads_of
from stellwerk.engine.queueing.requests.total import Counting, workload_info
from tests.conformance.__main__ import read_lines
from tests.conformance.kueue_objects import transformation, typed
from tests.differential.device_cases import random_case
from tests.differential.go_kueue_device_cases import parts

Json = dict[str, Any]
CASES = read_lines(Path(__file__).parent / "kueue" / "device-random.jsonl.xz")
_SHORT = {OFF.message: "off", NAMED_CLAIM.message: "claim"}


def ours(case: Json) -> Json:
    """The same answer as that of go_kueue_devices/oracle_test.go, without `added` and `replaced`."""
    gates, raw, resources = feature_gates(case["featureGates"]), case["objects"], case["resources"]
    devices = devices_of(
        [typed(one, ResourceClaimTemplate) for one in raw["resourceClaimTemplates"]],
        [typed(one, DeviceClass) for one in raw["deviceClasses"]],
        [typed(one, ResourceSlice) for one in raw["resourceSlices"]],
    )
    mappings = [typed(one, DeviceClassMapping) for one in resources.get("deviceClassMappings") or ()]
    workload: Workload = typed(case["workload"], Workload)
    looked, claimed = needs_devices(workload, devices, gates), None
    overheads = overheads_of([typed(one, RuntimeClass) for one in raw["runtimeClasses"]])
    complete = adjusted(
        workload, bounds_of([typed(one, LimitRange) for one in raw["limitRanges"]]), overheads
    )
    if looked:
        claimed = claimed_devices(complete, devices, Rules(device_classes_of(mappings), gates))
        if isinstance(claimed, Refused):
            refused = _SHORT.get(claimed.message, claimed.message)
            return {"looked": True, "refused": refused, **({"internal": True} if claimed.retried else {})}
    counting = Counting(
        gates=gates,
        transformations=tuple(transformation(one) for one in resources.get("transformations") or ()),
        excluded_prefixes=tuple(resources.get("excludeResourcePrefixes") or ()),
    )
    info = workload_info(complete, counting, "", claimed)
    return {"looked": looked, "requests": {one.name: dict(one.requests) for one in info.pod_sets}}


def test_every_random_workload_counts_as_kueue_counts_it_or_is_refused_in_its_words() -> None:
    wrong = [
        f"{case['id']}: {case['want']} expected, not {found}"
        for case in CASES
        if parts(found := ours(case)) != parts(case["want"])
    ]
    assert not wrong, "\n".join(wrong[:5])


def test_the_workloads_reach_every_way_to_count_and_to_refuse() -> None:
    assert len(CASES) == 1000
    ways = {
        way for case in CASES if case["want"]["looked"] and "requests" in case["want"] for way in _ways(case)
    }
    assert ways == {"devices", "counter", "capacity"}
    refused = " ".join(case["want"].get("refused", "") for case in CASES)
    for word in (
        "is not mapped",
        "AllocationMode 'All'",
        "FirstAvailable",
        "CEL compilation failed",
        "CEL evaluation failed",
        "insufficient matching devices for CEL selector",
        "insufficient matching devices for counter driver",
        "insufficient matching devices for capacity driver",
        "no consumesCounters entry",
        "no capacity dimension",
        "RequestPolicy",
        "must be an integer",
        "counters configured",
        "capacity sources configured",
    ):
        assert word in refused, word


def _ways(case: Json) -> set[str]:
    names = {name for requests in case["want"]["requests"].values() for name in requests}
    return {
        next(iter(mapping["sources"][0])) if mapping.get("sources") else "devices"
        for mapping in case["resources"].get("deviceClassMappings") or ()
        if mapping["name"] in names
    }


def test_the_recorded_workloads_are_those_that_are_made() -> None:
    for case in CASES[::50]:
        seed, index = case["id"].split("-")
        made = random_case(int(seed), int(index))
        assert made == {name: case[name] for name in made}
