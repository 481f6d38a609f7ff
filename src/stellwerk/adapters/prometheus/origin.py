"""Where a folder's days are from: one database, one tenant, asked for in one way; another's are not taken.

What is a secret is no part of it: a new password or token leaves the days what they are.
"""

import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct

from stellwerk.adapters.files import MIB, read_raw
from stellwerk.adapters.output import write_output
from stellwerk.adapters.prometheus.endpoint import Endpoint
from stellwerk.adapters.prometheus.queries import DEVICE_METRICS, FORM, NODE_METRICS, POD_FACTS
from stellwerk.api.errors import InvalidInput

NAME = "database.origin"  # No suffix of metrics: who names the folder as metrics reads its days alone.
_SECRET = ("auth", "cookie", "token", "key", "secret", "password", "session")


class Origin(Struct, frozen=True, forbid_unknown_fields=True):
    """A database by its URL (without credentials), and a SHA-256 of all that tells its answers apart."""

    url: str
    digest: str


def origin_of(endpoint: Endpoint) -> Origin:
    """Where what is fetched now is from: URL, tenant's headers, user, and which metrics are asked for."""
    headers = {name.lower(): value for name, value in endpoint.headers.items()}
    tenant = sorted((name, "" if _is_secret(name) else value) for name, value in headers.items())
    user = endpoint.basic[0] if endpoint.basic else ""
    told = [FORM, DEVICE_METRICS, NODE_METRICS, POD_FACTS, endpoint.url, tenant, user]
    return Origin(endpoint.url, hashlib.sha256(msgspec.json.encode(told)).hexdigest())


def claim(folder: Path, origin: Origin, fresh: bool) -> None:
    """Make the folder this origin's; raises InvalidInput where it is another's, if not to be filled anew."""
    path = folder / NAME
    found = _read(path)
    if found == origin:
        return
    if found is not None and not fresh:
        raise InvalidInput(
            "{name} holds days of another database: {other}"
            if found.url != origin.url
            else "{name} holds days of another tenant or user of {other}, or of another version of Stellwerk",
            fix="name another folder with --save, or fetch all days anew into this one with --fresh",
            source=str(folder),
            name=str(folder),
            other=found.url,
        )
    write_output(str(path), msgspec.json.encode(origin) + b"\n")


def _is_secret(header: str) -> bool:
    return any(word in header for word in _SECRET)


def _read(path: Path) -> Origin | None:
    """What the file says; None where it is not there, or no origin: each day names its own as well."""
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(read_raw(path, MIB), type=Origin)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
