"""A simulation as data: JSON or YAML in English, exact figures as decimal strings, times in RFC 3339."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from stellwerk.engine.queueing.cycle.status import time_text
from stellwerk.report.partition.yaml_text import yaml_text
from stellwerk.sim.queueing.outcome.result import Bill, Outcome, QueueFigures, Simulation

API_VERSION, KIND = "stellwerk.dev/v1alpha1", "Simulation"
Plain = dict[str, Any]


def simulation_text(found: Simulation, form: str) -> str:
    """The document as text; `form` is json or yaml."""
    document = simulation_document(found)
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    return yaml_text(document)


def simulation_document(found: Simulation) -> Plain:
    """`outcomes`: the base first; each other one has a `difference` to it beside every group of figures."""
    base = found.outcomes[0]
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "start": time_text(found.start_ns),
        "end": time_text(found.end_ns),
        "fairSharing": found.fair_sharing,
        "resource": found.resource,
        "outcomes": [_outcome(one, None if one is base else base) for one in found.outcomes],
    }


def difference(before: Any, after: Any) -> Any:
    """`after` - `before` of numbers at the same place of plain data; None where one of them is not there."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = {key: difference(before[key], after[key]) for key in after if key in before}
        return {key: value for key, value in found.items() if value is not None}
    if isinstance(before, bool) or isinstance(after, bool):
        return None
    if isinstance(before, int | Decimal) and isinstance(after, int | Decimal):
        return after - before
    return None


def _outcome(one: Outcome, base: Outcome | None) -> Plain:
    return {
        "name": one.name,
        "source": one.source,
        "changes": [_text(msgspec.to_builtins(edit)) for edit in one.edits],
        "cycles": one.cycles,
        "total": _compared(one.total, None if base is None else base.total),
        "bill": _compared(one.bill, None if base is None else base.bill),
        "clusterQueues": _queues(one.cluster_queues, () if base is None else base.cluster_queues),
        "localQueues": _queues(one.local_queues, () if base is None else base.local_queues),
        "neverStarted": [msgspec.to_builtins(each) for each in one.never_started],
        "notes": [{"code": note.code, "text": str(note)} for note in one.notes],
    }


def _queues(found: Sequence[QueueFigures], base: Sequence[QueueFigures]) -> list[Plain | None]:
    before = {one.name: one for one in base}
    return [_compared(one, before.get(one.name)) for one in found]


def _compared(after: QueueFigures | Bill | None, before: QueueFigures | Bill | None) -> Plain | None:
    """The figures, and what they differ by from those before, where there are any."""
    if after is None:
        return None
    plain = _exact(after)
    if before is not None:
        plain["difference"] = difference(_exact(before), plain)
    if isinstance(after, QueueFigures):
        at = plain.pop("lastFinishNs")
        plain["lastFinish"] = None if at is None else time_text(at)
    shown: Plain = _text(plain)
    return shown


def _exact(value: QueueFigures | Bill) -> Plain:
    """Plain data in which a Decimal stays one."""
    plain: Plain = msgspec.to_builtins(value, builtin_types=(Decimal,))
    return plain


def _text(value: Any) -> Any:
    """Decimals as text without an exponent."""
    if isinstance(value, Mapping):
        return {key: _text(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_text(child) for child in value]
    return f"{value:f}" if isinstance(value, Decimal) else value
