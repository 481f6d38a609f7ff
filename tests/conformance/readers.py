"""Which reader understands a case; a reader translates, decides nothing, and never looks at names."""

from collections.abc import Callable
from typing import Any

from tests.conformance.dra_allocator import run_allocator_case
from tests.conformance.dra_cel import run_cel_case
from tests.conformance.dra_extra import KINDS, run_extra_case
from tests.conformance.kueue_tas import PROCEDURES, run_tas_case

Reader = Callable[[dict[str, Any]], str | None]


def reader_of(case: dict[str, Any]) -> Reader:
    """The reader of this form of case: what differs, or None. Raises LookupError for a form without one."""
    if "expression" in case:
        return run_cel_case
    if case.get("kind") in KINDS:
        return run_extra_case
    if "resourceClaims" in case.get("input", ()):
        return run_allocator_case
    if case.get("procedure") in PROCEDURES:
        return run_tas_case
    raise LookupError(f"no reader for this kind of case (keys: {', '.join(sorted(case))})")
