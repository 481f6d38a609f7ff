"""Which fields of a claim the API server refuses: recorded from Kubernetes' own code, on claims of ours.

resource_claims/validation.jsonl: `claim` made at random, `gates` that differ from the defaults of 1.37, and
`fields` that v1.37.2 complains of: defaults, pkg/api/resourceclaimspec (drops fields), ValidateResourceClaim
(Apache-2.0). Declarative rules are not in it. Of 6,000 claims, selectors compiled, all verdicts were equal,
and all fields but those below a list of over 32 derived attributes, which a declarative rule refuses.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from stellwerk.api.manifests import load_manifests
from stellwerk.engine.allocation.support.api_server import check_claim
from stellwerk.engine.allocation.support.dropped import without_dropped
from stellwerk.engine.allocation.support.subject import asked_of
from tests.unit.support_sample import cluster

RECORDED = Path(__file__).parent / "resource_claims" / "validation.jsonl"
CASES: list[dict[str, Any]] = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]


def test_there_are_claims_of_both_kinds() -> None:
    taken = sum(not case["fields"] for case in CASES)
    assert taken > 50 and len(CASES) - taken > 100


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case["fields"]) or "taken")
def test_the_same_fields_are_refused(case: dict[str, Any]) -> None:
    [asked] = asked_of(load_manifests(json.dumps(case["claim"]).encode(), "case.json")).claims
    of = cluster("1.37", **case["gates"])
    found = check_claim(without_dropped(asked.devices, of), of, asked.path)
    assert sorted({each.path for each in found}) == case["fields"]
