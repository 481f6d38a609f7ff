"""The forms of names in resource.k8s.io: what the API server takes as a driver, an attribute, a taint's key.

Source: k8s.io/kubernetes pkg/apis/resource/validation/validation.go and k8s.io/apimachinery
pkg/util/validation/validation.go. A name of two slashes ("a/b/c") passes there, and so here.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from stellwerk.api.checks.names import is_subdomain, is_word
from stellwerk.api.checks.refusal import Refusal, quoted

MAX_DRIVER, MAX_IDENTIFIER = 63, 32
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_driver(name: str) -> bool:
    """Whether this can be a driver's name: a DNS subdomain of at most 63 characters, in any case."""
    return len(name) <= MAX_DRIVER and is_subdomain(name.lower())


def driver_refusal(path: str, name: str) -> Iterator[Refusal]:
    """A name that is no driver's."""
    if is_driver(name):
        return
    yield Refusal(
        code="no-driver-name",
        path=path,
        problem="{name} is not a valid name of a driver",
        fix="write a DNS name of at most {most} characters, such as gpu.nvidia.com",
        values={"name": quoted(name), "most": MAX_DRIVER},
    )


def qualified_refusal(path: str, name: str, full: bool = True) -> Iterator[Refusal]:
    """A name that is no attribute's or capacity's: domain/identifier; if not `full`, the domain may go."""
    if full and "/" not in name:
        yield Refusal(
            code="no-domain-part",
            path=path,
            problem="{name} has no domain",
            fix="write domain/name, such as gpu.nvidia.com/parentUUID",
            values={"name": quoted(name)},
        )
    elif not is_qualified(name):
        yield Refusal(
            code="no-qualified-name",
            path=path,
            problem="{name} is not a valid name of an attribute or a capacity",
            fix="write a domain, a slash and a name of at most {most} letters, digits and '_'",
            values={"name": quoted(name), "most": MAX_IDENTIFIER},
        )


@lru_cache(maxsize=4096)
def is_qualified(name: str) -> bool:
    """Whether a name is an identifier, perhaps with a domain and a slash before it."""
    *domain, identifier = name.split("/", 1)
    if "/" in identifier:
        return True
    fits = len(identifier) <= MAX_IDENTIFIER and _IDENTIFIER.fullmatch(identifier) is not None
    return fits and all(map(is_driver, domain))


def label_key_refusal(path: str, key: str) -> Iterator[Refusal]:
    """A key of a taint or a toleration that could not be a label's."""
    prefix, slash, name = key.rpartition("/")
    if is_word(name) and (not slash or is_subdomain(prefix)):
        return
    yield Refusal(
        code="no-label-key",
        path=path,
        problem="{key} is no key of a label",
        fix="use at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends",
        values={"key": quoted(key)},
    )


def extended_resource_refusal(path: str, name: str) -> Iterator[Refusal]:
    """A name that is no extended resource's."""
    if is_extended_resource(name):
        return
    yield Refusal(
        code="no-extended-resource",
        path=path,
        problem="{name} is not the name of an extended resource",
        fix="write a domain of your own, a slash and a name, such as nvidia.com/gpu",
        values={"name": quoted(name)},
    )


def is_extended_resource(name: str) -> bool:
    """Whether a resource's name is an extended one: it has a domain that is not Kubernetes' own.

    Source: pkg/apis/core/helper/helpers.go, IsExtendedResourceName and IsNativeResource.
    """
    prefix, slash, word = name.partition("/")
    if not slash or "kubernetes.io/" in name or name.startswith("requests."):
        return False
    return is_subdomain(f"requests.{prefix}") and is_word(word)
