"""The exporter's labels in PromQL, in all their spellings, as one set: what every rule joins by.

The same spellings as the reading of files (engine/joining/identity.py): a scrape with `honorLabels: false`
renames the exporter's pod to exported_pod, and `pod` is then the exporter's own pod, which holds no GPU.
"""

KEY = "cluster, UUID, GPU_I_ID"  # Which GPU, or which GPU instance of it.
NAMES = "node, gpu, modelName, GPU_I_PROFILE"  # What else is told of it.
DEVICE = f"{KEY}, {NAMES}"
HOLDER = f"{KEY}, namespace, pod"
EXPORTER = ".*dcgm-exporter.*"
# (label that is set, its value, the label looked at, what that must match): later ones win.
_DEVICE_STEPS = (
    ("node", "$1", "hostname", "(.+)"),
    ("node", "$1", "Hostname", "(.+)"),
    ("UUID", "$1", "uuid", "(.+)"),
)
_NODE_STEPS = (("node", "$1", "exported_node", "(.+)"),)
_POD_STEPS = (
    ("pod_namespace", "", "pod_name", EXPORTER),
    ("pod_name", "", "pod_name", EXPORTER),
    ("namespace", "", "pod", EXPORTER),
    ("pod", "", "pod", EXPORTER),
    ("namespace", "$1", "pod_namespace", "(.+)"),
    ("pod", "$1", "pod_name", "(.+)"),
    ("namespace", "$1", "exported_namespace", "(.+)"),
    ("pod", "$1", "exported_pod", "(.+)"),
)


def by_device(expr: str) -> str:
    """Once for each GPU or instance, however many pods repeat the value."""
    return f"max by ({DEVICE}) ({_relabeled(expr, _DEVICE_STEPS)})"


def by_device_and_pod(expr: str) -> str:
    """Once for each GPU or instance and pod; pod and namespace are empty where no pod is named."""
    return f"max by ({DEVICE}, namespace, pod) ({_relabeled(expr, _DEVICE_STEPS + _POD_STEPS)})"


def by_node(expr: str) -> str:
    """Once for each node of kube-state-metrics, also where a scrape renamed its label to exported_node."""
    return f"group by (cluster, node) ({_relabeled(expr, _NODE_STEPS)})"


def by_pod(expr: str) -> str:
    """The largest of a pod's values of kube-state-metrics, also where a scrape renamed its labels."""
    steps = (
        ("namespace", "$1", "exported_namespace", "(.+)"),
        ("pod", "$1", "exported_pod", "(.+)"),
    )
    return f"max by (cluster, namespace, pod) ({_relabeled(expr, steps)})"


def _relabeled(expr: str, steps: tuple[tuple[str, str, str, str], ...]) -> str:
    for target, value, source, pattern in steps:
        expr = f'label_replace({expr}, "{target}", "{value}", "{source}", "{pattern}")'
    return expr
