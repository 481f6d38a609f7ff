"""What Kueue would say of a Job of the files if nobody else held quota."""

from collections.abc import Iterator

from stellwerk.api.groups.batch import Job
from stellwerk.api.groups.core import Pod
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest
from stellwerk.catalog.versions import KUEUE
from stellwerk.engine.allocation.support.row import (
    ACCEPTS,
    PENDS,
    REFUSES,
    Cluster,
    Row,
    Seen,
    Wrong,
    row,
)
from stellwerk.engine.decision import Reason
from stellwerk.engine.diagnosis.claims.there import DEFAULT, Both
from stellwerk.engine.queueing.course.verdict import ADMITTED, RESERVED, Verdict
from stellwerk.engine.queueing.cycle.decision import MISCONFIGURED

# The versions whose cycles are decided here.
DECIDED = frozenset({"0.19", "0.20"})
CYCLES = "pkg/scheduler/scheduler.go"


def queue_rows(manifest: Manifest, name: str, both: Both, cluster: Cluster) -> Iterator[Row]:
    """Whether it is admitted; nothing for what is no Job, or in no queue, or in another version of Kueue."""
    kueue, job = cluster.kueue, manifest.object
    if kueue is None or kueue.version not in DECIDED or not isinstance(job, Job):
        return
    if not both.there.managed(manifest):
        return
    key = f"{given(job.metadata.namespace, DEFAULT)}/{given(job.metadata.name, '')}"
    others = [one for one in both.all_ if not isinstance(one.object, Job | Workload | Pod)]
    verdict = both.there.decided([*others, manifest]).get(key)
    if verdict is None:
        return
    seen = Seen(f"Kueue {kueue.version} ({kueue.ref})", kueue.source(CYCLES))
    yield row(KUEUE, _verdict_of(verdict), name, _wrong(verdict, key), seen)


def _verdict_of(verdict: Verdict) -> str:
    if verdict.state in (ADMITTED, RESERVED):
        return ACCEPTS
    return REFUSES if verdict.reason is not None and verdict.reason.code == MISCONFIGURED else PENDS


def _wrong(verdict: Verdict, key: str) -> Wrong:
    values = {"queue": verdict.cluster_queue[:80] or "-", "namespace": key.partition("/")[0]}
    if verdict.state in (ADMITTED, RESERVED):
        text = "ClusterQueue {queue} has quota for it where nobody else holds it"
        fix = Reason("see-quota", "who holds it now: stellwerk admit --kubeconfig", values)
        return Wrong(path="", reason=Reason("has-quota", text, values), fix=fix)
    reason = verdict.reason or Reason("not-admitted", "it was not admitted")
    if verdict.message:
        values = {**values, "words": verdict.message[:300]}
        fix = Reason(
            "kueue-words", "Kueue says: {words}; see: kubectl get clusterqueue {queue} -o yaml", values
        )
    else:
        fix = Reason("see-queues", "see: kubectl get localqueues -n {namespace}", values)
    return Wrong(path="metadata.labels", reason=reason, fix=fix)
