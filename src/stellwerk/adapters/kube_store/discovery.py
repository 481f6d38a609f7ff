"""Which kinds an API server serves, under which version and path: aggregated discovery, two requests.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery (GA since 1.30).
"""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

from stellwerk.adapters.kube_store.client import Client

_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Resource(Struct, frozen=True, order=True):
    """A kind as it is served: its path's parts, and the apiVersion that its objects state."""

    group: str
    kind: str
    version: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """As objects state it: v1, resource.k8s.io/v1."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "") -> str:
        """Of all objects (of a namespace), or of one."""
        parts = ["/apis", self.api_version] if self.group else ["/api", self.version]
        parts += ["namespaces", namespace] if namespace and self.namespaced else []
        return "/".join([*parts, self.plural, *([name] if name else [])])


class _ResponseKind(Struct, frozen=True):
    kind: str = ""


class _Resource(Struct, rename="camel", frozen=True):
    resource: str
    scope: str = ""
    verbs: list[str] = []
    response_kind: _ResponseKind = _ResponseKind()


class _Version(Struct, frozen=True):
    version: str
    resources: list[_Resource] = []


class _Metadata(Struct, frozen=True):
    name: str = ""


class _Group(Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    versions: list[_Version] = []


class _Groups(Struct, frozen=True):
    items: list[_Group] = []


class Served(Struct, frozen=True):
    """All versions of each kind, the one that the server prefers first."""

    kinds: Mapping[tuple[str, str], tuple[Resource, ...]]

    def find(self, group: str, kind: str, version: str = "") -> Resource | None:
        """The kind at this version ("": the preferred one); None where it is not served."""
        found = self.kinds.get((group, kind), ())
        return next((each for each in found if version in ("", each.version)), None)

    def versions(self, group: str, kind: str) -> tuple[str, ...]:
        """The versions under which a kind is served."""
        return tuple(each.version for each in self.kinds.get((group, kind), ()))


def discover(client: Client) -> Served:
    """What is served; only kinds that can be listed. Raises Unreachable, Forbidden."""
    found: dict[tuple[str, str], list[Resource]] = {}
    for path in ("/api", "/apis"):
        for one in _resources(_decoded(client, path)):
            found.setdefault((one.group, one.kind), []).append(one)
    return Served({key: tuple(each) for key, each in found.items()})


def _resources(groups: _Groups) -> Iterator[Resource]:
    versions = [(group.metadata.name, version) for group in groups.items for version in group.versions]
    for group, version in versions:
        for each in version.resources:
            if "list" in each.verbs:
                scope = each.scope == "Namespaced"
                yield Resource(group, each.response_kind.kind, version.version, each.resource, scope)


def server_version(client: Client) -> str:
    """The release that /version tells, such as 1.36.3; "" where it tells none."""
    found = msgspec.json.decode(client.get("/version"))
    text = found.get("gitVersion", "") if isinstance(found, dict) else ""
    return str(text).removeprefix("v").partition("+")[0].partition("-")[0]


def _decoded(client: Client, path: str) -> _Groups:
    content = client.get(path, accept=_ACCEPT)
    try:
        return msgspec.json.decode(content, type=_Groups)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise client.gone(f"{path} is no answer of an API server ({str(error)[:80]})") from None
