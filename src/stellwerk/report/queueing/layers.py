"""Why a job of a live cluster waits, layer by layer: as text, and as data."""

from collections.abc import Iterator
from textwrap import fill
from typing import Any

import msgspec

from stellwerk.engine.decision import Reason
from stellwerk.engine.explain.explain import Also, Explanation, LayerAnswer
from stellwerk.report.partition.yaml_text import yaml_text
from stellwerk.report.text import Language, msg, number, reason_text, translator

MOST_ALSO, MOST_PODS = 6, 10
RUNS = msg("nothing keeps it from running")
NEVER = msg("waiting does not help")
OF_NODES = msg("nodes of which this holds: {count};")
LAYER_NAMES = {
    "queue": Reason("queue", "queue"),
    "creation": Reason("creation", "pods"),
    "gate": Reason("gate", "gates"),
    "topology": Reason("topology", "topology"),
    "node": Reason("node", "nodes"),
    "device": Reason("device", "devices"),
    "purchase": Reason("purchase", "new node"),
}
VERDICTS = {"ok": Reason("ok", "ok"), "waits": Reason("waits", "waits"), "never": Reason("never", "never")}
_LAYER, _VERDICT = 12, 8


def render_layers(found: Explanation, shown: tuple[Language, int]) -> str:
    """The dominant reason first, then each layer's answer, then the pods that there are."""
    lang, width = shown
    _ = translator(lang)
    dominant = found.dominant
    lines = [f"{found.kind} {found.key}"]
    if dominant is None:
        lines += _wrapped(_(RUNS), "  ", width)
    else:
        text = reason_text(dominant.reason, lang)
        lines += _wrapped(text + (f" ({_(NEVER)})" if dominant.verdict == "never" else ""), "  ", width)
    lines.append("")
    for each in found.layers:
        lines += _layer(each, shown)
    for name, phase, node in found.pods[:MOST_PODS]:
        lines.append(f"  {name}  {phase}" + (f"  {node}" if node else ""))
    if len(found.pods) > MOST_PODS:
        more = number(len(found.pods) - MOST_PODS, lang)
        lines.append("  " + _("... {count} more: -o json has all", count=more))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _layer(each: LayerAnswer, shown: tuple[Language, int]) -> Iterator[str]:
    lang, width = shown
    _ = translator(lang)
    indent = " " * (_LAYER + _VERDICT)
    layer, verdict = (reason_text(one, lang) for one in (LAYER_NAMES[each.layer], VERDICTS[each.verdict]))
    head = f"{layer:<{_LAYER}}{verdict:<{_VERDICT}}"
    first, *rest = _wrapped(reason_text(each.reason, lang), indent, width)
    yield head + first.strip()
    yield from rest
    for one in each.also[:MOST_ALSO]:
        of = _(OF_NODES, count=number(one.nodes, lang)) + " " if one.nodes else ""
        of += f"NodePool {one.pool}: " if one.pool else ""
        yield from _wrapped(f"- {of}{reason_text(one.reason, lang)}", indent, width)
    if len(each.also) > MOST_ALSO:
        more = number(len(each.also) - MOST_ALSO, lang)
        yield from _wrapped(_("... {count} more: -o json has all", count=more), indent, width)
    if each.words:
        yield from _wrapped(f'"{each.words}"', indent, width)


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    clean = "".join(char if char.isprintable() else " " for char in text)
    return fill(
        clean,
        max(width, 60),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ).splitlines() or [indent]


def layers_text(found: Explanation, form: str) -> str:
    """The document as json or yaml."""
    document = layers_document(found)
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    return yaml_text(document)


def layers_document(found: Explanation) -> dict[str, Any]:
    """`dominant` is one of `layers`, or null where nothing keeps the job from running."""
    namespace, _, name = found.key.partition("/")
    dominant = found.dominant
    return {
        "kind": found.kind,
        "namespace": namespace,
        "name": name,
        "dominant": None if dominant is None else _document(dominant),
        "layers": [_document(each) for each in found.layers],
        "pods": [{"name": pod, "phase": phase, "node": node} for pod, phase, node in found.pods],
    }


def _document(each: LayerAnswer) -> dict[str, Any]:
    return {
        "layer": each.layer,
        "verdict": each.verdict,
        "code": each.reason.code,
        "text": str(each.reason),
        "also": [_also_document(one) for one in each.also],
        "words": each.words,
    }


def _also_document(one: Also) -> dict[str, Any]:
    pool = {"pool": one.pool} if one.pool else {}
    return {"code": one.reason.code, "text": str(one.reason), "nodes": one.nodes, **pool}
