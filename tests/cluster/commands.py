"""Commands as a user runs them, and how a test waits for a cluster to come to rest."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tools.cluster.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
_STILL_S, _MOST_S = 1.0, 60.0
_WATCHED = "pods,jobs,workloads.kueue.x-k8s.io,resourceclaims"


def stellwerk(*words: str) -> subprocess.CompletedProcess[str]:
    """`stellwerk WORDS`, in English."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "LC_ALL": "C.UTF-8", "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "stellwerk", *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def settled(stack: Stack, namespace: str, watched: str = _WATCHED) -> None:
    """Wait until nothing changed in a namespace for a second."""
    until, last, since = time.monotonic() + _MOST_S, "", time.monotonic()
    while time.monotonic() < until:
        found = json.loads(stack.kubectl("get", watched, "-n", namespace, "-o", "json"))["items"]
        versions = str(
            sorted(each["metadata"]["uid"] + each["metadata"]["resourceVersion"] for each in found)
        )
        if versions != last:
            last, since = versions, time.monotonic()
        elif time.monotonic() - since > _STILL_S:
            return
        time.sleep(0.1)
    raise AssertionError(f"namespace {namespace} did not come to rest within {_MOST_S:g} s")


def wait_for(reached: Callable[[], bool], most_s: float = 90) -> None:
    """Wait until something holds; fail after `most_s`."""
    until = time.monotonic() + most_s
    while not reached():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.2)
