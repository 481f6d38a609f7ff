"""The first line of every report: one sentence that says what sharing brings, and how to check it."""

from decimal import Decimal

from stellwerk.report.choice import Choice, baseline, choose, is_sized, smallest, tempting, unknown_price
from stellwerk.report.figures import money_or_unknown
from stellwerk.report.text import Language, duration, money, translator
from stellwerk.sim.result import Replay

VERIFY = "stellwerk verify receipt.json"


def first_sentence(replay: Replay, lang: Language, verify: str = VERIFY) -> str:
    """The best policy against whole GPUs on the declared fleet; plain where nothing is better."""
    _ = translator(lang)
    finding = _sized(replay, lang) if is_sized(replay) else _same_fleet(replay, lang)
    return _("{finding}; check it: {command}", finding=finding, command=verify)


def _sized(replay: Replay, lang: Language) -> str:
    _ = translator(lang)
    best, before = choose(replay), baseline(replay)
    saving, wait = _saving_text(replay, best, lang), _wait_text(best, before, lang)
    same_gpus = best.gpus == before.gpus
    if best.policy != before.policy and same_gpus and best.wait_p95_ns < before.wait_p95_ns:
        return _(
            "No smaller fleet keeps the p95 wait; with {policy} on the same {gpus} GPUs it is {wait} "
            "instead of {before} ({price})",
            policy=best.policy,
            gpus=best.gpus,
            wait=duration(best.wait_p95_ns, lang),
            before=duration(before.wait_p95_ns, lang),
            price=_price_text(replay, best, lang),
        )
    if best.policy != before.policy:
        alone = smallest(replay.outcomes[0])
        gpus = _(
            "{gpus} instead of {declared} GPUs with {policy}",
            gpus=best.gpus,
            declared=before.gpus,
            policy=best.policy,
        )
        if alone is not None and alone.gpus < before.gpus:
            gpus += " " + _("(whole GPUs alone: {gpus})", gpus=alone.gpus)
        return f"{gpus}, {saving}, {wait}" + _slowed(best, lang)
    if best.gpus < before.gpus:
        return _(
            "Whole GPUs alone do with {gpus} instead of {declared} GPUs, {saving}, {wait}; "
            "no sharing policy is better",
            gpus=best.gpus,
            declared=before.gpus,
            saving=saving,
            wait=wait,
        )
    return _nothing_better(replay, lang) + _overflowing(replay, lang)


def _slowed(best: Choice, lang: Language) -> str:
    """What the saving may cost: sharing is not free, and the headline says so."""
    _ = translator(lang)
    slowed = max(run.jobs.slowed for run in best.runs)
    return (
        ", " + _("up to {slowed} of {jobs} jobs slowed", slowed=slowed, jobs=best.run.jobs.arrived)
        if slowed
        else ""
    )


def _overflowing(replay: Replay, lang: Language) -> str:
    """What would do with fewer GPUs if the measured memory had held: a reason to try head-room."""
    _ = translator(lang)
    found = tempting(replay)
    if found is None:
        return ""
    return "; " + _(
        "{policy} would do with {gpus} GPUs, but {jobs} jobs took more memory than was measured before "
        "(--headroom adds a margin)",
        policy=found.policy,
        gpus=found.gpus,
        jobs=max(run.overflow.jobs for run in found.runs),
    )


def _same_fleet(replay: Replay, lang: Language) -> str:
    _ = translator(lang)
    best, before = choose(replay), baseline(replay)
    if best.wait_p95_ns >= before.wait_p95_ns:
        return _nothing_better(replay, lang) + "; " + _("--size finds the smallest fleet")
    return _(
        "p95 wait {wait} instead of {before} with {policy} on the same {gpus} GPUs ({price}); "
        "--size finds the smallest fleet",
        wait=duration(best.wait_p95_ns, lang),
        before=duration(before.wait_p95_ns, lang),
        policy=best.policy,
        gpus=best.gpus,
        price=_price_text(replay, best, lang),
    )


def _nothing_better(replay: Replay, lang: Language) -> str:
    before = baseline(replay)
    _ = translator(lang)
    return _(
        "No sharing policy does better than whole GPUs here: p95 wait {wait} on {gpus} GPUs ({price})",
        wait=duration(before.wait_p95_ns, lang),
        gpus=before.gpus,
        price=_price_text(replay, before, lang),
    )


def _price_text(replay: Replay, choice: Choice, lang: Language) -> str:
    _ = translator(lang)
    if choice.month is None:
        return _unknown(replay, lang)
    return _("{money} a month", money=money_or_unknown(choice.month, replay.fleet.currency, lang, 0))


def _saving_text(replay: Replay, best: Choice, lang: Language) -> str:
    """The difference to the fleet as declared, in whole units of the currency."""
    _ = translator(lang)
    saving = saving_of(replay, best)
    if saving is None:
        return _unknown(replay, lang)
    amount = money(abs(saving), replay.fleet.currency, lang, 0)
    if saving > 0:
        return _("{money} a month less", money=amount)
    return _("{money} a month more", money=amount) if saving else _("at the same cost")


def _wait_text(best: Choice, before: Choice, lang: Language) -> str:
    _ = translator(lang)
    wait, was = duration(best.wait_p95_ns, lang), duration(before.wait_p95_ns, lang)
    if wait == was:
        return _("p95 wait equal ({wait})", wait=wait)
    return _("p95 wait {wait} instead of {before}", wait=wait, before=was)


def _unknown(replay: Replay, lang: Language) -> str:
    _ = translator(lang)
    return _("price unknown (set it with {option})", option=unknown_price(replay.fleet))


def saving_of(replay: Replay, best: Choice) -> Decimal | None:
    """What a month of `best` costs less than a month of the declared fleet; None where a price is unknown."""
    month = baseline(replay).month
    return None if month is None or best.month is None else month - best.month
