"""A live cluster's objects that decide on claims, together with those of the files."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from stellwerk.api.groups.core import Namespace
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceClass, ResourceClaim, ResourceClaimTemplate
from stellwerk.api.manifests import Manifest
from stellwerk.engine.allocation.pods.cluster import Rules
from stellwerk.engine.queueing.course.verdict import Verdict

Key = tuple[str, str, str]  # Kind, namespace ("": none) and name.
DEFAULT = "default"
# Objects of no namespace among those that are read.
_WIDE = frozenset(
    ("Namespace", "Node", "DeviceClass", "DeviceTaintRule", "ResourceSlice", "RuntimeClass", "ClusterQueue",
     "Cohort", "ResourceFlavor", "AdmissionCheck", "Topology", "WorkloadPriorityClass", "NodePool")
)  # fmt: skip


class There(Struct, frozen=True, kw_only=True):
    """The cluster. `rules`: of its scheduler; `managed`: whether Kueue decides when pods of an object start.

    `decided`: what Kueue says of each Job of these objects, by namespace/name, if nobody else holds quota.
    `buys_gpus`: Karpenter's instance types may have nvidia.com/gpu (those of its provider kwok have none).
    """

    manifests: tuple[Manifest, ...]
    rules: Rules
    managed: Callable[[Manifest], bool]
    decided: Callable[[Sequence[Manifest]], Mapping[str, Verdict]]
    buys_gpus: bool = True


class Both(Struct, frozen=True, kw_only=True):
    """Files and cluster together. `written` are the files' objects, `all_` also those of the cluster."""

    written: tuple[Manifest, ...]
    there: There
    all_: tuple[Manifest, ...]

    def classes(self) -> dict[str, DeviceClass]:
        """All DeviceClasses, by name."""
        return {
            given(one.object.metadata.name, ""): one.object
            for one in self.all_
            if isinstance(one.object, DeviceClass)
        }

    def namespaces(self) -> frozenset[str]:
        """The names of all namespaces; that of `default` always is."""
        return frozenset(
            {DEFAULT}
            | {given(one.object.metadata.name, "") for one in self.all_ if isinstance(one.object, Namespace)}
        )


def key_of(manifest: Manifest) -> Key:
    """Which object it is: the one that `kubectl apply` would change."""
    metadata = manifest.raw.get("metadata") or {}
    namespace = "" if manifest.kind in _WIDE else str(metadata.get("namespace") or DEFAULT)
    return manifest.kind, namespace, str(metadata.get("name") or metadata.get("generateName") or "")


def both_of(written: Sequence[Manifest], there: There) -> Both:
    """Files and cluster together: a file's object takes the place of the cluster's.

    Claims and templates cannot be changed once they are there: the cluster's stays, with its devices. A node
    of the cluster too, since what it has is in its status.
    """
    kept = {key_of(one) for one in there.manifests if _stays(one)}
    mine = [one for one in written if key_of(one) not in kept]
    replaced = {key_of(one) for one in mine}
    others: Iterable[Manifest] = (one for one in there.manifests if key_of(one) not in replaced)
    return Both(written=tuple(written), there=there, all_=(*others, *mine))


def _stays(manifest: Manifest) -> bool:
    return isinstance(manifest.object, ResourceClaim | ResourceClaimTemplate) or manifest.kind == "Node"
