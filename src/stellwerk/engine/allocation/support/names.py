"""The forms of names in resource.k8s.io: what the API server takes as a label, a driver, an attribute.

Source: k8s.io/kubernetes pkg/apis/resource/validation/validation.go and k8s.io/apimachinery
pkg/util/validation/validation.go. A name of two slashes ("a/b/c") passes there, and so here.
"""

import re

from stellwerk.api.checks.names import is_subdomain
from stellwerk.api.mismatch import shown
from stellwerk.engine.decision import Reason

MAX_DRIVER, MAX_IDENTIFIER = 63, 32
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def label_reason(name: str) -> Reason | None:
    """Why this is no DNS label (names of requests), or None."""
    if _LABEL.fullmatch(name):
        return None
    return Reason(
        "no-label",
        "{name} is no DNS label: up to 63 lower-case letters, digits and '-', no '-' at an end",
        {"name": _quoted(name)},
    )


def subdomain_reason(name: str) -> Reason | None:
    """Why this is no DNS subdomain (names of classes, claims and templates), or None."""
    if is_subdomain(name):
        return None
    return Reason("no-subdomain", "{name} is no DNS subdomain", {"name": _quoted(name)})


def driver_reason(name: str) -> Reason | None:
    """Why this is no driver's name, or None: a DNS subdomain of at most 63 characters, of any case."""
    if len(name) <= MAX_DRIVER and is_subdomain(name.lower()):
        return None
    return Reason(
        "no-driver-name",
        "{name} is no name of a driver: a DNS subdomain of at most {limit} characters",
        {"name": _quoted(name), "limit": MAX_DRIVER},
    )


def attribute_reason(name: str) -> Reason | None:
    """Why this is no fully qualified name (domain/identifier) of an attribute, or None."""
    domain, slash, identifier = name.partition("/")
    if not slash:
        return Reason(
            "no-domain-part",
            "{name} has no domain: write domain/name, such as gpu.nvidia.com/parentUUID",
            {"name": _quoted(name)},
        )
    if "/" in identifier:
        return None
    if (
        driver_reason(domain) is None
        and len(identifier) <= MAX_IDENTIFIER
        and _IDENTIFIER.fullmatch(identifier)
    ):
        return None
    return Reason(
        "no-qualified-name",
        "{name} is no domain of up to {domain} characters and C identifier of up to {most}",
        {"name": _quoted(name), "domain": MAX_DRIVER, "most": MAX_IDENTIFIER},
    )


def label_key_reason(key: str) -> Reason | None:
    """Why this is no key of a label (of a toleration), or None."""
    prefix, slash, name = key.rpartition("/")
    if _WORD.fullmatch(name) and (not slash or is_subdomain(prefix)):
        return None
    return Reason("no-label-key", "{key} is no key of a label", {"key": _quoted(key)})


def label_value_reason(value: str) -> Reason | None:
    """Why this is no value of a label, or None."""
    if not value or _WORD.fullmatch(value):
        return None
    return Reason("no-label-value", "{value} is no value of a label", {"value": _quoted(value)})


def is_extended_resource(name: str) -> bool:
    """Whether a resource's name is an extended one: it has a domain that is not Kubernetes' own.

    Source: pkg/apis/core/helper/helpers.go, IsExtendedResourceName and IsNativeResource.
    """
    prefix, slash, word = name.partition("/")
    if not slash or "kubernetes.io/" in name or name.startswith("requests."):
        return False
    return is_subdomain(f"requests.{prefix}") and bool(_WORD.fullmatch(word))


def _quoted(name: str) -> str:
    return shown(name) or '""'
