"""Which Struct reads which apiVersion and kind."""

from difflib import get_close_matches

from msgspec import Struct

from stellwerk.api.groups import (
    apps,
    batch,
    core,
    karpenter,
    kueue,
    kueue_config,
    kueue_workload,
    node,
    resource,
    stellwerk,
)

KUEUE, KUEUE_CONFIG = "kueue.x-k8s.io/v1beta2", "config.kueue.x-k8s.io/v1beta2"
TYPES: dict[tuple[str, str], type[Struct]] = {
    ("v1", "LimitRange"): core.LimitRange,
    ("v1", "Namespace"): core.Namespace,
    ("v1", "Node"): core.Node,
    ("v1", "Pod"): core.Pod,
    ("apps/v1", "Deployment"): apps.Deployment,
    ("batch/v1", "Job"): batch.Job,
    (KUEUE_CONFIG, "Configuration"): kueue_config.Configuration,
    ("node.k8s.io/v1", "RuntimeClass"): node.RuntimeClass,
    ("resource.k8s.io/v1", "DeviceClass"): resource.DeviceClass,
    ("resource.k8s.io/v1", "DeviceTaintRule"): resource.DeviceTaintRule,
    ("resource.k8s.io/v1", "ResourceClaim"): resource.ResourceClaim,
    ("resource.k8s.io/v1", "ResourceClaimTemplate"): resource.ResourceClaimTemplate,
    ("resource.k8s.io/v1", "ResourceSlice"): resource.ResourceSlice,
    (KUEUE, "AdmissionCheck"): kueue.AdmissionCheck,
    (KUEUE, "ClusterQueue"): kueue.ClusterQueue,
    (KUEUE, "Cohort"): kueue.Cohort,
    (KUEUE, "LocalQueue"): kueue.LocalQueue,
    (KUEUE, "ResourceFlavor"): kueue.ResourceFlavor,
    (KUEUE, "Topology"): kueue.Topology,
    (KUEUE, "Workload"): kueue_workload.Workload,
    (KUEUE, "WorkloadPriorityClass"): kueue.WorkloadPriorityClass,
    ("karpenter.sh/v1", "NodeClaim"): karpenter.NodeClaim,
    ("karpenter.sh/v1", "NodePool"): karpenter.NodePool,
    ("karpenter.sh/v1alpha1", "NodeOverlay"): karpenter.NodeOverlay,
    ("stellwerk.dev/v1alpha1", "Fleet"): stellwerk.Fleet,
    ("stellwerk.dev/v1alpha1", "Interference"): stellwerk.Interference,
    ("stellwerk.dev/v1alpha1", "PartitionPlan"): stellwerk.PartitionPlan,
    ("stellwerk.dev/v1alpha1", "Period"): stellwerk.Period,
}
# Same wire format as the version that is read.
SAME_FORMAT = {
    ("resource.k8s.io/v1beta2", kind): ("resource.k8s.io/v1", kind)
    for api_version, kind in TYPES
    if api_version == "resource.k8s.io/v1"
}
_CLUSTER_SCOPED = """
    AdmissionCheck ClusterQueue ClusterRole ClusterRoleBinding Cohort CustomResourceDefinition DeviceClass
    DeviceTaintRule Fleet Interference Namespace Node NodeClaim NodeOverlay NodePool PartitionPlan Period
    PersistentVolume PriorityClass ResourceFlavor ResourceSlice RuntimeClass StorageClass Topology
    WorkloadPriorityClass
"""
CLUSTER_SCOPED = frozenset(_CLUSTER_SCOPED.split())
# Kinds that lie beside the above in real folders: kept as raw JSON, not read.
CARRIED: dict[str, frozenset[str]] = {
    group: frozenset(kinds.split())
    for group, kinds in {
        "": "ConfigMap Endpoints Event PersistentVolume PersistentVolumeClaim PodTemplate "
        "ReplicationController ResourceQuota Secret Service ServiceAccount",
        "admissionregistration.k8s.io": "MutatingWebhookConfiguration ValidatingAdmissionPolicy "
        "ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration",
        "apiextensions.k8s.io": "CustomResourceDefinition",
        "apps": "ControllerRevision DaemonSet ReplicaSet StatefulSet",
        "autoscaling": "HorizontalPodAutoscaler",
        "batch": "CronJob",
        "coordination.k8s.io": "Lease",
        "karpenter.azure.com": "AKSNodeClass",
        "karpenter.k8s.aws": "EC2NodeClass",
        "karpenter.kwok.sh": "KWOKNodeClass",
        "kueue.x-k8s.io": "MultiKueueCluster MultiKueueConfig ProvisioningRequestConfig",
        "monitoring.coreos.com": "PodMonitor PrometheusRule ServiceMonitor",
        "networking.k8s.io": "Ingress IngressClass NetworkPolicy",
        "nvidia.com": "ClusterPolicy GPUCluster NVIDIADriver",
        "policy": "PodDisruptionBudget",
        "rbac.authorization.k8s.io": "ClusterRole ClusterRoleBinding Role RoleBinding",
        "resource.nvidia.com": "ComputeDomain ComputeDomainClique",
        "scheduling.k8s.io": "PriorityClass",
        "storage.k8s.io": "CSIDriver CSINode StorageClass",
    }.items()
}


def type_of(api_version: str, kind: str) -> type[Struct] | None:
    """The Struct that reads an object, or None if nothing does."""
    key = (api_version, kind)
    return TYPES.get(SAME_FORMAT.get(key, key))


def is_carried(api_version: str, kind: str) -> bool:
    """Whether the object is known, but kept as raw JSON only (any version of its group)."""
    return kind in CARRIED.get(group_of(api_version), ())


def versions_of(kind: str) -> tuple[str, ...]:
    """The apiVersions under which a kind is read."""
    return tuple(api_version for api_version, known in TYPES if known == kind)


def nearest_kind(kind: str) -> str:
    """The known kind that is spelled most alike, or "" if none is."""
    known = {name.lower(): name for _, name in TYPES}
    near = get_close_matches(kind[:64].lower(), sorted(known), n=1, cutoff=0.6)
    return known[near[0]] if near else ""


def group_of(api_version: str) -> str:
    """The API group: "" for core."""
    return api_version.rpartition("/")[0]
