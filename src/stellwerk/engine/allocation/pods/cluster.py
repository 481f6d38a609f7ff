"""The cluster while pods are given devices one after another: who has what, and what follows from it.

What is derived is remembered (snapshots by gates, fleets by nodes, which nodes a pod's spec fits); answers
are not.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import UNSET, Struct, structs

from stellwerk.api.groups.core import Node, PodSpec
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import AllocationResult, DeviceAllocationResult, ResourceClaim
from stellwerk.engine.allocation.allocate import Snapshot
from stellwerk.engine.allocation.change import Run
from stellwerk.engine.allocation.decision import AllocatedState, features_of
from stellwerk.engine.allocation.fleet import Fleet
from stellwerk.engine.allocation.pods.claims import allocation_of, key_of, made_claims
from stellwerk.engine.allocation.pods.extended import GATE, asked_by, classes_by_resource
from stellwerk.engine.allocation.pods.neighbours import Neighbours, has_neighbours, placed_on
from stellwerk.engine.allocation.pods.node_fit import asked_of_nodes, node_refuses
from stellwerk.engine.allocation.pods.waiting import Key, PodCase
from stellwerk.engine.allocation.pods.world import World
from stellwerk.engine.allocation.pools.taint_rules import patched_slices
from stellwerk.engine.allocation.pools.usage import Usage, usage_after, with_results
from stellwerk.engine.decision import Reason

Gates = frozenset[str]
TAINTS, RULES, CAPACITY = "DRADeviceTaints", "DRADeviceTaintRules", "DRAConsumableCapacity"
_MOST_FLEETS = 256


class Rules(Struct, frozen=True, kw_only=True):
    """Gates that are on, gates that could be, and what else differs between Kubernetes' releases.

    `none_means_all`: a DeviceTaintRule without a selector taints all devices (up to 1.36).
    `scores_alternatives`: nodes that give better alternatives of firstAvailable are preferred (since 1.35).
    """

    gates: frozenset[str]
    to_turn_on: tuple[str, ...] = ()
    none_means_all: bool = False
    scores_alternatives: bool = True


class Cluster:
    """A world, the rules, and what claims and pods have."""

    def __init__(self, world: World, rules: Rules) -> None:
        self.world, self.gates, self.rules = world, rules.gates, rules
        self.nodes: tuple[Node, ...] = world.nodes
        self.position = {given(node.metadata.name, ""): i for i, node in enumerate(world.nodes)}
        self.claims: dict[Key, ResourceClaim] = dict(world.claims)
        self.made = made_claims(world.claims.values())
        self.results: dict[str, AllocationResult] = {}
        self.types: dict[str, frozenset[str]] | None = None
        self.runs: list[Run] = []  # Who got devices in this run.
        self.plugin_used: list[Counter[str]] = [Counter() for _ in world.nodes]
        self.placed = Neighbours()
        self._by_resource = classes_by_resource(world.classes)
        self._snapshots: dict[Gates, Snapshot] = {}
        self._fleets: dict[tuple[Gates, tuple[int, ...]], Fleet] = {}
        self.keeps_away = False  # Whether a pod that runs has anti-affinity.
        self._asked: dict[int, tuple[PodSpec, Mapping[str, int]]] = {}
        self._fits: dict[str, list[Reason | None]] = {}
        for key, claim in self.claims.items():
            result = allocation_of(claim)
            if result is not None:
                self.results["/".join(key)] = result
        self.held_before = tuple(self.results)
        self._usage = self._usage_without(rules.gates, ())

    def snapshot(self, gates: Gates) -> Snapshot:
        """Slices and classes under these gates, the taints of DeviceTaintRules included."""
        known = self._snapshots.get(gates)
        if known is None:
            known = self._snapshots[gates] = self._snapshot(gates)
        return known

    def _snapshot(self, gates: Gates) -> Snapshot:
        features = features_of(gates)
        ruled = gates.issuperset((TAINTS, RULES)) and bool(self.world.rules)
        for others, known in self._snapshots.items():
            if ruled == (others.issuperset((TAINTS, RULES)) and bool(self.world.rules)):
                return known.with_features(features)
        slices = self.world.slices
        if ruled:
            slices = patched_slices(slices, self.world.rules, none_means_all=self.rules.none_means_all)
        return Snapshot(slices, self.world.classes, features)

    def usage(self, gates: Gates, freed: tuple[str, ...] = ()) -> Usage:
        """What is in use, without the devices of the claims `freed`."""
        return self._usage if gates == self.gates and not freed else self._usage_without(gates, freed)

    def _usage_without(self, gates: Gates, freed: tuple[str, ...]) -> Usage:
        held = [result for name, result in self.results.items() if name not in freed]
        if CAPACITY not in gates:
            held = [_whole(result) for result in held]
        return self.snapshot(gates).usage(with_results(AllocatedState(), held))

    def by_resource(self, gates: Gates, mapped: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """The class behind each extended resource, `mapped` ones too; none with the gate off."""
        if GATE not in gates:
            return {}
        return {**self._by_resource, **mapped} if mapped else self._by_resource

    def fleet(self, gates: Gates, positions: Sequence[int]) -> Fleet:
        """These nodes, ready to be asked."""
        key = (gates, tuple(positions))
        known = self._fleets.get(key)
        if known is None:
            if len(self._fleets) >= _MOST_FLEETS:
                self._fleets.clear()
            nodes = [self.nodes[i] for i in positions]
            known = self._fleets[key] = Fleet(self.snapshot(gates), nodes)
        return known

    def fits(self, spec: PodSpec) -> Sequence[Reason | None]:
        """For each node what keeps the pod away, devices and other pods apart."""
        key = asked_of_nodes(spec)
        known = self._fits.get(key)
        if known is None:
            if len(self._fits) >= _MOST_FLEETS:
                self._fits.clear()
            known = self._fits[key] = [node_refuses(node, spec) for node in self.nodes]
        return known

    def asked_by(self, spec: PodSpec) -> Mapping[str, int]:
        """The extended resources that a pod asks for."""
        known = self._asked.get(id(spec))
        if known is None or known[0] is not spec:
            if len(self._asked) >= _MOST_FLEETS:
                self._asked.clear()
            known = self._asked[id(spec)] = (spec, asked_by(spec))
        return known[1]

    def place(self, pod: PodCase, position: int, plugin: Mapping[str, int]) -> None:
        """The pod runs on the node from now on."""
        self.plugin_used[position].update(plugin)
        self.keeps_away = self.keeps_away or has_neighbours(pod.spec)
        self.placed.add(placed_on(self.nodes[position], pod.key[0], pod.labels, pod.spec))

    def hold(self, claims: Sequence[ResourceClaim]) -> None:
        """These claims are allocated from now on."""
        results = []
        for claim in claims:
            result = allocation_of(claim)
            assert result is not None, "only allocated claims hold devices"
            self.claims[key_of(claim)] = claim
            self.results["/".join(key_of(claim))] = result
            results.append(result if CAPACITY in self.gates else _whole(result))
        self._usage = usage_after(self.snapshot(self.gates).offered, self._usage, results)


def _whole(result: AllocationResult) -> AllocationResult:
    """With the gate off the scheduler takes a share for the whole device."""
    devices = given(result.devices, DeviceAllocationResult())
    results = tuple(structs.replace(one, share_id=UNSET) for one in given(devices.results, ()))
    return structs.replace(result, devices=structs.replace(devices, results=results))
