"""What a cycle decides, as data: effects to perform, and the backlog after it."""

from collections.abc import Mapping

from msgspec import Struct

from stellwerk.api.groups.kueue_workload import Admission, Workload
from stellwerk.engine.queueing.cycle.backlog import Backlog, Waiting
from stellwerk.engine.queueing.requests.total import WorkloadInfo

# Reasons of the condition QuotaReserved=False (kueue apis/kueue/v1beta2/workload_types.go).
PENDING_EVALUATION, WAITING_FOR_QUOTA = "PendingEvaluation", "WaitingForQuota"
WAITING_FOR_PREEMPTED, SUSPENDED = "WaitingForPreemptedWorkloads", "Suspended"
MISCONFIGURED, ADMISSION_GATED = "Misconfigured", "AdmissionGated"
# Reasons of the condition Evicted.
PREEMPTED, NODE_FAILURES, FLAVOR_MIGRATION = "Preempted", "NodeFailures", "FlavorMigration"
# Results of looking for other targets once another workload has taken them.
DEFERRED_FIT, NEW_TARGETS, SKIPPED = "deferred_fit", "new_targets", "skipped"


class Admitted(Struct, frozen=True, kw_only=True):
    """A workload that gets quota (all its PodSets, or none). `workload`: with its new status.

    `replaced`: key of the workload slice that it takes the place of, which finishes. `waiting`: what
    goes back to its queue should the admission not be written.
    """

    workload: Workload
    admission: Admission
    info: WorkloadInfo
    waiting: Waiting
    replaced: str | None = None

    @property
    def key(self) -> str:
        """namespace/name."""
        return self.info.key

    @property
    def fully(self) -> bool:
        """Whether it may start: its AdmissionChecks are ready and its places are known."""
        conditions = self.workload.status.conditions if self.workload.status else ()
        return any(one.type == "Admitted" and one.status == "True" for one in conditions or ())


class Evicted(Struct, frozen=True, kw_only=True):
    """A workload that must give its quota back; `reason` of the condition Evicted.

    `preempted`: the reason of the condition Preempted. `by`: for which workload. `ongoing`: it is being
    evicted already, and nothing is written. `waiting`: it, in its second pass, should that not be written.
    """

    key: str
    reason: str
    message: str
    by: str = ""
    preempted: str | None = None
    ongoing: bool = False
    waiting: Waiting | None = None


class NotAdmitted(Struct, frozen=True, kw_only=True):
    """A head that got no quota. `reason`, `message` of the condition QuotaReserved=False.

    `written`: whether the condition is set (not if the workload waits for preemption's end in full
    knowledge of it).
    """

    key: str
    queue: str
    reason: str
    message: str
    written: bool
    gated: bool = False


class Decision(Struct, frozen=True, kw_only=True):
    """One cycle. `skipped_preemptions`: by ClusterQueue, given up since another workload took the
    targets or quota.

    `recomputed_targets`: by ClusterQueue and result, how often other targets were looked for.
    """

    admitted: tuple[Admitted, ...]
    evicted: tuple[Evicted, ...]
    not_admitted: tuple[NotAdmitted, ...]
    backlog: Backlog
    skipped_preemptions: Mapping[str, int] = {}
    recomputed_targets: Mapping[str, Mapping[str, int]] = {}
