"""Node labels, the device plugin's config, mig-parted's configs, and attributes of DRA network devices."""

from collections.abc import Mapping
from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read


class MigParted(Struct, frozen=True, kw_only=True):
    """NVIDIA's mig-parted: the names that `nvidia.com/mig.config` may take, and what they cut."""

    format: Mapping[str, object]
    default_config_names: tuple[str, ...]
    default_configs: Mapping[str, tuple[Mapping[str, object], ...]]
    source: str
    note: str


class LabelFacts(Struct, frozen=True, kw_only=True):
    """Label -> meaning, by who sets it; `provenance` says what was read and what is from memory."""

    generated: str
    provenance: str
    gfd: Mapping[str, str]
    operator: Mapping[str, str]
    topology: Mapping[str, str]
    resources: Mapping[str, str]
    device_plugin_config: Mapping[str, object]
    dra_nics: Mapping[str, tuple[str, ...]]
    mig_parted: MigParted


@cache
def label_facts() -> LabelFacts:
    """All labels and configurations."""
    return msgspec.json.decode(read("labels_and_configs.json"), type=LabelFacts)
