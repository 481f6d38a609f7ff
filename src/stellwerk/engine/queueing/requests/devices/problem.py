"""What Kueue finds wrong with a claim, in the words of its condition: they are not templates of ours.

Source: k8s.io/apimachinery pkg/util/validation/field (Error), pkg/util/errors (Aggregate).
"""

import json

from msgspec import Struct

INVALID, INTERNAL, NOT_FOUND = "Invalid value", "Internal error", "Not found"


class Problem(Struct, frozen=True, kw_only=True):
    """One field; `value` as it is shown. What is INTERNAL Kueue tries again: the cluster may change."""

    kind: str
    path: str
    detail: str
    value: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.path, self.kind, self.value, self.detail) if part)


class Problems(Struct, frozen=True):
    """What is wrong, at least one."""

    found: tuple[Problem, ...]

    def __str__(self) -> str:
        """One as it is, several in brackets, each once."""
        texts = list(dict.fromkeys(map(str, self.found)))
        return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


class Refused(Struct, frozen=True):
    """The Workload is inadmissible; `retried`: until the cluster has what it asks for."""

    message: str
    retried: bool = False


def invalid(path: str, detail: str, value: str | None = None) -> Problem:
    """A value that Kueue does not take; None is shown as null."""
    shown = "null" if value is None else json.dumps(value, ensure_ascii=False)
    return Problem(kind=INVALID, path=path, detail=detail, value=shown)


def internal(path: str, detail: str) -> Problem:
    """What the cluster does not have now."""
    return Problem(kind=INTERNAL, path=path, detail=detail)


def refused(problems: Problems) -> Refused:
    """All of them in one message."""
    return Refused(str(problems), any(one.kind == INTERNAL for one in problems.found))
