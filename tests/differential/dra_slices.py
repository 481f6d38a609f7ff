"""The supply of a random DRA case: ResourceSlices of a few pools, and what of them is in use already."""

import random
from typing import Any

Json = dict[str, Any]
DRIVERS = ("gpu.example.com", "nic.example.com", "fpga.example.org")
MODELS = ("a", "b", "c")
NODE = "node-1"
BASICS = ("model", "numa", "healthy", "version")
QUANTITIES = ("10Gi", "20Gi", "40Gi", "40960Mi", "80Gi")
POLICIES: tuple[Json | None, ...] = (
    None,
    {"default": "10Gi"},
    {"default": "10Gi", "validValues": ["5Gi", "10Gi", "20Gi"]},
    {"default": "20Gi", "validValues": ["20Gi"]},
    {"default": "5Gi", "validRange": {"min": "5Gi"}},
    {"default": "5Gi", "validRange": {"min": "5Gi", "max": "20Gi"}},
    {"default": "4Gi", "validRange": {"min": "2Gi", "step": "4Gi"}},  # The default is no multiple from min.
    {"default": "5Gi", "validRange": {"min": "5Gi", "max": "35Gi", "step": "5Gi"}},
)
FRACTIONS: tuple[Json | None, ...] = (
    {"default": "300m", "validRange": {"min": "100m", "step": "200m"}},
    {"default": "200m", "validRange": {"min": "200m", "max": "1", "step": "100m"}},
    {"default": "500m", "validRange": {"min": "500m", "step": "250m"}},
    {"default": "1", "validRange": {"min": "1", "max": "2", "step": "1"}},
    {"default": "0.5", "validValues": ["0.25", "0.5", "1"]},
)
SELECTORS: tuple[Json, ...] = (
    {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["z1", "z2"]}]},
    {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["z2", "z1"]}]},
    {"matchExpressions": [{"key": "rack", "operator": "Exists"}]},
    {
        "matchExpressions": [
            {"key": "zone", "operator": "NotIn", "values": ["z2"]},
            {"key": "cores", "operator": "Gt", "values": ["8"]},
        ]
    },
    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [NODE]}]},
    {
        "matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["node-9"]}],
        "matchExpressions": [{"key": "gone", "operator": "DoesNotExist"}],
    },
)
OTHER_SELECTORS: tuple[Json, ...] = (
    {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["z9"]}]},
    {"matchExpressions": [{"key": "rack", "operator": "DoesNotExist"}]},
    {"matchExpressions": [{"key": "cores", "operator": "Lt", "values": ["4"]}]},
    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-2"]}]},
    {},
)


class Slices:
    """Draws pools with their slices and devices.

    Attributes: `slices` (ResourceSlices), `devices` (driver, pool, device; without old generations),
    `state` (`allocatedState`), `drivers` in use, `labels` of the node, `tainted` whether any device is,
    `lenient` whether there is plenty, `complete` whether every device has every basic attribute.
    """

    def __init__(self, rng: random.Random, flags: dict[str, bool]) -> None:
        self.rng, self.flags = rng, flags
        self.labels = {"zone": rng.choice(("z1", "z1", "z2")), "rack": "r1", "cores": "64"}
        self.devices: list[tuple[str, str, Json]] = []
        self.state: Json = {"allocatedDevices": [], "allocatedSharedDeviceIDs": [], "aggregatedCapacity": []}
        self.slices: list[Json] = []
        self.tainted = False
        self.complete = rng.random() < 0.2  # Every device has every basic attribute: expressions rarely fail.
        self.plain = rng.random() < 0.4  # No fault in any pool.
        self.lenient = rng.random() < 0.8  # Enough devices, and reachable ones.
        self.drivers = rng.sample(DRIVERS, rng.choice((1, 1, 1, 2, 2, 3)))
        names = rng.sample(("pool-a", "pool-b", NODE, "A"), rng.choice((1, 2, 2, 3)))
        pools = [
            (self.drivers[n] if n < len(self.drivers) else rng.choice(self.drivers), name)
            for n, name in enumerate(names)
        ]
        for driver, pool in pools:
            self._add_pool(driver, pool)
        self.drivers = sorted({driver for driver, _ in pools})
        if rng.random() < 0.5:
            rng.shuffle(self.slices)

    def uses(self, feature: str, share: float) -> bool:
        """Whether to use a feature: rarely where it is off, which is a case of its own."""
        return self.rng.random() < (share if self.flags[feature] else share * 0.1)

    def fault(self, share: float) -> bool:
        """Whether something is out of order."""
        return not self.plain and self.rng.random() < share

    def _add_pool(self, driver: str, pool: str) -> None:
        rng, generation = self.rng, self.rng.choice((0, 1, 1, 7))
        place, shared = self._place(), rng.random()
        kind = "partitions" if self.uses("PartitionableDevices", 0.45) else "plain"
        if self.uses("ConsumableCapacity", 0.4):
            kind += " shared"
        count = rng.choice((1, 1, 2, 2, 3))
        self.sets = ["set-0", "set-1"] + ["set-2"] * (rng.random() < 0.2)
        specs = [
            self._device_slice(driver, kind, number, place if shared < 0.8 else self._place())
            for number in range(count)
        ]
        if "partitions" in kind:
            specs.append(self._counter_slice(place))
            if "set-2" in self.sets:
                specs.append({"sharedCounters": [self._counter_set("set-2")], **self._place()})
        wanted = len(specs) + (rng.choice((-1, 1, 1)) if self.fault(0.08) else 0)
        newer = self.fault(0.06)  # Without the slice of the next generation it would be incomplete.
        if self.fault(0.04) and specs[0].get("devices"):  # Twice the same name: the pool is invalid.
            specs[-1 if "partitions" not in kind else 0].setdefault("devices", []).append(
                {"name": specs[0]["devices"][0]["name"]}
            )
        names = [
            f"{pool.lower()}-{driver.split('.')[0]}-{letter}" for letter in rng.sample("abcdefgh", len(specs))
        ]
        for name, spec in zip(names, specs, strict=True):
            self._add(
                name,
                driver,
                {"name": pool, "generation": generation, "resourceSliceCount": wanted + newer},
                spec,
            )
            self._use(driver, pool, spec.get("devices", []))
        self._generations(driver, pool, generation, kind)
        if newer:
            new = self._device_slice(driver, "plain", 5, {"nodeName": "node-2"})
            self._add(
                f"new-{pool.lower()}",
                driver,
                {"name": pool, "generation": generation + 1, "resourceSliceCount": 2},
                new,
            )

    def _generations(self, driver: str, pool: str, generation: int, kind: str) -> None:
        """Slices that a driver has not yet removed, or has already published for another node."""
        if self.fault(0.12):
            old = self._device_slice(driver, kind, 0, self._place())
            self._add(
                f"old-{pool.lower()}",
                driver,
                {"name": pool, "generation": generation - 1, "resourceSliceCount": 1},
                old,
            )

    def _add(self, name: str, driver: str, pool: Json, spec: Json) -> None:
        self.slices.append(
            {
                "apiVersion": "resource.k8s.io/v1",
                "kind": "ResourceSlice",
                "metadata": {"name": name},
                "spec": {"driver": driver, "pool": pool, **spec},
            }
        )

    def _place(self, per_device: bool = True) -> Json:
        """Where a slice or a device is reachable; nearly always from the node."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.5:
            return {"nodeName": NODE if self.lenient or rng.random() < 0.9 else "node-2"}
        if kind < 0.68:
            return {"allNodes": True}
        if kind < 0.88 or not per_device:
            terms = [rng.choice(SELECTORS if self.lenient or rng.random() < 0.8 else OTHER_SELECTORS)]
            if rng.random() < 0.02:
                terms.append(rng.choice(SELECTORS))
            return {"nodeSelector": {"nodeSelectorTerms": terms}}
        if self.uses("PartitionableDevices", 0.9):
            return {"perDeviceNodeSelection": True}
        return {} if self.fault(0.1) else {"allNodes": True}

    def _counter_set(self, name: str) -> Json:
        size = self.rng.choice((3, 4, 6, 8) if self.lenient else (2, 3, 4))
        return {
            "name": name,
            "counters": {"memory": {"value": f"{size * 10}Gi"}, "slices": {"value": str(size)}},
        }

    def _counter_slice(self, place: Json) -> Json:
        sets = [self._counter_set("set-0"), self._counter_set("set-1")]
        if self.fault(0.03):
            sets.append(self._counter_set("set-0"))
        spec: Json = {"sharedCounters": sets, **(place if self.rng.random() < 0.8 else self._place(False))}
        if self.fault(0.03):
            spec["devices"] = [{"name": "beside-counters"}]
        return spec

    def _device_slice(self, driver: str, kind: str, number: int, place: Json) -> Json:
        rng = self.rng
        spec: Json = dict(place)
        count = rng.choice((2, 3, 3, 4) if self.lenient else (0, 1, 1, 2, 2, 3, 4))
        spec["devices"] = [self._device(driver, kind, f"dev-{number}-{index}") for index in range(count)]
        if place.get("perDeviceNodeSelection"):
            for device in spec["devices"]:
                device.update(self._place(per_device=False))
        if self.uses("OptionalNodeOperations", 0.08):
            spec["skipNodeOperations"] = rng.choice(
                (["*"], ["NodePrepareResources", "NodeUnprepareResources"])
            )
        return spec

    def _device(self, driver: str, kind: str, name: str) -> Json:
        rng = self.rng
        device: Json = {
            "name": name,
            "attributes": self._attributes(driver),
            "capacity": self._capacity(driver),
        }
        if "partitions" in kind and rng.random() < 0.85:
            device["consumesCounters"] = self._consumption()
        if "shared" in kind and rng.random() < 0.7:
            device["allowMultipleAllocations"] = True
            device["capacity"] = self._policies(device["capacity"]) if rng.random() < 0.9 else {}
        elif rng.random() < 0.05:
            device["allowMultipleAllocations"] = False
        if rng.random() < (0.06 if self.lenient else 0.2):
            device["taints"] = [self._taint() for _ in range(rng.choice((1, 1, 2)))]
            self.tainted = True
        if self.uses("DeviceBindingAndStatus", 0.06):
            device["bindingConditions"] = ["attached", "ready"][: rng.choice((1, 2))]
            device["bindingFailureConditions"] = ["failed"]
        if self.uses("DeviceBindingAndStatus", 0.15):
            device["bindsToNode"] = True
        return device

    def _attributes(self, driver: str) -> Json:
        rng = self.rng
        found: Json = {
            "model": {"string": rng.choice(MODELS[:2])},
            "numa": {"int": rng.randrange(3)},
            "healthy": {"bool": rng.random() < 0.8},
            "version": {"version": rng.choice(("1.0.0", "1.2.0", "2.0.0-rc.1"))},
        }
        if not self.complete and rng.random() < 0.04:
            del found[rng.choice(BASICS)]
        if rng.random() < 0.05:
            found["numa"] = {"string": str(rng.randrange(2))}
        if rng.random() < (0.9 if self.lenient else 0.6):
            found["topology.example.com/root"] = {"string": rng.choice(("root-0", "root-0", "root-1"))}
            found["topology.example.com/slot"] = {"int": rng.randrange(6)}
        if self.uses("ListTypeAttributes", 0.9):
            links = sorted(rng.sample(range(4), rng.choice((1, 2, 2, 3))))
            found["links"] = {"ints": links} if rng.random() < 0.9 else {"int": links[0]}
            found["fabrics"] = {"strings": [f"f{link}" for link in links]}
        if rng.random() < 0.1:  # The same attribute under the driver's domain.
            found[f"{driver}/model"] = found.pop("model", {"string": "c"})
        return found

    def _capacity(self, driver: str) -> Json:
        rng = self.rng
        found: Json = {"memory": {"value": rng.choice(QUANTITIES)}}
        if rng.random() < 0.5:
            found["bandwidth"] = {"value": rng.choice(("1", "2", "2500m"))}
        if rng.random() < 0.03:
            found[f"{driver}/memory"] = found.pop("memory")
        return found

    def _policies(self, capacity: Json) -> Json:
        rng = self.rng
        for name, policies in (("memory", POLICIES), ("bandwidth", FRACTIONS)):
            policy = rng.choice(policies)
            if name in capacity and policy is not None:
                capacity[name] = {**capacity[name], "requestPolicy": policy}
        return capacity

    def _consumption(self) -> list[Json]:
        rng = self.rng
        sets = rng.sample(self.sets, rng.choice((1, 1, 1, 2)))
        if self.fault(0.01):
            sets = ["set-missing"]
        found: list[Json] = []
        for name in sets:
            size = rng.choice((1, 1, 2, 3))
            counters = {"memory": {"value": f"{size * 10}Gi"}, "slices": {"value": str(size)}}
            if self.fault(0.01):
                counters = {"no-such-counter": {"value": "1"}}
            elif rng.random() < 0.2:
                del counters["memory"]
            entry: Json = {"counterSet": name, "counters": counters}
            if self.uses("CompatibilityGroups", 0.3):
                entry["compatibilityGroups"] = rng.sample(("mig", "vgpu", "mps"), rng.choice((1, 2, 2)))
            found.append(entry)
        return found

    def _taint(self) -> Json:
        rng = self.rng
        taint: Json = {
            "key": rng.choice(("broken", "maintenance")),
            "effect": rng.choice(("NoSchedule", "NoSchedule", "NoExecute", "None", "FutureEffect")),
        }
        if rng.random() < 0.6:
            taint["value"] = rng.choice(("yes", "no"))
        return taint

    def _use(self, driver: str, pool: str, devices: list[Json]) -> None:
        """Some devices are in use: whole ones, or shares whose capacity adds up."""
        rng = self.rng
        for device in devices:
            self.devices.append((driver, pool, device))
            where = {"driver": driver, "pool": pool, "device": device["name"]}
            if not device.get("allowMultipleAllocations"):
                if rng.random() < 0.1:
                    self.state["allocatedDevices"].append(where)
            elif rng.random() < 0.3:
                self._use_shares(where, device["capacity"])

    def _use_shares(self, where: Json, capacity: Json) -> None:
        rng = self.rng
        shares = rng.choice((1, 1, 2))
        for number in range(shares):
            share = f"{rng.getrandbits(32):08x}-0000-4000-8000-{number:012x}"
            self.state["allocatedSharedDeviceIDs"].append({**where, "shareID": share})
        consumed = {}
        if "memory" in capacity and rng.random() < 0.9:
            consumed["memory"] = f"{5 * shares * rng.choice((1, 1, 2))}Gi"
        if "bandwidth" in capacity:
            consumed["bandwidth"] = rng.choice(("200m", "1", "0.5"))
        if consumed:
            self.state["aggregatedCapacity"].append({**where, "consumedCapacity": consumed})
