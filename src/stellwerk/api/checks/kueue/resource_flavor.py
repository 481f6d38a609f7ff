"""ResourceFlavors and Topologies: labels, taints and levels of nodes.

Source: kueue pkg/webhooks/resourceflavor_webhook.go; kueue.x-k8s.io_resourceflavors.yaml and
_topologies.yaml. Topologies have no webhook.
"""

from collections.abc import Iterator

from msgspec import UnsetType

from stellwerk.api.checks.devices.names import label_key_refusal
from stellwerk.api.checks.kueue.shapes import (
    EFFECTS,
    MOMENT,
    SUBDOMAIN,
    TEXT,
    TOLERATIONS,
    label_refusals,
    toleration_key_refusals,
    toleration_refusals,
)
from stellwerk.api.checks.names import label_value_refusal
from stellwerk.api.checks.refusal import Refusal, other_word, quoted
from stellwerk.api.checks.schema import LABEL_KEY, Fields, Items, Table, Text
from stellwerk.api.groups.kueue import ResourceFlavor, ResourceFlavorSpec, Topology
from stellwerk.api.groups.meta import given

HOSTNAME = "kubernetes.io/hostname"
RESOURCE_FLAVOR = Fields(
    of={
        "spec": Fields(
            of={
                "nodeLabels": Table(of=TEXT, most=8),
                "nodeTaints": Items(
                    of=Fields(
                        of={"key": TEXT, "value": TEXT, "effect": TEXT, "timeAdded": MOMENT},
                        required=("effect", "key"),
                    ),
                    most=8,
                ),
                "tolerations": TOLERATIONS,
                "topologyName": SUBDOMAIN,
            }
        )
    }
)
TOPOLOGY = Fields(
    of={
        "spec": Fields(
            of={
                "levels": Items(
                    of=Fields(
                        of={"nodeLabel": Text(least=1, most=316, form=LABEL_KEY)}, required=("nodeLabel",)
                    ),
                    most=16,
                    least=1,
                )
            },
            required=("levels",),
        )
    },
)


def resource_flavor_refusals(flavor: ResourceFlavor) -> Iterator[Refusal]:
    """What is refused of a ResourceFlavor beyond its shape: first by the CRD's rules, then by the webhook."""
    spec = given(flavor.spec, ResourceFlavorSpec())
    labels, taints = given(spec.node_labels, {}), given(spec.node_taints, ())
    if not isinstance(spec.topology_name, UnsetType) and not labels:
        yield Refusal(
            code="topology-without-label",
            path="spec.nodeLabels",
            problem="a flavor with topologyName needs a nodeLabel",
            fix="add a label of its nodes to nodeLabels, or remove topologyName",
        )
    for i, taint in enumerate(taints):
        yield from other_word("no-choice", f"spec.nodeTaints[{i}].effect", taint.effect, EFFECTS)
    yield from toleration_refusals("spec.tolerations", given(spec.tolerations, ()))
    yield from label_refusals("spec.nodeLabels", labels)
    seen = set[tuple[str, str]]()
    for i, taint in enumerate(taints):
        path = f"spec.nodeTaints[{i}]"
        yield from label_key_refusal(f"{path}.key", taint.key)
        yield from label_value_refusal(f"{path}.value", given(taint.value, ""))
        if (taint.key, taint.effect) in seen:
            yield Refusal(
                code="twice",
                path=path,
                problem="{name} is there twice",
                fix="rename or remove one of the two",
                values={"name": quoted(f"{taint.key}:{taint.effect}")},
            )
        seen.add((taint.key, taint.effect))
    yield from toleration_key_refusals("spec.tolerations", given(spec.tolerations, ()))


def topology_refusals(topology: Topology) -> Iterator[Refusal]:
    """No level twice, and the host's name only as the lowest."""
    levels = [level.node_label for level in given(topology.spec.levels, ())]
    for i, label in enumerate(levels):
        if label in levels[:i]:
            yield Refusal(
                code="twice",
                path=f"spec.levels[{i}]",
                problem="{name} is there twice",
                fix="rename or remove one of the two",
                values={"name": quoted(label)},
            )
    if HOSTNAME in levels[:-1] and levels[-1] != HOSTNAME:
        yield Refusal(
            code="hostname-not-lowest",
            path="spec.levels",
            problem="{label} is a level, but not the lowest",
            fix="write it last",
            values={"label": HOSTNAME},
        )
