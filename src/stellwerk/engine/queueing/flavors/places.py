"""Places for the pods of a workload, in a cycle: found by engine/topology in what the nodes still have free.

Source: kueue pkg/cache/scheduler/clusterqueue_snapshot.go, KEP-2724.
"""

from collections.abc import Mapping

from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.flavors.assignment import Asks, NotPlaced
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.nodes import topology_gates
from stellwerk.engine.queueing.requests.total import WorkloadInfo
from stellwerk.engine.topology.assignment.assign import Situation, assign_workload
from stellwerk.engine.topology.assignment.decision import Assignment, DomainUsage
from stellwerk.engine.topology.assignment.fleet.snapshot import FlavorSnapshot
from stellwerk.engine.topology.assignment.group import name_of
from stellwerk.engine.topology.assignment.why import message

TopologyUsage = Mapping[str, tuple[DomainUsage, ...]]  # By flavor.


class Topologies:
    """What each flavor's nodes have free while a cycle is decided; `add` and `remove` undo each other."""

    __slots__ = ("flavors", "gates")

    def __init__(self, flavors: Mapping[str, FlavorSnapshot], gates: FeatureGates) -> None:
        self.flavors, self.gates = dict(flavors), topology_gates(gates)

    def copy(self) -> "Topologies":
        """The same again; what is added to one is not in the other."""
        other = Topologies.__new__(Topologies)
        other.flavors, other.gates = dict(self.flavors), self.gates
        return other

    def add(self, usage: TopologyUsage) -> None:
        """Pods that take their places; flavors that are not there are passed over."""
        for name, uses in usage.items():
            if name in self.flavors:
                self.flavors[name] = self.flavors[name].using(uses)

    def remove(self, usage: TopologyUsage) -> None:
        """Pods that leave their places."""
        for name, uses in usage.items():
            if name in self.flavors:
                self.flavors[name] = self.flavors[name].without(uses)

    def fits(self, usage: TopologyUsage) -> bool:
        """Whether each place still holds its pods, each looked at alone."""
        return all(self.flavors[name].fits(uses) for name, uses in usage.items())

    def find(
        self, info: WorkloadInfo, asks: Asks, simulate_empty: bool
    ) -> Mapping[str, Assignment] | NotPlaced:
        """The places of all PodSets that ask, or the first one without; the `find_topology` of a Cycle."""
        situation = Situation(gates=self.gates, simulate_empty=simulate_empty, workload=info.object)
        found = assign_workload(self.flavors, asks, situation)
        if found.failure is not None:
            name, unfit = found.failure
            reason = Reason("TopologyPlacementFailed", "{why}", {"why": message(unfit)})
            return NotPlaced(name, _flavor_of(asks, name), reason)
        return {name: one for name, one in found.outcomes.items() if isinstance(one, Assignment)}


def _flavor_of(asks: Asks, pod_set: str) -> str:
    return next(flavor for flavor, of_flavor in asks.items() if pod_set in map(name_of, of_flavor))
