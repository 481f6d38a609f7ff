"""Queueing where the recorded cases say nothing: gates, amounts, ties, cycles, requests of one pod."""

from typing import Any

import msgspec
import pytest

from stellwerk.api.groups.core import LimitRange, PodSpec
from stellwerk.api.groups.kueue import ClusterQueue, Cohort, ResourceFlavor
from stellwerk.api.groups.kueue_workload import PodSet, Workload
from stellwerk.api.mismatch import decode_hook
from stellwerk.api.quantity import parse_quantity
from stellwerk.catalog.kueue import kueue_facts
from stellwerk.engine.queueing.amounts import (
    UNLIMITED,
    FlavorResource,
    amount_text,
    in_order,
    quota_amount,
    request_amount,
    resource_order,
)
from stellwerk.engine.queueing.flavors.assignment import Cycle
from stellwerk.engine.queueing.flavors.fit import Want, fit
from stellwerk.engine.queueing.flavors.match import UnreadableAffinity, mismatch
from stellwerk.engine.queueing.flavors.mode import NO_FIT, RECLAIM, Offer
from stellwerk.engine.queueing.flavors.places import Topologies
from stellwerk.engine.queueing.gates import FeatureGates, feature_gates, kueue_name
from stellwerk.engine.queueing.queue import Flavor
from stellwerk.engine.queueing.quota.ledger import Ledger
from stellwerk.engine.queueing.quota.share import dominant_resource_share
from stellwerk.engine.queueing.quota.tree import Quota, QuotaNode, QuotaTree
from stellwerk.engine.queueing.requests.limits import bounds_of, excesses, out_of_bounds
from stellwerk.engine.queueing.requests.pod import with_limits_as_requests
from stellwerk.engine.queueing.requests.total import workload_info
from stellwerk.engine.queueing.snapshot import Configuration, Objects, snapshot_of
from stellwerk.engine.topology.assignment.fleet.pod import pod_requests

CPU = FlavorResource("f", "cpu")


def typed(raw: dict[str, Any], wanted: Any) -> Any:
    return msgspec.convert(
        {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": wanted.__name__, **raw}, wanted, dec_hook=decode_hook
    )


def queue(name: str, cohort: str = "", **quota: str) -> ClusterQueue:
    flavors = [{"name": "f", "resources": [{"name": "cpu", **quota}]}]
    groups = [{"coveredResources": ["cpu"], "flavors": flavors}]
    return typed(
        {"metadata": {"name": name}, "spec": {"cohortName": cohort, "resourceGroups": groups}}, ClusterQueue
    )


def test_every_gate_is_one_of_kueue_s_and_has_its_default() -> None:
    defaults = {gate.name: gate.default for gate in kueue_facts().gates}
    gates = feature_gates()
    for field in FeatureGates.__struct_fields__:
        assert getattr(gates, field) == defaults[kueue_name(field)]


def test_a_gate_is_off_with_the_one_it_needs() -> None:
    gates = feature_gates({"TopologyAwareScheduling": False, "TASBalancedPlacement": True})
    assert not gates.tas_balanced_placement
    assert not gates.tas_failed_node_replacement_fail_fast
    assert gates.partial_admission


def test_a_gate_that_kueue_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^NoSuchGate$"):
        feature_gates({"NoSuchGate": True})


def test_amounts_are_thousandths_of_cpu_and_end_with_int64() -> None:
    assert quota_amount("cpu", parse_quantity("1500m")) == 1500
    assert quota_amount("memory", parse_quantity("1Ki")) == 1024
    assert quota_amount("cpu", parse_quantity("1E")) == UNLIMITED
    assert quota_amount("memory", parse_quantity("8E")) == 8 * 10**18
    assert quota_amount("memory", parse_quantity("10E")) == UNLIMITED
    assert request_amount("gpu", parse_quantity("-2")) == -2


@pytest.mark.parametrize(
    ("resource", "amount", "text"),
    [
        ("cpu", 1500, "1500m"),
        ("cpu", 2000, "2"),
        ("memory", 3 * 2**30, "3Gi"),
        ("memory", 2000, "2k"),
        ("hugepages-2Mi", 2**21, "2Mi"),
        ("nvidia.com/gpu", 3000, "3k"),
        ("cpu", UNLIMITED, "<unlimited>"),
    ],
)
def test_amounts_are_written_as_kueue_writes_them(resource: str, amount: int, text: str) -> None:
    assert amount_text(resource, amount) == text


def test_resources_are_looked_at_in_the_order_of_their_hash() -> None:
    assert resource_order("a")[0] == 0xAF63DC4C8601EC8C  # A published test vector of FNV-1a.
    assert list(in_order({"memory": 1, "cpu": 2, "pods": 3})) == ["memory", "pods", "cpu"]


def test_of_resources_with_the_same_share_the_first_by_name_is_dominant() -> None:
    gpu = FlavorResource("f", "gpu")
    tree = QuotaTree(
        [QuotaNode(name="c", quotas={gpu: Quota(10), CPU: Quota(10)})], [QuotaNode(name="q", parent="c")]
    )
    ledger = Ledger(tree)
    ledger.add(tree.charges(tree.queues["q"], {gpu: 5, CPU: 5}))
    share = dominant_resource_share(ledger, tree.queues["q"])
    # The queue has no quota of its own: Kueue's share looks at declared quota only.
    assert not share.borrowing
    tree = QuotaTree(
        [QuotaNode(name="c", quotas={gpu: Quota(10), CPU: Quota(10)})],
        [QuotaNode(name="q", parent="c", quotas={gpu: Quota(0), CPU: Quota(0)})],
    )
    ledger = Ledger(tree)
    ledger.add(tree.charges(tree.queues["q"], {gpu: 5, CPU: 5}))
    share = dominant_resource_share(ledger, tree.queues["q"])
    assert (share.dominant, share.rounded) == ("cpu", 500)
    assert share.borrows_any({gpu: 1}) and not share.borrows_any({gpu: 0})


def test_a_queue_may_reclaim_beyond_its_nominal_quota_what_its_cohort_has() -> None:
    cohorts = [
        typed({"metadata": {"name": "top"}}, Cohort),
        typed({"metadata": {"name": "mine"}, "spec": {"parentName": "top"}}, Cohort),
        typed({"metadata": {"name": "others"}, "spec": {"parentName": "top"}}, Cohort),
    ]
    queues = [
        queue("q", "mine", nominalQuota="2"),
        queue("lender", "mine", nominalQuota="3"),
        queue("borrower", "others", nominalQuota="0"),
    ]
    flavor = typed({"metadata": {"name": "f"}}, ResourceFlavor)
    objects = Objects(cluster_queues=queues, cohorts=cohorts, flavors=[flavor])
    snapshot = snapshot_of(objects, Configuration())
    ledger = snapshot.ledger()
    ledger.add(snapshot.charges("borrower", {CPU: 5000}))
    cycle = Cycle(
        snapshot=snapshot,
        ledger=ledger,
        oracle=lambda queue, info, wanted, amount: Offer(RECLAIM, 1),
        find_topology=Topologies({}, snapshot.gates).find,
    )
    info = workload_info(typed({"spec": {}}, Workload), snapshot.configuration.counting, "q")
    cell = snapshot.tree.cell(snapshot.tree.queues["q"], CPU)
    # 4 of the 5 of `mine` are more than nominal, but `top` holds what others took of it.
    assert fit(cycle, snapshot.queues["q"], info, Want(CPU, cell, 0, 4000)).offer == Offer(RECLAIM, 1)
    # In the root itself nobody stands above whom it could be reclaimed from.
    flat = snapshot_of(
        Objects(
            cluster_queues=[queue("q", "c", nominalQuota="2"), queue("r", "c", nominalQuota="3")],
            flavors=[flavor],
        ),
        Configuration(),
    )
    ledger = flat.ledger()
    ledger.add(flat.charges("r", {CPU: 5000}))
    cycle = Cycle(snapshot=flat, ledger=ledger, oracle=cycle.oracle, find_topology=cycle.find_topology)
    cell = flat.tree.cell(flat.tree.queues["q"], CPU)
    assert fit(cycle, flat.queues["q"], info, Want(CPU, cell, 0, 4000)).offer.mode == NO_FIT


def test_queues_under_a_cycle_of_cohorts_are_left_out() -> None:
    cohorts = [
        typed({"metadata": {"name": name}, "spec": {"parentName": parent}}, Cohort)
        for name, parent in (("a", "b"), ("b", "a"), ("c", "b"))
    ]
    queues = [queue("under", "c", nominalQuota="1"), queue("free", "", nominalQuota="1")]
    snapshot = snapshot_of(Objects(cluster_queues=queues, cohorts=cohorts), Configuration())
    assert list(snapshot.queues) == ["free"]
    assert not snapshot.tree.cohorts


def test_the_quota_of_a_stopped_queue_is_lent_but_it_does_not_count_for_the_height() -> None:
    stopped = queue("stopped", "c", nominalQuota="5")
    stopped = msgspec.structs.replace(stopped, spec=msgspec.structs.replace(stopped.spec, stop_policy="Hold"))
    flavor = typed({"metadata": {"name": "f"}}, ResourceFlavor)
    objects = Objects(cluster_queues=[queue("q", "c", nominalQuota="1"), stopped], flavors=[flavor])
    snapshot = snapshot_of(objects, Configuration())
    assert [str(reason) for reason in snapshot.activity["stopped"].reasons] == ["is stopped"]
    tree = snapshot.tree
    assert tree.potential[tree.cell(tree.queues["q"], CPU)] == 6000
    assert tree.child_queues[tree.cohorts["c"]] == [tree.queues["q"]]


def test_sidecars_run_beside_what_comes_after_them() -> None:
    def container(cpu: str, restart: str = "") -> dict[str, Any]:
        more = {"restartPolicy": restart} if restart else {}
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}

    spec = msgspec.convert(
        {
            "containers": [container("2")],
            "initContainers": [container("5"), container("1", "Always"), container("4")],
            "overhead": {"cpu": "500m"},
        },
        PodSpec,
        dec_hook=decode_hook,
    )
    # Starting needs the most: 1 of the sidecar and 4 beside it; 2 + 1 run; overhead comes on top.
    assert str(pod_requests(spec)["cpu"]) == "5500m"


def test_a_limit_stands_for_a_request_that_is_missing() -> None:
    spec = msgspec.convert(
        {
            "containers": [
                {"name": "c", "resources": {"limits": {"cpu": "2", "gpu": "1"}, "requests": {"cpu": "1"}}}
            ]
        },
        PodSpec,
        dec_hook=decode_hook,
    )
    requests = pod_requests(with_limits_as_requests(spec))
    assert {name: str(quantity) for name, quantity in requests.items()} == {"cpu": "1", "gpu": "1"}


def test_requests_above_limits_and_outside_of_a_limit_range_are_named() -> None:
    container = {"name": "c", "resources": {"limits": {"cpu": "2"}, "requests": {"cpu": "3", "gpu": "9"}}}
    pod_set = msgspec.convert(
        {"count": 1, "template": {"spec": {"containers": [container]}}}, PodSet, dec_hook=decode_hook
    )
    item = {"type": "Container", "max": {"cpu": "2500m"}, "min": {"cpu": "2100m", "memory": "1Gi"}}
    pod = {"type": "Pod", "max": {"gpu": "8"}}
    ranges = [typed({"spec": {"limits": [item, {**item, "max": {"cpu": "4"}}, pod]}}, LimitRange)]
    assert [str(reason) for reason in excesses([pod_set])] == [
        "spec.podSets[0].template.spec.containers[0]: more of cpu is requested than its limit"
    ]
    assert [
        (reason.code, reason.values["resources"]) for reason in out_of_bounds([pod_set], bounds_of(ranges))
    ] == [
        ("AboveLimitRange", "cpu"),
        ("BelowLimitRange", "cpu"),
        ("AboveLimitRange", "gpu"),
    ]


def affine(*terms: dict[str, Any]) -> PodSet:
    required = {"nodeSelectorTerms": [{"matchExpressions": [term]} for term in terms]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return msgspec.convert(
        {"count": 1, "template": {"spec": {"containers": [], "affinity": affinity}}},
        PodSet,
        dec_hook=decode_hook,
    )


def test_a_term_that_cannot_be_read_matters_only_if_no_other_holds() -> None:
    flavor = Flavor(name="f", labels={"kind": "f"})
    broken = {"key": "kind", "operator": "Near", "values": ["f"]}
    fits = {"key": "kind", "operator": "In", "values": ["f"]}
    assert mismatch(flavor, affine(broken, fits)) is None
    with pytest.raises(UnreadableAffinity, match="Near"):
        mismatch(flavor, affine(broken))


def test_a_changed_snapshot_leaves_the_old_one_as_it_was() -> None:
    flavor = typed({"metadata": {"name": "f"}}, ResourceFlavor)
    snapshot = snapshot_of(
        Objects(cluster_queues=[queue("q", nominalQuota="4")], flavors=[flavor]), Configuration()
    )
    admission = {
        "clusterQueue": "q",
        "podSetAssignments": [
            {"name": "main", "count": 1, "flavors": {"cpu": "f"}, "resourceUsage": {"cpu": "3"}}
        ],
    }
    status = {"admission": admission}
    pod_sets = [{"name": "main", "count": 1, "template": {}}]
    raw = {"metadata": {"name": "w", "namespace": "ns"}, "spec": {"podSets": pod_sets}, "status": status}
    holding = snapshot.holding(workload_info(typed(raw, Workload), snapshot.configuration.counting))
    later = snapshot.changed(added=[holding])
    cell = snapshot.tree.cell(snapshot.tree.queues["q"], CPU)
    assert later.ledger().available(cell) == 1000
    assert snapshot.ledger().available(cell) == 4000
    assert later.changed(removed=[holding]).held == snapshot.held
