"""The fixtures that tests of more than one folder take."""

import os
from pathlib import Path

import pytest

# A worker of pytest-xdist is told the terminal's width: tables must be as wide as in any other run.
os.environ.pop("COLUMNS", None)

pytest_plugins = ("tests.servers.fixtures",)

CLUSTER = Path(__file__).parent / "cluster"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Tests on a real Kubernetes are a step of their own: they are run where their folder is named."""
    if CLUSTER not in (collection_path, *collection_path.parents):
        return None
    named = [Path(word.partition("::")[0]).resolve() for word in config.invocation_params.args]
    return None if any(CLUSTER in (each, *each.parents) for each in named) else True
