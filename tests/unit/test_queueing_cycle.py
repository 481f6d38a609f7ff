"""Parts of a scheduling cycle that few recorded cases reach: variants, back-off, writes that fail."""

from typing import Any

import pytest
from msgspec.structs import replace

from stellwerk.api.groups.core import Namespace
from stellwerk.api.groups.kueue import ClusterQueue, LocalQueue, ResourceFlavor
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import LabelSelector, LabelSelectorRequirement
from stellwerk.api.quantity import parse_quantity
from stellwerk.api.selection import selects
from stellwerk.engine.queueing.cycle.admit import admit, refused, with_second_pass
from stellwerk.engine.queueing.cycle.backlog import Backlog, backlog_of
from stellwerk.engine.queueing.cycle.decision import Decision
from stellwerk.engine.queueing.cycle.requeue import reconsidered
from stellwerk.engine.queueing.gates import feature_gates
from stellwerk.engine.queueing.local_usage import (
    USAGE_BASED,
    AdmissionFairSharing,
    LocalUse,
    entry_penalty,
    local_usage,
)
from stellwerk.engine.queueing.requests.total import Counting
from stellwerk.engine.queueing.snapshot import Configuration, Objects, Snapshot, snapshot_of
from tests.property.flavor_worlds import typed

NOW = 1_800_000_000_000_000_000
SECOND = 1_000_000_000
AT = "2026-01-01T00:00:00Z"


def workload(name: str, cpu: int = 1, flavor: str | None = None, **spec: Any) -> dict[str, Any]:
    """A Workload of one pod; with `flavor` it is admitted."""
    container = {"name": "c", "resources": {"requests": {"cpu": str(cpu)}}}
    pod_set = {"name": "main", "count": 1, "template": {"spec": {"containers": [container]}}}
    raw: dict[str, Any] = {
        "metadata": {"name": name, "namespace": "ns", "uid": name, "creationTimestamp": AT},
        "spec": {"queueName": "lq", "podSets": [pod_set], **spec},
    }
    if flavor is not None:
        assigned = {
            "name": "main",
            "flavors": {"cpu": flavor},
            "resourceUsage": {"cpu": str(cpu)},
            "count": 1,
        }
        raw["status"] = {
            "admission": {"clusterQueue": "q", "podSetAssignments": [assigned]},
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": AT}
                for kind in ("QuotaReserved", "Admitted")
            ],
        }
    return raw


def variant(raw: dict[str, Any], flavor: str) -> dict[str, Any]:
    """The Workload as a variant of the parent `p`, for one flavor."""
    owner = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Workload", "name": "p", "uid": "p"}
    raw["metadata"]["ownerReferences"] = [owner]
    raw["metadata"]["annotations"] = {"kueue.x-k8s.io/workload-allowed-resource-flavors": flavor}
    return raw


def moment(
    workloads: list[dict[str, Any]], gates: dict[str, bool] | None = None, **spec: Any
) -> tuple[Snapshot, Backlog]:
    """One queue with 4 cpu in each of two flavors."""
    flavors = [{"name": name, "resources": [{"name": "cpu", "nominalQuota": "4"}]} for name in ("a", "b")]
    queue = {
        "namespaceSelector": {},
        "resourceGroups": [{"coveredResources": ["cpu"], "flavors": flavors}],
        **spec,
    }
    objects = Objects(
        cluster_queues=[typed({"metadata": {"name": "q"}, "spec": queue}, ClusterQueue)],
        flavors=[typed({"metadata": {"name": name}, "spec": {}}, ResourceFlavor) for name in ("a", "b")],
        local_queues=[
            typed({"metadata": {"name": "lq", "namespace": "ns"}, "spec": {"clusterQueue": "q"}}, LocalQueue)
        ],
        namespaces=[typed({"metadata": {"name": "ns"}}, Namespace)],
        workloads=[typed(one, Workload) for one in workloads],
    )
    snapshot = snapshot_of(objects, Configuration(counting=Counting(gates=feature_gates(gates))))
    return snapshot, backlog_of(objects.workloads, snapshot)


def parked(decision: Decision) -> list[str]:
    """Keys that are parked in the queue."""
    return sorted(decision.backlog.queues["q"].inadmissible)


def test_a_variant_of_a_better_flavor_evicts_the_admitted_one_and_waits() -> None:
    both = [variant(workload("slow", flavor="b"), "b"), variant(workload("fast"), "a")]
    decision = admit(*moment(both, {"ConcurrentAdmission": True}), NOW)
    assert [(one.key, one.reason, one.by) for one in decision.evicted] == [
        ("ns/slow", "FlavorMigration", "ns/fast")
    ]
    assert not decision.admitted
    assert decision.backlog.queues["q"].preempting is not None


def test_a_flavor_below_the_last_acceptable_one_is_no_reason_to_migrate() -> None:
    both = [variant(workload("slow", flavor="b"), "b"), variant(workload("fast"), "a")]
    policy = {"migration": {"constraints": {"lastAcceptableFlavorName": "a"}}}
    snapshot, backlog = moment(both, {"ConcurrentAdmission": True}, concurrentAdmissionPolicy=policy)
    assert admit(snapshot, backlog, NOW).evicted
    both = [variant(workload("slow", flavor="b"), "b"), variant(workload("fast"), "a")]
    policy = {"migration": {"constraints": {"lastAcceptableFlavorName": "none"}}}
    snapshot, backlog = moment(both, {"ConcurrentAdmission": True}, concurrentAdmissionPolicy=policy)
    decision = admit(snapshot, backlog, NOW)
    assert not decision.evicted
    assert not decision.admitted


def test_equal_workloads_are_parked_with_one_that_does_not_fit_and_come_back_together() -> None:
    snapshot, backlog = moment([workload("w1", 9), workload("w2", 9), workload("w3", 1)])
    decision = admit(snapshot, backlog, NOW)
    assert parked(decision) == ["ns/w1", "ns/w2"]
    assert [one.reason for one in decision.not_admitted] == ["ExceedsMaxQuota"]
    second = admit(snapshot, decision.backlog, NOW)
    assert [one.key for one in second.admitted] == ["ns/w3"]
    back = reconsidered(second.backlog, snapshot, ["q"], NOW)
    assert [one.info.key for one in back.queues["q"].active] == ["ns/w1", "ns/w2"]
    assert not back.queues["q"].hopeless


def test_under_strict_fifo_what_does_not_fit_stays_the_head() -> None:
    snapshot, backlog = moment([workload("w1", 9), workload("w2", 1)], queueingStrategy="StrictFIFO")
    decision = admit(snapshot, backlog, NOW)
    assert [one.info.key for one in decision.backlog.queues["q"].active] == ["ns/w1", "ns/w2"]


def test_who_backs_off_is_parked_until_its_time() -> None:
    raw = workload("w", 9)
    raw["status"] = {"requeueState": {"count": 1, "requeueAt": "2027-01-15T08:00:10Z"}}
    snapshot, backlog = moment([raw], queueingStrategy="StrictFIFO")
    decision = admit(snapshot, backlog, NOW)
    assert parked(decision) == ["ns/w"]
    assert reconsidered(decision.backlog, snapshot, ["q"], NOW) == decision.backlog
    later = reconsidered(decision.backlog, snapshot, ["q"], NOW + 10 * SECOND)
    assert not later.queues["q"].inadmissible


def test_a_second_pass_comes_later_each_time() -> None:
    _, backlog = moment([workload("w")])
    waiting = backlog.queues["q"].active[0]
    delays = []
    for _ in range(7):
        backlog = with_second_pass(backlog, waiting, NOW)
        second = backlog.second_pass["ns/w"]
        delays.append((second.ready_at - NOW) // SECOND)
        waiting = second.waiting
    assert delays == [1, 2, 4, 8, 16, 30, 30]


def test_preemptions_that_could_not_be_written_are_not_waited_for() -> None:
    both = [workload("low", 4, "a"), workload("low2", 4, "b"), workload("high", 4, priority=1)]
    snapshot, backlog = moment(both, preemption={"withinClusterQueue": "LowerPriority"})
    decision = admit(snapshot, backlog, NOW)
    assert len(decision.evicted) == 1
    assert decision.backlog.queues["q"].preempting is not None
    back = refused(decision, snapshot, [decision.evicted[0].key], NOW)
    assert not back.evicted
    assert back.backlog.queues["q"].preempting is None
    assert [one.info.key for one in back.backlog.queues["q"].active] == ["ns/high"]


def test_a_workload_that_is_gone_does_not_come_back() -> None:
    snapshot, backlog = moment([workload("w")])
    decision = admit(snapshot, backlog, NOW)
    assert [one.key for one in decision.admitted] == ["ns/w"]
    assert refused(decision, snapshot, ["ns/w"], NOW).backlog.queues["q"].active
    assert not refused(decision, snapshot, ["ns/w"], NOW, missing=True).backlog.queues["q"].active


def test_an_admission_costs_its_local_queue_at_once_and_a_refused_one_nothing() -> None:
    snapshot, backlog = moment([workload("w", 4)], admissionScope={"admissionMode": USAGE_BASED})
    sharing = AdmissionFairSharing(half_life_ns=10 * SECOND, sampling_ns=10 * SECOND)
    snapshot = replace(
        snapshot, configuration=replace(snapshot.configuration, admission_fair_sharing=sharing)
    )
    decision = admit(snapshot, backlog, NOW)
    use = decision.backlog.local_use["ns/lq"]
    assert local_usage(use, snapshot.local_queues["ns/lq"], sharing) == 2.0
    assert refused(decision, snapshot, ["ns/w"], NOW).backlog.local_use["ns/lq"] == LocalUse()


def test_without_a_half_life_nothing_is_charged() -> None:
    sharing = AdmissionFairSharing(half_life_ns=0, sampling_ns=SECOND)
    assert entry_penalty({"cpu": parse_quantity("4")}, sharing)["cpu"].nanos == 0


@pytest.mark.parametrize(
    ("operator", "values", "labels", "selected"),
    [
        ("In", ("x",), {"k": "x"}, True),
        ("In", ("x",), {}, False),
        ("NotIn", ("x",), {"k": "x"}, False),
        ("NotIn", ("x",), {}, True),
        ("Exists", (), {"k": ""}, True),
        ("Exists", (), {}, False),
        ("DoesNotExist", (), {}, True),
        ("DoesNotExist", (), {"k": "x"}, False),
    ],
)
def test_a_label_selector_selects_by_expression(
    operator: str, values: tuple[str, ...], labels: dict[str, str], selected: bool
) -> None:
    requirement = LabelSelectorRequirement(key="k", operator=operator, values=values)
    assert selects(LabelSelector(match_expressions=(requirement,)), labels) is selected


def test_an_empty_label_selector_selects_all_and_none_nothing() -> None:
    assert selects(LabelSelector(), {})
    assert not selects(None, {})
    assert not selects(LabelSelector(match_labels={"a": "b"}), {"a": "c"})
    with pytest.raises(ValueError, match="Gt"):
        selects(LabelSelector(match_expressions=(LabelSelectorRequirement(key="k", operator="Gt"),)), {})
