"""Topologies of the scenarios, and what Jobs ask of them: a level, or slices that stay together."""

from random import Random

from tests.cluster.parity.scenario import Json, kueue, node

BLOCK, RACK, HOST = "parity.test/block", "parity.test/rack", "kubernetes.io/hostname"
LEVELS = (BLOCK, RACK, HOST)
MIN_PODS = "kueue.x-k8s.io/job-min-parallelism"
_ASKED = "kueue.x-k8s.io/podset-{}-topology"
_SLICE, _SLICE_SIZE = "kueue.x-k8s.io/podset-slice-required-topology", "kueue.x-k8s.io/podset-slice-size"


def topology(draw: Random, name: str, labels: Json, taint: Json) -> list[Json]:
    """A Topology of block, rack and host, and its nodes; some of them with the taint."""
    found = [kueue("Topology", f"{name}-t", {"levels": [{"nodeLabel": each} for each in LEVELS]})]
    for block in range(2):
        for rack in range(2):
            where = {BLOCK: f"{name}-b{block}", RACK: f"{name}-b{block}r{rack}"}
            for host in range(draw.choice((1, 2))):
                taints = (taint,) if draw.random() < 0.2 else ()
                named = f"{name}-b{block}r{rack}h{host}"
                found.append(node(named, {**labels, **where}, draw.choice((2, 3, 4)), taints))
    return found


def asked(draw: Random, count: int) -> tuple[int, dict[str, str]]:
    """How many pods, and their annotations; `count` is what it would be without slices."""
    how = draw.choice(("required", "required", "preferred", "unconstrained"))
    level = draw.choice(LEVELS)
    notes = {_ASKED.format(how): "true" if how == "unconstrained" else level}
    if how == "unconstrained" or draw.random() < 0.6:
        return count, notes
    size = draw.choice((1, 2, 2, 3))
    # A slice lies within what the whole Job lies in.
    inner = draw.choice(LEVELS[LEVELS.index(level) :])
    return size * draw.choice((1, 2)), {**notes, _SLICE: inner, _SLICE_SIZE: str(size)}
