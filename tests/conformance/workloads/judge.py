"""Advise on a case, and say how the verdict stands to the truth."""

from typing import Literal

from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.advice.verdict import NOT_ENOUGH_DATA, OTHER_MODEL, SHARES, Verdict, advise
from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.partition.policy import MIG
from tests.conformance.workloads.cases import Case, profile_of

Outcome = Literal["ok", "dangerous", "needless", "guess"]


class Judged(Struct, frozen=True):
    """`dangerous`: shares what it must not, or in an unsafe way; `needless`: exclusive where it may share;

    `guess`: a verdict where the truth is that the data does not suffice.
    """

    case: Case
    verdict: Verdict
    outcome: Outcome


def judge(case: Case) -> Judged:
    """The engine's verdict on a case beside its truth."""
    try:
        facts = gpu_facts(case.workload.gpu_model)
    except InvalidInput:
        facts = None
    try:
        verdict = advise(profile_of(case), facts)
    except ValueError as error:
        raise ValueError(f"case {case.name}: {error}") from None
    return Judged(case, verdict, _outcome(case, verdict))


def _outcome(case: Case, verdict: Verdict) -> Outcome:
    truth, choice = case.truth, verdict.choice
    if choice in SHARES and choice not in truth.share:
        return "dangerous"
    if (
        choice == MIG
        and truth.mig_profiles
        and verdict.share
        and verdict.share.profile not in truth.mig_profiles
    ):
        return "dangerous"
    if truth.unknown and choice != NOT_ENOUGH_DATA:
        return "guess"
    if truth.share and choice not in SHARES and not (choice == OTHER_MODEL and choice in truth.share):
        return "needless"
    return "ok"
