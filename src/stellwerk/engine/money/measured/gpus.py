"""The GPUs of a billed node: which devices of the metrics are which of its places."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.money.measured.nodes import BilledNode
from stellwerk.engine.money.measured.result import Span
from stellwerk.engine.money.measured.spans import clip, join, measured
from stellwerk.engine.usage import DeviceUse, Usage


class Gpu(Struct, frozen=True):
    """A GPU's place in a node: its devices (itself, its instances, after a repair its successor's)."""

    devices: tuple[DeviceUse, ...]
    spans: tuple[Span, ...]


def gpus_of(node: BilledNode, usage: Usage) -> tuple[Gpu, ...]:
    """As many GPUs as the node has; one that nobody measured has no devices.

    Two uuids that were never there together are one place: the second replaced the first. Raises InvalidInput
    if more were there together than the fleet says.
    """
    places: list[Gpu] = []
    for devices in _by_uuid(node.name, usage.devices):
        spans = join(span for device in devices for span in measured(device, usage))
        whole = Span(spans[0].start_ms, spans[-1].end_ms)
        free = next((at for at, place in enumerate(places) if not clip(place.spans, whole)), None)
        if free is None:
            places.append(Gpu(devices, (whole,)))
        else:
            places[free] = Gpu(places[free].devices + devices, (*places[free].spans, whole))
    if len(places) > node.fleet_node.gpus:
        raise InvalidInput(
            "Node {name} shows {seen} GPUs in the metrics, and has {gpus} in the fleet",
            fix="set gpus of the node group to the number of GPUs of one node",
            name=node.name,
            seen=len(places),
            gpus=node.fleet_node.gpus,
        )
    return (*places, *(Gpu((), ()) for _ in range(node.fleet_node.gpus - len(places))))


def _by_uuid(node: str, devices: Sequence[DeviceUse]) -> Sequence[tuple[DeviceUse, ...]]:
    found: dict[str, list[DeviceUse]] = {}
    for device in devices:
        if device.node == node:
            found.setdefault(device.uuid or device.key, []).append(device)
    return [tuple(sorted(group, key=lambda device: device.key)) for _, group in sorted(found.items())]


def pods_by_device(usage: Usage) -> Mapping[str, tuple[int, ...]]:
    """The places in `usage.pods` of those that had a device, by the device's key."""
    found: dict[str, list[int]] = {}
    for at, pod in enumerate(usage.pods):
        for key in dict.fromkeys(pod.devices):
            found.setdefault(key, []).append(at)
    return {key: tuple(pods) for key, pods in found.items()}
