"""Which Jobs Kueue manages, and the LocalQueue that each waits in.

Source: kueue pkg/controller/jobframework/reconciler.go, defaults.go (ApplyDefaultLocalQueue).
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from stellwerk.api.groups.batch import Job
from stellwerk.api.groups.core import Namespace
from stellwerk.api.groups.kueue import LocalQueue
from stellwerk.api.groups.meta import LabelSelector, LabelSelectorRequirement, given
from stellwerk.api.selection import selects
from stellwerk.engine.queueing.jobs.workload import queue_name

NAMESPACE_NAME = "kubernetes.io/metadata.name"
KUBE_SYSTEM, KUEUE_SYSTEM = "kube-system", "kueue-system"
JOB, POD = "batch/job", "pod"
DEFAULT_QUEUE = "default"  # The LocalQueue of a namespace for jobs that name none.
# The kind that each framework brings, as externalFrameworks write it (Kind.version.group).
FRAMEWORKS: Mapping[str, str] = {
    JOB: "Job.v1.batch",
    "deployment": "Deployment.v1.apps",
    "jobset.x-k8s.io/jobset": "JobSet.v1alpha2.jobset.x-k8s.io",
    "kubeflow.org/jaxjob": "JAXJob.v1.kubeflow.org",
    "kubeflow.org/mpijob": "MPIJob.v2beta1.kubeflow.org",
    "kubeflow.org/paddlejob": "PaddleJob.v1.kubeflow.org",
    "kubeflow.org/pytorchjob": "PyTorchJob.v1.kubeflow.org",
    "kubeflow.org/tfjob": "TFJob.v1.kubeflow.org",
    "kubeflow.org/xgboostjob": "XGBoostJob.v1.kubeflow.org",
    "leaderworkerset.x-k8s.io/leaderworkerset": "LeaderWorkerSet.v1.leaderworkerset.x-k8s.io",
    POD: "Pod.v1.",
    "ray.io/raycluster": "RayCluster.v1.ray.io",
    "ray.io/rayjob": "RayJob.v1.ray.io",
    "ray.io/rayservice": "RayService.v1.ray.io",
    "sparkoperator.k8s.io/sparkapplication": "SparkApplication.v1beta2.sparkoperator.k8s.io",
    "statefulset": "StatefulSet.v1.apps",
    "trainer.kubeflow.org/trainjob": "TrainJob.v1alpha1.trainer.kubeflow.org",
    "workload.codeflare.dev/appwrapper": "AppWrapper.v1beta2.workload.codeflare.dev",
}


def not_in(*namespaces: str) -> LabelSelector:
    """Selects all namespaces but these."""
    other = LabelSelectorRequirement(key=NAMESPACE_NAME, operator="NotIn", values=namespaces)
    return LabelSelector(match_expressions=(other,))


class ManagedJobs(Struct, frozen=True, kw_only=True):
    """What Kueue's Configuration says of jobs; `without_queue_name`: also those that name no queue."""

    frameworks: tuple[str, ...] = (JOB,)
    without_queue_name: bool = False
    namespaces: LabelSelector = not_in(KUBE_SYSTEM, KUEUE_SYSTEM)


def labels_of(namespaces: Iterable[Namespace]) -> dict[str, dict[str, str]]:
    """By namespace, with the label that the API server gives."""
    names = {given(one.metadata.name, ""): given(one.metadata.labels, {}) for one in namespaces}
    return {name: {**labels, NAMESPACE_NAME: name} for name, labels in names.items()}


def with_default_queue(queues: Iterable[LocalQueue]) -> frozenset[str]:
    """The namespaces with a LocalQueue `default`; one that is not written is `default`."""
    return frozenset(
        given(one.metadata.namespace, "default") for one in queues if one.metadata.name == DEFAULT_QUEUE
    )


class JobQueues(Struct, frozen=True, kw_only=True):
    """What says in which LocalQueue a Job waits.

    `namespaces`: their labels; `with_default`: those that have a LocalQueue `default`.
    """

    managed: ManagedJobs = ManagedJobs()
    namespaces: Mapping[str, Mapping[str, str]] = {}
    with_default: frozenset[str] = frozenset()

    def queue_of(self, job: Job) -> str | None:
        """The LocalQueue that the Job waits in; "" is none that there is, None: Kueue leaves it alone."""
        namespace = given(job.metadata.namespace, "default")
        labels = self.namespaces.get(namespace, {NAMESPACE_NAME: namespace})
        return queue_of_job(queue_name(job), labels, namespace in self.with_default, self.managed)


def job_queues(
    namespaces: Iterable[Namespace], queues: Iterable[LocalQueue], managed: ManagedJobs
) -> JobQueues:
    """The same of these objects; a namespace that is only named exists."""
    return JobQueues(
        managed=managed, namespaces=labels_of(namespaces), with_default=with_default_queue(queues)
    )


def queue_of_job(written: str, labels: Mapping[str, str], has_default: bool, jobs: ManagedJobs) -> str | None:
    """The LocalQueue of a batch Job: "" is none that there is, None: Kueue leaves the Job alone.

    `written`: the queue that the Job names ("": none); `labels` of its namespace, which has a LocalQueue
    `default` or not (`has_default`).
    """
    if JOB not in jobs.frameworks or not selects(jobs.namespaces, labels):
        return None
    if written or has_default:
        return written or DEFAULT_QUEUE
    return "" if jobs.without_queue_name else None
