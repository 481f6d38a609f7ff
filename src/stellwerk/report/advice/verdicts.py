"""The verdicts as words: a table for people, plain data for programs."""

from decimal import Decimal
from typing import Any

import msgspec

from stellwerk.engine.advice.advised import Advised
from stellwerk.engine.advice.classify import Kind
from stellwerk.engine.advice.profile import Quantiles
from stellwerk.engine.advice.verdict import NOT_ENOUGH_DATA, OTHER_MODEL, Verdict
from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING
from stellwerk.report.export import to_plain
from stellwerk.report.text import Language, money, number, reason_text, say, translator
from stellwerk.sim.advice import Advice


def first_line(advice: Advice, lang: Language) -> str:
    """What all verdicts together say: GPUs before and after, and money where prices are known."""
    _ = translator(lang)
    values = {"before": number(advice.gpus_before, lang), "after": number(advice.gpus_after, lang)}
    if advice.gpus_after >= advice.gpus_before:
        return _("Sharing saves nothing: {before} GPUs at the busiest time; keep all as it is.", **values)
    if advice.saving_month is None:
        return _("{after} GPUs instead of {before} at the busiest time; prices are unknown.", **values)
    return _(
        "{after} GPUs instead of {before} at the busiest time: {saving} a month less.",
        saving=money(advice.saving_month, advice.currency, lang, 0),
        **values,
    )


def choice_text(verdict: Verdict, lang: Language) -> str:
    """The verdict in a few words."""
    _ = translator(lang)
    share = verdict.share
    if share is not None and share.method == MIG:
        return f"MIG {share.profile}"
    if share is not None and share.method == MPS:
        return _("MPS {percent} %", percent=-(-share.compute_milli // 10))
    if share is not None and share.method == TIME_SLICING:
        return _("time-slicing, {replicas} replicas", replicas=share.replicas)
    if verdict.choice == OTHER_MODEL:
        return _("other GPU: {model}", model=verdict.other_model)
    return _("not enough data") if verdict.choice == NOT_ENOUGH_DATA else _("whole GPU")


def kind_text(kind: Kind, lang: Language) -> str:
    """The kind, and what told it: a label, the owner, or behavior."""
    _ = translator(lang)
    told = {"label": _("by label"), "owner": _("by owner"), "behavior": _("by behavior")}
    return f"{kind.kind} ({told[kind.by]})" if kind.by in told else kind.kind


def saving_text(advised: Advised, currency: str, lang: Language) -> str:
    """What one workload's verdict saves a month at the price of its GPU; "keep" where it saves nothing."""
    _ = translator(lang)
    saved = advised.saving_month
    if advised.kept:
        return _("keep")
    return _("unknown") if saved is None else money(saved, currency, lang, 0)


def render_advice(advice: Advice, lang: Language) -> str:
    """Each workload with verdict, kind, GPUs and saving, its reasons below; then models and notes."""
    _ = translator(lang)
    head = (_("Workload"), _("Kind"), _("Verdict"), "GPUs", _("Saving a month"))
    rows = [
        (
            _clean(each.profile.name),
            kind_text(each.verdict.kind, lang),
            choice_text(each.verdict, lang),
            f"{_gpus(each.held_before_milli, lang)} -> {_gpus(each.held_after_milli, lang)}",
            saving_text(each, advice.currency, lang),
        )
        for each in advice.workloads
    ]
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    lines = [first_line(advice, lang), "", _row(head, widths)]
    for row, each in zip(rows, advice.workloads, strict=True):
        lines.append(_row(row, widths))
        lines += [f"    {reason_text(reason, lang)}" for reason in each.verdict.reasons]
        lines += [f"    {reason_text(each.kept, lang)}"] if each.kept else []
        lines += [f"    {_('risk')}: {reason_text(reason, lang)}" for reason in each.verdict.risks]
    lines.append("")
    for pack in advice.packed:
        values = {"seen": pack.seen, "before": pack.before, "after": pack.after}
        text = "{model}: {seen} GPUs measured, {before} held at once, {after} as advised"
        lines.append(_(text, model=pack.model or "?", **values))
    lines += [f"- {say(note, lang)}" for note in advice.notes]
    lines += [f"- {reason_text(warning, lang)}" for warning in advice.warnings]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(cells[:3], widths, strict=False)]
    right = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:], strict=True)]
    return "  ".join(left + right).rstrip()


def _clean(name: str) -> str:
    return "".join(char if char.isprintable() else " " for char in name)


def _gpus(milli: int, lang: Language) -> str:
    return number(Decimal(milli).scaleb(-3), lang, 0, 2)


def advice_plain(advice: Advice) -> dict[str, Any]:
    """For programs: English, camelCase, money as decimal strings, times in milliseconds."""
    return {
        "startMs": advice.start_ms,
        "endMs": advice.end_ms,
        "gpusSeen": advice.gpus_seen,
        "gpusBefore": advice.gpus_before,
        "gpusAfter": advice.gpus_after,
        "currency": advice.currency,
        "savingMonth": None if advice.saving_month is None else str(advice.saving_month),
        "models": to_plain(advice.packed),
        "workloads": [workload_plain(each) for each in advice.workloads],
        "notes": list(advice.notes),
        "warnings": [reason_plain(each) for each in advice.warnings],
    }


def workload_plain(each: Advised) -> dict[str, Any]:
    """One workload of `advise -o json`."""
    profile, verdict = each.profile, each.verdict
    return {
        "name": profile.name,
        "team": profile.team,
        "pods": profile.pods,
        "podsAtOnce": profile.at_once,
        "gpusPerPod": profile.gpus,
        "gpuModel": profile.model,
        "kind": {"kind": verdict.kind.kind, "by": verdict.kind.by, "why": str(verdict.kind.why)},
        "verdict": verdict.choice,
        "share": None if verdict.share is None else to_plain(verdict.share),
        "otherModel": verdict.other_model,
        "reasons": [reason_plain(reason) for reason in verdict.reasons],
        "refused": [reason_plain(reason) for reason in verdict.refused],
        "risk": verdict.risk,
        "risks": [reason_plain(reason) for reason in verdict.risks],
        "memoryHeadroomPercent": verdict.memory_headroom_percent,
        "computeHeadroomPercent": verdict.compute_headroom_percent,
        "keep": None if each.kept is None else reason_plain(each.kept),
        "heldBeforeMilli": each.held_before_milli,
        "heldAfterMilli": each.held_after_milli,
        "savingMonth": None if each.saving_month is None else str(each.saving_month),
        "profile": {
            "computeMetric": profile.compute_metric,
            "computeMilli": _quantiles(profile.compute),
            "memoryBytes": _quantiles(profile.memory),
            "dramActiveMilli": _quantiles(profile.bandwidth),
            "nvlinkTraffic": profile.nvlink,
            "pattern": to_plain(profile.pattern),
            "measuredMs": profile.measured_ms,
            "coverageMilli": profile.coverage_milli,
        },
    }


def _quantiles(found: Quantiles | None) -> dict[str, int] | None:
    if found is None:
        return None
    return {
        "samples": found.samples,
        "mean": found.mean,
        "p50": found.p50,
        "p95": found.p95,
        "p99": found.p99,
        "max": found.most,
    }


def reason_plain(reason: Reason) -> dict[str, Any]:
    """A reason: its code, its English sentence, the values in it."""
    return {"code": reason.code, "text": str(reason), "values": dict(reason.values)}


def to_text(advice: Advice, form: str) -> str:
    """JSON or YAML, with a line end."""
    plain = advice_plain(advice)
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode() + "\n"
    import yaml

    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(plain, Dumper=dumper, sort_keys=False, allow_unicode=True, width=110))
