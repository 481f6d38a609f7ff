"""The rules of NVIDIA's DRA driver for its opaque configuration, from dra.json: no field is unknown."""

from collections.abc import Iterator, Mapping
from typing import Any

from stellwerk.api.quantity import parse_quantity
from stellwerk.catalog.dra import dra_facts

API_VERSION = dra_facts().opaque_config["apiVersion"]
INTERVALS = ("Default", "Short", "Medium", "Long")
GPU_CONFIG: Any = dra_facts().opaque_config["GpuConfig"]
MPS_FIELDS = {field for field in GPU_CONFIG if field.startswith("sharing.mpsConfig.")}
FIELDS = {
    "GpuConfig": {field for field in GPU_CONFIG if field.startswith("sharing.")},
    "MigDeviceConfig": {"sharing.strategy", *MPS_FIELDS},
}


def complaints(parameters: Mapping[str, Any]) -> list[str]:
    """What the driver's webhook would refuse; empty: nothing."""
    if parameters.get("apiVersion") != API_VERSION or parameters.get("kind") not in FIELDS:
        return ["apiVersion or kind"]
    rest = {key: value for key, value in parameters.items() if key not in ("apiVersion", "kind")}
    values = dict(_flat(rest, ""))
    wrong = [field for field in values if field not in FIELDS[parameters["kind"]]]
    strategy = values.get("sharing.strategy")
    if "sharing" in rest and strategy not in ("TimeSlicing", "MPS"):
        wrong.append("sharing.strategy")
    blocks = rest.get("sharing", {})
    wrong += [
        block
        for block, of in (("timeSlicingConfig", "TimeSlicing"), ("mpsConfig", "MPS"))
        if block in blocks and strategy != of
    ]
    interval = values.get("sharing.timeSlicingConfig.interval", "Default")
    percent = values.get("sharing.mpsConfig.defaultActiveThreadPercentage", 0)
    if interval not in INTERVALS:
        wrong.append("interval")
    if not isinstance(percent, int) or not 0 <= percent <= 100:
        wrong.append("percentage")
    limit = values.get("sharing.mpsConfig.defaultPinnedDeviceMemoryLimit")
    if limit is not None:
        parse_quantity(str(limit))
    return wrong


def _flat(value: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, child in value.items():
        name = f"{path}.{key}" if path else key
        if isinstance(child, dict) and name != "sharing.mpsConfig.defaultPerDevicePinnedMemoryLimit":
            yield from _flat(child, name)
        else:
            yield name, child
