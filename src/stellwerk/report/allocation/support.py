"""Which layer takes a claim and which does not: a table by object, or data."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Any

import msgspec

from stellwerk.engine.allocation.support.check import is_refused, stopping_layers
from stellwerk.engine.allocation.support.rewrite import Rewrite
from stellwerk.engine.allocation.support.row import LAYERS, Cluster, Row
from stellwerk.engine.decision import Reason
from stellwerk.report.partition.yaml_text import yaml_text
from stellwerk.report.text import Language, msg, number, reason_text, say, translator

VERDICTS = {
    "accepts": msg("accepts"),
    "ignores": msg("ignores"),
    "waits": msg("waits"),
    "pends": msg("pends"),
    "refuses": msg("refuses"),
}
REWRITE = msg("The smallest rewrite that every layer lets through:")
INDENT = 2


def render_support(rows: Sequence[Row], lang: Language, width: int = 100) -> str:
    """The sentence, then for each object a paragraph a row: layer, verdict, why, field, next step, source."""
    _ = translator(lang)
    lines = [first_line(rows, lang)]
    layer_width = max(len(layer) for layer in LAYERS)
    verdict_width = max(len(say(text, lang)) for text in VERDICTS.values())
    for name, found in groupby(rows, key=lambda each: each.object):
        lines += ["", name]
        for each in found:
            head = (
                f"{each.layer.ljust(layer_width)}  {say(VERDICTS[each.verdict], lang).ljust(verdict_width)}  "
            )
            lines += _paragraph(head, list(_sentences(each, lang)), width)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def first_line(rows: Sequence[Row], lang: Language) -> str:
    """Who does not let it through, or that every layer does."""
    _ = translator(lang)
    bad = [each for each in rows if each.verdict in ("refuses", "pends")]
    layers = ", ".join(stopping_layers(rows))
    if layers and not bad:
        return _("No layer refuses it; now it waits for: {layers}.", layers=layers)
    if not bad:
        return _("No layer refuses it.")
    return _("Not let through by: {layers} ({count} rows).", layers=layers, count=number(len(bad), lang))


def _sentences(each: Row, lang: Language) -> Iterator[str]:
    _ = translator(lang)
    yield reason_text(each.reason, lang)
    if each.field:
        yield _("field: {field}", field=each.field)
    if each.fix is not None:
        yield _("next: {step}", step=reason_text(each.fix, lang))
    yield _("source: {versions}: {source}", versions=each.versions, source=each.source)


def _paragraph(head: str, sentences: Sequence[str], width: int) -> Iterator[str]:
    margin = " " * (INDENT + len(head))
    room = max(width - len(margin), 30)
    for i, sentence in enumerate(sentences):
        for j, line in enumerate(wrap(sentence, room, break_long_words=False, break_on_hyphens=False)):
            yield (" " * INDENT + head if i == j == 0 else margin) + line


def render_rewrite(rewrite: Rewrite, lang: Language) -> str:
    """What is changed, and the changed documents as YAML."""
    _ = translator(lang)
    edits = [f"  - {reason_text(each.says, lang)}" for each in rewrite.edits]
    documents = "---\n".join(yaml_text(each) for each in rewrite.documents)
    return "\n".join(["", _(REWRITE), *edits, "", documents])


def support_text(rows: Sequence[Row], cluster: Cluster, shown: tuple[str, Rewrite | None]) -> str:
    """The same as data, English always; `shown`: json or yaml, and the smallest rewrite that passes."""
    form, rewrite = shown
    document = {
        "refused": is_refused(rows),
        "layers": list(stopping_layers(rows)),
        "cluster": {
            "kubernetes": cluster.kubernetes,
            "changedGates": dict(cluster.changed),
            "kueue": cluster.kueue.version if cluster.kueue else None,
            "karpenter": cluster.karpenter.version if cluster.karpenter else None,
            "karpenterIgnoresClaims": not cluster.karpenter_dra,
            "operatorMode": cluster.operator_mode,
            "operator": cluster.operator.version,
            "driver": cluster.driver.version,
        },
        "rows": [_plain(each) for each in rows],
        "rewrite": None if rewrite is None else _rewritten(rewrite),
    }
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    return yaml_text(document)


def _rewritten(rewrite: Rewrite) -> dict[str, Any]:
    return {
        "edits": [_reason(each.says) for each in rewrite.edits],
        "objects": list(rewrite.documents),
        "whole": list(rewrite.whole),
    }


def _plain(each: Row) -> dict[str, Any]:
    return {
        "layer": each.layer,
        "verdict": each.verdict,
        "object": each.object,
        "field": each.field,
        **_reason(each.reason),
        "next": None if each.fix is None else str(each.fix),
        "versions": each.versions,
        "source": each.source,
    }


def _reason(reason: Reason) -> dict[str, str]:
    return {"code": reason.code, "text": str(reason)}
