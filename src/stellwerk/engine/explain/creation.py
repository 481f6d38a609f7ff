"""Why pods are not made, from what the API server said to the controller that makes them.

Source: Kubernetes 1.36 plugin/pkg/admission/resourcequota (the words of a refusal), pkg/controller/replicaset
and its neighbors (where they are written: the condition ReplicaFailure, or an event FailedCreate).
"""

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from stellwerk.api.quantity import parse_quantity
from stellwerk.engine.decision import Reason

FAILED_CREATE = "FailedCreate"
_EXCEEDED = re.compile(
    r"exceeded quota: (\S+), requested: (\S+), used: (\S+), limited: ([^\s,]+(?:,[^\s,]+=[^\s,]+)*)"
)
_UNSAID = re.compile(r"failed quota: ([^\s:]+): must specify (.+)")
_LONGEST = 1000


class Unmade(Struct, frozen=True, kw_only=True):
    """Of `wanted` pods only `there` are made; `words`: why, as the controller says it."""

    wanted: int
    there: int
    words: str


def creation_refusal(unmade: Unmade) -> tuple[bool, Reason]:
    """Whether waiting may help, and why pods are not made."""
    words = unmade.words[:_LONGEST]
    if found := _EXCEEDED.search(words):
        return _exceeded(found, unmade)
    counted: Mapping[str, str | int] = {"there": unmade.there, "wanted": unmade.wanted}
    if found := _UNSAID.search(words):
        reason = Reason(
            "quota-unsaid",
            "{there} of {wanted} pods are there: ResourceQuota {quota} lets in only pods that say {fields}",
            {
                "there": unmade.there,
                "wanted": unmade.wanted,
                "quota": found[1],
                "fields": found[2].partition(" for: ")[0],
            },
        )
        return False, reason
    return False, Reason(
        "pods-refused", "{there} of {wanted} pods are there: the next one is refused", counted
    )


def _exceeded(found: re.Match[str], unmade: Unmade) -> tuple[bool, Reason]:
    asked, used, limited = (dict(_amounts(found[i])) for i in (2, 3, 4))
    too_large = [name for name in asked if name in limited and asked[name][0] > limited[name][0]]
    short = [
        name
        for name in asked
        if name in limited and asked[name][0] + used.get(name, (0, ""))[0] > limited[name][0]
    ]
    resource = next(iter([*too_large, *short, *asked]), "")
    values: Mapping[str, str | int] = {
        "there": unmade.there,
        "wanted": unmade.wanted,
        "quota": found[1],
        "resource": resource,
        "asked": asked.get(resource, (0, "?"))[1],
        "used": used.get(resource, (0, "?"))[1],
        "limit": limited.get(resource, (0, "?"))[1],
    }
    if too_large:
        return False, Reason(
            "quota-too-small",
            "{there} of {wanted} pods are there: one asks for {asked} of {resource}, "
            "and ResourceQuota {quota} is {limit} in all",
            values,
        )
    return True, Reason(
        "quota-exceeded",
        "{there} of {wanted} pods are there: one more asks for {asked} of {resource}, "
        "and of ResourceQuota {quota} {used} of {limit} are in use",
        values,
    )


def _amounts(text: str) -> Iterator[tuple[str, tuple[int, str]]]:
    for word in text.split(","):
        name, equals, amount = word.partition("=")
        try:
            nanos = parse_quantity(amount).nanos
        except ValueError:
            continue
        if equals:
            yield name, (nanos, amount)
