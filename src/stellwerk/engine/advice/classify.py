"""What a workload is: training, inference, notebook or batch; by its label, its owner, or its behavior."""

from msgspec import Struct

from stellwerk.engine.advice.profile import HOUR_MS, Profile
from stellwerk.engine.decision import Reason
from stellwerk.engine.demand import KINDS

NOTEBOOK_IDLE_MS = 2 * HOUR_MS


class Kind(Struct, frozen=True):
    """The kind, and `by`: "label", "owner", "behavior" or "" where it stays unknown; `why` says it."""

    kind: str
    by: str
    why: Reason


def classify(profile: Profile) -> Kind:
    """The workload's kind; "unknown" where nothing speaks for one."""
    if profile.kind_label in KINDS and profile.kind_label != "unknown":
        return Kind(
            profile.kind_label, "label", Reason("KindLabel", "its label stellwerk.dev/workload-kind says it")
        )
    if profile.owner_kind == "Notebook":
        values: dict[str, str | int] = {"owner": profile.owner_kind}
        return Kind("notebook", "owner", Reason("KindOwner", "its owner is a {owner}", values))
    return _by_behavior(profile)


def _by_behavior(profile: Profile) -> Kind:
    compute, pattern = profile.compute, profile.pattern
    if compute is None or not pattern.hours:
        return Kind("unknown", "", Reason("KindUnknown", "no label names its kind, and no series shows it"))
    duty, mean = pattern.duty_milli, compute.mean
    values: dict[str, str | int] = {"duty": duty // 10, "mean": mean // 10, "bursts": pattern.bursts}
    if duty >= 850 and mean >= 400:
        why = Reason(
            "SteadyLoad", "active in {duty} % of samples at {mean} % on average: steady load", values
        )
        return Kind("training", "behavior", why)
    if duty <= 250 and pattern.idle_ms >= NOTEBOOK_IDLE_MS:
        values["hours"] = pattern.idle_ms // HOUR_MS
        why = Reason("LongPauses", "active in {duty} % of samples, idle up to {hours} h at a time", values)
        return Kind("notebook", "behavior", why)
    if profile.measured_ms >= 20 * HOUR_MS and pattern.bursts * HOUR_MS >= profile.measured_ms:
        why = Reason("ShortBursts", "active in {duty} % of samples, in {bursts} bursts: requests", values)
        return Kind("inference", "behavior", why)
    if profile.owner_kind in ("Job", "CronJob"):
        values = {"owner": profile.owner_kind}
        return Kind("batch", "owner", Reason("KindOwner", "its owner is a {owner}", values))
    return Kind("unknown", "", Reason("NoKind", "active in {duty} % of samples: no kind is clear", values))
