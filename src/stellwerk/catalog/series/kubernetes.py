"""Kueue's and kube-state-metrics' series as they expose them: names, types, labels, with source and date."""

from functools import cache
from typing import Literal

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read


class SeriesFact(Struct, frozen=True, kw_only=True):
    """A metric of others; a label `label_*` stands for any with that beginning.

    `needs`: the setting without which it is not exposed ("": none).
    """

    name: str
    kind: Literal["gauge", "counter"] = msgspec.field(name="type")
    labels: tuple[str, ...]
    meaning: str
    needs: str = ""


class SeriesFacts(Struct, frozen=True, kw_only=True):
    """Metrics of one program; `commit` and its `date` are of the source, `read` is when it was read."""

    source: str
    commit: str
    date: str
    read: str
    licence: str
    metrics: tuple[SeriesFact, ...]


@cache
def kueue_series() -> SeriesFacts:
    """What Kueue 0.19.2 exposes of queues and quota, as far as we use it."""
    return msgspec.json.decode(read("kueue_metrics.json"), type=SeriesFacts)


@cache
def kube_state_series() -> SeriesFacts:
    """What kube-state-metrics exposes of pods, as far as we use it."""
    return msgspec.json.decode(read("kube_state_metrics.json"), type=SeriesFacts)
