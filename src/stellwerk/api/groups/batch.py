"""batch/v1: Job."""

from msgspec import UNSET, Struct, UnsetType

from stellwerk.api.groups.core import PodTemplateSpec
from stellwerk.api.groups.meta import Condition, Int32, Int64, LabelSelector, ObjectMeta


class JobSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """`parallelism` pods at a time (default 1) until `completions` succeeded."""

    template: PodTemplateSpec
    parallelism: Int32 | UnsetType = UNSET
    completions: Int32 | UnsetType = UNSET
    active_deadline_seconds: Int64 | UnsetType = UNSET
    backoff_limit: Int32 | UnsetType = UNSET
    backoff_limit_per_index: Int32 | UnsetType = UNSET
    max_failed_indexes: Int32 | UnsetType = UNSET
    selector: LabelSelector | UnsetType = UNSET
    manual_selector: bool | UnsetType = UNSET
    ttl_seconds_after_finished: Int32 | UnsetType = UNSET
    completion_mode: str | UnsetType = UNSET
    suspend: bool | UnsetType = UNSET
    pod_replacement_policy: str | UnsetType = UNSET
    managed_by: str | UnsetType = UNSET


class JobStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of a Job's pods."""

    conditions: tuple[Condition, ...] | UnsetType = UNSET
    start_time: str | UnsetType = UNSET
    completion_time: str | UnsetType = UNSET
    active: Int32 | UnsetType = UNSET
    succeeded: Int32 | UnsetType = UNSET
    failed: Int32 | UnsetType = UNSET
    terminating: Int32 | UnsetType = UNSET
    ready: Int32 | UnsetType = UNSET
    completed_indexes: str | UnsetType = UNSET
    failed_indexes: str | UnsetType = UNSET


class Job(Struct, frozen=True, kw_only=True, rename="camel"):
    """Work that ends."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: JobSpec
    status: JobStatus | UnsetType = UNSET
