"""What `stellwerk export monitoring` writes, by the command line, as a user gets it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.cli.main import main
from stellwerk.report.monitoring.rule_files import RULES


def export(folder: Path, *options: str) -> Path:
    """Export into a folder, which it returns."""
    with pytest.raises(SystemExit) as caught:
        main(["export", "monitoring", "-o", str(folder), "--lang", "en", *options])
    assert caught.value.code == 0
    return folder


def documents(folder: Path, name: str) -> list[Any]:
    """The documents of an exported YAML file."""
    return [
        each for each in yaml.safe_load_all((folder / name).read_text(encoding="utf-8")) if each is not None
    ]


def rules(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Recording rules and alerts of the exported plain rule file."""
    recording, alerts = documents(folder, RULES)[0]["groups"]
    return recording["rules"], alerts["rules"]
