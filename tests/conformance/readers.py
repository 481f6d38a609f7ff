"""Which reader understands a case; a reader translates, decides nothing, and never looks at names."""

from collections.abc import Callable
from typing import Any

from tests.conformance.dra_allocator import run_allocator_case
from tests.conformance.dra_cel import run_cel_case
from tests.conformance.dra_extra import KINDS, run_extra_case
from tests.conformance.kueue_fairshare import FAIRSHARE
from tests.conformance.kueue_flavor import FLAVOR
from tests.conformance.kueue_preemption import PREEMPTION
from tests.conformance.kueue_queue import QUEUE
from tests.conformance.kueue_quota import QUOTA
from tests.conformance.kueue_schedule import SCHEDULE
from tests.conformance.kueue_status import STATUS
from tests.conformance.kueue_steps import STEPS
from tests.conformance.kueue_tas import PROCEDURES as TOPOLOGY
from tests.conformance.kueue_tas import run_tas_case
from tests.conformance.kueue_workload import WORKLOAD

Reader = Callable[[dict[str, Any]], str | None]

PROCEDURES: dict[str, Reader] = {
    **QUOTA,
    **QUEUE,
    **FAIRSHARE,
    **FLAVOR,
    **PREEMPTION,
    **SCHEDULE,
    **STATUS,
    **STEPS,
    **WORKLOAD,
    **dict.fromkeys(TOPOLOGY, run_tas_case),
}


def reader_of(case: dict[str, Any]) -> Reader:
    """The reader of this form of case: what differs, or None. Raises LookupError for a form without one."""
    if "expression" in case:
        return run_cel_case
    if case.get("kind") in KINDS:
        return run_extra_case
    if "resourceClaims" in case.get("input", ()):
        return run_allocator_case
    if case.get("procedure") in PROCEDURES:
        return PROCEDURES[case["procedure"]]
    if "procedure" in case:
        raise LookupError(f"no reader for the procedure {case['procedure']}")
    raise LookupError(f"no reader for this kind of case (keys: {', '.join(sorted(case))})")
