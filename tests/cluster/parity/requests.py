"""What the claims of a scenario ask for."""

from random import Random
from typing import Any

from tests.cluster.parity.offers import SICK, SIZES, WORN
from tests.cluster.parity.scenario import Json


def devices(draw: Random, of: tuple[str, str], feature: str, shared: bool) -> Json:
    """`devices` of a claim; `of`: the DeviceClass and the driver."""
    if feature == "counters":
        return _shapes(draw, of)
    if feature == "prioritized-list":
        return _prioritized(draw, of)
    found: dict[str, Any] = {"requests": [{"name": "gpu", "exactly": _exactly(draw, of, feature, shared)}]}
    if draw.random() < 0.2:
        found["requests"].append({"name": "more", "exactly": _exactly(draw, of, feature, shared)})
    several = len(found["requests"]) > 1 or found["requests"][0]["exactly"].get("count") == 2
    if several and draw.random() < 0.6:
        names = [each["name"] for each in found["requests"]]
        how = "distinctAttribute" if draw.random() < 0.3 else "matchAttribute"
        found["constraints"] = [{"requests": names, how: f"{of[1]}/{draw.choice(('root', 'model'))}"}]
    return found


def _exactly(draw: Random, of: tuple[str, str], feature: str, shared: bool) -> Json:
    found = _selected(of, _expression(draw, of[1]))
    if feature == "taints":
        if tolerations := _tolerations(draw):
            found["tolerations"] = tolerations
    elif shared:
        if draw.random() < 0.7:
            found["capacity"] = {"requests": {"memory": f"{draw.choice((5, 10, 20, 40))}Gi"}}
        return found
    chance = draw.random()
    if chance < 0.25:
        found["count"] = 2
    elif chance < 0.35:
        found["allocationMode"] = "All"
    elif chance < 0.42:
        found["adminAccess"] = True
    return found


def _tolerations(draw: Random) -> list[Json]:
    some: tuple[Json, ...] = (
        {"key": SICK, "operator": "Exists", "effect": "NoSchedule"},
        {"key": SICK, "operator": "Equal", "value": "yes"},
        {"key": WORN, "operator": "Exists"},
        {"operator": "Exists"},
    )
    return draw.sample(some, draw.choice((0, 1, 1, 2)))


def _shapes(draw: Random, of: tuple[str, str]) -> Json:
    """Parts of a GPU: one, several, of the same GPU, or whichever part there is."""
    if draw.random() < 0.2:
        wanted = draw.sample(("whole", "three", "two", "one"), draw.choice((2, 3)))
        first = [{"name": f"c{i}", **_selected(of, _of_shape(of[1], each))} for i, each in enumerate(wanted)]
        return {"requests": [{"name": "gpu", "firstAvailable": first}]}
    names = ["gpu", "more"] if draw.random() < 0.25 else ["gpu"]
    shapes = draw.choices(("whole", "three", "three", "two", "one"), k=len(names))
    requests: list[Json] = [
        {"name": name, "exactly": _selected(of, _of_shape(of[1], shape))}
        for name, shape in zip(names, shapes, strict=True)
    ]
    if draw.random() < 0.2:
        requests[0]["exactly"]["count"] = 2
    found: Json = {"requests": requests}
    if draw.random() < 0.3:
        found["constraints"] = [{"requests": names, "matchAttribute": f"{of[1]}/gpu"}]
    return found


def _of_shape(driver: str, shape: str) -> str:
    return f'{_attribute(driver, "shape")} == "{shape}"'


def _prioritized(draw: Random, of: tuple[str, str]) -> Json:
    """Alternatives by size, some for several devices or all; sometimes another request beside them."""
    wanted = draw.sample(SIZES, draw.choice((2, 3)))
    first = []
    for i, size in enumerate(wanted):
        one = {"name": f"c{i}", **_selected(of, f"{_attribute(of[1], 'size')} == {size}")}
        chance = draw.random()
        if chance < 0.25:
            one["count"] = 2
        elif chance < 0.35:
            one["allocationMode"] = "All"
        first.append(one)
    requests: list[Json] = [{"name": "gpu", "firstAvailable": first}]
    if draw.random() < 0.3:
        other = draw.sample(SIZES, 2)
        again = [
            {"name": f"d{i}", **_selected(of, f"{_attribute(of[1], 'size')} >= {size}")}
            for i, size in enumerate(other)
        ]
        exactly = _selected(of, _expression(draw, of[1]))
        requests.append({"name": "more", **draw.choice(({"firstAvailable": again}, {"exactly": exactly}))})
    found: Json = {"requests": requests}
    if draw.random() < 0.25:
        found["constraints"] = [
            {"requests": [each["name"] for each in requests], "matchAttribute": f"{of[1]}/root"}
        ]
    return found


def _selected(of: tuple[str, str], expression: str) -> dict[str, Any]:
    return {"deviceClassName": of[0], "selectors": [{"cel": {"expression": expression}}]}


def _attribute(driver: str, name: str) -> str:
    return f'device.attributes["{driver}"].{name}'


def _expression(draw: Random, driver: str) -> str:
    size, model = _attribute(driver, "size"), _attribute(driver, "model")
    version, capacity = _attribute(driver, "driverVersion"), f'device.capacity["{driver}"].memory'
    return draw.choice(
        (
            f"{size} >= 40",
            f"{size} == 80",
            f'{model} == "a"',
            f'{model} == "b" || {size} > 20',
            f'{capacity}.compareTo(quantity("40Gi")) >= 0',
            f'{version}.compareTo(semver("2.0.0")) >= 0',
            f'"missing" in device.attributes["{driver}"] || {size} < 80',
            "true",
            "true",
        )
    )
