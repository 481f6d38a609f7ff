"""Random cases for a DRA allocator, in the recorded format without `expected`.

Small worlds (at most three drivers, pools and claims) in which every field that the allocator of Kubernetes
v1.37 reads is set now and then, also to what its API server would refuse: pools that are old, incomplete or
invalid, expressions that fail, counts beyond any limit. A case depends on its seed alone. The search that a
case may cost is bounded (`SEARCH_LIMIT`), so that an exhaustive allocator answers each one at once.
"""

import random
from typing import Any

from tests.differential.dra_requests import Requests
from tests.differential.dra_slices import Slices

Json = dict[str, Any]
FEATURES = {
    "AdminAccess": "DRAAdminAccess",
    "CompatibilityGroups": "DRADeviceCompatibilityGroups",
    "ConsumableCapacity": "DRAConsumableCapacity",
    "DerivedAttributes": "DRADerivedAttributes",
    "DeviceBindingAndStatus": "DRADeviceBindingConditions+DRAResourceClaimDeviceStatus",
    "DeviceTaints": "DRADeviceTaints",
    "FractionalCapacityRange": "DRAFractionalCapacityRange",
    "ListTypeAttributes": "DRAListTypeAttributes",
    "OptionalNodeOperations": "DRAOptionalNodeOperations",
    "PartitionableDevices": "DRAPartitionableDevices",
    "PrioritizedList": "DRAPrioritizedList",
}
SEARCH_LIMIT = 40_000  # Ways to give devices to all requests, roughly.


def random_flags(rng: random.Random) -> dict[str, bool]:
    """`featureFlags`: all on, or each mostly on, now and then all off."""
    kind = rng.random()
    share = 1.0 if kind < 0.6 else 0.0 if kind < 0.63 else 0.85
    return {name: rng.random() < share for name in FEATURES}


def random_case(seed: int) -> Json:
    """One case: `name`, `features`, `featureFlags`, `celFeatures`, `input`; no `expected`."""
    rng = random.Random(seed)
    flags = random_flags(rng)
    slices = Slices(rng, flags)
    classes, claims = Requests(rng, flags, slices, SEARCH_LIMIT).classes_and_claims()
    node: Json = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node-1", "labels": dict(slices.labels)},
    }
    if rng.random() < 0.7:
        node["status"] = {"declaredFeatures": ["DRAOptionalNodeOperations"]}
    return {
        "name": f"random-{seed}",
        "features": sorted(FEATURES[name] for name, on in flags.items() if on),
        "featureFlags": flags,
        "celFeatures": {
            "EnableConsumableCapacity": flags["ConsumableCapacity"],
            "EnableListTypeAttributes": flags["ListTypeAttributes"],
        },
        "input": {
            "node": node,
            "deviceClasses": classes,
            "resourceSlices": slices.slices,
            "resourceClaims": claims,
            "allocatedState": slices.state,
        },
    }


def random_cases(first: int, count: int) -> list[Json]:
    """`count` cases of the seeds from `first` on."""
    return [random_case(seed) for seed in range(first, first + count)]
