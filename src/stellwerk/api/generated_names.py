"""Names for objects that only have `generateName`: the API server adds five random characters to it.

Here the five follow from what is in the files, so that a run repeats. Source: names.go in apiserver's
storage/names (Kubernetes 1.37): the letters, and the longest base.
"""

import hashlib
from collections.abc import Sequence

from msgspec import Struct, structs

from stellwerk.api.checks.names import Identity, identity
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.manifests import Manifest
from stellwerk.api.scheme import CLUSTER_SCOPED, group_of

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_LONGEST_BASE = 58


def suffix_of(text: str) -> str:
    """Five characters as Kubernetes' generated names end in, the same for the same text."""
    digest = hashlib.sha256(text.encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:5])


def with_names(manifests: Sequence[Manifest]) -> list[Manifest]:
    """The same objects; each that only has `generateName` gets a name that no other of its kind has."""
    taken = {one for manifest in manifests if (one := identity(manifest)) is not None}
    found = []
    for manifest in manifests:
        base = _base(manifest)
        found.append(_named(manifest, base, taken) if base and identity(manifest) is None else manifest)
    return found


def _base(manifest: Manifest) -> str:
    metadata = manifest.raw.get("metadata")
    base = metadata.get("generateName") if isinstance(metadata, dict) else None
    return base if isinstance(base, str) else ""


def _named(manifest: Manifest, base: str, taken: set[Identity]) -> Manifest:
    metadata = manifest.raw["metadata"]
    namespace = "" if manifest.kind in CLUSTER_SCOPED else str(metadata.get("namespace") or "default")
    kind = (group_of(manifest.api_version), manifest.kind, namespace)
    number = 0
    while True:
        name = base[:_LONGEST_BASE] + suffix_of("/".join((*kind, base, str(number))))
        if (*kind, name) not in taken:
            break
        number += 1
    taken.add((*kind, name))
    raw = manifest.raw | {"metadata": metadata | {"name": name}}
    return structs.replace(manifest, raw=raw, object=_renamed(manifest.object, name))


def _renamed(item: Struct | None, name: str) -> Struct | None:
    metadata = getattr(item, "metadata", None)
    if item is None or not isinstance(metadata, ObjectMeta) or given(metadata.name, ""):
        return item
    return structs.replace(item, metadata=structs.replace(metadata, name=name))
