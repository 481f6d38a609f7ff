"""A diagnosis for a terminal: a line for each layer, below it what is not right and the next step."""

import textwrap
from collections.abc import Iterator, Sequence

from stellwerk.engine.decision import Reason
from stellwerk.engine.diagnosis.diagnose import Diagnosis, Layer
from stellwerk.engine.diagnosis.findings import OK, Finding
from stellwerk.report.text import Language, msg, reason_text, translator

_LAYER, _VERDICT = 20, 9
_LEAST_WIDTH = 60
_VERDICTS = {"ok": msg("ok"), "warning": msg("warning"), "missing": msg("missing")}
NEXT = msg("Next: {step}")
WORKS = msg("can work")
STOPPED = msg("cannot work: {codes}")


def diagnosis_table(diagnosis: Diagnosis, lang: Language, width: int = 100) -> str:
    """The layers from the database on, then each verb."""
    lines = [line for layer in diagnosis.layers for line in _layer(layer, lang, max(width, _LEAST_WIDTH))]
    return "\n".join([*lines, "", *_verbs(diagnosis, lang)]) + "\n"


def _layer(layer: Layer, lang: Language, width: int) -> Iterator[str]:
    word = translator(lang)(_VERDICTS[layer.verdict])
    fine = "; ".join(reason_text(each.reason, lang) for each in layer.findings if each.verdict == OK)
    indent = " " * (_LAYER + _VERDICT)
    lines = _wrapped(fine, indent, width) or [""]
    yield f"{layer.name:<{_LAYER}}{word:<{_VERDICT}}{lines[0].strip()}".rstrip()
    yield from lines[1:]
    wrong = [each for each in layer.findings if each.verdict != OK]
    for number, each in enumerate(wrong):
        yield from _finding(each, lang, indent, width)
        if each.step is not None and not any(_same(each, later) for later in wrong[number + 1 :]):
            step = _joined([one for one in wrong if _same(each, one)])
            yield from _wrapped(translator(lang)(NEXT, step=reason_text(step, lang)), indent + "  ", width)


def _finding(found: Finding, lang: Language, indent: str, width: int) -> Iterator[str]:
    word = translator(lang)(_VERDICTS[found.verdict])
    yield from _wrapped(f"{word}: {reason_text(found.reason, lang)} [{found.code}]", indent, width)


def _same(one: Finding, other: Finding) -> bool:
    """Whether two findings have one next step, perhaps about several metrics."""
    steps = one.step, other.step
    return steps[0] is not None and steps[1] is not None and steps[0].text == steps[1].text


def _joined(found: Sequence[Finding]) -> Reason:
    """The next step of findings that have the same one."""
    step = found[0].step
    assert step is not None
    metrics = dict.fromkeys(metric for each in found for metric in each.metrics)
    return Reason(step.code, step.text, {**step.values, "metrics": ", ".join(metrics)})


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    """Names of metrics and options are not broken: a reader copies them."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _verbs(diagnosis: Diagnosis, lang: Language) -> Iterator[str]:
    _ = translator(lang)
    for verb, codes in diagnosis.stopped_by.items():
        yield f"{verb:<{_LAYER}}{_(STOPPED, codes=', '.join(codes)) if codes else _(WORKS)}"
