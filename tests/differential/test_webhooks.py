"""Random manifests are taken or refused as an API server with Kueue does it, and for one of the same fields.

The answers are Kueue's own: its CRDs and webhooks, run by go_kueue_webhooks/oracle_test.go. More of them, in
the same form: `python -m tests.differential.go_kueue_webhooks PROGRAM CRDS COUNT FIRST`.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import load_manifests
from stellwerk.api.validation import validate
from tests.conformance.__main__ import read_lines
from tests.differential.webhook_cases import KINDS, random_objects

ANSWERED = Path(__file__).parent / "kueue" / "webhook-random.jsonl.xz"
FIRST, EACH = 50_000, 200
# Where Stellwerk refuses more than Kueue (docs/reference/admit.md): pods that never start, a list for a time,
# a quantity that the CRD's pattern takes and Kueue's code does not, where no webhook reads it.
STRICTER = re.compile(
    r"spec\.podSets\[\d+\]\.template\.spec\b.*|.*\.lastTransitionTime|status\.flavorsUsage\[.*\.total"
)
_KEY = re.compile(r"\[(?!\d+\])([^\]]*)\]")
Json = dict[str, Any]


def refused(one: Json) -> tuple[str, bool] | None:
    """The field that we refuse, written as Kueue writes it, and whether its type was wrong already."""
    typed = False
    try:
        manifests = load_manifests(json.dumps(one).encode(), "object.json")
        typed = True
        validate(manifests)
    except InvalidInput as error:
        return plain(error.path), not typed
    return None


def plain(path: str) -> str:
    """A path without quotes and brackets around keys, since Kueue writes a key in both ways."""
    return _KEY.sub(r".\1", path.replace('"', ""))


def in_list(one: Json, field: str) -> str:
    """Kueue names an entry of reclaimablePods by its PodSet."""
    match = re.fullmatch(r"status\.reclaimablePods\[(.*?)\](.*)", field)
    if match is None:
        return plain(field)
    names = [pod["name"] for pod in one["status"]["reclaimablePods"]]
    return f"status.reclaimablePods[{names.index(match[1])}]{match[2]}"


def agrees(case: Json) -> bool:
    """The same verdict, and our field is one of Kueue's or lies in it; a wrong type is told alone."""
    found, fields = refused(case["object"]), [in_list(case["object"], field) for field in case["fields"]]
    if found is None or not case["by"]:
        return (found is None) == (not case["by"]) or bool(found and STRICTER.fullmatch(found[0]))
    path, unfit = found
    inside = (path == field or path.startswith((f"{field}.", f"{field}[")) for field in fields)
    return case["by"] == "decode" or unfit or "" in fields or any(inside)


@pytest.mark.parametrize("kind", KINDS)
def test_random_manifests_are_refused_as_kueue_refuses_them(kind: str) -> None:
    cases = [case for case in read_lines(ANSWERED) if case["object"]["kind"] == kind]
    by = Counter(case["by"] for case in cases)
    # The sample says something only if both answers are frequent.
    assert len(cases) == EACH and by[""] >= 30 and EACH - by[""] >= 30
    assert [json.dumps(case) for case in cases if not agrees(case)] == []


def test_few_of_them_are_refused_that_kueue_takes() -> None:
    stricter = [case for case in read_lines(ANSWERED) if not case["by"] and refused(case["object"])]
    assert len(stricter) <= 8


def test_our_field_is_mostly_exactly_one_of_kueues() -> None:
    cases = [case for case in read_lines(ANSWERED) if case["by"] in ("crd", "webhook", "apiserver")]
    exact = 0
    for case in cases:
        found = refused(case["object"])
        exact += found is not None and found[0] in [in_list(case["object"], one) for one in case["fields"]]
    assert exact > 0.75 * len(cases)


def test_the_cases_are_those_that_the_generator_makes() -> None:
    made = [one for kind in KINDS for one in random_objects(kind, EACH, FIRST)]
    assert [case["object"] for case in read_lines(ANSWERED)] == json.loads(json.dumps(made))
