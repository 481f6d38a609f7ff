"""The DCGM exporter's metrics: names, units, labels, and which of its two lists enables each."""

from collections.abc import Mapping
from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read

BLANK_INT64 = 9_223_372_036_854_775_794  # What DCGM exposes where it has no integer value: not a reading.
HOSTNAME_LABELS = ("hostname", "Hostname")  # The spelling changed after 4.5.3-4.8.2: accept both.


class DcgmMetric(Struct, frozen=True, kw_only=True):
    """`kind`: gauge, counter, or label; `enabled_in`: file of counters -> whether it is on there."""

    name: str
    kind: str = msgspec.field(name="type")
    unit: str
    meaning: str
    enabled_in: Mapping[str, bool]


class DcgmExporter(Struct, frozen=True, kw_only=True):
    """The exporter as a whole; `source` holds repository, commit and date."""

    generated: str
    source: str
    licence: str
    endpoint: str
    default_collect_interval_ms: int
    labels: Mapping[str, str | tuple[str, ...]]
    kubernetes_env: Mapping[str, str]
    notes: tuple[str, ...]
    grafana_dashboard: Mapping[str, object]
    metrics: tuple[DcgmMetric, ...]


@cache
def dcgm_exporter() -> DcgmExporter:
    """All that is known of the exporter."""
    return msgspec.json.decode(read("dcgm_metrics.json"), type=DcgmExporter)


def dcgm_metrics() -> tuple[DcgmMetric, ...]:
    """Its metrics, in the order of its own lists."""
    return dcgm_exporter().metrics
