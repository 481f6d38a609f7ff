"""The parts of topology-aware scheduling that no recorded case reaches."""

from typing import Any

import pytest

from stellwerk.api.groups.core import Node, Pod, PodSpec, Taint, Toleration
from stellwerk.api.groups.kueue_workload import PodSet, PodSetUpdate
from stellwerk.api.selection import tolerates
from stellwerk.engine.topology.assignment.assign import Situation, assign_flavor, assign_workload
from stellwerk.engine.topology.assignment.decision import (
    Assignment,
    DomainPods,
    DomainUsage,
    Excluded,
    Gates,
    NotFit,
    PodSetRequest,
    Reason,
)
from stellwerk.engine.topology.assignment.fleet.amounts import amounts_of, foreign_usage
from stellwerk.engine.topology.assignment.fleet.pod import pod_requests
from stellwerk.engine.topology.assignment.fleet.snapshot import FlavorSnapshot, take_snapshot
from stellwerk.engine.topology.assignment.fleet.tree import HOSTNAME, build_tree
from stellwerk.engine.topology.assignment.merge import net_usage
from stellwerk.engine.topology.assignment.search.optimal_set import entropy_of
from stellwerk.engine.topology.assignment.search.wish import has_levels
from stellwerk.engine.topology.assignment.why import message
from stellwerk.engine.topology.assignment.wire import packed, unpacked
from tests.conformance.kueue_tas import typed

RACK = "example.com/rack"


def node(name: str, rack: str, *, cpu: str = "4", ready: str = "True", **spec: Any) -> Node:
    raw = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {RACK: rack, HOSTNAME: name}},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "pods": "110"},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }
    return typed(raw, Node)


def snapshot_of(
    *nodes: Node, keys: tuple[str, ...] = (RACK, HOSTNAME), unready: bool = False
) -> FlavorSnapshot:
    return take_snapshot("default", build_tree(keys, nodes, {}, with_unready=unready), (), {})


def asked(name: str = "main", count: int = 1, **more: Any) -> PodSetRequest:
    spec = {"containers": [], **more.pop("spec", {})}
    topology = more.pop("topology", {"required": HOSTNAME})
    raw = {"name": name, "count": count, "template": {"spec": spec}, "topologyRequest": topology}
    return PodSetRequest(
        pod_set=typed(raw, PodSet), count=count, requests=more.pop("requests", {"cpu": 1000}), **more
    )


def places(outcome: object) -> dict[str, int]:
    assert isinstance(outcome, Assignment), outcome
    return {domain.domain: domain.count for domain in outcome.domains}


def test_an_update_of_an_admission_check_narrows_the_nodes() -> None:
    snapshot = snapshot_of(node("x1", "r1"), node("x2", "r1"))
    update = PodSetUpdate(name="main", node_selector={HOSTNAME: "x2"})
    found = assign_flavor(snapshot, [asked(updates=(update,))], Situation())
    assert places(found.outcomes["main"]) == {"x2": 1}


def test_an_update_that_contradicts_the_template_is_a_reason() -> None:
    update = PodSetUpdate(name="main", node_selector={RACK: "r2"})
    request = asked(spec={"nodeSelector": {RACK: "r1"}}, updates=(update,))
    found = assign_flavor(snapshot_of(node("x1", "r1")), [request], Situation())
    name, why = found.failure or ("", "")
    assert name == "main" and isinstance(why, Reason)
    assert message(why).endswith(f"conflict for nodeSelector: conflict for key={RACK}, value1=r1, value2=r2")


def test_a_selector_that_cannot_be_read_is_a_reason() -> None:
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": RACK, "operator": "Near", "values": ["r1"]}]}
                ]
            }
        }
    }
    for spec, code in (
        ({"affinity": affinity}, "node-affinity"),
        ({"nodeSelector": {"": "x"}}, "node-selector"),
    ):
        found = assign_flavor(snapshot_of(node("x1", "r1")), [asked(spec=spec)], Situation())
        assert isinstance(found.outcomes["main"], Reason) and found.outcomes["main"].code == code


def test_the_schedulers_plugins_keep_pods_from_unschedulable_nodes() -> None:
    gates = Gates(scheduler_library=True)
    nodes = node("x1", "r1", unschedulable=True), node("x2", "r1")
    assert snapshot_of(*nodes).tree.leaf_of.keys() == {"x2"}
    snapshot = snapshot_of(*nodes, unready=True)
    request = asked(count=9, topology={"preferred": RACK})
    found = assign_flavor(snapshot, [request], Situation(gates=gates))
    assert found.outcomes["main"] == NotFit(
        topology="default", fits=4, needed=9, slice_size=1, excluded=Excluded(total=2, library=1)
    )
    tolerating = asked(
        count=8,
        topology={"preferred": RACK},
        spec={"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]},
    )
    found = assign_flavor(snapshot, [tolerating], Situation(gates=gates))
    assert places(found.outcomes["main"]) == {"x1": 4, "x2": 4}


@pytest.mark.parametrize(("overlap", "second"), [(True, {"x2": 4}), (False, {"x1": 4})])
def test_flavors_on_the_same_nodes_see_each_other(overlap: bool, second: dict[str, int]) -> None:
    snapshots = dict.fromkeys(("a", "b"), snapshot_of(node("x1", "r1"), node("x2", "r1")))
    requests = {"b": [asked("second", 4)], "a": [asked("first", 4)]}
    situation = Situation(gates=Gates(handle_overlapping_flavors=overlap))
    found = assign_workload(snapshots, requests, situation)
    assert places(found.outcomes["first"]) == {"x1": 4}
    assert places(found.outcomes["second"]) == second


def test_a_snapshot_with_usage_leaves_the_first_one_as_it_was() -> None:
    snapshot = snapshot_of(node("x1", "r1"))
    usage = [DomainUsage(("x1",), {"cpu": 1000}, 3), DomainUsage(("gone",), {"cpu": 1000}, 1)]
    used = snapshot.using(usage)
    one, four = [DomainUsage(("x1",), {"cpu": 1000}, n) for n in (1, 4)]
    assert snapshot.fits([four]) and used.fits([one]) and not used.fits([four])
    assert used.without(usage).fits([four]) and not snapshot.fits([usage[1]])
    assert places(assign_flavor(used, [asked(count=4)], Situation(simulate_empty=True)).outcomes["main"]) == {
        "x1": 4
    }


def test_only_what_is_new_counts_beside_the_current_admission() -> None:
    now = Assignment((HOSTNAME,), (DomainPods(("x1",), 2), DomainPods(("x2",), 1)))
    then = Assignment((HOSTNAME,), (DomainPods(("x1",), 3), DomainPods(("x3",), 1)))
    assert net_usage(then, {"cpu": 1}, now) == [
        DomainUsage(("x1",), {"cpu": 1}, 1),
        DomainUsage(("x3",), {"cpu": 1}, 1),
    ]
    assert len(net_usage(then, {"cpu": 1})) == 2


@pytest.mark.parametrize(
    "domains",
    [
        (),
        (("ababa", 1), ("aba", 2)),
        (("node-1", 2), ("node-2", 2)),
        (("x", 1),),
        (("a-1-z", 3), ("a-20-z", 4), ("a-300-z", 3)),
    ],
)
def test_an_assignment_survives_the_api_form(domains: tuple[tuple[str, int], ...]) -> None:
    assignment = Assignment(
        (RACK, HOSTNAME), tuple(DomainPods(("r1", name), count) for name, count in domains)
    )
    assert unpacked(packed(assignment)) == assignment


def test_a_flavor_has_the_levels_that_it_is_asked_for() -> None:
    tree = snapshot_of(node("x1", "r1")).tree

    def has(**topology: Any) -> bool:
        return has_levels(tree, asked(topology=topology).pod_set.topology_request or None)

    assert has(required=RACK) and has(unconstrained=True)
    assert has(podSetSliceRequiredTopology=RACK, podSetSliceSize=2)
    assert (
        not has()
        and not has(required="other")
        and not has(preferred=RACK, podSetSliceRequiredTopology="other")
    )


def test_a_pod_asks_for_its_containers_or_for_its_largest_start() -> None:
    def container(cpu: str, **more: Any) -> dict[str, Any]:
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "containers": [container("1500m"), container("0.0001")],
        "initContainers": [container("1", restartPolicy="Always"), container("1"), container("4")],
        "overhead": {"cpu": "100m", "memory": "1Mi"},
    }
    assert amounts_of(pod_requests(typed(spec, PodSpec))) == {"cpu": 5100, "memory": 2**20}
    limits = spec | {"resources": {"requests": {"cpu": "9", "example.com/gpu": "1"}}}
    assert amounts_of(pod_requests(typed(limits, PodSpec))) == {"cpu": 9100, "memory": 2**20}


def test_pods_that_ended_or_were_placed_by_topology_are_not_foreign() -> None:
    def pod(name: str, phase: str = "Running", **annotations: str) -> Pod:
        raw = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "annotations": {f"kueue.x-k8s.io/{k}": v for k, v in annotations.items()},
            },
            "spec": {
                "nodeName": "x1",
                "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}],
            },
            "status": {"phase": phase},
        }
        return typed(raw, Pod)

    placed = pod("a", **{"podset-required-topology": RACK})
    pods = [placed, pod("b", "Succeeded"), pod("c"), pod("d", "Pending")]
    assert foreign_usage(pods) == {"x1": {"cpu": 2000, "pods": 2}}


@pytest.mark.parametrize(
    ("operator", "value", "fits"),
    [
        ("Gt", "4", True),
        ("Gt", "5", False),
        ("Lt", "6", True),
        ("Gt", "04", False),
        ("Equal", "5", True),
        ("Near", "5", False),
    ],
)
def test_a_toleration_may_compare_numbers(operator: str, value: str, fits: bool) -> None:
    taint = Taint(key="level", value="5", effect="NoSchedule")
    assert tolerates(Toleration(key="level", operator=operator, value=value), taint) is fits


def test_entropy_depends_on_proportions_alone() -> None:
    assert entropy_of((2, 4, 0)) == entropy_of((1, 0, 2)) > entropy_of((1, 3, 0)) > entropy_of((5, 0, 0)) == 0
    assert entropy_of((4, 1, 1, 1, 1)) == entropy_of((3, 3, 3, 3))  # 2 bits each, however they are summed.
