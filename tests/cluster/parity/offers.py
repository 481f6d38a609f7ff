"""What the nodes of a scenario offer: devices, parts of devices, devices that are shared, their taints."""

from random import Random

from tests.cluster.parity.scenario import Json

SIZES = (20, 40, 80)
SICK, WORN = "parity.test/sick", "parity.test/worn"
# A GPU whole, or in parts of 3, 2 and 1 of its 7 slices, as MIG has them: slices, memory, how many.
SHAPES = (("whole", 7, 80, 1), ("three", 3, 40, 2), ("two", 2, 20, 3), ("one", 1, 10, 4))
_CHOICES = (
    {"key": SICK, "value": "yes", "effect": "NoSchedule"},
    {"key": SICK, "value": "very", "effect": "NoSchedule"},
    {"key": WORN, "value": "yes", "effect": "NoExecute"},
    {"key": WORN, "effect": "None"},
)


def slices(draw: Random, where: tuple[str, list[str]], feature: str, shared: bool) -> list[Json]:
    """ResourceSlices of a driver: a pool for each node, sometimes one more that all nodes can reach."""
    driver, hosts = where
    found: list[Json] = []
    for host in hosts:
        if feature == "counters":
            found += _counted(draw, driver, host)
        else:
            devices = [_device(draw, f"gpu-{i}", feature, shared) for i in range(draw.choice((2, 3, 4)))]
            found.append(_slice((driver, host), "gpus", {"nodeName": host}, {"devices": devices}))
    if feature != "counters" and draw.random() < 0.2:
        devices = [_device(draw, f"far-{i}", feature, shared) for i in range(draw.choice((1, 2)))]
        # Before or behind the nodes' pools, in the order in which they are tried.
        pool = draw.choice((f"{hosts[0][:-2]}-a", f"{hosts[0][:-2]}-z"))
        found.append(_slice((driver, pool), "far", {"allNodes": True}, {"devices": devices}))
    return found


def taint_rule(draw: Random, name: str, where: tuple[str, str]) -> Json:
    """A DeviceTaintRule for the devices of a driver, of a pool of it, or for one device."""
    driver, pool = where
    selector: Json = {"driver": driver}
    if draw.random() < 0.7:
        selector["pool"] = pool
        if draw.random() < 0.6:
            selector["device"] = f"gpu-{draw.choice((0, 0, 1, 2))}"
    return {
        "apiVersion": "resource.k8s.io/v1beta2",
        "kind": "DeviceTaintRule",
        "metadata": {"name": name},
        "spec": {"deviceSelector": selector, "taint": draw.choice(_CHOICES[:3])},
    }


def _slice(named: tuple[str, str], part: str, reach: Json, content: Json, count: int = 1) -> Json:
    driver, pool = named
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{pool}-{part}"},
        "spec": {
            "driver": driver,
            "pool": {"name": pool, "generation": 1, "resourceSliceCount": count},
            **reach,
            **content,
        },
    }


def _device(draw: Random, name: str, feature: str, shared: bool) -> Json:
    memory: Json = {"value": f"{draw.choice(SIZES)}Gi"}
    found: Json = {
        "name": name,
        "attributes": {
            "size": {"int": draw.choice(SIZES)},
            "model": {"string": draw.choice(("a", "b"))},
            "root": {"string": draw.choice(("r0", "r1"))},
            "driverVersion": {"version": draw.choice(("1.2.0", "2.0.1"))},
        },
        "capacity": {"memory": memory},
    }
    if shared:
        found["allowMultipleAllocations"] = draw.random() < 0.7
        if found["allowMultipleAllocations"]:
            memory["requestPolicy"] = draw.choice(_policies())
    if feature == "taints" and draw.random() < 0.6:
        found["taints"] = draw.sample(_CHOICES, draw.choice((1, 1, 2)))
    return found


def _policies() -> tuple[Json, ...]:
    return (
        {"default": "10Gi", "validRange": {"min": "5Gi", "step": "5Gi"}},
        {"default": "10Gi", "validValues": ["10Gi", "20Gi"]},
    )


def _counted(draw: Random, driver: str, host: str) -> list[Json]:
    gpus = range(draw.choice((1, 2)))
    counters = [
        {"name": f"gpu-{i}", "counters": {"slices": {"value": "7"}, "memory": {"value": "80Gi"}}}
        for i in gpus
    ]
    devices = [part for i in gpus for part in _parts(i)]
    named, reach = (driver, host), {"nodeName": host}
    return [
        _slice(named, "counters", reach, {"sharedCounters": counters}, 2),
        _slice(named, "gpus", reach, {"devices": devices}, 2),
    ]


def _parts(gpu: int) -> list[Json]:
    return [
        {
            "name": f"gpu-{gpu}-{shape}-{i}",
            "attributes": {"shape": {"string": shape}, "size": {"int": memory}, "gpu": {"int": gpu}},
            "consumesCounters": [
                {
                    "counterSet": f"gpu-{gpu}",
                    "counters": {"slices": {"value": str(slices)}, "memory": {"value": f"{memory}Gi"}},
                }
            ],
        }
        for shape, slices, memory, count in SHAPES
        for i in range(count)
    ]
