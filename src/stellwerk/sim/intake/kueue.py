"""Kueue's Configuration among manifests: as an object, or as the text of the ConfigMap that Kueue reads."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stellwerk.api.checks.refusal import refuse_first
from stellwerk.api.documents import read_documents
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import kueue_config as api
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest, read_as
from stellwerk.api.scheme import KUEUE_CONFIG
from stellwerk.api.yaml_events import key_path
from stellwerk.engine.queueing.configuration.check import configuration_refusals, gate_refusals
from stellwerk.engine.queueing.configuration.read import configuration_of, gates_of
from stellwerk.engine.queueing.snapshot import Configuration

CONFIG_MAP, KEY = "kueue-manager-config", "controller_manager_config.yaml"


def kueue_configuration(manifests: Sequence[Manifest], changes: Mapping[str, bool]) -> Configuration:
    """What the manifests' Configuration decides, or Kueue's defaults without one.

    `changes`: known feature gates that win over it. Raises InvalidInput for one that Kueue would not start
    with, and for a second one.
    """
    found = list(_configurations(manifests))
    if len(found) > 1:
        first, second = found[0][0], found[1][0]
        raise InvalidInput(
            "there is a second Configuration; the first is in {first_source}, document {first_document}",
            fix="keep one of the two",
            **second.at("kind"),
            first_source=first.source,
            first_document=first.document,
        )
    if not found:
        empty = api.Configuration(api_version=KUEUE_CONFIG, kind="Configuration")
        return configuration_of(empty, gates_of({}, changes))
    manifest, config = found[0]
    written = given(config.feature_gates, {})
    refuse_first(manifest, gate_refusals(written))
    gates = gates_of(written, changes)
    refuse_first(manifest, configuration_refusals(config, gates))
    return configuration_of(config, gates)


def _configurations(manifests: Sequence[Manifest]) -> Iterator[tuple[Manifest, api.Configuration]]:
    for manifest in manifests:
        if isinstance(manifest.object, api.Configuration):
            yield manifest, manifest.object
        elif manifest.kind == "ConfigMap" and (text := _text(manifest)):
            inside = _inside(manifest, text)
            yield inside, read_as(inside, api.Configuration)


def _text(manifest: Manifest) -> str:
    """Of Kueue's own ConfigMap ("": it is another one)."""
    metadata, data = manifest.raw.get("metadata"), manifest.raw.get("data")
    if not isinstance(metadata, dict) or metadata.get("name") != CONFIG_MAP or not isinstance(data, dict):
        return ""
    text = data.get(KEY)
    return text if isinstance(text, str) else ""


def _inside(manifest: Manifest, text: str) -> Manifest:
    """The object that the text holds, at its place in the ConfigMap."""
    path = key_path("data", KEY)
    documents = [raw for _, raw in read_documents(text.encode(), f"{manifest.source}, {path}") if raw]
    raw: Any = documents[0] if len(documents) == 1 else None
    found = (raw.get("apiVersion"), raw.get("kind")) if isinstance(raw, dict) else None
    if found != (KUEUE_CONFIG, "Configuration"):
        raise InvalidInput(
            "Kueue's Configuration is expected here",
            fix="write one document of apiVersion: {version} and kind: Configuration",
            **manifest.at(path),
            version=KUEUE_CONFIG,
        )
    place = manifest.at(path)["path"]
    return Manifest(
        raw=raw, object=None, source=manifest.source, document=manifest.document, path_prefix=place
    )
