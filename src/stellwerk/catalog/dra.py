"""NVIDIA's DRA driver: device names, attributes, capacities, counters, gates, opaque configs, API limits."""

from collections.abc import Mapping
from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read


class DraFacts(Struct, frozen=True, kw_only=True):
    """As read from the driver; `driver_repo` holds repository, commit and date; `.index` is gone."""

    generated: str
    driver_repo: str
    drivers: Mapping[str, str]
    device_classes: tuple[str, ...]
    device_names: Mapping[str, str]
    attributes: Mapping[str, Mapping[str, str] | tuple[str, ...] | str]
    capacity: Mapping[str, Mapping[str, str] | str]
    shared_counters: Mapping[str, object]
    api_limits: Mapping[str, int | str]
    feature_gates: Mapping[str, str]
    feature_gate_conflicts: tuple[str, ...]
    opaque_config: Mapping[str, object]
    compute_domain: Mapping[str, object]


@cache
def dra_facts() -> DraFacts:
    """All facts about the driver."""
    return msgspec.json.decode(read("dra.json"), type=DraFacts)
