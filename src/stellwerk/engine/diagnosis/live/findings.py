"""Every finding about a live cluster: its layer, what it says, the next step, and which verbs it stops.

Texts are templates; `names` are the first names of what is meant.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from stellwerk.engine.diagnosis.findings import MISSING, OK, WARNING, Finding, Kind, found_of

SERVER, ROLE, NODES, OPERATOR = "kube-apiserver", "role", "nodes", "gpu-operator"
DRIVER, EXPORTER, KUEUE, KARPENTER = "nvidia-dra-driver", "dcgm-exporter", "kueue", "karpenter"
LAYERS = (SERVER, ROLE, NODES, OPERATOR, DRIVER, EXPORTER, KUEUE, KARPENTER)
CHECK, WHY, ADMIT = "check", "why", "admit"
VERBS = (CHECK, WHY, ADMIT)


def _said(template: str) -> str:
    """Mark a text that a user may read."""
    return template


_ROLE = _said(
    "let somebody who may: stellwerk doctor --kubeconfig --rbac | kubectl apply -f - (name the user)"
)
_PODS = _said("see: kubectl -n {namespace} describe {kind} {name}")

KINDS: Mapping[str, Kind] = {
    "server-answers": Kind(
        SERVER, OK, _said("Kubernetes {version} at {url} (context {context}) answers in {milliseconds} ms")
    ),
    "groups-served": Kind(SERVER, OK, _said("serves {names}")),
    "gates-default": Kind(SERVER, OK, _said("its feature gates of DRA are at their defaults (by {by})")),
    "gates-changed": Kind(SERVER, OK, _said("its feature gates of DRA that were changed: {gates} (by {by})")),
    "gates-unknown": Kind(
        SERVER,
        WARNING,
        _said(
            "its feature gates are unknown: kube-system shows no static pod of it, and the role may not get "
            "/metrics; check takes the defaults of {version}"
        ),
        _said(
            "allow get on /metrics (stellwerk doctor --kubeconfig --rbac), or tell check: --gate NAME=true"
        ),
    ),
    "gates-differ": Kind(
        SERVER,
        WARNING,
        _said("API server and scheduler have other feature gates: {gates}"),
        _said("set --feature-gates alike on both: what one lets in, the other may leave waiting"),
    ),
    "release-unknown": Kind(
        SERVER,
        WARNING,
        _said("Kubernetes {version} is not one whose gates and rules were read: {known}"),
        _said("tell check the nearest one: --kubernetes {nearest}"),
        (CHECK,),
    ),
    "dra-missing": Kind(
        SERVER,
        WARNING,
        _said("resource.k8s.io/v1 is not served ({versions}): there are no claims, only extended resources"),
        _said("upgrade to Kubernetes 1.34 or newer, or set --runtime-config=resource.k8s.io/v1=true"),
        (CHECK,),
    ),
    "role-reads": Kind(ROLE, OK, _said("may list all {kinds} kinds that are served of those that are read")),
    "role-lacks": Kind(ROLE, MISSING, _said("the role may not: {rules}"), _ROLE),
    "unread": Kind(ROLE, WARNING, _said("cannot be told: the role may not {rules}")),
    "nodes-known": Kind(NODES, OK, _said("{nodes} nodes, {gpus} of them with NVIDIA GPUs: {products}")),
    "gpus-none": Kind(
        NODES,
        WARNING,
        _said("{nodes} nodes, none shows NVIDIA GPUs by label or extended resource"),
        _said("right without GPUs; else see GPU feature discovery: kubectl get nodes --show-labels"),
    ),
    "mig-cut": Kind(NODES, OK, _said("MIG: {configs}")),
    "mig-failed": Kind(
        NODES,
        WARNING,
        _said("{things} nodes failed to be cut as nvidia.com/mig.config says: {names}"),
        _said("see the log of nvidia-mig-manager there; pods that hold a GPU keep it from being cut"),
    ),
    "mig-pending": Kind(
        NODES,
        WARNING,
        _said("{things} nodes are being cut, or wait for it (nvidia.com/mig.config.state): {names}"),
        _said("ask again in some minutes; else see the log of nvidia-mig-manager there"),
    ),
    "gpus-unserved": Kind(
        NODES,
        WARNING,
        _said("{things} nodes have GPUs by label, and neither extended resources nor slices: {names}"),
        _said("see the pods of the device plugin or of the DRA driver there"),
    ),
    "operator-known": Kind(OPERATOR, OK, _said("GPU operator {version}: {mode}")),
    "operator-unknown": Kind(
        OPERATOR,
        WARNING,
        _said("GPU operator {version} is not one that was read: {known}"),
        _said("tell check the nearest one: --operator {nearest}"),
        (CHECK,),
    ),
    "driver-unknown": Kind(
        DRIVER,
        WARNING,
        _said("DRA driver {version} is not one that was read: {known}"),
        _said("tell check the nearest one: --driver {nearest}"),
        (CHECK,),
    ),
    "operator-none": Kind(
        OPERATOR,
        WARNING,
        _said("no Deployment of the GPU operator is found: {mode}"),
        _said("right where a cloud or the drivers' own charts do its work"),
    ),
    "operator-both": Kind(
        OPERATOR,
        WARNING,
        _said("both the device plugin and the DRA driver hand out GPUs: one may be given twice"),
        _said("keep one: devicePlugin.enabled=false (operator) or resources.gpus.enabled=false (driver)"),
    ),
    "publisher-none": Kind(
        OPERATOR,
        WARNING,
        _said("nothing hands out NVIDIA's GPUs: no device plugin and no DRA driver is found"),
        _said("install the GPU operator (ClusterPolicy: device plugin; GPUCluster: DRA)"),
    ),
    "driver-known": Kind(DRIVER, OK, _said("DRA driver {version}: {parts}; gates changed: {gates}")),
    "slices-known": Kind(DRIVER, OK, _said("{driver}: {devices} devices in {slices} ResourceSlices")),
    "slices-none": Kind(
        DRIVER,
        WARNING,
        _said("the DRA driver runs, and no ResourceSlice of gpu.nvidia.com is there: claims wait"),
        _said("see the log of its kubelet plugin: kubectl -n {namespace} logs {kind}/{name} -c gpus"),
    ),
    "classes-none": Kind(
        DRIVER,
        WARNING,
        _said("the DRA driver runs, and DeviceClass gpu.nvidia.com is not there: claims cannot name it"),
        _said("its chart brings it: helm upgrade, or the operator's GPUCluster"),
    ),
    "driver-none": Kind(
        DRIVER,
        OK,
        _said("no kubelet plugin of NVIDIA's DRA driver is found; right with the device plugin"),
    ),
    "exporter-known": Kind(
        EXPORTER, OK, _said("DCGM exporter {version}: {ready} of {wanted} pods are ready")
    ),
    "exporter-none": Kind(
        EXPORTER,
        WARNING,
        _said("no DCGM exporter is found: nobody measures what GPUs do, so advise and bill have nothing"),
        _said(
            "let the GPU operator run it: dcgmExporter.enabled=true; then: stellwerk doctor --prometheus URL"
        ),
    ),
    "kueue-known": Kind(
        KUEUE, OK, _said("Kueue {version}; gates changed: {gates}; classes mapped: {classes}")
    ),
    "kueue-none": Kind(KUEUE, OK, _said("not found: nothing queues")),
    "kueue-outside": Kind(
        KUEUE,
        WARNING,
        _said("its kinds are served, and no Deployment of it is found: version and gates are unknown"),
        _said("tell check: --kueue VERSION (or none), and --gate NAME=true|false"),
        (CHECK,),
    ),
    "kueue-unknown": Kind(
        KUEUE,
        WARNING,
        _said("Kueue {version} is not one that was read: {known}"),
        _said("tell check the nearest one: --kueue {nearest}"),
        (CHECK,),
    ),
    "kueue-gates-unknown": Kind(
        KUEUE,
        WARNING,
        _said("its gates or mappings are unknown: its Configuration is not read; check takes defaults"),
        _said("see: kubectl -n kueue-system get configmap kueue-manager-config -o yaml"),
    ),
    "kueue-configuration-elsewhere": Kind(
        KUEUE,
        WARNING,
        _said(
            "its Configuration is the ConfigMap {name} of namespace {namespace}, and the printed role allows "
            "only kueue-manager-config: get on configmaps (apiGroup core) with resourceName {name} is missing"
        ),
        _said(
            "let somebody who may: kubectl -n {namespace} create role stellwerk-kueue --verb=get "
            "--resource=configmaps --resource-name={name}; and bind it"
        ),
    ),
    "karpenter-known": Kind(
        KARPENTER,
        OK,
        _said("Karpenter {version} ({providers}), --ignore-dra-requests={ignores}; {gates}"),
    ),
    "karpenter-none": Kind(KARPENTER, OK, _said("not found: no node is bought")),
    "karpenter-outside": Kind(
        KARPENTER,
        WARNING,
        _said("its kinds are served, and no Deployment of it is found: a cloud may run it"),
        _said("tell check: --karpenter VERSION (or none); --karpenter-dra where claims count"),
        (CHECK,),
    ),
    "karpenter-unknown": Kind(
        KARPENTER,
        WARNING,
        _said("Karpenter {version} is not one that was read: {known}"),
        _said("tell check the nearest one: --karpenter {nearest}"),
        (CHECK,),
    ),
    "karpenter-flag": Kind(
        KARPENTER,
        WARNING,
        _said("--ignore-dra-requests is on, and a DRA driver runs: no node is bought for a claim"),
        _said("set IGNORE_DRA_REQUESTS=false in its Deployment (from Karpenter 1.14 on)"),
    ),
    "version-untold": Kind(
        SERVER,
        WARNING,
        _said("the version of {what} is told neither by its image ({image}) nor by a label"),
        _said("tell check: {option} VERSION"),
        (CHECK,),
    ),
    "not-ready": Kind(SERVER, WARNING, _said("{ready} of {wanted} pods of {workload} are ready"), _PODS),
}


def finding(code: str, layer: str = "", /, **values: str | int) -> Finding:
    """The finding of a code with its values; `layer` for those that several layers have."""
    found = found_of(KINDS[code], code, (), {name: _shown(value) for name, value in values.items()})
    return replace(found, layer=layer) if layer else found


def _shown(value: str | int) -> str | int:
    """What a cluster says may hold what a terminal must not obey."""
    if isinstance(value, int):
        return value
    return "".join(each if each.isprintable() else "?" for each in value)[:1500]
