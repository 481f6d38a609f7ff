"""Kueue and Karpenter out of cluster, against a Stack: their CRDs, Kueue's webhooks, their processes."""

import base64
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.build import kept
from tools.cluster.stack import HOST, NotStarted, Stack, free_ports, program

# Kueue's definitions that are served in two versions, converted by its webhook.
_CONVERTED = ("clusterqueues", "cohorts", "localqueues", "multikueueclusters", "workloads")
# Of its webhooks those for what runs here; pods and other frameworks are left out.
_WEBHOOKS = ("clusterqueue", "cohort", "job", "resourceflavor", "workload")
KUEUE_GATES = {"VisibilityOnDemand": False}


def start_kueue(
    stack: Stack, gates: Mapping[str, bool] | None = None, configuration: Mapping[str, Any] | None = None
) -> None:
    """Kueue's manager, ready. `configuration`: fields of its Configuration besides those needed here."""
    webhook, health, metrics = free_ports(3)
    authority = base64.b64encode(Path(stack.pki("ca.crt")).read_bytes()).decode()
    share = kept() / "share" / "kueue"
    kueue_namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kueue-system"}}
    stack.apply([kueue_namespace])
    _define(
        stack, [_converted(each, webhook, authority) for each in _read(sorted(share.glob("crd/bases/*")))]
    )
    certificates = stack.folder / "kueue-certificates"
    certificates.mkdir(exist_ok=True)
    shutil.copy(stack.pki("server.crt"), certificates / "tls.crt")
    shutil.copy(stack.pki("server.key"), certificates / "tls.key")
    config = {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "namespace": "kueue-system",
        "health": {"healthProbeBindAddress": f"{HOST}:{health}"},
        "metrics": {"bindAddress": f"{HOST}:{metrics}"},
        "webhook": {"host": HOST, "port": webhook, "certDir": str(certificates)},
        "internalCertManagement": {"enable": False},
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"qps": 200, "burst": 400},
        "integrations": {"frameworks": ["batch/job"]},
        **(configuration or {}),
    }
    file = stack.folder / "kueue.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    # In a cluster the manager reads its Configuration from this ConfigMap, and so does who looks at it.
    stack.apply([_config_map(file.read_text())])
    switched = ",".join(f"{name}={str(on).lower()}" for name, on in {**KUEUE_GATES, **(gates or {})}.items())
    stack.run(
        "kueue",
        [program("kueue"), f"--config={file}", f"--feature-gates={switched}", "--zap-log-level=2"],
        {"KUBECONFIG": str(stack.kubeconfig("admin"))},
    )
    stack.await_part("kueue", f"http://{HOST}:{health}/readyz")
    stack.apply(
        [_pointed(each, webhook, authority) for each in _read([share / "webhook" / "manifests.yaml"])]
    )


def _config_map(text: str) -> dict[str, Any]:
    metadata = {"name": "kueue-manager-config", "namespace": "kueue-system"}
    data = {"controller_manager_config.yaml": text}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def start_karpenter(stack: Stack, environment: Mapping[str, str] | None = None) -> None:
    """Karpenter with its KWOK provider, ready. `environment`: its options, such as IGNORE_DRA_REQUESTS."""
    metrics, health = free_ports(2)
    share = kept() / "share" / "karpenter"
    _define(stack, _read(sorted(share.glob("*/crds/*"))))
    stack.run(
        "karpenter-kwok",
        [program("karpenter-kwok")],
        {
            "KUBECONFIG": str(stack.kubeconfig("admin")),
            "SYSTEM_NAMESPACE": "kube-system",
            "DISABLE_LEADER_ELECTION": "true",
            "KUBERNETES_MIN_VERSION": "1.19.0-0",
            "METRICS_PORT": str(metrics),
            "HEALTH_PROBE_PORT": str(health),
            **(environment or {}),
        },
    )
    stack.await_part("karpenter-kwok", f"http://{HOST}:{health}/readyz")


def _read(files: Sequence[Path]) -> list[dict[str, Any]]:
    return [each for file in files for each in yaml.load_all(file.read_text(), _LOADER) if each]


# libyaml's loader takes a tenth of the time for Kueue's definitions.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_TRIES = 5


def _define(stack: Stack, definitions: Sequence[dict[str, Any]]) -> None:
    stack.apply(definitions)
    names = [f"crd/{each['metadata']['name']}" for each in definitions]
    for left in reversed(range(_TRIES)):
        try:
            stack.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
            return
        except NotStarted:  # kubectl gives up on a definition that has no status yet.
            if not left:
                raise
            time.sleep(1)


def _converted(definition: dict[str, Any], port: int, authority: str) -> dict[str, Any]:
    """The definition, its conversion by a webhook at a URL instead of a Service."""
    if definition["metadata"]["name"].partition(".")[0] not in _CONVERTED:
        return definition
    client = {"url": f"https://{HOST}:{port}/convert", "caBundle": authority}
    webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
    return {
        **definition,
        "spec": {**definition["spec"], "conversion": {"strategy": "Webhook", "webhook": webhook}},
    }


def _pointed(configuration: dict[str, Any], port: int, authority: str) -> dict[str, Any]:
    """A webhook configuration, at a URL instead of a Service; of what runs here."""
    wanted = {f"{letter}{name}.kb.io" for letter in "mv" for name in _WEBHOOKS}
    webhooks = []
    for each in configuration["webhooks"]:
        if each["name"] in wanted:
            url = f"https://{HOST}:{port}{each['clientConfig']['service']['path']}"
            webhooks.append({**each, "clientConfig": {"url": url, "caBundle": authority}})
    metadata = {**configuration["metadata"], "name": f"kueue-{configuration['metadata']['name']}"}
    return {**configuration, "metadata": metadata, "webhooks": webhooks}
