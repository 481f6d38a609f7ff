"""Which feature gate of DRA holds in which Kubernetes release, and what the layers above know of DRA.

Gates are read from each release's own kube_features.go at the latest patch that was there to read; of Kueue,
Karpenter, its providers, NVIDIA's GPU operator and DRA driver from the tag or commit that each fact names.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.data import read

KUEUE, KARPENTER, OPERATOR, DRIVER = "kueue", "karpenter", "gpu-operator", "nvidia-dra-driver"
PROVIDER = "karpenter-provider-"
UNRELEASED = "main"


class Gate(Struct, frozen=True, kw_only=True):
    """A feature gate in one release: its stage (alpha, beta, GA, deprecated) and whether it is on by default.

    `locked`: the default cannot be changed; `requires`: gates that must be on too.
    """

    stage: str
    default: bool
    locked: bool = False
    requires: tuple[str, ...] = ()


class Release(Struct, frozen=True, kw_only=True):
    """A Kubernetes release: the patch that was read, the file that says it, its gates by name."""

    version: str
    source: str
    gates: Mapping[str, Gate]


class Component(Struct, frozen=True, kw_only=True):
    """A version of something above Kubernetes: `version` is major.minor, `ref` the tag, or main."""

    component: str
    version: str
    repository: str
    ref: str
    commit: str
    date: str
    file: str = ""
    gates: Mapping[str, Gate] = {}

    def source(self, file: str) -> str:
        """Where something is said: repository, tag, commit and file."""
        return f"{self.repository}@{self.ref} ({self.commit[:8]}, {self.date}) {file}"


class Fact(Struct, frozen=True, kw_only=True):
    """What a component does with DRA, in its versions from `since` to `until` ("": open)."""

    component: str
    code: str
    text: str
    file: str
    since: str = ""
    until: str = ""


class _File(Struct, frozen=True):
    generated: str
    kubernetes: Mapping[str, Release]
    components: tuple[Component, ...]
    facts: tuple[Fact, ...]


@cache
def _file() -> _File:
    return msgspec.json.decode(read("versions.json"), type=_File)


def releases() -> tuple[str, ...]:
    """The Kubernetes releases that are known, oldest first, such as 1.34."""
    return tuple(sorted(_file().kubernetes, key=_order))


def release(name: str) -> Release:
    """One release, by 1.34, v1.34 or a patch of it. Raises InvalidInput for one that is not known."""
    found = _file().kubernetes.get(minor_of(name))
    if found is None:
        raise InvalidInput(
            "the Kubernetes release {release} is not known",
            fix="use one of: {known}",
            release=name[:40],
            known=", ".join(releases()),
        )
    return found


def gates(name: str) -> Mapping[str, Gate]:
    """The gates of a release (1.34 to 1.37) that concern DRA, by name. Raises InvalidInput."""
    return release(name).gates


def default_features(name: str) -> frozenset[str]:
    """The gates that are on in a release when nobody changes any. Raises InvalidInput."""
    return frozenset(gate for gate, state in gates(name).items() if state.default)


def components(component: str = "") -> tuple[Component, ...]:
    """All versions that were read, of one component or of all, as the data orders them."""
    return tuple(row for row in _file().components if component in ("", row.component))


def component_version(component: str, version: str = "") -> Component:
    """The version of a component, by major.minor or a patch of it; without one the newest that is released.

    Raises InvalidInput for one that was not read.
    """
    known = components(component)
    if not version:
        return next(row for row in reversed(known) if row.ref != UNRELEASED)
    for row in known:
        if row.version == minor_of(version) or version == row.ref == UNRELEASED:
            return row
    raise InvalidInput(
        "{component} {version} is not known",
        fix="use one of: {known}",
        component=component,
        version=version[:40],
        known=", ".join(row.version for row in known),
    )


def facts(row: Component) -> Mapping[str, Fact]:
    """What a version of a component does with DRA, by code."""
    at = _order(row.version)
    return {
        fact.code: fact
        for fact in _file().facts
        if fact.component == row.component
        and (not fact.since or _order(fact.since) <= at)
        and (not fact.until or at <= _order(fact.until))
    }


def known_facts(component: str) -> tuple[Fact, ...]:
    """Everything that is known of a component, each with the versions in which it holds."""
    return tuple(fact for fact in _file().facts if fact.component == component)


def providers() -> tuple[str, ...]:
    """The providers of Karpenter that were read, such as aws."""
    return tuple(
        row.component.removeprefix(PROVIDER) for row in components() if row.component.startswith(PROVIDER)
    )


def minor_of(version: str) -> str:
    """1.34 of v1.34.4, 1.34.4 or 1.34; anything else as it is."""
    parts = version.removeprefix("v").split(".")
    return ".".join(parts[:2]) if all(part.isdecimal() for part in parts[:2]) else version


def gates_by_release() -> Sequence[tuple[str, tuple[Gate | None, ...]]]:
    """Each gate with its state in every release of `releases()`, None where the release has no such gate."""
    tables = [gates(name) for name in releases()]
    names = sorted({name for table in tables for name in table})
    return [(name, tuple(table.get(name) for table in tables)) for name in names]


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
