"""How long steps of cutting a GPU by MIG took, where somebody published it: not a model of other GPUs."""

from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read
from stellwerk.catalog.gpus import gpu_model


class CuttingTime(Struct, frozen=True, kw_only=True):
    """One published time of a `step` (create, destroy or mode) on a model, from least to most seconds."""

    gpu: str
    step: str
    least_seconds: int
    most_seconds: int
    conditions: str
    source: str
    date: str


class _File(Struct, frozen=True):
    generated: str
    note: str
    times: tuple[CuttingTime, ...]


@cache
def _file() -> _File:
    return msgspec.json.decode(read("mig_times.json"), type=_File)


def cutting_times(gpu: str) -> tuple[CuttingTime, ...]:
    """What was published for a model (id or product label); () where nothing was. InvalidInput if unknown."""
    model = gpu_model(gpu).id
    return tuple(time for time in _file().times if time.gpu == model)


def cutting_note() -> str:
    """What was looked for, when, and what was not found."""
    return _file().note
