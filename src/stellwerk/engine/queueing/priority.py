"""A Workload's priority, with its boost. Source: kueue pkg/util/priority."""

import re

from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.gates import FeatureGates

PRIORITY_BOOST = "kueue.x-k8s.io/priority-boost"
_INT32 = range(-(2**31), 2**31)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


def effective_priority(workload: Workload, gates: FeatureGates) -> int:
    """spec.priority, 0 without one, plus the boost of its annotation; one that is no int32 counts as none."""
    priority = given(workload.spec.priority, 0)
    if not gates.priority_boost:
        return priority
    text = given(workload.metadata.annotations, {}).get(PRIORITY_BOOST, "")
    boost = int(text) if len(text) <= 40 and _INTEGER.fullmatch(text) else 0
    return priority + boost if boost in _INT32 else priority
