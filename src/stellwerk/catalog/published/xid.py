"""NVIDIA's XID errors by what its catalog says to do at once: reset the GPU, restart the application, ..."""

from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read

RESTART_APP, IGNORE = "RESTART_APP", "IGNORE"
# They say that another XID did something: 45 that its channel was torn down, 154 which action it asks for.
FOLLOWERS = frozenset({"WORKFLOW_XID_45", "XID_154"})


class Xid(Struct, frozen=True, kw_only=True):
    """`action` is the catalog's resolution bucket (immediate action), such as RESET_GPU."""

    code: int
    name: str
    action: str

    @property
    def device_lost(self) -> bool:
        """The GPU (or its link) must be reset or serviced before anybody can rely on it."""
        return self.action not in {RESTART_APP, IGNORE} | FOLLOWERS

    @property
    def quiet(self) -> bool:
        """Nobody has to act on it."""
        return self.action == IGNORE or self.action in FOLLOWERS


class _File(Struct, frozen=True):
    generated: str
    source: str
    codes: tuple[Xid, ...]


@cache
def _file() -> _File:
    return msgspec.json.decode(read("xid.json"), type=_File)


def xids() -> tuple[Xid, ...]:
    """By code; codes that the catalog marks as unused, or that have no action there, are left out."""
    return _file().codes


def xid_source() -> str:
    """Where the actions are from."""
    return _file().source
