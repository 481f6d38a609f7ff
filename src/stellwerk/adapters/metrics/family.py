"""Metrics as data, before they are text: what a metric is, and its samples at one moment."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from msgspec import Struct

Labels = tuple[tuple[str, str], ...]


class Metric(Struct, frozen=True, kw_only=True):
    """What a metric is: `labels` are all that it may have (`label_*`: any with that beginning).

    `help` is one English sentence; `unit` that of its values ("": a count, or 1 for a fact); `source` who
    defines the metric.
    """

    name: str
    kind: Literal["gauge", "counter"]
    labels: tuple[str, ...]
    help: str
    unit: str = ""
    source: str = "Stellwerk"


class Sample(Struct, frozen=True):
    """One value now, of the metric `name`. Labels without a value are left out, as Prometheus does."""

    name: str
    labels: Labels
    value: int | Decimal | Fraction


class Family(Struct, frozen=True):
    """A metric and all its samples."""

    metric: Metric
    samples: tuple[Sample, ...]


def families(samples: Iterable[Sample], metrics: Sequence[Metric]) -> tuple[Family, ...]:
    """Samples by metric, in the order of `metrics`; a metric without samples is left out.

    Asserts that each sample's metric is among them, and that no series is there twice.
    """
    found: dict[str, dict[Labels, Sample]] = {metric.name: {} for metric in metrics}
    for sample in samples:
        assert sample.name in found, f"{sample.name} is not described"
        series = found[sample.name]
        assert sample.labels not in series, f"{sample.name} {sample.labels} is there twice"
        series[sample.labels] = sample
    return tuple(
        Family(metric, tuple(found[metric.name].values())) for metric in metrics if found[metric.name]
    )
