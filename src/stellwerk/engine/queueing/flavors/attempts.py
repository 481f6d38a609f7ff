"""The flavors that were looked at, over all resources of a PodSet, and the one reason for a "no".

Source: kueue pkg/scheduler/flavorassigner/flavor_assigner_attempts.go, flavorassigner.go
(resolveNoFitReason).
"""

from collections.abc import Sequence

from msgspec.structs import replace

from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.flavors.assignment import (
    NO_MATCHING_FLAVOR,
    SEVERITY,
    Attempt,
    most_severe,
)
from stellwerk.engine.queueing.flavors.mode import NO_FIT
from stellwerk.engine.queueing.queue import Queue


def merge_attempts(merged: dict[str, Attempt], more: Sequence[Attempt], resource: str, queue: Queue) -> None:
    """Take in what was looked at for one more resource; the worst counts.

    A flavor of the same group that was not looked at for this resource does not provide it.
    """
    if not merged:
        merged.update({attempt.flavor: _once(attempt) for attempt in more})
        return
    for attempt in more:
        have = merged.get(attempt.flavor)
        merged[attempt.flavor] = _once(attempt) if have is None else _worse(have, attempt)
    if not more:
        return
    looked_at = {attempt.flavor for attempt in more}
    for flavor in queue.group_of[resource].flavors:
        if flavor in merged and flavor not in looked_at:
            reason = Reason(
                "ResourceNotProvided",
                "flavor {flavor} does not provide resource {resource}",
                {"flavor": flavor, "resource": resource},
            )
            merged[flavor] = replace(
                merged[flavor],
                mode=NO_FIT,
                reasons=_unique((*merged[flavor].reasons, reason)),
                no_fit_reason=NO_MATCHING_FLAVOR,
            )


def no_fit_reason(attempts: Sequence[Sequence[Attempt]], queue: Queue) -> str:
    """Of the PodSets that do not fit (their attempts): the worst over PodSets and groups of the mildest in a
    group.

    In a group one flavor is enough, so the mildest counts; all groups are needed, so the worst of them does.
    """
    overall = ""
    for of_pod_set in attempts:
        if not of_pod_set:
            overall = most_severe(overall, NO_MATCHING_FLAVOR)
            continue
        mildest: dict[int, str] = {}
        for place, attempt in enumerate(of_pod_set):
            if attempt.mode != NO_FIT:
                continue
            # A flavor in no group (deleted since) stands for itself.
            groups = [i for i, group in enumerate(queue.groups) if attempt.flavor in group.flavors] or [
                -1 - place
            ]
            for group in groups:
                known = mildest.get(group, attempt.no_fit_reason)
                mildest[group] = min(known, attempt.no_fit_reason, key=SEVERITY.__getitem__)
        for reason in mildest.values():
            overall = most_severe(overall, reason)
    return overall


def _once(attempt: Attempt) -> Attempt:
    return attempt if len(attempt.reasons) < 2 else replace(attempt, reasons=_unique(attempt.reasons))


def _worse(one: Attempt, other: Attempt) -> Attempt:
    known = [each.possibility for each in (one, other) if each.possibility is not None]
    return Attempt(
        flavor=one.flavor,
        mode=min(one.mode, other.mode),
        borrowing_level=max(one.borrowing_level, other.borrowing_level),
        possibility=min(known, default=None),
        reasons=_unique((*one.reasons, *other.reasons)),
        no_fit_reason=most_severe(one.no_fit_reason, other.no_fit_reason),
    )


def _unique(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Each text once, in order of the texts."""
    by_text = {str(reason): reason for reason in reasons}
    return tuple(by_text[text] for text in sorted(by_text))
