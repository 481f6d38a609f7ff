"""Checks that several kinds of resource.k8s.io share: sizes of lists, names twice, qualified names."""

import re
from collections.abc import Iterable, Sized

from msgspec import UnsetType

from stellwerk.api.checks.names import is_subdomain
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown

MAX_DRIVER, MAX_IDENTIFIER, MAX_REQUESTS = 63, 32, 32
MAX_EXPRESSION = 10 * 1024
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def check_most(manifest: Manifest, path: str, items: Sized | UnsetType, most: int) -> None:
    """A list or map is not longer than the API server takes it."""
    count = len(given(items, ()))
    if count > most:
        raise InvalidInput(
            "{count} entries are more than the {most} that Kubernetes takes here",
            fix="shorten the list, or split the object",
            **manifest.at(path),
            count=count,
            most=most,
        )


def check_unique(manifest: Manifest, path: str, names: Iterable[str]) -> None:
    """No name is there twice; `path` is the list's."""
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name in seen:
            raise InvalidInput(
                "{name} is there twice",
                fix="rename or remove one of the two",
                **manifest.at(f"{path}[{i}]"),
                name=shown(name),
            )
        seen.add(name)


def check_driver(manifest: Manifest, path: str, name: str) -> None:
    """A driver's name: a DNS subdomain of at most 63 characters, in any case."""
    if len(name) > MAX_DRIVER or not is_subdomain(name.lower()):
        raise InvalidInput(
            "{name} is not a valid name of a driver",
            fix="write a DNS name of at most {most} characters, such as gpu.nvidia.com",
            **manifest.at(path),
            name=shown(name) or '""',
            most=MAX_DRIVER,
        )


def check_qualified(manifest: Manifest, path: str, name: str, full: bool = False) -> None:
    """An attribute's or a capacity's name: an identifier, before it a domain and a slash (`full`: always)."""
    domain, slash, identifier = name.rpartition("/")
    fits = (
        len(identifier) <= MAX_IDENTIFIER
        and _IDENTIFIER.fullmatch(identifier)
        and (not slash or (len(domain) <= MAX_DRIVER and is_subdomain(domain.lower())))
    )
    if not fits or (full and not slash):
        raise InvalidInput(
            "{name} is not a valid name of an attribute or a capacity",
            fix="write a domain, a slash and a name of at most {most} letters, digits and '_'",
            **manifest.at(path),
            name=shown(name) or '""',
            most=MAX_IDENTIFIER,
        )


def check_expression(manifest: Manifest, path: str, expression: str) -> None:
    """A CEL expression is there and not longer than the API server takes it; it is compiled later."""
    if not 0 < len(expression.encode(errors="surrogatepass")) <= MAX_EXPRESSION:
        raise InvalidInput(
            "the CEL expression is empty or longer than {most} bytes",
            fix="write one expression over `device`",
            **manifest.at(path),
            most=MAX_EXPRESSION,
        )


def missing(manifest: Manifest, path: str, field: str) -> InvalidInput:
    """A field that Kubernetes requires."""
    return InvalidInput("the field {field} is missing", fix="add it", **manifest.at(path), field=field)


def one_of(manifest: Manifest, path: str, choices: str) -> InvalidInput:
    """Exactly one of some fields has to be there."""
    return InvalidInput(
        "exactly one of {choices} has to be there",
        fix="keep one of them",
        **manifest.at(path),
        choices=choices,
    )
