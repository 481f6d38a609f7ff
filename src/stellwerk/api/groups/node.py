"""node.k8s.io/v1: RuntimeClass, what running a pod costs besides its containers."""

from msgspec import UNSET, Struct, UnsetType

from stellwerk.api.groups.meta import ObjectMeta, ResourceList


class Overhead(Struct, frozen=True, kw_only=True, rename="camel"):
    """What each pod costs."""

    pod_fixed: ResourceList | UnsetType = UNSET


class RuntimeClass(Struct, frozen=True, kw_only=True, rename="camel"):
    """How the containers of a pod are run."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    handler: str
    overhead: Overhead | UnsetType = UNSET
