"""Scenarios of devices: selectors, shared counters, prioritized lists, taints, from a seed.

Each has one node: which node a pod gets is decided by the scheduler's scores, which are not compared.
"""

from random import Random
from typing import Any

from tests.cluster.parity.scenario import DEVICE, FAKE, Json, Scenario, namespace, node, prefix_of

FEATURES = ("selectors", "counters", "prioritized-list", "taints")
SIZES = (20, 40, 80)


def device_scenario(seed: int, feature: str) -> Scenario:
    """A scenario of one of FEATURES; the same seed gives the same one."""
    draw, name = Random(f"{feature}/{seed}"), prefix_of(seed)
    driver = f"{name}.parity.test"
    host = f"{name}-node"
    objects = [
        namespace(name),
        node(host, {"parity.test/of": name}, 1000),
        _device_class(name, driver),
        *_slices(draw, (driver, host), feature),
    ]
    steps: list[Json] = []
    for i in range(draw.choice((4, 5, 6))):
        steps.append(_pod(draw, (name, f"{name}-{i}"), driver, feature))
    return Scenario(seed=seed, feature=feature, kind=DEVICE, objects=tuple(objects), steps=tuple(steps))


def _device_class(name: str, driver: str) -> Json:
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": name},
        "spec": {"selectors": [{"cel": {"expression": f'device.driver == "{driver}"'}}]},
    }


def _slice(driver: str, host: str, part: str, spec: Json) -> Json:
    count = spec.pop("count")
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{host}-{part}"},
        "spec": {
            "driver": driver,
            "nodeName": host,
            "pool": {"name": host, "generation": 1, "resourceSliceCount": count},
            **spec,
        },
    }


def _slices(draw: Random, where: tuple[str, str], feature: str) -> list[Json]:
    driver, host = where
    if feature != "counters":
        devices = [_device(draw, f"gpu-{i}", feature) for i in range(draw.choice((2, 3, 4)))]
        return [_slice(driver, host, "gpus", {"count": 1, "devices": devices})]
    gpus = range(draw.choice((1, 2)))
    counters = [
        {"name": f"gpu-{i}", "counters": {"slices": {"value": "7"}, "memory": {"value": "80Gi"}}}
        for i in gpus
    ]
    devices = [part for i in gpus for part in _parts(i)]
    return [
        _slice(driver, host, "counters", {"count": 2, "sharedCounters": counters}),
        _slice(driver, host, "gpus", {"count": 2, "devices": devices}),
    ]


def _device(draw: Random, name: str, feature: str) -> Json:
    found: Json = {
        "name": name,
        "attributes": {
            "size": {"int": draw.choice(SIZES)},
            "model": {"string": draw.choice(("a", "b"))},
            "root": {"string": draw.choice(("r0", "r1"))},
        },
        "capacity": {"memory": {"value": f"{draw.choice(SIZES)}Gi"}},
    }
    if feature == "taints" and draw.random() < 0.6:
        found["taints"] = [{"key": "parity.test/sick", "value": "yes", "effect": "NoSchedule"}]
    return found


def _parts(gpu: int) -> list[Json]:
    """A GPU whole, or in parts of 3, 2 and 1 of its 7 slices, as MIG has them."""
    shapes = (("whole", 7, 80, 1), ("three", 3, 40, 2), ("two", 2, 20, 3), ("one", 1, 10, 4))
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
        for shape, slices, memory, count in shapes
        for i in range(count)
    ]


def _pod(draw: Random, named: tuple[str, str], driver: str, feature: str) -> Json:
    """A pod with one claim, written into it by a ResourceClaim of its own name."""
    space, name = named
    spec = {"devices": _devices(draw, space, driver, feature)}
    claim = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name, "namespace": space},
        "spec": spec,
    }
    container = {
        "name": "main",
        "image": "none",
        "resources": {"requests": {"cpu": "1"}, "claims": [{"name": "gpu"}]},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "annotations": FAKE},
        "spec": {
            "containers": [container],
            "nodeSelector": {"parity.test/of": space},
            "resourceClaims": [{"name": "gpu", "resourceClaimName": name}],
            "terminationGracePeriodSeconds": 0,
        },
    }
    return {"apiVersion": "v1", "kind": "List", "items": [claim, pod]}


def _devices(draw: Random, device_class: str, driver: str, feature: str) -> Json:
    if feature == "prioritized-list":
        wanted = draw.sample(SIZES, draw.choice((2, 3)))
        first = [
            {"name": f"c{i}", **_exactly(device_class, f"{_attribute(driver, 'size')} == {size}")}
            for i, size in enumerate(wanted)
        ]
        return {"requests": [{"name": "gpu", "firstAvailable": first}]}
    if feature == "counters":
        shape = draw.choice(("whole", "three", "three", "two", "one"))
        exactly = _exactly(device_class, f'{_attribute(driver, "shape")} == "{shape}"')
        return {"requests": [{"name": "gpu", "exactly": exactly}]}
    exactly = _exactly(device_class, _expression(draw, driver))
    if feature == "taints" and draw.random() < 0.5:
        exactly["tolerations"] = [{"key": "parity.test/sick", "operator": "Exists", "effect": "NoSchedule"}]
    if feature == "selectors" and draw.random() < 0.4:
        exactly["count"] = 2
    found: dict[str, Any] = {"requests": [{"name": "gpu", "exactly": exactly}]}
    if exactly.get("count") == 2 and draw.random() < 0.6:
        found["constraints"] = [{"requests": ["gpu"], "matchAttribute": f"{driver}/root"}]
    return found


def _exactly(device_class: str, expression: str) -> Json:
    return {"deviceClassName": device_class, "selectors": [{"cel": {"expression": expression}}]}


def _attribute(driver: str, name: str) -> str:
    return f'device.attributes["{driver}"].{name}'


def _expression(draw: Random, driver: str) -> str:
    size, model = _attribute(driver, "size"), _attribute(driver, "model")
    capacity = f'device.capacity["{driver}"].memory'
    return draw.choice(
        (
            f"{size} >= 40",
            f"{size} == 80",
            f'{model} == "a"',
            f'{model} == "b" || {size} > 20',
            f'{capacity}.compareTo(quantity("40Gi")) >= 0',
            "true",
        )
    )
