"""The door to prometheus_client: families and this process's own figures as text that Prometheus scrapes."""

from collections.abc import Iterator, Sequence
from typing import cast

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Exposed
from prometheus_client.registry import Collector

from stellwerk.adapters.metrics.family import Family


def exposed_text(families: Sequence[Family], accept: str = "") -> tuple[bytes, str]:
    """Text and its content type: OpenMetrics where the header Accept asks for it, else Prometheus' own.

    Samples have no time: they are of the moment of the scrape. The registry lives for this text only.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(cast("Collector", _Families(families)))  # It needs nothing but its method collect.
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Families:
    """Hands ready families to the library's registry."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Exposed]:
        """Each family as the library's own, one after another."""
        return map(_exposed, self._families)


def _exposed(family: Family) -> Exposed:
    metric = family.metric
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    exposed: Exposed = kind(metric.name, metric.help)
    for sample in family.samples:
        exposed.add_sample(
            metric.name, {name: text for name, text in sample.labels if text}, float(sample.value)
        )
    return exposed
