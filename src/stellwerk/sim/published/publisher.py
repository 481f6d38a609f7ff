"""Keeps ResourceSlices and Nodes in a Store as the simulated world changes, and shows them as of a moment."""

from collections.abc import Sequence

from msgspec import UnsetType

from stellwerk.api.duration import parse_duration, parse_time
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.partition.policy import Policy
from stellwerk.engine.snapshot import Fleet
from stellwerk.ports.store import MemoryStore, Object, Store, key_of
from stellwerk.sim.published.devices import PublishedGpu, PublishedNode, node_object, resource_slices
from stellwerk.sim.published.fabric import fabric_slices
from stellwerk.sim.replay import Scenario, play, stage
from stellwerk.sim.world import World


class Publisher:
    """Writes what changed in the world since the last `update` into the store.

    A pool's generation rises with each change of its devices, also over the loss of its node.
    """

    def __init__(self, store: Store, fleet: Fleet, world: World) -> None:
        self._store, self._fleet, self._world = store, fleet, world
        self._gpus: list[list[int]] = [[] for _ in fleet.nodes]
        for gpu, site in enumerate(world.gpus.sites):
            self._gpus[site.node].append(gpu)
        self._generations = [0 for _ in fleet.nodes]
        self._starts = [0 for _ in fleet.nodes]  # How often the node came: its other pools never change.
        self._there: list[dict[str, Object]] = [{} for _ in fleet.nodes]
        self._devices: list[list[Object]] = [[] for _ in fleet.nodes]
        world.gpus.touched.update(range(len(world.gpus.sites)))

    def update(self) -> None:
        """Publish the nodes on which a GPU was touched."""
        gpus = self._world.gpus
        nodes = sorted({gpus.sites[gpu].node for gpu in gpus.touched})
        gpus.touched.clear()
        for node in nodes:
            self._publish(node)

    def _publish(self, node: int) -> None:
        gpus = self._world.gpus
        if any(gpu in gpus.down for gpu in self._gpus[node]):
            self._put(node, [])
            self._devices[node] = []
            return
        known = self._fleet.nodes[node]
        seen = PublishedNode(known.name, tuple(map(self._seen, self._gpus[node])), known.network)
        self._starts[node] += not self._there[node]
        generation = self._generations[node]
        slices = resource_slices(seen, generation)
        devices = [device for part in slices for device in part["spec"]["devices"]]
        if devices != self._devices[node] or not self._there[node]:
            self._generations[node] = generation + 1
            self._devices[node] = devices
            slices = resource_slices(seen, generation + 1)
        if not isinstance(known.network, UnsetType):
            slices += fabric_slices(known.name, known.network, self._starts[node])
        self._put(node, [*slices, node_object(seen)])

    def _seen(self, gpu: int) -> PublishedGpu:
        gpus, site = self._world.gpus, self._world.gpus.sites[gpu]
        tenants = gpus.tenants[gpu]
        method = tenants[0][1].method if tenants else ""
        return PublishedGpu(
            site.index, site.facts.model, gpus.layouts[gpu], method, len(tenants), site.replicas
        )

    def _put(self, node: int, wanted: Sequence[Object]) -> None:
        """Bring the node's objects in the store to what is wanted; what is the same is not written."""
        there = self._there[node]
        names = {str(key_of(item)): item for item in wanted}
        for name in [name for name in there if name not in names]:
            self._store.delete(key_of(there.pop(name)))
        for name, item in names.items():
            if there.get(name) != item:
                self._write(item)
                there[name] = item

    def _write(self, item: Object) -> None:
        old = self._store.get(key_of(item))
        metadata = dict(item["metadata"])
        if old is not None:
            metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
        self._store.put({**item, "metadata": metadata})


def objects_at(scenario: Scenario, policies: Sequence[Policy], time: str) -> list[Object]:
    """The ResourceSlices and Nodes of the replay of one policy, as they are after all events up to `time`.

    `time` is RFC 3339, or a Go duration from the start. The replay is that of the first slowdown. Raises
    InvalidInput for any other time, and where the policy is not the only one besides `whole`.
    """
    at = _moment(scenario, time)
    chosen = [policy for policy in policies if policy.name != "whole"] or list(policies)
    if len(chosen) != 1:
        raise InvalidInput(
            "objects are those of one policy, and {count} are replayed",
            fix="name one, for example --policy {first}",
            path="--objects-at",
            count=len(chosen),
            first=chosen[-1].name,
        )
    staged = stage(scenario, chosen[0], scenario.slowdowns[0])
    agenda, store = staged.world.agenda, MemoryStore()
    publisher = Publisher(store, scenario.fleet, staged.world)
    publisher.update()

    def go_on(world: World, now: int) -> bool:
        publisher.update()
        return (due := agenda.due()) is not None and due <= at

    if (due := agenda.due()) is not None and due <= at:
        play(staged, go_on)
    return [
        _bare(item)
        for group, kind in (("resource.k8s.io", "ResourceSlice"), ("", "Node"))
        for item in store.list(group, kind)[0]
    ]


def _moment(scenario: Scenario, time: str) -> int:
    start, period = scenario.demand.start_ns, scenario.demand.period_ns
    try:
        at = parse_time(time) - start if "T" in time.upper() else parse_duration(time)
    except ValueError:
        raise InvalidInput(
            "{value} is neither a time nor a duration",
            fix='write an RFC 3339 time, or a duration from the start, such as "26h30m"',
            path="--objects-at",
            value=time[:80],
        ) from None
    if not 0 <= at <= period:
        raise InvalidInput(
            "{value} is not in the replayed period of {hours} hours",
            fix="give a time in it, such as 0s for its start",
            path="--objects-at",
            value=time[:80],
            hours=period // 3_600_000_000_000,
        )
    return at


def _bare(item: Object) -> Object:
    """Without the version, which only this store has."""
    metadata = {name: value for name, value in item["metadata"].items() if name != "resourceVersion"}
    return {**item, "metadata": metadata}
