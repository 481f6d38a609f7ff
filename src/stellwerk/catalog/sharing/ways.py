"""Ways of sharing a GPU: what each isolates, on which conditions, with source and date.

vGPU means time-sliced vGPU; a MIG-backed one isolates as MIG does.
"""

from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read
from stellwerk.catalog.published.interference import Measurement, interference


class Answer(Struct, frozen=True, kw_only=True):
    """`answer`: yes, no or partly; `why` in one sentence; `source` is where it is said."""

    answer: str
    why: str
    source: str


class Limit(Struct, frozen=True, kw_only=True):
    """A bound of a way of sharing, or a setting of it: its name, its values in words, where that is said."""

    name: str
    value: str
    source: str


class Way(Struct, frozen=True, kw_only=True):
    """What tenants on one GPU may expect. `virtual_machines`: serves desktops (VDI) as well as containers."""

    name: str
    virtual_machines: bool
    memory: Answer
    faults: Answer
    performance: Answer
    peer_to_peer: Answer
    latency: Answer
    most_tenants: str
    conditions: tuple[str, ...]
    against: tuple[str, ...]
    limits: tuple[Limit, ...] = ()
    date: str = ""


class VgpuType(Struct, frozen=True, kw_only=True):
    """A vGPU type: `framebuffer_gb` decimal gigabytes, `most` on one GPU that holds no other size."""

    name: str
    framebuffer_gb: int
    most: int


class _Types(Struct, frozen=True):
    gpu: str
    types: tuple[VgpuType, ...]


class _Match(Struct, frozen=True):
    gpu: str
    method: str
    ways: tuple[str, ...]
    kinds: tuple[str, ...]


class _File(Struct, frozen=True):
    generated: str
    ways: tuple[Way, ...]
    vgpu_types: tuple[_Types, ...]
    measurements: tuple[_Match, ...]


@cache
def _file() -> _File:
    return msgspec.json.decode(read("sharing.json"), type=_File)


@cache
def sharing_ways() -> tuple[Way, ...]:
    """Whole GPU, time-slicing, MPS, MIG, vGPU; `date` is when the facts were collected."""
    return tuple(msgspec.structs.replace(way, date=_file().generated) for way in _file().ways)


def vgpu_types(gpu: str) -> tuple[VgpuType, ...]:
    """The time-sliced compute types of a model, smallest first; () where the catalog has none."""
    return next((row.types for row in _file().vgpu_types if row.gpu == gpu), ())


def published(gpu: str, way: str, kind: str) -> tuple[Measurement, ...]:
    """Published measurements of that way, on that model or its family, for that kind of workload."""
    words = set(gpu.split("-"))
    found = {
        (row.gpu, row.method)
        for row in _file().measurements
        if way in row.ways and kind in row.kinds and set(row.gpu.split("-")) <= words
    }
    return tuple(row for row in interference() if (row.gpu, row.method) in found)
