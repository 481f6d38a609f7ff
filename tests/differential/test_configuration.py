"""Kueue's Configuration is refused at the fields where Kueue itself refuses it."""

import re
from pathlib import Path
from typing import Any

import msgspec

from stellwerk.api.groups.kueue_config import Configuration
from stellwerk.api.groups.meta import given
from stellwerk.api.mismatch import decode_hook
from stellwerk.engine.queueing.configuration.check import configuration_refusals, gate_refusals
from stellwerk.engine.queueing.gates import feature_gates
from tests.conformance.__main__ import read_lines
from tests.differential.configuration_cases import random_configuration

Json = dict[str, Any]
CASES = read_lines(Path(__file__).parent / "kueue" / "configuration-random.jsonl.xz")


def ours(raw: Json) -> list[str] | None:
    """The fields that we refuse, as Kueue writes them; None: the text is no Configuration."""
    try:
        config = msgspec.convert(raw, Configuration, dec_hook=decode_hook)
    except msgspec.ValidationError:
        return None
    written = given(config.feature_gates, {})
    found = list(gate_refusals(written)) or list(configuration_refusals(config, feature_gates(written)))
    return sorted({_as_kueue_writes(one.path) for one in found})


def _as_kueue_writes(path: str) -> str:
    """Keys of resources in brackets without quotes; gates, and labels, all together."""
    path = re.sub(r'^(admissionFairSharing.resourceWeights)(?:\.(.+)|\["(.+)"\])$', r"\1[\2\3]", path)
    return re.sub(r"^(featureGates|managedJobsNamespaceSelector.matchLabels).*$", r"\1", path)


def test_every_random_configuration_is_refused_where_kueue_refuses_it() -> None:
    wrong = [
        f"{case['id']}: {case['fields']} expected, not {found}"
        for case in CASES
        if (found := ours(case["configuration"])) != case["fields"]
    ]
    assert not wrong, "\n".join(wrong[:10])


def test_the_configurations_reach_what_may_be_refused() -> None:
    fields = {
        re.sub(r"\[[^\]]*\]", "[]", field) for case in CASES if case["fields"] for field in case["fields"]
    }
    assert len(CASES) == 1000 and len(fields) >= 35
    assert sum(case["fields"] is None for case in CASES) >= 10
    assert sum(case["fields"] == [] for case in CASES) >= 100


def test_the_recorded_configurations_are_those_that_are_made() -> None:
    for case in CASES[::50]:
        seed, index = case["id"].split("-")
        assert random_configuration(int(seed), int(index)) == case["configuration"]
