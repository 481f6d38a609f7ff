"""What the verdicts save: the measured pods packed again, each as advised, by the engine's placement.

Before: the most GPUs that pods held at one time. After: the most that they hold when each pod gets the share
of its verdict, placed when it starts and freed when it ends. A GPU serves one method only. Where nodes end is
not considered: what a pod of several GPUs needs on one node, it has already.

A share that takes no fewer GPUs is no advice: the workload may share, and is kept as it is. That is asked of
each workload, of all that share one way, and of all of a model together.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.advice.advised import Advised
from stellwerk.engine.advice.profile import Profile
from stellwerk.engine.advice.profiles import known_model, profiles_of, scale_of, workload_names
from stellwerk.engine.advice.rules import Margins
from stellwerk.engine.advice.verdict import OTHER_MODEL, Share, Verdict, advise
from stellwerk.engine.decision import Reason
from stellwerk.engine.money.bill import HOURS_PER_MONTH
from stellwerk.engine.money.exact import fraction, rounded
from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.partition.geometry import MigProfile
from stellwerk.engine.partition.need import GpuFacts, Need
from stellwerk.engine.partition.policy import MIG, MPS
from stellwerk.engine.placement.place import GpuState, Grant, Request, Site, empty, occupy, place, vacate
from stellwerk.engine.snapshot import Fleet
from stellwerk.engine.usage import Usage


class Packed(Struct, frozen=True, kw_only=True):
    """One GPU model: GPUs seen in the series, the most held at once, and the most when packed as advised."""

    model: str
    seen: int
    before: int
    after: int
    gpu_hour: Decimal | None = None
    saving_month: Decimal | None = None


class Advice(Struct, frozen=True, kw_only=True):
    """All workloads by name, all GPU models by name, and what a month of 730 h costs less (None: unknown)."""

    workloads: tuple[Advised, ...]
    packed: tuple[Packed, ...]
    start_ms: int
    end_ms: int
    currency: str
    gpus_seen: int
    gpus_before: int
    gpus_after: int
    saving_month: Decimal | None
    notes: tuple[str, ...] = ()
    warnings: tuple[Reason, ...] = ()


ASSUMED_MODEL = (
    "The metrics name no GPU model for {count} workloads: they are taken as {model}, from --fleet."
)
NO_MODEL = "The metrics name no GPU model for {count} workloads: name a fleet of one model with --fleet."
NO_PRICE = "No price is known for {model}, so nothing is said in money: name the fleet with --fleet."
NO_FLEET = "No fleet was given, so nothing is said in money: name it with --fleet."
TAKES_MORE = "keep it as it is: sharing would take {milli} thousandths of a GPU more"
COSTS_MORE = "keep it as it is: sharing would cost {amount} a month more, in the fleet's currency"
MORE_GPUS = "keep it as it is: sharing it and its like ({count} workloads) would take {gpus} GPUs more"
NODES_IGNORED = "Packing takes all GPUs of a model as one pool: where nodes end is not considered."
OTHER_NOT_COUNTED = "Another GPU model is advised for {count} workloads: its price is not in the saving."


def advise_usage(usage: Usage, fleet: Fleet | None, margins: Margins) -> Advice:
    """A verdict on each workload of `usage`, and what all of them save together; `fleet` gives the prices.

    Where the exporter named no GPU model, the fleet's model stands in, if it has only one.
    """
    models = {node.gpu_model for node in fleet.nodes} if fleet else set()
    default = models.pop() if len(models) == 1 else ""
    profiles = profiles_of(usage, default)
    facts = {profile.model: _facts(profile.model) for profile in profiles}
    verdicts = {each.name: advise(each, facts[each.model], margins) for each in profiles}
    prices = _prices(fleet) if fleet else {}
    by_name = {each.name: each for each in profiles}
    # A pod that no scrape saw names no model: it says nothing of GPUs, and hides no price of others.
    held = {
        by_name[name].model
        for name, pod in zip(workload_names(usage), usage.pods, strict=True)
        if pod.devices
    }
    plans = [
        _plan(usage, model, _Known(by_name, verdicts, facts[model]), prices.get(model))
        for model in sorted(held)
    ]
    kept = {name: why for _, each in plans for name, why in each.items()}
    packed = tuple(each for each, _ in plans)
    known = bool(packed) and all(each.saving_month is not None for each in packed)
    found = Advice(
        workloads=tuple(
            _advised(each, verdicts[each.name], prices.get(each.model), kept.get(each.name))
            for each in profiles
        ),
        packed=packed,
        start_ms=usage.start_ms,
        end_ms=usage.end_ms,
        currency=fleet.currency if fleet else "",
        gpus_seen=sum(each.seen for each in packed),
        gpus_before=sum(each.before for each in packed),
        gpus_after=sum(each.after for each in packed),
        saving_month=sum((each.saving_month or Decimal(0) for each in packed), Decimal(0)) if known else None,
        warnings=usage.warnings,
    )
    unnamed = sum(all(not device.model for device in usage.devices) for _ in profiles)
    return replace(found, notes=_notes(found, fleet, default, unnamed))


def check_model(usage: Usage, fleet: Fleet | None, source: str) -> None:
    """Raise InvalidInput, naming `source`, where neither the metrics nor the fleet say the GPU model."""
    if any(device.model for device in usage.devices) or not usage.devices:
        return
    models = sorted({node.gpu_model for node in fleet.nodes}) if fleet else []
    if len(models) > 1:
        raise InvalidInput(
            "{name} names no GPU model, and the fleet has several: {models}",
            fix="name a fleet of one model, such as --fleet 8xscaleway/H100-1-80G",
            path="--fleet",
            name=source,
            models=", ".join(models),
        )
    if not models:
        raise InvalidInput(
            "{name} names no GPU model, and nothing can be advised without one",
            fix="name the fleet that it ran on, such as --fleet 8xscaleway/H100-1-80G",
            path="--fleet",
            name=source,
        )


def _facts(model: str) -> GpuFacts | None:
    return gpu_facts(model) if known_model(model) else None


def _prices(fleet: Fleet) -> dict[str, Fraction]:
    """What one GPU of each model costs an hour, as a part of its nodes; without models of unknown cost."""
    cost: dict[str, Fraction | None] = {}
    gpus: dict[str, int] = {}
    for node in fleet.nodes:
        gpus[node.gpu_model] = gpus.get(node.gpu_model, 0) + node.gpus
        so_far = cost.get(node.gpu_model, Fraction(0))
        terms = [] if node.cost.unknown else [fraction(term.per_hour) for term in node.cost.terms]
        cost[node.gpu_model] = None if so_far is None or not terms else so_far + sum(terms, Fraction(0))
    return {model: each / gpus[model] for model, each in cost.items() if each is not None}


def _advised(profile: Profile, verdict: Verdict, price: Fraction | None, kept: Reason | None) -> Advised:
    before, after = _held(profile, None if kept else verdict.share)
    saved = Fraction(before - after, 1000) * HOURS_PER_MONTH
    return Advised(
        profile=profile,
        verdict=verdict,
        held_before_milli=before,
        held_after_milli=after,
        saving_month=None if price is None else rounded(saved * price, 2),
        kept=kept,
    )


def _held(profile: Profile, share: Share | None) -> tuple[int, int]:
    """Thousandths of GPUs that all pods at once hold as measured, and with this share."""
    # A pod that had an instance, or one of several tenants, held no whole GPU before.
    slices, of_slices = scale_of(profile.model, profile.instance).memory
    tenants = 1 + len(profile.shared_with)
    before = profile.at_once * profile.gpus * 1000 * slices // (of_slices * tenants)
    return before, profile.at_once * share.held_milli if share else before


class _Known(Struct, frozen=True):
    """Of all workloads the profile and the verdict by name, and of one model the facts (None: unknown)."""

    profiles: Mapping[str, Profile]
    verdicts: Mapping[str, Verdict]
    facts: GpuFacts | None


class _Pool:
    """GPUs of one model as they fill and empty over time; a new one is opened when none has room."""

    def __init__(self, facts: GpuFacts) -> None:
        self.facts = facts
        self.sites: list[Site] = []
        self.states: list[GpuState] = []

    def take(self, pods: int, need: Need) -> tuple[Grant, ...]:
        request = Request(pods, ((self.facts.model, (need,)),))
        while True:
            found = place(self.sites, self.states, request)
            if isinstance(found, tuple):
                break
            self.sites.append(Site(node=len(self.sites), index=0, facts=self.facts))
            self.states.append(empty(self.sites[-1]))
        for grant in found:
            self.states[grant.gpu] = occupy(self.sites[grant.gpu], self.states[grant.gpu], grant)
        return found

    def give(self, grants: tuple[Grant, ...]) -> None:
        for grant in grants:
            self.states[grant.gpu] = vacate(self.sites[grant.gpu], self.states[grant.gpu], grant)


class _Held:
    """How many GPUs are held, each counted once however many pods are on it."""

    def __init__(self) -> None:
        self.tenants: dict[str, int] = {}
        self.gpus = 0

    def change(self, gpus: frozenset[str], step: int) -> None:
        for gpu in gpus:
            was = self.tenants.get(gpu, 0)
            self.tenants[gpu] = was + step
            self.gpus += bool(was + step) - bool(was)


def _plan(
    usage: Usage, model: str, known: _Known, price: Fraction | None
) -> tuple[Packed, dict[str, Reason]]:
    """The GPUs of a model before and after, and the workloads that may share but are kept, with why."""
    names = workload_names(usage)
    pods = {at for at, name in enumerate(names) if known.profiles[name].model == model}
    shares = {name: share for name in names if (share := known.verdicts[name].share) is not None}
    shares = {name: share for name, share in shares.items() if known.profiles[name].model == model}
    kept = _each_alone(shares, known, price)
    for method in sorted({share.method for share in shares.values()}):
        mine = {name: each for name, each in shares.items() if each.method == method and name not in kept}
        before, after = _peaks(usage, {at for at in pods if names[at] in mine}, mine, known.facts)
        if after >= before:
            kept |= dict.fromkeys(mine, _no_gain(after - before, len(mine)))
    left = {name: share for name, share in shares.items() if name not in kept}
    before, after = _peaks(usage, pods, left, known.facts)
    if left and after >= before:
        kept |= dict.fromkeys(left, _no_gain(after - before, len(left)))
        after = before
    return _packed(usage, model, (before, after), price), kept


def _each_alone(shares: Mapping[str, Share], known: _Known, price: Fraction | None) -> dict[str, Reason]:
    """Workloads whose share is no less than what they hold already, such as an instance of that size."""
    kept: dict[str, Reason] = {}
    for name, share in shares.items():
        before, after = _held(known.profiles[name], share)
        if after == before:
            kept[name] = _no_gain(0, 1)
        elif after > before and price is None:
            kept[name] = Reason("TakesMore", TAKES_MORE, {"milli": after - before})
        elif after > before and price is not None:
            more = rounded(Fraction(after - before, 1000) * HOURS_PER_MONTH * price, 2)
            kept[name] = Reason("CostsMore", COSTS_MORE, {"amount": str(more)})
    return kept


def _no_gain(more: int, count: int) -> Reason:
    if not more:
        return Reason("SavesNothing", "keep it as it is: sharing saves nothing here")
    values: dict[str, str | int] = {"count": count, "gpus": more}
    return Reason("ShareMoreGpus", MORE_GPUS, values)


def _packed(usage: Usage, model: str, peaks: tuple[int, int], price: Fraction | None) -> Packed:
    devices = [device for device in usage.devices if device.model == model or not device.model]
    saved = Fraction(peaks[0] - peaks[1]) * HOURS_PER_MONTH
    return Packed(
        model=model,
        seen=len({f"{device.node}/{device.uuid}" for device in devices}),
        before=peaks[0],
        after=peaks[1],
        gpu_hour=None if price is None else rounded(price, 4),
        saving_month=None if price is None else rounded(saved * price, 2),
    )


def _peaks(
    usage: Usage, pods: set[int], shares: Mapping[str, Share], facts: GpuFacts | None
) -> tuple[int, int]:
    """The most GPUs that these pods (by place) held at once, and the most when each has its share."""
    names = workload_names(usage)
    gpu_of = {device.key: f"{device.node}/{device.uuid}" for device in usage.devices}
    # One pool a method: a GPU of one is never lent to another, as on a node with the device plugin.
    pools: dict[str, _Pool] = {}
    granted: dict[int, tuple[str, tuple[Grant, ...]]] = {}
    before, kept = _Held(), _Held()
    most_before = most_after = 0
    for _, starts, at in _changes(usage, pods):
        pod, share, step = usage.pods[at], shares.get(names[at]), 1 if starts else -1
        gpus = frozenset(gpu_of.get(key, key) for key in pod.devices) or frozenset({pod.name})
        before.change(gpus, step)
        if share is None or facts is None:
            kept.change(gpus, step)  # It stays as it is; tenants of one GPU stay together on it.
        elif starts:
            pool = pools.setdefault(share.method, _Pool(facts))
            granted[at] = share.method, pool.take(1, _need(share, facts))
        else:
            method, grants = granted.pop(at)
            pools[method].give(grants)
        busy = sum(state.tenants > 0 for pool in pools.values() for state in pool.states)
        most_before, most_after = max(most_before, before.gpus), max(most_after, kept.gpus + busy)
    return most_before, most_after


def _changes(usage: Usage, pods: set[int]) -> list[tuple[int, int, int]]:
    """(time, 1 start or 0 end, pod) in order; at one time, ends go first."""
    spans = [(usage.pods[at].start_ms, usage.pods[at].end_ms, at) for at in pods]
    real = [(start, end, at) for start, end, at in spans if end > start]
    return sorted([(start, 1, at) for start, _, at in real] + [(end, 0, at) for _, end, at in real])


def _notes(advice: Advice, fleet: Fleet | None, default: str, unnamed: int) -> tuple[str, ...]:
    found: list[str] = []
    if unnamed:
        assumed = ASSUMED_MODEL.format(count=unnamed, model=default)
        found.append(assumed if default else NO_MODEL.format(count=unnamed))
    if fleet is None:
        found.append(NO_FLEET)
    for each in advice.packed if fleet else ():
        if each.gpu_hour is None:
            found.append(NO_PRICE.format(model=each.model or "?"))
    if others := sum(each.verdict.choice == OTHER_MODEL for each in advice.workloads):
        found.append(OTHER_NOT_COUNTED.format(count=others))
    found.append(NODES_IGNORED)
    return (*found, *(fleet.notes if fleet else ()))


def _need(share: Share, facts: GpuFacts) -> Need:
    """The share as placement takes it; a replica is placed by its part of memory and time, like MPS."""
    if share.method == MIG:
        assert facts.mig is not None, "a MIG share is advised only where the model has MIG"
        accepts: tuple[MigProfile, ...] = tuple(
            each for each in facts.mig.profiles if each.name == share.profile
        )
        return Need(method=MIG, accepts=accepts, held_milli=share.held_milli)
    return Need(
        method=MPS,
        memory_bytes=share.memory_bytes,
        compute_milli=share.compute_milli,
        held_milli=share.held_milli,
    )
