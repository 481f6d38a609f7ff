"""The demand of a random DRA case: DeviceClasses and ResourceClaims over given slices."""

import math
import random
from typing import Any

from tests.differential.dra_slices import DRIVERS, MODELS, Slices

Json = dict[str, Any]
COMMON, SHARED = "any", "shared"
MEMORY = ("0", "1Gi", "3Gi", "5Gi", "7Gi", "10Gi", "10240Mi", "12Gi", "20Gi", "38Gi", "100Gi")
BANDWIDTH = ("100m", "250m", "0.5", "500m", "1", "1500m")


class Requests:
    """Draws classes and claims; at most `ways` choices of devices for all requests together, roughly."""

    def __init__(self, rng: random.Random, flags: dict[str, bool], slices: Slices, ways: float) -> None:
        self.rng, self.flags, self.slices, self.ways = rng, flags, slices, ways
        self.supply = max(2, len(slices.devices))
        self.uses = slices.uses
        self.lenient = slices.lenient
        self.greedy = rng.random() < 0.35  # Asks for about what there is, so that the search has to work.
        self.faults = rng.random() < 0.25
        self.derived: list[str] = []

    def classes_and_claims(self) -> tuple[list[Json], list[Json]]:
        """`deviceClasses` (one is missing now and then) and `resourceClaims`."""
        classes = [self._class(driver.split(".")[0], f'device.driver == "{driver}"') for driver in DRIVERS]
        classes.append(self._class(COMMON, None))
        classes.append(self._class(SHARED, "device.allowMultipleAllocations == true"))
        classes.append(self._class("two", f'device.driver in ["{DRIVERS[0]}", "{DRIVERS[1]}"]'))
        count = self.rng.choice((1, 1, 1, 1, 2, 2, 3))
        claims = [self._claim(0)]
        while len(claims) < count and self.ways > self.supply:
            claims.append(self._claim(len(claims)))
        if self.fault(0.06):
            del classes[self.rng.randrange(4)]
        return classes, claims

    def fault(self, share: float) -> bool:
        """Whether the demand is wrong somewhere."""
        return self.faults and self.rng.random() < share

    def _class(self, name: str, expression: str | None) -> Json:
        spec: Json = {}
        if expression is not None:
            spec["selectors"] = [{"cel": {"expression": expression}}]
        if self.rng.random() < 0.12:
            spec["config"] = [self._opaque() for _ in range(self.rng.choice((1, 1, 2)))]
        return {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "DeviceClass",
            "metadata": {"name": name},
            "spec": spec,
        }

    def _opaque(self) -> Json:
        parameters = {"mode": self.rng.choice(("fast", "safe"))}
        return {"opaque": {"driver": self.rng.choice(self.slices.drivers), "parameters": parameters}}

    def _claim(self, number: int) -> Json:
        rng = self.rng
        self.derived = []
        requests = [self._request("req-0")]
        for index in range(1, rng.choice((1, 1, 2, 2, 3))):
            if self.ways > self.supply:
                requests.append(self._request(f"req-{index}"))
        devices: Json = {"requests": requests}
        names = [request["name"] for request in requests]
        names += [f"{r['name']}/{s['name']}" for r in requests for s in r.get("firstAvailable", [])]
        how_many = (0, 0, 0, 1) if self.lenient else (0, 0, 1, 1, 2)
        constraints = [
            self._constraint(names) for _ in range(rng.choice((0, 1, 1, 2) if self.derived else how_many))
        ]
        if constraints:
            devices["constraints"] = constraints
        if rng.random() < 0.2:
            devices["config"] = [self._config(names) for _ in range(rng.choice((1, 2)))]
        return {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceClaim",
            "metadata": {"name": f"claim-{number}"},
            "spec": {"devices": devices},
            "status": {},
        }

    def _config(self, names: list[str]) -> Json:
        config = self._opaque()
        if self.rng.random() < 0.6:
            config["requests"] = self.rng.sample(names, self.rng.randint(1, min(2, len(names))))
        return config

    def _constraint(self, names: list[str]) -> Json:
        rng = self.rng
        if self.fault(0.02):
            return {}
        driver, kind = rng.choice(self.slices.drivers), rng.choice(("matchAttribute", "distinctAttribute"))
        lists = ("links", "fabrics") if self.flags["ListTypeAttributes"] else ()
        names_of = {"matchAttribute": ("model", "healthy", *lists), "distinctAttribute": ("numa", *lists)}
        own = names_of[kind] if self.lenient else ("model", "model", "numa", "version", "healthy", *lists)
        attributes = [f"{driver}/{name}" for name in own]
        topology = "topology.example.com/" + ("root" if kind == "matchAttribute" else "slot")
        attribute = rng.choice((*[topology] * (4 if self.lenient else 1), *attributes, *self.derived * 8))
        constraint: Json = {kind: attribute}
        if rng.random() < 0.45:
            constraint["requests"] = rng.sample(names, rng.randint(1, min(2, len(names))))
        return constraint

    def _request(self, name: str) -> Json:
        rng = self.rng
        if not self.uses("PrioritizedList", 0.25):
            asked = self._exactly()
            self.ways /= self._choices(asked)
            if self.uses("AdminAccess", 0.07):
                asked["adminAccess"] = rng.random() < 0.85
            return {"name": name, "exactly": asked}
        options = [{"name": f"sub-{index}", **self._exactly()} for index in range(rng.choice((1, 2, 2, 3)))]
        self.ways /= sum(self._choices(option) for option in options)
        return {"name": name, "firstAvailable": options}

    def _choices(self, asked: Json) -> int:
        """Sets of devices which a request may get, at least 1."""
        return max(1, math.comb(self.supply, min(asked.get("count", 1), 32)))

    def _count(self) -> int:
        most = 4 if self.greedy else 2
        while most > 1 and math.comb(self.supply, most) > self.ways:
            most -= 1
        return self.rng.randint(min(2, most) if self.greedy else 1, most)

    def _exactly(self) -> Json:
        rng = self.rng
        names = [COMMON] * (6 if self.lenient else 2) + [
            "two",
            *(driver.split(".")[0] for driver in self.slices.drivers * 2),
        ]
        if self.flags["ConsumableCapacity"] and not self.lenient:
            names.append(SHARED)
        asked: Json = {"deviceClassName": rng.choice(names)}
        if self.fault(0.03):
            asked["deviceClassName"] = rng.choice(("", "no-such-class"))
        if rng.random() < 0.08:
            asked["allocationMode"] = "All"
        else:
            asked["allocationMode"] = "ExactCount"
            asked["count"] = self._count()
            if self.fault(0.05):
                asked["count"] = rng.choice((0, 20 if self.supply < 16 else 0, 33, 500, 1 << 62))
        if self.fault(0.02):
            asked["allocationMode"] = "FutureMode"
        if rng.random() < (0.12 if self.lenient else 0.4):
            asked["selectors"] = self._selectors()
        self._more(asked)
        return asked

    def _more(self, asked: Json) -> None:
        """Tolerations, capacity and derived attributes."""
        rng = self.rng
        if rng.random() < (0.4 if self.slices.tainted else 0.03):
            asked["tolerations"] = [self._toleration() for _ in range(rng.choice((1, 1, 2)))]
        if self.uses("ConsumableCapacity", 0.25):
            asked["capacity"] = {"requests": self._capacity_requests()}
        if self.uses("DerivedAttributes", 0.15):
            asked["derivedAttributes"] = [self._derived() for _ in range(rng.choice((1, 1, 2)))]
            self.derived += [attribute["name"] for attribute in asked["derivedAttributes"]]

    def _capacity_requests(self) -> dict[str, str]:
        rng = self.rng
        found = {}
        if rng.random() < 0.9:
            found["memory"] = rng.choice(MEMORY[:8] if self.lenient else MEMORY)
        if rng.random() < (0.3 if self.lenient else 0.4):
            found["bandwidth"] = rng.choice(BANDWIDTH)
        if rng.random() < 0.03:
            found["no-such-capacity"] = "1"
        if self.fault(0.1):
            found["memory"] = rng.choice(
                ("-1Gi", "18446744073709551616", "9223372036854775807", "5000000001m")
            )
        return found

    def _toleration(self) -> Json:
        rng = self.rng
        found: Json = {}
        if rng.random() < 0.8:
            found["key"] = rng.choice(("broken", "maintenance"))
        operator = rng.choice(("Exists", "Exists", "Equal", "", "FutureOperator"))
        if operator or rng.random() < 0.5:
            found["operator"] = operator or "Exists"
        if found.get("operator") != "Exists" and rng.random() < 0.8:
            found["value"] = rng.choice(("yes", "no"))
        if rng.random() < 0.4:
            found["effect"] = rng.choice(("NoSchedule", "NoExecute", "NoSchedule", "None"))
        if found.get("effect") == "NoExecute" and rng.random() < 0.4:
            found["tolerationSeconds"] = 300
        return found

    def _derived(self) -> Json:
        rng, driver = self.rng, self.rng.choice(self.slices.drivers)
        mine = f'device.attributes["{driver}"]'
        expressions = [
            "device.driver",
            f'"model" in {mine} ? {mine}.model : "none"',
            f'"numa" in {mine} && {mine}.numa == 0 ? 0 : 1',
            f'"healthy" in {mine} && {mine}.healthy',
            '"topology.example.com" in device.attributes'
            ' ? device.attributes["topology.example.com"].root : "x"',
            f'has({mine}.version) ? {mine}.version : semver("0.1.0")',
        ]
        if self.flags["ListTypeAttributes"]:
            expressions.append(f'"fabrics" in {mine} ? {mine}.fabrics : ["f0"]')
        if self.fault(0.3):
            expressions = [f"{mine}.missing", "1.5", f'device.capacity["{driver}"].memory', "device.nosuch"]
        return {
            "name": rng.choice(("derived.example.com/one", "derived.example.com/two")),
            "expression": rng.choice(expressions),
        }

    def _selectors(self) -> list[Json]:
        found = [self._selector() for _ in range(self.rng.choice((1, 1, 2)))]
        if self.fault(0.02):
            found.append({})
        return found

    def _selector(self) -> Json:
        rng, driver = self.rng, self.rng.choice(self.slices.drivers)
        mine, model, size = f'device.attributes["{driver}"]', rng.choice(MODELS), rng.choice((10, 20, 40))
        own = f'device.driver == "{driver}" && '
        expressions = [
            f'device.driver == "{driver}"',
            f'device.driver in ["{driver}", "other.example.com"]',
            f'{own}has({mine}.model) && {mine}.model == "{model}"',
            f'"model" in {mine} && {mine}["model"] != "{model}"',
            f"{own}{mine}.?healthy.orValue(false)",
            f'has({mine}.version) && {mine}.version.compareTo(semver("1.2.0")) >= 0',
            f'{own}"memory" in device.capacity["{driver}"] && '
            f'device.capacity["{driver}"].memory.compareTo(quantity("{size}Gi")) >= 0',
            "device.allowMultipleAllocations == false",
            f"{own}has({mine}.numa) && {mine}.numa in [0, 2, 1]",
            f'!(device.driver != "{driver}")',
        ]
        if self.flags["ListTypeAttributes"]:
            expressions += [
                f'"fabrics" in {mine} && {mine}.fabrics.includes("f1")',
                f"{own}has({mine}.links) && {mine}.links.includes({rng.randrange(4)})",
            ]
        if self.slices.complete or self.fault(0.4):
            expressions += [f"{own}{mine}.healthy", f'{own}{mine}.model == "{model}"', f"{mine}.numa < 2"]
        if self.fault(0.15):
            expressions = [
                f'{mine}.unknown == "x"',
                "device.nosuch == 1",
                "device.driver",
                f"{own}{mine}.model < 3",
                f'device.capacity["{driver}"].nothing.isInteger()',
            ]
        return {"cel": {"expression": rng.choice(expressions)}}
