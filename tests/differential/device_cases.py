"""Random Workloads that claim devices, with the classes, templates, slices and mappings around them."""

import random
from collections.abc import Callable, Sequence
from typing import Any

Json = dict[str, Any]
GPU, MIG, NIC = "gpu.example.com", "mig.example.com", "nic.example.com"
DRIVERS = (GPU, MIG, NIC)
CLASSES = ("gpu", "mig", "nic", "shared", "other")
RESOURCES = ("example.com/gpu", "example.com/mig", "example.com/nic", "example.com/shared")
EXTENDED = ("vendor.com/gpu", "vendor.com/nic", "example.com/gpu")
GATES = (
    "KueueDRAIntegration",
    "KueueDRAIntegrationExtendedResource",
    "KueueDRAIntegrationPartitionableDevices",
    "KueueDRAIntegrationConsumableCapacity",
    "KueueDRARejectWorkloadsWhenDRADisabled",
)
EXPRESSIONS = (
    f'device.driver == "{GPU}"',
    f'device.driver == "{MIG}"',
    f'device.driver != "{NIC}"',
    f'device.attributes["{GPU}"].model == "A"',
    f'device.attributes["{GPU}"].?model.orValue("") == "A"',
    f'device.capacity["{GPU}"].memory.compareTo(quantity("20Gi")) >= 0',
    "device.allowMultipleAllocations",
    "true",
    "true",
    "true",
    "false",
)
BROKEN = ("device.nothing", "1 + 1", 'device.attributes["x"].y')
COUNTERS, CAPACITIES = ("memory", "slices"), ("memory", f"{GPU}/memory", "bandwidth")
AMOUNTS = ("10Gi", "20Gi", "40Gi", "1500m", "7", "0", "-5", "9E")


def random_case(seed: int, index: int) -> Json:
    """The `index`th case of a seed."""
    chance = random.Random(f"{seed}/{index}")
    templates = [_template(chance, f"t{i}") for i in range(4)]
    return {
        "id": f"{seed}-{index}",
        "featureGates": _gates(chance),
        "resources": _resources(chance),
        "objects": {
            "deviceClasses": [_device_class(chance, name) for name in CLASSES if chance.random() < 0.98],
            "resourceSlices": _slices(chance),
            "resourceClaimTemplates": templates,
            "runtimeClasses": [_runtime_class(chance)] if chance.random() < 0.3 else [],
            "limitRanges": [_limit_range(chance)] if chance.random() < 0.3 else [],
        },
        "workload": _workload(chance),
    }


def _gates(chance: random.Random) -> Json:
    gates = {name: chance.random() < 0.9 for name in GATES if chance.random() < 0.3}
    gates["KueueDRAIntegrationConsumableCapacity"] = chance.random() < 0.7
    if not gates.get("KueueDRAIntegration", True):  # Kueue refuses a gate that is on without one it needs.
        gates |= dict.fromkeys(GATES[1:4], False)
    return gates


def _selectors(chance: random.Random, often: float) -> list[Json]:
    found = []
    while chance.random() < often and len(found) < 2:
        of = BROKEN if chance.random() < 0.03 else EXPRESSIONS
        found.append({"cel": {"expression": chance.choice(of)}})
    return found


def _metadata(name: str, **more: Any) -> Json:
    return {"name": name, **more}


def _device_class(chance: random.Random, name: str) -> Json:
    created = f"2026-01-0{chance.randint(1, 2)}T00:00:00Z"
    spec: Json = {"selectors": _selectors(chance, 0.2)}
    if chance.random() < 0.5:
        spec["extendedResourceName"] = chance.choice(EXTENDED)
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": _metadata(name, creationTimestamp=created),
        "spec": spec,
    }


def _slices(chance: random.Random) -> list[Json]:
    found = []
    for driver in DRIVERS:
        for pool in range(chance.randint(1, 2)):
            count = chance.randint(1, 2)
            told = count if chance.random() < 0.85 else count + 1
            for part in range(count):
                generation = 1 if chance.random() < 0.9 else 2
                name = f"{driver.partition('.')[0]}-{pool}-{part}"
                at = {"name": f"pool-{pool}", "generation": generation, "resourceSliceCount": told}
                devices = [_device(chance, driver, f"{name}-{i}") for i in range(chance.randint(1, 4))]
                found.append(
                    {
                        "apiVersion": "resource.k8s.io/v1",
                        "kind": "ResourceSlice",
                        "metadata": _metadata(name),
                        "spec": {"driver": driver, "pool": at, "allNodes": True, "devices": devices},
                    }
                )
    return found


def _device(chance: random.Random, driver: str, name: str) -> Json:
    device: Json = {"name": name}
    if chance.random() < 0.7:
        device["attributes"] = {"model": {"string": chance.choice("AB")}}
    if chance.random() < 0.7:
        names = chance.sample(("memory", "bandwidth"), chance.randint(1, 2))
        device["capacity"] = {each: _capacity(chance) for each in names}
    if chance.random() < 0.5:
        device["consumesCounters"] = [
            {
                "counterSet": f"set-{i}",
                "counters": {each: {"value": chance.choice(AMOUNTS)} for each in COUNTERS[: i + 1]},
            }
            for i in range(chance.randint(1, 2))
        ]
    if chance.random() < 0.2:
        device["allowMultipleAllocations"] = True
    return device


def _capacity(chance: random.Random) -> Json:
    value = {"value": chance.choice(AMOUNTS)}
    way = chance.random()
    if way < 0.3:
        return value
    policy: Json = {"default": chance.choice(AMOUNTS[:5])} if chance.random() < 0.7 else {}
    if way < 0.7:
        policy["validValues"] = [each for each in ("1Gi", "10Gi", "15Gi", "40Gi") if chance.random() < 0.7]
    else:
        limits = {"min": "5", "max": chance.choice(("50", "40Gi")), "step": chance.choice(("3", "2Gi", "0"))}
        policy["validRange"] = {each: limits[each] for each in limits if chance.random() < 0.8}
    return {**value, "requestPolicy": policy}


def _template(chance: random.Random, name: str) -> Json:
    requests = [_request(chance, f"r{i}") for i in range(chance.choice((1, 1, 1, 2, 2, 3)))]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": _metadata(name, namespace="ns"),
        "spec": {"spec": {"devices": {"requests": requests}}},
    }


def _request(chance: random.Random, name: str) -> Json:
    exactly: Json = {
        "deviceClassName": chance.choice(CLASSES[:4] * 6 + ("other", "absent")),
        "allocationMode": "ExactCount",
        "count": chance.choice((1,) * 8 + (2, 3, 9_000_000_000_000_000_000)),
        "selectors": _selectors(chance, 0.25),
    }
    if exactly["count"] > 3 and chance.random() < 0.7:
        exactly["count"] = 1
    if chance.random() < 0.02:
        exactly |= {"allocationMode": "All", "count": 0}
    if chance.random() < 0.05:
        exactly["adminAccess"] = True
    if chance.random() < 0.5:
        asked = {each: chance.choice(("1", "8Gi", "12Gi", "100Gi", "100Gi")) for each in CAPACITIES}
        exactly["capacity"] = {"requests": asked}
    if chance.random() < 0.02:
        return {"name": name, "firstAvailable": [{"name": "s", "deviceClassName": "gpu", "count": 1}]}
    return {"name": name, "exactly": exactly}


def _resources(chance: random.Random) -> Json:
    """Mappings as Kueue's validation takes them."""
    mappings: list[Json] = []
    for resource, name in zip(RESOURCES, CLASSES, strict=False):
        if chance.random() < 0.03:
            continue
        mapping: Json = {"name": resource, "deviceClassNames": [name]}
        kind = chance.choice(("", "", "counter", "capacity"))
        if kind:
            names = COUNTERS if kind == "counter" else CAPACITIES
            mapping["sources"] = [_source(chance, kind, chance.choice(names)) for _ in range(1)]
        mappings.append(mapping)
    both = [one for one in mappings if "counter" in (one.get("sources") or [{}])[0]]
    if both and chance.random() < 0.4:
        taken = both[0]["sources"][0]["counter"]["name"]
        other = next(each for each in COUNTERS if each != taken)
        source = _source(chance, "counter", other)
        again = {"name": "example.com/again", "deviceClassNames": both[0]["deviceClassNames"]}
        mappings.append({**again, "sources": [source]})
    if mappings and chance.random() < 0.5:
        mappings[0]["deviceClassNames"].append("other")
    found: Json = {"deviceClassMappings": mappings}
    if chance.random() < 0.1:
        found["excludeResourcePrefixes"] = ["vendor.com/"]
    if chance.random() < 0.1:
        rule = {"input": chance.choice(EXTENDED), "strategy": "Replace", "outputs": {"example.com/nic": "2"}}
        found["transformations"] = [rule]
    return found


def _source(chance: random.Random, kind: str, name: str) -> Json:
    selector = {"cel": {"expression": chance.choice(EXPRESSIONS)}}
    return {kind: {"name": name, "driver": chance.choice(DRIVERS), "deviceSelector": selector}}


def _runtime_class(chance: random.Random) -> Json:
    kind: Json = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": _metadata("sandbox")}
    overhead = {"podFixed": {"cpu": "250m", "memory": chance.choice(("64Mi", "1Gi"))}}
    return {**kind, "handler": "sandbox", **({"overhead": overhead} if chance.random() < 0.8 else {})}


def _limit_range(chance: random.Random) -> Json:
    item = {
        "type": chance.choice(("Container", "Pod")),
        "default": {"cpu": "2", "vendor.com/gpu": "2"},
        "defaultRequest": {"cpu": "1", "memory": "1Gi"},
    }
    limits = [{name: item[name] for name in item if name == "type" or chance.random() < 0.7}]
    kind: Json = {"apiVersion": "v1", "kind": "LimitRange", "metadata": _metadata("limits", namespace="ns")}
    return {**kind, "spec": {"limits": limits}}


def _workload(chance: random.Random) -> Json:
    pod_sets = [_pod_set(chance, name) for name in ("main", "workers")[: chance.choice((1, 1, 2))]]
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "Workload",
        "metadata": _metadata("wl", namespace="ns"),
        "spec": {"podSets": pod_sets, "queueName": "lq"},
    }


def _pod_set(chance: random.Random, name: str) -> Json:
    spec: Json = {"containers": [_container(chance, f"c{i}") for i in range(chance.randint(1, 2))]}
    if chance.random() < 0.3:
        spec["initContainers"] = [_container(chance, "i")]
        if chance.random() < 0.3:
            spec["initContainers"][0]["restartPolicy"] = "Always"
    if chance.random() < 0.85:
        spec["resourceClaims"] = [_pod_claim(chance, f"claim{i}") for i in range(chance.choice((1, 1, 2)))]
    if chance.random() < 0.3:
        spec["runtimeClassName"] = chance.choice(("sandbox", "sandbox", "absent"))
    if chance.random() < 0.1:
        spec["overhead"] = {"cpu": "10m"}
    if chance.random() < 0.1:
        spec["resources"] = {"limits": {"cpu": "8", "memory": "2Gi"}}
    return {"name": name, "count": chance.randint(1, 3), "template": {"metadata": {}, "spec": spec}}


def _pod_claim(chance: random.Random, name: str) -> Json:
    if chance.random() < 0.02:
        return {"name": name, "resourceClaimName": "c"}
    return {"name": name, "resourceClaimTemplateName": f"t{chance.choice((0, 1, 2, 3) * 12 + (9,))}"}


def _container(chance: random.Random, name: str) -> Json:
    requests = _amounts(chance, 0.35)
    limits = {each: chance.choice(("4", "8")) for each in ("cpu", *EXTENDED) if chance.random() < 0.1}
    resources = {"requests": requests, "limits": {**limits}}
    return {
        "name": name,
        "image": "x",
        "resources": {each: resources[each] for each in resources if resources[each]},
    }


def _amounts(chance: random.Random, often: float) -> Json:
    makers: dict[str, Callable[[], str]] = {
        "cpu": lambda: chance.choice(("500m", "1", "3")),
        "memory": lambda: chance.choice(("1Gi", "512Mi")),
    }
    found = {each: make() for each, make in makers.items() if chance.random() < often}
    amounts: Sequence[str] = ("1", "2", "0", "1500m", "9E")
    weights = (10, 5, 1, 0.5, 0.5)
    for each in EXTENDED:
        if chance.random() < 0.2:
            found[each] = chance.choices(amounts, weights)[0]
    return found
