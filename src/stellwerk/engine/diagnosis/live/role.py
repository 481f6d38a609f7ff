"""The ClusterRole that verbs on a live cluster need: get, list and watch, no more."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NAME = "stellwerk-read-only"
READ = ("get", "list", "watch")
# What every user that is logged in may get anyway (system:discovery), and the API server's own metrics, which
# tell its feature gates.
PATHS = ("/api", "/api/*", "/apis", "/apis/*", "/metrics", "/version")
# A group and kind; or with namespace and name only that object.
Asked = tuple[str, ...]


def cluster_role(kinds: Iterable[Asked]) -> dict[str, Any]:
    """A ClusterRole for these kinds; those of one object are allowed by their name alone, with get."""
    listed: dict[str, list[str]] = {}
    named: list[dict[str, Any]] = []
    for group, kind, *of in dict.fromkeys(kinds):
        if of:
            rule = {"apiGroups": [group], "resources": [plural_of(kind)], "resourceNames": [of[-1]]}
            named.append({**rule, "verbs": ["get"]})
        else:
            listed.setdefault(group, []).append(plural_of(kind))
    rules = [
        {"apiGroups": [group], "resources": sorted(resources), "verbs": list(READ)}
        for group, resources in sorted(listed.items())
    ]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": NAME},
        "rules": [*rules, *named, {"nonResourceURLs": list(PATHS), "verbs": ["get"]}],
    }


def cluster_role_binding(subjects: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """Binds the role; without subjects to a user whose name is to be filled in."""
    user = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "WHO-RUNS-STELLWERK"}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME},
        "subjects": [dict(each) for each in subjects] or [user],
    }


def plural_of(kind: str) -> str:
    """The resource of a kind, as Kubernetes guesses it (k8s.io/apimachinery pkg/api/meta)."""
    lower = kind.lower()
    if lower.endswith("s"):
        return f"{lower}es"
    return f"{lower[:-1]}ies" if lower.endswith("y") and lower[-2] not in "aeiou" else f"{lower}s"
