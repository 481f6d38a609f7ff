"""JSON merge patches: the examples of RFC 7386, appendix A, and where two values differ."""

from typing import Any

import pytest

from stellwerk.sim.queueing.patch import Difference, differences, merge_patch


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


def test_neither_argument_is_changed() -> None:
    target, patch = {"a": {"b": 1, "c": 2}}, {"a": {"b": None}}
    assert merge_patch(target, patch) == {"a": {"c": 2}}
    assert (target, patch) == ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}})


def test_differences_are_the_innermost_fields_by_path() -> None:
    before = {"spec": {"groups": [{"quota": "4"}, {"quota": "1"}], "cohort": "a", "same": [1]}}
    after = {"spec": {"groups": [{"quota": "6"}, {"quota": "1"}], "same": [1], "limits": {"x.y/z": 1}}}
    assert list(differences(before, after)) == [
        Difference("spec.groups[0].quota", "4", "6"),
        Difference("spec.cohort", "a", None),
        Difference("spec.limits", None, {"x.y/z": 1}),
    ]


def test_lists_of_other_lengths_differ_as_a_whole() -> None:
    assert list(differences([1, 2], [1], "a")) == [Difference("a", [1, 2], [1])]
