"""YAML that Kubernetes' own reader (go-yaml) takes for the same values: its words for booleans are quoted."""

from typing import Any

import yaml

from stellwerk.api.yaml_events import plain_value


def yaml_text(value: Any) -> str:
    """One document: keys in their order, no aliases, text of several lines as a block."""
    return str(yaml.dump(value, Dumper=_dumper, sort_keys=False, allow_unicode=True, width=1_000))


def _dumper(*arguments: Any, **options: Any) -> Any:
    # libyaml's dumper writes the same text, many times as fast, where PyYAML was built with it.
    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)(*arguments, **options)
    dumper.yaml_representers = {**dumper.yaml_representers, str: _text}
    dumper.ignore_aliases = lambda _: True
    return dumper


def _text(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None if isinstance(plain_value(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
