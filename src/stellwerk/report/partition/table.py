"""A partition as text: the sentence, the fleet as slices, the steps, who has no place and why."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from textwrap import fill

from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.inventory import Gpu, Step
from stellwerk.engine.partition.policy import MIG, WHOLE
from stellwerk.report.text import Language, duration, money, msg, number, say, translator
from stellwerk.sim.partitions.plan_job import Moves, Partitioned, pays

BAR = 48  # Characters of a whole GPU: a multiple of 4, 8 and 12 memory slices.
MOST_LINES = 40
ACTIONS = {
    "drain": msg("drain {pod} from {subject} at {start}"),
    "destroy": msg("destroy {subject} at {start}"),
    "mode": msg("set MIG mode: {subject}"),
    "create": msg("create {subject} at {start}"),
    "share": msg("share by {subject}"),
    "place": msg("{pod} takes {subject}"),
}


def render_partition(found: Partitioned, lang: Language, width: int = 100) -> str:
    """All of it, at most `width` characters wide where words allow."""
    _ = translator(lang)
    lines = [first_line(found, lang), ""]
    lines += [*picture(found.plan.gpus, lang), ""]
    lines += [_("Steps"), *_steps(found.plan.steps, lang), ""] if found.plan.steps else []
    lines += [fill(f"- {note}", width, subsequent_indent="  ") for note in notes(found, lang)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def first_line(found: Partitioned, lang: Language) -> str:
    """GPUs in use, what whole ones would take, the saving, who has no place, and what is proven."""
    _ = translator(lang)
    plan = found.plan
    values = {
        "used": number(plan.gpus_used, lang),
        "before": number(plan.gpus_before, lang),
        "whole": number(found.whole_gpus, lang),
        "saving": _saving(found, lang),
    }
    if plan.gpus_before:
        text = _("{used} GPUs in use afterwards, {before} today", **values)
    elif plan.unserved:
        text = _("{used} GPUs in use", **values)
    else:
        text = _("{used} instead of {whole} whole GPUs, {saving}", **values)
    if plan.unserved:
        text += ", " + _(
            "pods without a place: {pods}", pods=number(sum(i.pods for i in plan.unserved), lang)
        )
    return f"{text}; " + _proof(found, lang)


def _saving(found: Partitioned, lang: Language) -> str:
    _ = translator(lang)
    if found.month is None or found.whole_month is None:
        return _("price unknown")
    less = found.whole_month - found.month
    amount = money(abs(less), found.fleet.currency, lang, 0)
    return (
        _("{amount} a month less", amount=amount) if less >= 0 else _("{amount} a month more", amount=amount)
    )


def _proof(found: Partitioned, lang: Language) -> str:
    """Whether the plan is an optimum, else what is known."""
    _ = translator(lang)
    plan = found.plan
    if not plan.gap:
        return _("proven: no plan under these rules takes fewer")
    if plan.unserved or not plan.bound:
        return _("not proven")
    return _("not proven: at least {bound} are needed", bound=number(plan.bound, lang))


def picture(gpus: Sequence[Gpu], lang: Language) -> Iterator[str]:
    """A line for each GPU in use, its instances as wide as their memory; equal lines in a row are counted."""
    _ = translator(lang)
    rows = [(f"{gpu.node}/{gpu.index}", bar(gpu)) for gpu in gpus if gpu.busy or gpu.instances]
    grouped: list[tuple[str, str, int]] = []
    for name, text in rows:
        if grouped and grouped[-1][1] == text:
            grouped[-1] = (grouped[-1][0], text, grouped[-1][2] + 1)
        else:
            grouped.append((name, text, 1))
    wide = max((len(name) for name, _text, _count in grouped), default=0)
    for name, text, count in grouped[:MOST_LINES]:
        more = "" if count == 1 else "  " + _("more like it: {count}", count=number(count - 1, lang))
        yield f"{name.ljust(wide)}  {text}{more}"
    if len(grouped) > MOST_LINES:
        yield _("... {count} more lines: -o json has all", count=number(len(grouped) - MOST_LINES, lang))
    free = sum(not (gpu.busy or gpu.instances) for gpu in gpus)
    if free:
        yield _("free GPUs: {count}", count=number(free, lang))


def bar(gpu: Gpu) -> str:
    """One GPU: `[3g.40gb*        |2g.20gb     |........]`; a star: it has a pod."""
    table = mig_table(gpu.model)
    if gpu.method != MIG or table is None:
        names = gpu.method if gpu.method == WHOLE else f"{gpu.method} {len(gpu.tenants)}x"
        return f"[{(names + '*').ljust(BAR)}]"
    cell = BAR // table.memory_slices
    text, at = "", 0
    for instance in gpu.instances:
        profile = table.profile(instance.profile)
        size = profile.size if profile is not None else 1
        text += "." * ((instance.start - at) * cell)
        label = instance.profile + ("*" if instance.tenant else "")
        room = size * cell - 1
        text += (label if len(label) <= room else label[: room - 1] + label[-1:]).ljust(room) + "|"
        at = instance.start + size
    return f"[{text}{'.' * ((table.memory_slices - at) * cell)}]"


def _steps(steps: Sequence[Step], lang: Language) -> Iterator[str]:
    _ = translator(lang)
    shown = [step for step in steps if step.action != "place"]
    for number_, step in enumerate(shown[:MOST_LINES], 1):
        values = {"pod": step.pod, "subject": step.subject, "start": step.start}
        yield f"{number_:3}. {step.node}/{step.gpu}: " + say(ACTIONS[step.action].format(**values), lang)
    if len(shown) > MOST_LINES:
        yield _("... {count} more steps: -o json has all", count=number(len(shown) - MOST_LINES, lang))
    placed = len(steps) - len(shown)
    if placed:
        yield _("then pods take their places: {count}", count=number(placed, lang))


def _duration(steps: Sequence[Step], lang: Language) -> Iterator[str]:
    """How long the steps take one after another, as far as anybody said."""
    _ = translator(lang)
    acting = [step for step in steps if step.action != "place"]
    known = [step.seconds for step in acting if step.seconds is not None]
    if not acting:
        return
    unknown = len(acting) - len(known)
    if unknown:
        yield _(
            "How long {count} of {all} steps take is not known: say it with spec.mig of the Fleet.",
            count=number(unknown, lang),
            all=number(len(acting), lang),
        )
    if known:
        took = duration(sum(known) * 1_000_000_000, lang)
        yield (
            _("The other steps take {time}, one after another.", time=took)
            if unknown
            else _("The steps take {time}, one after another.", time=took)
        )


def notes(found: Partitioned, lang: Language) -> Iterator[str]:
    """Who has no place and why, what moving would bring, overflow and hindsight, and what was assumed."""
    _ = translator(lang)
    for item in found.plan.unserved:
        yield _(
            "{request}: {pods} pods have no place", request=item.request, pods=number(item.pods, lang)
        ) + (f": {say(str(item.reason), lang)}")
    yield from _duration(found.plan.steps, lang)
    if found.moves is not None:
        yield from _moving(found, found.moves, lang)
    if found.overflows is not None:
        yield _(
            "{count} of {pods} pods later take more memory than their part has",
            count=number(len(found.overflows), lang),
            pods=number(sum(request.pods for request in found.requests), lang),
        ) + (": " + ", ".join(item.pod for item in found.overflows[:5]) if found.overflows else "")
    if found.hindsight_gpus is not None:
        yield _(
            "Who had known their later use would need {gpus} GPUs.", gpus=number(found.hindsight_gpus, lang)
        )
    for note in dict.fromkeys(found.notes):
        yield say(note, lang)


def _moving(found: Partitioned, moves: Moves, lang: Language) -> Iterator[str]:
    _ = translator(lang)
    if not moves.plan.drained:
        yield _("Moving pods would bring nothing.")
        return
    served = sum(item.pods for item in found.plan.unserved) - sum(item.pods for item in moves.plan.unserved)
    values = {
        "pods": number(len(moves.plan.drained), lang),
        "minutes": number(moves.minutes, lang),
        "hours": number(Decimal(moves.gpu_hours.numerator) / moves.gpu_hours.denominator, lang, 1),
        "cost": _("price unknown") if moves.cost is None else money(moves.cost, found.fleet.currency, lang),
        "gpus": number(found.plan.gpus_used - moves.plan.gpus_used, lang),
        "served": number(served, lang),
    }
    if found.plan.drained:
        yield _("{pods} pods move: {minutes} minutes of restarts, {hours} GPU-hours, {cost}.", **values)
    elif pays(found.plan, moves):
        yield _(
            "With --drain, {pods} pods move ({minutes} minutes of restarts, {hours} GPU-hours, {cost}): "
            "{gpus} GPUs fewer, {served} pods more have a place.",
            **values,
        )
    else:
        yield _("Moving {pods} pods ({cost}) would not pay.", **values)
