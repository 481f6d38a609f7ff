"""What is to be told of a round of advice, by what was told before: `changes_of`.

A figure at a bound goes to and fro, and a database may answer less than it has. So each workload is compared
with what was last told of it, not with the round before, and a change is told once `Bounds.after` rounds in a
row speak against that: the last of them is told. Warnings are told at once, and are told gone after as many
rounds without them. Nothing is held back where nothing was told yet.

A workload whose measured time lies before the time that was asked for has left. One that should still be
there, by what was measured of it, is lost: it stays as it was told, and a warning names it.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from msgspec import Struct

from stellwerk.engine.advice.advised import Advised
from stellwerk.engine.decision import Reason

ADDED, CHANGED, REMOVED = "added", "changed", "removed"
LOST, SHORTER, SET_BACK, PARTIAL = "workloads-lost", "answer-shorter", "clock-set-back", "answer-partial"
DOUBTS = (PARTIAL, SHORTER, SET_BACK, LOST)
_NAMES_SHOWN = 5
_MS_PER_MINUTE = 60_000


class LastPod(Struct, frozen=True):
    """The pod of a workload that was seen last ("namespace/pod"), and when its time ended (ms)."""

    pod: str
    end_ms: int


class Total(Struct, frozen=True, kw_only=True):
    """All workloads together; the saving is None where a price is unknown."""

    gpus_seen: int
    gpus_before: int
    gpus_after: int
    currency: str
    saving_month: Decimal | None


class Look(Struct, frozen=True, kw_only=True):
    """What one round found. [start_ms, end_ms) was asked for, `data_end_ms` is one interval after the newest
    reading. `last` is by workload, `owners` the workload of each pod.
    """

    start_ms: int
    end_ms: int
    data_end_ms: int
    interval_ms: int
    workloads: tuple[Advised, ...]
    last: Mapping[str, LastPod]
    owners: Mapping[str, str]
    warnings: tuple[Reason, ...] = ()
    total: Total


class ToldWorkload(Struct, frozen=True):
    """A workload that was seen; `advised` is what was told (None: nothing yet), `against` the rounds in a
    row that speak against it.
    """

    last: LastPod
    advised: Advised | None = None
    against: int = 0


class ToldWarning(Struct, frozen=True):
    """A warning as it was told, and the rounds in a row without it."""

    reason: Reason
    against: int = 0


class Told(Struct, frozen=True, kw_only=True):
    """What was told up to now: by workload, by code of a warning, and of the total."""

    end_ms: int = 0
    newest_ms: int = 0
    workloads: Mapping[str, ToldWorkload] = {}
    warnings: Mapping[str, ToldWarning] = {}
    total: Total | None = None
    total_against: int = 0


class Bounds(Struct, frozen=True, kw_only=True):
    """A change is told after so many rounds (from 1), a saving or an MPS share that moved by more than so
    many percent of what was told.
    """

    after: int = 2
    percent: int = 5


class WorkloadChange(Struct, frozen=True, kw_only=True):
    """`kind`: added, changed or removed. `what` changed: verdict, share, keep, saving; `why` it is gone."""

    kind: str
    workload: str
    before: Advised | None = None
    after: Advised | None = None
    what: tuple[str, ...] = ()
    why: tuple[Reason, ...] = ()


class WarningChange(Struct, frozen=True):
    """A warning that appeared, or is gone."""

    reason: Reason
    gone: bool = False


class TotalChange(Struct, frozen=True):
    """What all save together, before (None: not told yet) and now."""

    before: Total | None
    after: Total


Change = WorkloadChange | WarningChange | TotalChange


class Compared(Struct, frozen=True):
    """The changes in the order to tell them, what was told with them, and the codes of what makes the round
    doubtful: its answer lacks something.
    """

    changes: tuple[Change, ...]
    told: Told
    doubts: tuple[str, ...] = ()


def changes_of(told: Told, look: Look, bounds: Bounds) -> Compared:
    """Warnings that appeared, workloads by name, the total, warnings that are gone."""
    lost = _lost(told, look)
    warnings = {each.code: each for each in (*look.warnings, *_doubts(told, look, lost))}
    new = [WarningChange(each) for code, each in warnings.items() if code not in told.warnings]
    kept_warnings, gone = _warnings(told, warnings, bounds)
    workloads, found = _workloads(told, look, frozenset(lost), bounds)
    total, against, changed = _total(told, look, bounds)
    set_back = SET_BACK in warnings
    after = Told(
        end_ms=look.end_ms,
        newest_ms=_newest(look) if set_back else max(_newest(look), told.newest_ms),
        workloads=workloads,
        warnings=kept_warnings,
        total=total,
        total_against=against,
    )
    changes: tuple[Change, ...] = (*new, *found, *changed, *(WarningChange(each, gone=True) for each in gone))
    return Compared(changes, after, tuple(code for code in DOUBTS if code in warnings))


def _newest(look: Look) -> int:
    return look.data_end_ms - look.interval_ms


def _lost(told: Told, look: Look) -> tuple[str, ...]:
    """Workloads that are absent, though the time of their last pod was asked for again."""
    here = {each.profile.name for each in look.workloads}
    return tuple(
        name
        for name, each in sorted(told.workloads.items())
        if name not in here and not _left(each.last, look) and each.last.end_ms <= look.end_ms
    )


def _left(last: LastPod, look: Look) -> bool:
    """Whether a workload that is absent ended before the time asked for, or its pod is another's now."""
    # A pod's time ends one interval after its last reading.
    return last.end_ms <= look.start_ms + look.interval_ms or last.pod in look.owners


def _doubts(told: Told, look: Look, lost: tuple[str, ...]) -> Iterator[Reason]:
    if look.end_ms < told.end_ms:
        minutes = {"minutes": -(-(told.end_ms - look.end_ms) // _MS_PER_MINUTE)}
        yield Reason(
            SET_BACK,
            "this machine's clock went back by {minutes} min: what was measured since is not looked at",
            minutes,
        )
    elif _newest(look) < told.newest_ms:
        minutes = {"minutes": -(-(told.newest_ms - _newest(look)) // _MS_PER_MINUTE)}
        yield Reason(
            SHORTER,
            "the newest reading is {minutes} min older than one that the database gave before",
            minutes,
        )
    if lost:
        names = ", ".join(lost[:_NAMES_SHOWN]) + (", ..." if len(lost) > _NAMES_SHOWN else "")
        values: dict[str, str | int] = {"things": len(lost), "names": names}
        yield Reason(
            LOST,
            "the database no longer shows {things} workloads, though the time they ran in was asked for; "
            "they stay as they were: {names}",
            values,
        )


def _warnings(
    told: Told, now: Mapping[str, Reason], bounds: Bounds
) -> tuple[dict[str, ToldWarning], list[Reason]]:
    kept = {code: told.warnings.get(code, ToldWarning(each)) for code, each in now.items()}
    kept = {code: ToldWarning(each.reason) for code, each in kept.items()}
    gone = []
    for code, each in told.warnings.items():
        if code in now:
            continue
        if each.against + 1 >= bounds.after:
            gone.append(each.reason)
        else:
            kept[code] = ToldWarning(each.reason, each.against + 1)
    return kept, gone


def _workloads(
    told: Told, look: Look, lost: frozenset[str], bounds: Bounds
) -> tuple[dict[str, ToldWorkload], list[WorkloadChange]]:
    here = {each.profile.name: each for each in look.workloads}
    # Nothing was told yet: all is news.
    at_once = bounds if told.total else Bounds(after=1, percent=bounds.percent)
    kept: dict[str, ToldWorkload] = {}
    changes: list[WorkloadChange] = []
    for name in sorted({*here, *told.workloads}):
        before, now = told.workloads.get(name), here.get(name)
        if now is not None:
            known = before or ToldWorkload(look.last[name])
            kept[name], change = _present(known, now, look.last[name], at_once)
        else:
            assert before is not None, "the name is from one of the two"
            found, change = _absent(name, before, look, bounds)
            kept |= {name: found} if found else {}
        changes += [change] if change else []
    return kept, changes


def _present(
    before: ToldWorkload, now: Advised, last: LastPod, bounds: Bounds
) -> tuple[ToldWorkload, WorkloadChange | None]:
    what = () if before.advised is None else tuple(_what(before.advised, now, bounds.percent))
    if before.advised is not None and not what:
        return ToldWorkload(last, before.advised), None
    if before.against + 1 < bounds.after:
        return ToldWorkload(last, before.advised, before.against + 1), None
    kind = ADDED if before.advised is None else CHANGED
    name = now.profile.name
    change = WorkloadChange(kind=kind, workload=name, before=before.advised, after=now, what=what)
    return ToldWorkload(last, now), change


def _absent(
    name: str, before: ToldWorkload, look: Look, bounds: Bounds
) -> tuple[ToldWorkload | None, WorkloadChange | None]:
    """A workload that is absent: it stays while it is lost, or until it has been gone for long enough."""
    if not _left(before.last, look):
        return before, None
    if before.advised is None:
        return None, None
    if before.against + 1 < bounds.after:
        return ToldWorkload(before.last, before.advised, before.against + 1), None
    why = (_why_gone(before.last, look),)
    return None, WorkloadChange(kind=REMOVED, workload=name, before=before.advised, why=why)


def _why_gone(last: LastPod, look: Look) -> Reason:
    if last.pod in look.owners:
        values: dict[str, str | int] = {"name": last.pod, "owner": look.owners[last.pod]}
        return Reason("OtherOwner", "its pod {name} now counts as one of {owner}", values)
    return Reason("LeftPeriod", "all that was measured of it is older than the days that are asked for")


def _what(before: Advised, now: Advised, percent: int) -> Iterator[str]:
    """What of a verdict changed so that somebody may act on it; reasons alone do not."""
    if _way(before) != _way(now):
        yield "verdict"
    elif before.verdict.share is not None and now.verdict.share is not None:
        was, share = before.verdict.share, now.verdict.share
        if _far(was.memory_bytes, share.memory_bytes, percent) or _far(
            was.compute_milli, share.compute_milli, percent
        ):
            yield "share"
    if bool(before.kept) != bool(now.kept):
        yield "keep"
    if _far(before.saving_month, now.saving_month, percent):
        yield "saving"


def _way(advised: Advised) -> tuple[str, str, str, int]:
    verdict, share = advised.verdict, advised.verdict.share
    profile, replicas = (share.profile, share.replicas) if share else ("", 0)
    return verdict.choice, verdict.other_model, profile, replicas


def _far(before: Decimal | int | None, now: Decimal | int | None, percent: int) -> bool:
    """Whether a figure moved by more than so many percent of what it was; known or not is a move."""
    if before is None or now is None:
        return before is not now
    return abs(Decimal(now) - before) * 100 > percent * abs(Decimal(before))


def _total(told: Told, look: Look, bounds: Bounds) -> tuple[Total, int, list[TotalChange]]:
    before, now = told.total, look.total
    if before is None:
        return now, 0, [TotalChange(None, now)]
    same = not _far(before.saving_month, now.saving_month, bounds.percent)
    if now.saving_month is None:
        same = same and before.gpus_before - before.gpus_after == now.gpus_before - now.gpus_after
    if same:
        return before, 0, []
    if told.total_against + 1 < bounds.after:
        return before, told.total_against + 1, []
    return now, 0, [TotalChange(before, now)]
