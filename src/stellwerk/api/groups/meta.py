"""meta/v1: what every object carries, and the types that all groups share."""

from collections.abc import Mapping
from typing import Annotated, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType, field

from stellwerk.api.quantity import Quantity

T = TypeVar("T")
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
ResourceList = Mapping[str, Quantity]


def given(value: T | UnsetType, default: T) -> T:
    """The field's value, or `default` where the object does not have it."""
    return default if isinstance(value, UnsetType) else value


class OwnerReference(Struct, frozen=True, kw_only=True, rename="camel"):
    """The object that this one belongs to."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | UnsetType = UNSET
    block_owner_deletion: bool | UnsetType = UNSET


class ObjectMeta(Struct, frozen=True, kw_only=True, rename="camel"):
    """Name, namespace, labels and annotations; times are RFC 3339 text."""

    name: str | UnsetType = UNSET
    generate_name: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    uid: str | UnsetType = UNSET
    resource_version: str | UnsetType = UNSET
    generation: Int64 | UnsetType = UNSET
    creation_timestamp: str | UnsetType = UNSET
    deletion_timestamp: str | UnsetType = UNSET
    deletion_grace_period_seconds: Int64 | UnsetType = UNSET
    labels: Mapping[str, str] | UnsetType = UNSET
    annotations: Mapping[str, str] | UnsetType = UNSET
    owner_references: tuple[OwnerReference, ...] | UnsetType = UNSET
    finalizers: tuple[str, ...] | UnsetType = UNSET


class ListMeta(Struct, frozen=True, kw_only=True, rename="camel"):
    """The metadata of a List."""

    resource_version: str | UnsetType = UNSET
    continue_: str | UnsetType = field(name="continue", default=UNSET)
    remaining_item_count: Int64 | UnsetType = UNSET


class LabelSelectorRequirement(Struct, frozen=True, kw_only=True, rename="camel"):
    """`operator`: In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] | UnsetType = UNSET


class LabelSelector(Struct, frozen=True, kw_only=True, rename="camel"):
    """Selects by labels; an empty one selects everything."""

    match_labels: Mapping[str, str] | UnsetType = UNSET
    match_expressions: tuple[LabelSelectorRequirement, ...] | UnsetType = UNSET


class Condition(Struct, frozen=True, kw_only=True, rename="camel"):
    """One observation of a status, of any kind (Node, Pod, Job, metav1); type and status are always there."""

    type: str
    status: str
    observed_generation: Int64 | UnsetType = UNSET
    last_transition_time: str | UnsetType = UNSET
    last_heartbeat_time: str | UnsetType = UNSET
    last_probe_time: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
