"""`configuration_of`: Kueue's Configuration as the decisions take it, with Kueue's defaults.

Source: kueue apis/config/v1beta2/defaults.go, cmd/kueue/main.go, pkg/controller/core/core.go.
"""

from collections.abc import Mapping

from msgspec import UnsetType

from stellwerk.api.groups import kueue_config as api
from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.configuration.check import IGNORE, duration
from stellwerk.engine.queueing.gates import FeatureGates, feature_gates
from stellwerk.engine.queueing.jobs.managed import JOB, KUBE_SYSTEM, KUEUE_SYSTEM, ManagedJobs, not_in
from stellwerk.engine.queueing.local_usage import AdmissionFairSharing
from stellwerk.engine.queueing.pods_ready import MINUTE, PodsReady
from stellwerk.engine.queueing.requests.devices.mapping import device_classes_of
from stellwerk.engine.queueing.requests.total import Counting
from stellwerk.engine.queueing.requests.transformation import Transformation
from stellwerk.engine.queueing.snapshot import Configuration
from stellwerk.engine.queueing.standing import EVICTION

DEFAULT_NAMESPACE = KUEUE_SYSTEM


def gates_of(written: Mapping[str, bool], changes: Mapping[str, bool]) -> FeatureGates:
    """The gates of a Configuration, with `changes` on top. Raises ValueError as `feature_gates` does."""
    return feature_gates({**written, **changes})


def configuration_of(config: api.Configuration, gates: FeatureGates) -> Configuration:
    """What a Configuration decides that `configuration_refusals` let through."""
    resources = given(config.resources, api.Resources())
    sharing = given(config.fair_sharing, None)
    wait = given(config.wait_for_pods_ready, api.WaitForPodsReady())
    strategy = given(wait.requeuing_strategy, api.RequeuingStrategy())
    return Configuration(
        counting=Counting(
            gates=gates,
            transformations=tuple(map(_transformation, given(resources.transformations, ()))),
            excluded_prefixes=given(resources.exclude_resource_prefixes, ()),
        ),
        fair_sharing=None if sharing is None else given(sharing.preemption_strategies, ()),
        admission_fair_sharing=_admission_fair_sharing(config.admission_fair_sharing),
        ignore_undeclared=given(resources.quota_check_strategy, "") == IGNORE,
        device_classes=device_classes_of(given(resources.device_class_mappings, ())),
        jobs=_jobs(config),
        requeuing_timestamp=given(strategy.timestamp, EVICTION),
        pods_ready=pods_ready_of(wait, gates),
    )


def pods_ready_of(wait: api.WaitForPodsReady, gates: FeatureGates) -> PodsReady | None:
    """waitForPodsReady; None: the gate DisableWaitForPodsReady is on."""
    if gates.disable_wait_for_pods_ready:
        return None
    strategy = given(wait.requeuing_strategy, api.RequeuingStrategy())
    timeout = duration(wait.timeout, 0) or 30 * MINUTE
    recovery = duration(wait.recovery_timeout, timeout)
    return PodsReady(
        timeout_ns=timeout,
        recovery_ns=recovery if recovery > 0 else None,
        block_admission=given(wait.block_admission, False),
        base_s=given(strategy.backoff_base_seconds, 60),
        most_s=given(strategy.backoff_max_seconds, 3600),
        limit=given(strategy.backoff_limit_count, None),
    )


def _transformation(one: api.ResourceTransformation) -> Transformation:
    return Transformation(
        input=one.input,
        outputs=given(one.outputs, {}),
        strategy=given(one.strategy, "") or "Retain",
        multiply_by=given(one.multiply_by, ""),
    )


def _admission_fair_sharing(sharing: api.AdmissionFairSharing | UnsetType) -> AdmissionFairSharing | None:
    if isinstance(sharing, UnsetType):
        return None
    weights = given(sharing.resource_weights, {})
    return AdmissionFairSharing(
        half_life_ns=duration(sharing.usage_half_life_time, 0),
        sampling_ns=duration(sharing.usage_sampling_interval, 0) or 5 * MINUTE,
        weights={name: float(weight) for name, weight in weights.items()},
    )


def _jobs(config: api.Configuration) -> ManagedJobs:
    integrations = given(config.integrations, api.Integrations())
    own = given(config.namespace, "") or DEFAULT_NAMESPACE
    return ManagedJobs(
        frameworks=given(integrations.frameworks, ()) or (JOB,),
        without_queue_name=given(config.manage_jobs_without_queue_name, False),
        namespaces=given(config.managed_jobs_namespace_selector, not_in(KUBE_SYSTEM, own)),
    )
