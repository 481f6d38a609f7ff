"""What Kueue refuses in its Configuration, as far as it is read.

Source: kueue pkg/config/validation.go, after apis/config/v1beta2/defaults.go.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import UnsetType

from stellwerk.api.checks.devices.names import label_key_refusal
from stellwerk.api.checks.names import label_value_refusal
from stellwerk.api.checks.refusal import Refusal, missing, other_word, quoted
from stellwerk.api.duration import parse_duration
from stellwerk.api.groups.kueue_config import (
    AdmissionFairSharing,
    Configuration,
    FairSharing,
    Integrations,
    RequeuingStrategy,
    Resources,
    WaitForPodsReady,
)
from stellwerk.api.groups.meta import LabelSelector, LabelSelectorRequirement, given
from stellwerk.api.selection import selects
from stellwerk.api.yaml_events import key_path
from stellwerk.catalog.kueue import kueue_facts
from stellwerk.engine.queueing.configuration.device_classes import mapping_refusals
from stellwerk.engine.queueing.gates import ALL, FeatureGates, written_values
from stellwerk.engine.queueing.jobs.managed import FRAMEWORKS, KUBE_SYSTEM, KUEUE_SYSTEM, NAMESPACE_NAME
from stellwerk.engine.queueing.preemption.fair import FINAL, INITIAL

CODE = "kueue-configuration"
WORDS = ("Eviction", "Creation")
BLOCK, IGNORE = "BlockUndeclared", "IgnoreUndeclared"
STRATEGIES = ((FINAL, INITIAL), (FINAL,), (INITIAL,))
_BY_PRESENCE, _BY_VALUE = ("Exists", "DoesNotExist"), ("In", "NotIn")


def gate_refusals(changes: Mapping[str, bool]) -> Iterator[Refusal]:
    """Feature gates that there are not, that are fixed, or that are on without one that they need."""
    known = {gate.name: gate for gate in kueue_facts().gates}
    on = written_values(changes)
    for name, value in sorted(changes.items()):
        path = key_path("featureGates", name)
        if name in ALL:
            continue
        if name not in known:
            yield Refusal(
                code=CODE,
                path=path,
                problem="Kueue has no gate {gate}",
                fix="write one of Kueue's feature gates",
                values={"gate": quoted(name)},
            )
        elif not known[name].stage and value != known[name].default:
            yield Refusal(
                code=CODE,
                path=path,
                problem="the gate {gate} is fixed",
                fix="remove it",
                values={"gate": name},
            )
    for name, gate in known.items():
        for needed in gate.needs if on[name] else ():
            if not on[needed]:
                yield Refusal(
                    code=CODE,
                    path=key_path("featureGates", needed if needed in changes else name),
                    problem="the gate {gate} is on, and needs {needed}, which is off",
                    fix="turn {gate} off too",
                    values={"gate": name, "needed": needed},
                )


def configuration_refusals(config: Configuration, gates: FeatureGates) -> Iterator[Refusal]:
    """All that Kueue would refuse at its start, under these gates."""
    if not gates.disable_wait_for_pods_ready:
        yield from _pods_ready(given(config.wait_for_pods_ready, WaitForPodsReady()))
    yield from _integrations(given(config.integrations, Integrations()))
    if not isinstance(config.fair_sharing, UnsetType):
        yield from _fair_sharing(config.fair_sharing)
    if not isinstance(config.admission_fair_sharing, UnsetType):
        yield from _admission_fair_sharing(config.admission_fair_sharing)
    if not isinstance(config.resources, UnsetType):
        yield from _resources(config.resources, gates)
    yield from _namespaces(config)


def duration(text: str | UnsetType, default: int) -> int:
    """A Go duration in ns that `configuration_refusals` let through; `default` where it is not written."""
    return default if isinstance(text, UnsetType) else parse_duration(text)


def _durations(path: str, texts: Mapping[str, str | UnsetType]) -> Iterator[Refusal]:
    """What is no duration, and what is a negative one."""
    for field, text in texts.items():
        if isinstance(text, UnsetType):
            continue
        try:
            negative = parse_duration(text) < 0
        except ValueError:
            yield Refusal(
                code=CODE,
                path=f"{path}.{field}",
                problem="{value} is not a duration",
                fix='write hours, minutes and seconds, such as "3h30m" (a day is "24h")',
                values={"value": quoted(text)},
            )
            continue
        if negative:
            yield _negative(f"{path}.{field}", field, text)


def _negative(path: str, field: str, amount: object) -> Refusal:
    return Refusal(
        code=CODE,
        path=path,
        problem="{field} {amount} is negative",
        fix="write 0 or more",
        values={"field": field, "amount": str(amount)},
    )


def _pods_ready(wait: WaitForPodsReady) -> Iterator[Refusal]:
    path = "waitForPodsReady"
    recovery = given(wait.recovery_timeout, wait.timeout)
    yield from _durations(path, {"timeout": wait.timeout, "recoveryTimeout": recovery})
    strategy, path = given(wait.requeuing_strategy, RequeuingStrategy()), f"{path}.requeuingStrategy"
    word = given(strategy.timestamp, WORDS[0])
    word = given(strategy.timestamp, WORDS[0])
    yield from other_word(CODE, f"{path}.timestamp", word, WORDS)
    numbers = {
        "backoffLimitCount": strategy.backoff_limit_count,
        "backoffBaseSeconds": strategy.backoff_base_seconds,
        "backoffMaxSeconds": strategy.backoff_max_seconds,
    }
    for field, number in numbers.items():
        if given(number, 0) < 0:
            yield _negative(f"{path}.{field}", field, number)


def _integrations(integrations: Integrations) -> Iterator[Refusal]:
    path, seen = "integrations.frameworks", set[str]()
    for i, name in enumerate(given(integrations.frameworks, ())):
        if name not in FRAMEWORKS:
            yield from other_word(CODE, f"{path}[{i}]", name, tuple(FRAMEWORKS))
        elif FRAMEWORKS[name] in seen:
            yield _twice(f"{path}[{i}]", name)
        seen.add(FRAMEWORKS.get(name, ""))
    path = "integrations.externalFrameworks"
    if not given(integrations.frameworks, ()):
        seen.add(FRAMEWORKS["batch/job"])
    for i, name in enumerate(given(integrations.external_frameworks, ())):
        if name.count(".") < 2:
            yield Refusal(
                code=CODE,
                path=f"{path}[{i}]",
                problem="{value} is not Kind.version.group",
                fix="write it as {example}",
                values={"value": quoted(name), "example": "Workflow.v1.example.com"},
            )
        elif name in seen:
            yield _twice(f"{path}[{i}]", name)
        seen.add(name)


def _twice(path: str, name: str) -> Refusal:
    return Refusal(
        code=CODE,
        path=path,
        problem="{name} is there twice",
        fix="remove one of the two",
        values={"name": quoted(name)},
    )


def _fair_sharing(sharing: FairSharing) -> Iterator[Refusal]:
    path, strategies = "fairSharing.preemptionStrategies", given(sharing.preemption_strategies, ())
    if not strategies:
        yield missing(CODE, path, "preemptionStrategies")
    elif strategies not in STRATEGIES:
        known = ", ".join(f"[{', '.join(one)}]" for one in STRATEGIES)
        yield Refusal(
            code=CODE,
            path=path,
            problem="the strategies {value} are not one of the lists that Kueue knows",
            fix="write one of: {known}",
            values={"value": quoted(", ".join(strategies)), "known": known},
        )


def _admission_fair_sharing(sharing: AdmissionFairSharing) -> Iterator[Refusal]:
    path = "admissionFairSharing"
    yield from _durations(
        path,
        {
            "usageHalfLifeTime": sharing.usage_half_life_time,
            "usageSamplingInterval": sharing.usage_sampling_interval,
        },
    )
    for name, weight in sorted(given(sharing.resource_weights, {}).items()):
        if weight < 0:
            yield _negative(key_path(f"{path}.resourceWeights", name), "resourceWeights", weight)


def _resources(resources: Resources, gates: FeatureGates) -> Iterator[Refusal]:
    seen = set[str]()
    for i, one in enumerate(given(resources.transformations, ())):
        path = f"resources.transformations[{i}]"
        strategy = given(one.strategy, "") or "Retain"
        yield from other_word(CODE, f"{path}.strategy", strategy, ("Retain", "Replace"))
        if one.input in seen:
            yield _twice(f"{path}.input", one.input)
        seen.add(one.input)
    yield from mapping_refusals(given(resources.device_class_mappings, ()), gates)
    path, strategy = "resources.quotaCheckStrategy", given(resources.quota_check_strategy, BLOCK)
    if not gates.quota_check_strategy:
        return
    if given(resources.exclude_resource_prefixes, ()) and strategy == IGNORE:
        yield Refusal(
            code=CODE,
            path=path,
            problem="{value} does not go together with excludeResourcePrefixes",
            fix="remove one of the two",
            values={"value": IGNORE},
        )
    yield from other_word(CODE, path, strategy, (BLOCK, IGNORE))


def _namespaces(config: Configuration) -> Iterator[Refusal]:
    """The selector must leave the system's namespaces alone."""
    selector = config.managed_jobs_namespace_selector
    if isinstance(selector, UnsetType):
        return
    path = "managedJobsNamespaceSelector"
    wrong = list(_selector(path, selector))
    yield from wrong
    if wrong:
        return
    for name in dict.fromkeys((KUBE_SYSTEM, given(config.namespace, "") or KUEUE_SYSTEM)):
        if selects(selector, {NAMESPACE_NAME: name}):
            yield Refusal(
                code=CODE,
                path=path,
                problem="the selector takes the namespace {name}, whose jobs must not wait for Kueue",
                fix="exclude it: key kubernetes.io/metadata.name, operator NotIn",
                values={"name": name},
            )


def _selector(path: str, selector: LabelSelector) -> Iterator[Refusal]:
    for key, value in given(selector.match_labels, {}).items():
        yield from label_key_refusal(f"{path}.matchLabels", key)
        yield from label_value_refusal(key_path(f"{path}.matchLabels", key), value)
    for i, one in enumerate(given(selector.match_expressions, ())):
        yield from _requirement(f"{path}.matchExpressions[{i}]", one)


def _requirement(path: str, one: LabelSelectorRequirement) -> Iterator[Refusal]:
    values: Sequence[str] = given(one.values, ())
    yield from other_word(CODE, f"{path}.operator", one.operator, (*_BY_VALUE, *_BY_PRESENCE))
    if one.operator in _BY_VALUE and not values:
        yield missing(CODE, f"{path}.values", "values")
    if one.operator in _BY_PRESENCE and values:
        yield Refusal(
            code=CODE,
            path=f"{path}.values",
            problem="the operator {operator} takes no values",
            fix="remove them",
            values={"operator": one.operator},
        )
    yield from label_key_refusal(f"{path}.key", one.key)
    for i, value in enumerate(values):
        yield from label_value_refusal(f"{path}.values[{i}]", value)
