"""What the queue controllers do with Jobs and Workloads, one moment at a time."""

from typing import Any

import msgspec

from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.control.queueing.controller import QueueController
from stellwerk.control.queueing.events import (
    Applied,
    Listed,
    ObjectChanged,
    ObjectDeleted,
    Put,
    Refused,
    Tick,
    WakeAt,
)
from stellwerk.control.queueing.kinds import KINDS, WORKLOAD
from stellwerk.control.queueing.patch import patched
from stellwerk.control.queueing.seen import Seen, view
from stellwerk.control.queueing.workloads import Place, follow_up
from stellwerk.engine.queueing.gates import feature_gates
from stellwerk.engine.queueing.snapshot import Configuration
from stellwerk.ports.store import MemoryStore
from stellwerk.runtime.perform import Changes, perform
from tests.simulation.queue_worlds import (
    MINUTE,
    SECOND,
    START,
    admission_check,
    cluster_queue,
    job,
    kueue,
    local_queue,
    namespace,
)
from tests.unit.queue_cluster import Cluster

Json = dict[str, Any]
TOLERATION = {"key": "gpu", "operator": "Exists"}
FLAVOR = kueue("ResourceFlavor", "small", {"nodeLabels": {"size": "small"}, "tolerations": [TOLERATION]})
CLASSES = [kueue("WorkloadPriorityClass", "low", value=10), kueue("WorkloadPriorityClass", "high", value=100)]


def queues(cpu: int = 4, **spec: Any) -> list[Json]:
    spec = {"preemption": {"withinClusterQueue": "LowerPriority"}, **spec}
    queue = cluster_queue("q", {"small": (cpu, None)}, **spec)
    return [FLAVOR, *CLASSES, namespace("n"), queue, local_queue("n", "q"), local_queue("n", "q", "other")]


def test_a_job_gets_a_workload_that_belongs_to_it_and_names_all_that_its_pods_have() -> None:
    cluster = Cluster(queues(), [(job("a", "n", pods=2), 5)])
    cluster.apply("a")
    item, workload = cluster.job("a"), cluster.workload("a")
    owner = workload["metadata"]["ownerReferences"][0]
    assert (owner["name"], owner["uid"], owner["controller"]) == ("a", item["metadata"]["uid"], True)
    assert workload["metadata"]["uid"] != item["metadata"]["uid"]
    assert workload["spec"]["podSets"][0]["count"] == 2
    container = workload["spec"]["podSets"][0]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "UNKNOWN_TO_US", "value": "1"}]


def test_an_admitted_job_runs_on_the_nodes_of_its_flavor_and_then_finishes() -> None:
    cluster = Cluster(queues(), [(job("a", "n"), 5)])
    cluster.apply("a")
    item = cluster.job("a")
    pod = item["spec"]["template"]["spec"]
    assert item["spec"]["suspend"] is False and item["status"]["active"] == 1
    assert pod["nodeSelector"] == {"size": "small"} and pod["tolerations"] == [TOLERATION]
    assert item["spec"]["template"]["metadata"]["labels"] == {
        "kueue.x-k8s.io/podset": "main",
        "kueue.x-k8s.io/local-queue-name": "main",
        "kueue.x-k8s.io/cluster-queue-name": "q",
    }
    name = cluster.workload("a")["metadata"]["name"]
    assert item["spec"]["template"]["metadata"]["annotations"] == {"kueue.x-k8s.io/workload": name}
    cluster.until(5 * 60)
    assert cluster.conditions("a")["Finished"] == ("True", "Succeeded")
    assert "finalizers" not in cluster.workload("a")["metadata"]


def test_a_running_job_without_workload_is_suspended_first() -> None:
    item = job("a", "n")
    item["spec"]["suspend"] = False
    cluster = Cluster(queues(cpu=0), [(item, 5)])
    cluster.apply("a")
    assert cluster.job("a")["spec"]["suspend"] is True
    assert cluster.conditions("a")["QuotaReserved"][0] == "False"


def test_a_preempted_job_keeps_its_quota_until_its_pods_are_gone() -> None:
    objects = [
        (job("low", "n", pods=4, priority="low", grace_s=30), 60),
        (job("high", "n", priority="high"), 5),
    ]
    cluster = Cluster(queues(), objects, grace=True)
    before = job("low", "n", pods=4, grace_s=30)["spec"]["template"]
    cluster.apply("low")
    cluster.until(60)
    cluster.apply("high")
    low = cluster.job("low")
    assert low["spec"]["suspend"] is True and low["status"]["active"] == 4
    assert low["spec"]["template"] == before
    assert cluster.conditions("low")["Evicted"] == ("True", "Preempted")
    assert cluster.conditions("low")["QuotaReserved"][0] == "True"
    cluster.until(89)
    assert cluster.job("high")["spec"]["suspend"] is True
    cluster.until(92)
    assert cluster.job("high")["spec"]["suspend"] is False
    assert cluster.conditions("low")["Requeued"] == ("True", "Preempted")
    cluster.until(60 + 32 + 5 * 60 + 2)
    assert cluster.conditions("low")["Evicted"][0] == "False"  # It runs again, from the start.
    cluster.until(60 + 32 + 5 * 60 + 60 * 60 + 2)
    assert cluster.conditions("low")["Finished"][0] == "True"


def test_a_job_that_allows_it_runs_with_fewer_pods_and_takes_as_many_rounds() -> None:
    cluster = Cluster(queues(cpu=2), [(job("a", "n", pods=4, least=1, completions=4), 10)])
    cluster.apply("a")
    assert cluster.job("a")["spec"]["parallelism"] == 2
    assert cluster.workload("a")["spec"]["podSets"][0]["count"] == 4
    cluster.until(19 * 60)
    assert "Finished" not in cluster.conditions("a")
    cluster.until(20 * 60)
    assert cluster.conditions("a")["Finished"][0] == "True"


def test_pods_that_are_not_needed_any_more_make_room_for_others() -> None:
    jobs = [(job("a", "n", pods=3, completions=4), 10), (job("b", "n", pods=3), 10)]
    cluster = Cluster(queues(), jobs)
    cluster.apply("a", "b")
    assert cluster.job("b")["spec"]["suspend"] is True
    cluster.until(5 * 60 + 2)  # The second round has one pod.
    assert cluster.workload("a")["status"]["reclaimablePods"] == [{"name": "main", "count": 2}]
    assert cluster.job("b")["spec"]["suspend"] is False


def test_a_deleted_job_takes_its_workload_along_and_frees_its_quota() -> None:
    cluster = Cluster(queues(cpu=1), [(job("a", "n"), 60), (job("b", "n"), 5)])
    cluster.apply("a", "b")
    cluster.delete(cluster.job("a"))
    cluster.until(2)
    assert len(cluster.store.list(*WORKLOAD)[0]) == 1
    assert cluster.job("b")["spec"]["suspend"] is False


def test_a_deleted_workload_stops_its_job_which_gets_another_one() -> None:
    cluster = Cluster(queues(), [(job("a", "n", grace_s=30), 60)], grace=True)
    cluster.apply("a")
    cluster.until(60)
    old = cluster.workload("a")
    cluster.delete(old)
    assert cluster.job("a")["spec"]["suspend"] is True
    assert not cluster.store.list(*WORKLOAD)[0]  # Its pods are still there.
    cluster.until(95)
    assert cluster.workload("a")["metadata"]["uid"] != old["metadata"]["uid"]
    assert cluster.job("a")["status"]["active"] == 1


def test_a_workload_follows_the_queue_and_the_priority_of_its_waiting_job() -> None:
    cluster = Cluster(queues(cpu=0), [(job("a", "n", priority="low"), 5)])
    cluster.apply("a")
    item = cluster.job("a")
    item["metadata"]["labels"] |= {
        "kueue.x-k8s.io/queue-name": "other",
        "kueue.x-k8s.io/priority-class": "high",
    }
    cluster.change(item)
    spec = cluster.workload("a")["spec"]
    assert (spec["queueName"], spec["priority"], spec["priorityClassRef"]["name"]) == ("other", 100, "high")


def test_a_waiting_job_that_is_changed_changes_its_workload() -> None:
    cluster = Cluster(queues(cpu=1), [(job("a", "n", pods=2), 5)])
    cluster.apply("a")
    before = cluster.workload("a")
    item = cluster.job("a")
    item["spec"]["parallelism"] = 1
    cluster.change(item)
    after = cluster.workload("a")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["podSets"][0]["count"] == 1
    cluster.until(2)
    assert cluster.job("a")["spec"]["suspend"] is False


def test_what_cannot_start_as_it_was_admitted_has_failed() -> None:
    item = job("a", "n")
    item["spec"]["template"]["metadata"] = {"labels": {"kueue.x-k8s.io/podset": "mine"}}
    cluster = Cluster(queues(), [(item, 5)])
    cluster.apply("a")
    assert cluster.conditions("a")["Finished"] == ("True", "FailedToStart")
    assert cluster.job("a")["spec"]["suspend"] is True


def checked() -> Cluster:
    strategy = {"admissionChecks": [{"name": "prepared"}]}
    objects = [admission_check("prepared"), *queues(cpu=1, admissionChecksStrategy=strategy)]
    cluster = Cluster(objects, [(job("a", "n"), 60)])
    cluster.apply("a")
    return cluster


def answer(cluster: Cluster, **state: Any) -> None:
    workload = cluster.workload("a")
    known = workload["status"]["admissionChecks"][0]
    at = "2026-01-01T00:00:00Z"
    workload["status"]["admissionChecks"] = [{**known, "lastTransitionTime": at, **state}]
    cluster.change(workload)


def test_a_job_starts_once_its_checks_are_ready() -> None:
    cluster = checked()
    assert cluster.conditions("a")["QuotaReserved"][0] == "True"
    assert cluster.job("a")["spec"]["suspend"] is True
    answer(cluster, state="Ready", podSetUpdates=[{"name": "main", "nodeSelector": {"prepared": "yes"}}])
    assert cluster.conditions("a")["Admitted"] == ("True", "Admitted")
    item = cluster.job("a")
    assert item["spec"]["suspend"] is False
    assert item["spec"]["template"]["spec"]["nodeSelector"] == {"size": "small", "prepared": "yes"}


def test_a_check_that_asks_for_a_retry_sends_the_workload_back_until_its_time() -> None:
    cluster = checked()
    answer(cluster, state="Retry", message="no node", requeueAfterSeconds=60)
    cluster.until(59)  # Kueue keeps the quota while the check does not want it back.
    assert "Evicted" not in cluster.conditions("a")
    assert cluster.workload("a")["status"]["requeueState"] == {"requeueAt": "2026-01-01T00:01:00Z"}
    cluster.until(62)
    assert cluster.conditions("a")["Evicted"] == ("False", "QuotaReserved")
    assert cluster.conditions("a")["Requeued"] == ("True", "BackoffFinished")
    assert cluster.conditions("a")["QuotaReserved"][0] == "True"
    state = cluster.workload("a")["status"]["admissionChecks"][0]
    assert (state["state"], state["retryCount"]) == ("Pending", 1)


def test_a_check_that_names_no_time_sends_the_workload_back_at_once() -> None:
    cluster = checked()
    answer(cluster, state="Retry", message="no node")
    cluster.until(2)
    assert cluster.workload("a")["status"]["schedulingStats"]["evictions"][0]["reason"] == "AdmissionCheck"
    assert cluster.conditions("a")["Requeued"] == ("True", "BackoffFinished")
    assert cluster.conditions("a")["QuotaReserved"][0] == "True"


def test_a_check_that_rejects_deactivates_and_who_is_reactivated_waits_again() -> None:
    cluster = checked()
    answer(cluster, state="Rejected", message="never")
    workload = cluster.workload("a")
    assert workload["spec"]["active"] is False
    assert cluster.conditions("a")["Evicted"] == ("True", "Deactivated")
    assert cluster.conditions("a")["QuotaReserved"][0] == "False"
    workload["spec"]["active"] = True
    cluster.change(workload)
    cluster.until(2)
    assert cluster.conditions("a")["QuotaReserved"][0] == "True"


def test_a_queue_that_is_drained_stops_its_jobs_until_it_is_opened() -> None:
    cluster = Cluster(queues(), [(job("a", "n"), 60)])
    cluster.apply("a")
    queue = cluster.store.list("kueue.x-k8s.io", "ClusterQueue")[0][0]
    queue["spec"]["stopPolicy"] = "HoldAndDrain"
    cluster.change(queue)
    assert cluster.conditions("a")["Evicted"] == ("True", "ClusterQueueStopped")
    assert cluster.job("a")["spec"]["suspend"] is True
    queue = cluster.store.list("kueue.x-k8s.io", "ClusterQueue")[0][0]
    del queue["spec"]["stopPolicy"]
    cluster.change(queue)
    cluster.until(2)
    assert cluster.job("a")["spec"]["suspend"] is False


def test_who_has_quota_and_may_not_start_yet_loses_it_when_its_queue_is_stopped() -> None:
    """Also with Hold: only what is admitted may go on."""
    cluster = checked()
    assert cluster.conditions("a")["QuotaReserved"][0] == "True"
    queue = cluster.store.list("kueue.x-k8s.io", "ClusterQueue")[0][0]
    queue["spec"]["stopPolicy"] = "Hold"
    cluster.change(queue)
    assert cluster.conditions("a")["QuotaReserved"] == ("False", "Suspended")
    assert "admission" not in cluster.workload("a")["status"]
    cluster.until(2)
    queue = cluster.store.list("kueue.x-k8s.io", "ClusterQueue")[0][0]
    del queue["spec"]["stopPolicy"]
    cluster.change(queue)
    cluster.until(4)
    assert cluster.conditions("a")["QuotaReserved"][0] == "True"
    assert "Evicted" not in cluster.conditions("a")


def test_a_job_may_say_how_long_it_may_run() -> None:
    item = job("a", "n")
    item["metadata"]["labels"]["kueue.x-k8s.io/max-exec-time-seconds"] = "90"
    cluster = Cluster(queues(), [(item, 60)])
    cluster.apply("a")
    cluster.until(89)
    assert cluster.job("a")["spec"]["suspend"] is False
    cluster.until(90)
    assert cluster.conditions("a")["Evicted"] == ("True", "Deactivated")
    assert cluster.job("a")["spec"]["suspend"] is True


def test_a_workload_that_ran_too_long_is_deactivated_at_that_second() -> None:
    raw = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "Workload",
        "metadata": {"name": "w", "namespace": "n"},
        "spec": {"queueName": "main", "maximumExecutionTimeSeconds": 100},
        "status": {
            "accumulatedPastExecutionTimeSeconds": 40,
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
                for kind in ("QuotaReserved", "Admitted")
            ],
        },
    }
    workload = view(raw)
    assert isinstance(workload, Workload)
    place = Place(local_queue=None, cluster_queue=None, gates=feature_gates())
    assert follow_up(workload, place, START).at == START + 60 * SECOND
    changed = follow_up(workload, place, START + 60 * SECOND).workload
    assert changed is not None and changed.status
    assert [one.type for one in changed.status.conditions or ()][-1] == "DeactivationTarget"
    again = follow_up(changed, place, START + 60 * SECOND).workload
    assert again is not None and again.spec.active is False


def test_a_head_that_never_fits_in_strict_order_is_not_tried_all_the_time() -> None:
    spec = {"queueingStrategy": "StrictFIFO"}
    jobs = [(job("a", "n", pods=3), 600), (job("b", "n", pods=4), 5), (job("c", "n"), 5)]
    cluster = Cluster(queues(**spec), jobs)
    cluster.apply("a", "b", "c")
    cluster.until(9 * 3600)
    assert cluster.job("c")["spec"]["suspend"] is True  # Its room is kept for the head.
    assert cluster.controller.cycles < 10
    cluster.until(10 * 3600 + 60)
    assert cluster.job("b")["spec"]["suspend"] is False


def test_quota_is_not_given_again_while_its_admission_is_being_written() -> None:
    """An older change by somebody else comes in between; it says nothing about the admission."""
    cluster = Cluster(queues(cpu=0), [(job("a", "n"), 5), (job("b", "n"), 5)])
    cluster.apply("a", "b")
    queue = cluster.store.list("kueue.x-k8s.io", "ClusterQueue")[0][0]
    queue["spec"]["resourceGroups"][0]["flavors"][0]["resources"][0]["nominalQuota"] = 1
    cluster.store.put(queue)
    controller = QueueController(Configuration())
    for listed in Changes(cluster.store, KINDS).all():
        controller.handle(listed, START)
    written = [one for one in controller.handle(Tick(), START) if isinstance(one, Put)]
    admitted = [one for one in written if _is_reserved(one.object)]
    assert len(admitted) == 1
    key = admitted[0].object["metadata"]
    version = str(int(key["resourceVersion"]) + 90)
    older = {**admitted[0].object, "metadata": {**key, "resourceVersion": version}, "status": {}}
    controller.handle(ObjectChanged(older), START)
    assert not _reservations(controller, (1, 2, 3))
    # Refused: nobody has it, and it is given again.
    controller.handle(Refused(admitted[0], older), START + 4 * SECOND)
    assert _reservations(controller, (4, 5, 6))


def _reservations(controller: QueueController, seconds: tuple[int, ...]) -> list[Put]:
    """Admissions that it asks for at these times."""
    effects = [one for at in seconds for one in controller.handle(Tick(), START + at * SECOND)]
    return [one for one in effects if isinstance(one, Put) and _is_reserved(one.object)]


def _is_reserved(item: Any) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "QuotaReserved" and one["status"] == "True" for one in conditions)


def test_old_news_is_no_news_and_a_list_says_who_is_gone() -> None:
    seen = Seen([WORKLOAD])

    def at(version: int, name: str = "w") -> Json:
        item = kueue("Workload", name, {"queueName": "main"}, "n")
        item["metadata"]["resourceVersion"] = str(version)
        return item

    assert seen.observe(at(5)) is not None
    assert seen.observe(at(5)) is None and seen.observe(at(4)) is None
    assert seen.forget(at(7)) is not None
    assert seen.observe(at(6)) is None, "it was deleted after that"
    assert seen.observe(at(8)) is not None
    assert seen.observe(at(12, "late")) is not None
    news, gone = seen.compare(Listed(*WORKLOAD, (at(9, "new"),), 10))
    assert [one.version for one in news] == [9] and [one.version for one in gone] == [8]
    assert seen.get(WORKLOAD, "n", "late") is not None, "it was made after the list"


def test_a_patch_keeps_what_nobody_reads() -> None:
    raw = kueue("Workload", "w", {"queueName": "main", "unknown": [1]}, "n", status={"future": {"x": 1}})
    before = view(raw)
    assert isinstance(before, Workload)
    after = msgspec.structs.replace(before, spec=msgspec.structs.replace(before.spec, active=False))
    assert patched(raw, before, after) == {**raw, "spec": {**raw["spec"], "active": False}}


def test_an_effect_ends_in_exactly_one_event() -> None:
    store = MemoryStore()
    item = kueue("Workload", "w", {"queueName": "main"}, "n")
    made = perform(store, Put(item))
    assert isinstance(made, Applied) and made.object is not None
    stale = {**item, "metadata": {**item["metadata"], "resourceVersion": "99"}}
    refused = perform(store, Put(stale))
    assert isinstance(refused, Refused) and refused.object == made.object


def test_changes_are_told_once_and_a_new_start_is_told_everything() -> None:
    store = MemoryStore(keep=2)
    changes = Changes(store, [WORKLOAD])
    assert changes.all() == [Listed(*WORKLOAD, (), 0)]
    first = store.put(kueue("Workload", "w", {"queueName": "main"}, "n"))
    assert changes.new() == [ObjectChanged(first)] and changes.new() == []
    store.delete(next(iter(store._objects)))
    assert [type(one) for one in changes.new()] == [ObjectDeleted]
    for name in "abcd":
        store.put(kueue("Workload", name, {"queueName": "main"}, "n"))
    listed = changes.new()
    assert len(listed) == 1 and isinstance(listed[0], Listed) and len(listed[0].objects) == 4


def test_a_controller_that_knows_nothing_waits_to_be_told() -> None:
    controller = QueueController(Configuration())
    effects = controller.handle(Listed(*WORKLOAD, (), 1), START)
    assert effects == [WakeAt(START)]
    assert controller.handle(Tick(), START + MINUTE) == []
