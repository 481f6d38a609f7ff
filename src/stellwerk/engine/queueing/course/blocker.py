"""Why a Workload waits that no cycle looked at: its queue is not there or lets nobody in.

Source: kueue pkg/controller/core/workload_controller.go (getQueueBlocker).
"""

from stellwerk.api.groups.kueue import LocalQueue
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.activity import ACTIVE
from stellwerk.engine.queueing.snapshot import Snapshot


def queue_blocker(workload: Workload, snapshot: Snapshot) -> str:
    """Kueue's message about the Workload's LocalQueue or ClusterQueue; "" where both let it in."""
    name = given(workload.spec.queue_name, "")
    local = snapshot.local_queues.get(f"{given(workload.metadata.namespace, '')}/{name}")
    if local is None:
        return f"LocalQueue {name} doesn't exist"
    queue = given(local.spec.cluster_queue, "")
    activity = snapshot.activity.get(queue)
    if _is_stopped(local):
        return f"LocalQueue {name} is inactive"
    if activity is None:
        return f"ClusterQueue {queue} doesn't exist"
    return "" if activity.status == ACTIVE else f"ClusterQueue {queue} is inactive"


def _is_stopped(local: LocalQueue) -> bool:
    return given(local.spec.stop_policy, "None") not in ("None", "")
