"""Whatever is in a set of Kueue's manifests: it is refused in one line, or `admit` decides on it.

Each set has good objects of all kinds that belong together, and perhaps a spoiled one among them. The seed of
a failure is in its message.
"""

import json
import random
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import load_manifests
from stellwerk.api.validation import validate
from stellwerk.cli.queueing.decide import Settings, decide
from stellwerk.report.text import error_text
from tests.differential.webhook_cases import KINDS, NAMES, random_objects, spoil

Json = dict[str, Any]
SETS, CYCLES = 400, "3"


@cache
def good_ones() -> Mapping[str, Sequence[Json]]:
    """Objects of each kind that are taken by themselves."""
    return {kind: [one for one in random_objects(kind, 150) if taken(one)] for kind in KINDS}


def taken(one: Json) -> bool:
    """Whether an object is taken, and has a name and a spec that others can refer to."""
    try:
        validate(load_manifests(json.dumps(one).encode(), "object.json"))
    except InvalidInput:
        return False
    return isinstance(one.get("metadata"), dict) and isinstance(one.get("spec", {}), dict)


def a_set(draw: random.Random) -> list[Json]:
    """Objects with names that fit together; of four sets one has a spoiled object."""
    found: list[Json] = []
    for kind in sorted(KINDS):
        for name in draw.sample(NAMES, draw.randint(1, 3)):
            one = json.loads(json.dumps(draw.choice(good_ones()[kind])))
            one["metadata"]["name"] = name
            _led(draw, one, found)
            found.append(one)
    if draw.random() < 0.25:
        spoil(draw, draw.choice(found))
    return found


def _led(draw: random.Random, one: Json, found: Sequence[Json]) -> None:
    """A queue leads to one that is there, and a Cohort to one whose name comes later."""
    spec, name = one.get("spec", {}), one["metadata"]["name"]
    if one["kind"] == "LocalQueue":
        there = [other["metadata"]["name"] for other in found if other["kind"] == "ClusterQueue"]
        one["spec"] = {**spec, "clusterQueue": draw.choice(there)}
    elif one["kind"] == "Workload":
        one["spec"] = {**spec, "queueName": draw.choice(NAMES)}
    elif spec.get("parentName", "~") <= name:
        one["spec"] = {**spec, "parentName": "z"}


def test_a_set_is_decided_or_refused(tmp_path: Path) -> None:
    path, decided = tmp_path / "set.json", 0
    for seed in range(SETS):
        items = a_set(random.Random(seed))
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        asked = Settings(paths=(str(path),), cycles=CYCLES, fair_sharing=seed % 2 == 0, gates=(), at=None)
        try:
            decide(asked)
            decided += 1
        except InvalidInput as error:
            line = error_text(error, "en")
            assert error.fix and "\n" not in line and len(line) < 2_000, f"seed {seed}: {line}"
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}")
    assert SETS // 2 < decided < SETS, "most sets should be decided, though not all"
