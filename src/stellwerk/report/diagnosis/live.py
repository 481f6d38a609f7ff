"""A diagnosis of a live cluster as a document for programs; English always."""

from typing import Any

import msgspec

from stellwerk.engine.diagnosis.diagnose import Diagnosis
from stellwerk.engine.diagnosis.live.facts import Installed, LiveFacts
from stellwerk.report.diagnosis.document import layers_document


def live_document(facts: LiveFacts, diagnosis: Diagnosis) -> dict[str, Any]:
    """The server, the layers, the verbs, and what was found out; null: not found, or it cannot be seen."""
    server, nvidia = facts.server, facts.nvidia
    return {
        "server": server.url,
        "context": server.context,
        **layers_document(diagnosis),
        "facts": {
            "kubernetes": server.version,
            "gates": _gates(server.gates),
            "schedulerGates": _gates(server.scheduler_gates),
            "gatesBy": server.gates_by,
            "groups": {group: list(versions) for group, versions in server.groups.items()},
            "lacking": [str(each) for each in facts.lacking],
            "nodes": facts.node_count,
            "gpuNodes": [_node(each) for each in facts.nodes],
            "slices": {name: msgspec.to_builtins(each) for name, each in facts.slices.items()},
            "deviceClasses": sorted(facts.device_classes),
            "operator": _installed(nvidia.operator),
            "devicePlugin": _installed(nvidia.device_plugin),
            "clusterPolicy": nvidia.cluster_policy is not None,
            "gpuCluster": nvidia.gpu_cluster,
            "driver": _installed(nvidia.driver),
            "exporter": _installed(nvidia.exporter),
            "kueue": _installed(facts.queue.installed),
            "mappedClasses": sorted(facts.queue.classes) if facts.queue.configured else None,
            "karpenter": _installed(facts.buyer.installed),
            "providers": list(facts.buyer.providers),
            "karpenterIgnoresClaims": facts.buyer.ignores_claims,
        },
    }


def _installed(found: Installed | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "workload": found.workload,
        "image": found.image,
        "version": found.version or None,
        "gates": _gates(found.gates),
        "flags": dict(found.flags),
        "parts": list(found.parts),
        "ready": found.ready,
        "wanted": found.wanted,
    }


def _gates(gates: Any) -> dict[str, bool] | None:
    return None if gates is None else dict(sorted(gates.items()))


def _node(node: Any) -> dict[str, Any]:
    return {
        "name": node.name,
        "product": node.product,
        "migCapable": node.mig_capable,
        "migConfig": node.mig_config,
        "migState": node.mig_state,
        "resources": dict(node.resources),
    }
