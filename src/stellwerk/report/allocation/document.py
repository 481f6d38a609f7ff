"""Allocations as data: a List of the claims as the scheduler would write them, and a report beside it.

The List can be applied to the next run (`--state`), or read by anything that reads Kubernetes' objects.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from stellwerk.api.manifests import encode
from stellwerk.engine.allocation.change import Change, NoChange
from stellwerk.engine.allocation.pods.places import NodesRefused
from stellwerk.engine.allocation.pods.turn import Answer, Outcome
from stellwerk.engine.decision import Reason
from stellwerk.report.allocation.devices import Devices, Given, claim_label, given_devices
from stellwerk.report.partition.yaml_text import yaml_text


class Setting(Struct, frozen=True):
    """Under what it was decided: the Kubernetes release (1.37), and the gates that are on."""

    kubernetes: str
    gates: frozenset[str]


def allocation_text(outcome: Outcome, devices: Devices, setting: Setting, form: str) -> str:
    """The document as text; `form` is json or yaml."""
    document = allocation_document(outcome, devices, setting)
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    return yaml_text(document)


def allocation_document(outcome: Outcome, devices: Devices, setting: Setting) -> dict[str, Any]:
    """`items`: all claims, allocated or not; `report`: the release, its gates, an answer per pod or claim."""
    return {
        "apiVersion": "v1",
        "kind": "List",
        "metadata": {},
        "items": [msgspec.json.decode(encode(claim)) for claim in outcome.claims],
        "report": {
            "kubernetes": setting.kubernetes,
            "gates": sorted(setting.gates),
            "answers": [_answer(one, devices) for one in outcome.answers],
            "notes": [_reason(one) for one in outcome.notes],
        },
    }


def _answer(answer: Answer, devices: Devices) -> dict[str, Any]:
    namespace, name = answer.key
    found: dict[str, Any] = {
        "kind": answer.kind,
        "namespace": namespace,
        "name": name,
        "allocated": answer.allocated,
        "claims": [claim_label(one) for one in answer.claims],
    }
    if answer.allocated:
        found |= {"before": answer.before, "node": answer.node}
        found["devices"] = [_device(one) for claim in answer.claims for one in given_devices(claim, devices)]
        found["devicePlugin"] = dict(answer.plugin)
    else:
        found |= {"refused": [_refused(one) for one in answer.refused], "change": _change(answer.change)}
    return found


def _device(one: Given) -> dict[str, Any]:
    found: dict[str, Any] = {
        "claim": one.claim,
        "request": one.request,
        "driver": one.device.driver,
        "pool": one.device.pool,
        "device": one.device.device,
    }
    more: Iterable[tuple[str, str | Mapping[str, str]]] = (
        ("type", one.type),
        ("uuid", one.uuid),
        ("shareID", one.share_id),
        ("consumedCapacity", one.capacity),
    )
    return found | {key: value for key, value in more if value}


def _refused(one: NodesRefused) -> dict[str, Any]:
    return {"node": one.node, "nodes": one.nodes, "reasons": [_reason(reason) for reason in one.reasons]}


def _reason(reason: Reason) -> dict[str, Any]:
    return {"code": reason.code, "text": str(reason).rstrip(), "values": dict(reason.values)}


def _change(change: Change | NoChange | None) -> dict[str, Any] | None:
    if change is None:
        return None
    if isinstance(change, Change):
        return {"helps": True, **_reason(change.reason), "node": change.node}
    return {"helps": False, "tried": change.tried, "complete": change.complete}
