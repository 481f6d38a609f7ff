"""Flavors and targets of one head: in full, by preemption, or with fewer pods.

Source: kueue pkg/scheduler/scheduler.go (getAssignments, getInitialAssignments, lastAssignmentOutdated).
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.cycle.backlog import Progress, pod_sets_of
from stellwerk.engine.queueing.cycle.placing import Places, asks_of, with_places
from stellwerk.engine.queueing.cycle.world import Entry, World
from stellwerk.engine.queueing.flavors.assign import assign_flavors
from stellwerk.engine.queueing.flavors.assignment import Assignment, Cycle, LastTried, Question
from stellwerk.engine.queueing.flavors.mode import FIT, PREEMPT
from stellwerk.engine.queueing.flavors.reduce import reduce_pod_sets
from stellwerk.engine.queueing.preemption.contest import Target
from stellwerk.engine.queueing.preemption.preempt import Preemptor, preempt
from stellwerk.engine.queueing.queue import Queue
from stellwerk.engine.queueing.requests.total import WorkloadInfo
from stellwerk.engine.queueing.snapshot import Holding

SLICE_REPLACEMENT_FOR = "kueue.x-k8s.io/workload-slice-replacement-for"
Answer = tuple[Assignment, tuple[Target, ...]]


class _Search(Struct, frozen=True):
    """One question to the flavor assigner, in this world."""

    world: World
    queue: Queue
    question: Question
    preemptor: Preemptor
    cycle: Cycle


def nominate(world: World, entry: Entry, queue: Queue) -> None:
    """Write flavors and targets into the entry, as the world is now."""
    sliced = replaced_slice(world, entry.info)
    question = Question(
        info=entry.info,
        last_tried=_resumed(world, entry, queue),
        nominated=entry.nominated,
        replaced=None if sliced is None else sliced.info,
    )
    preemptor = world.preemptor(entry.waiting.standing)
    cycle = world.question_cycle(preemptor)
    answer = _answer(_Search(world, queue, question, preemptor, cycle), sliced)
    assignment = with_places(world, cycle, (queue, question), answer)
    entry.assignment, entry.targets = assignment, answer[1]
    entry.message = message_of(assignment)
    entry.starts_anew = False


def replaced_slice(world: World, info: WorkloadInfo) -> Holding | None:
    """The slice of an elastic workload that this one takes the place of, if it is in the same queue."""
    if not world.snapshot.gates.elastic_jobs_via_workload_slices:
        return None
    key = given(info.object.metadata.annotations, {}).get(SLICE_REPLACEMENT_FOR)
    found = None if key is None else world.snapshot.held[info.cluster_queue].get(key)
    if found is None or found.info.object.metadata.namespace != info.object.metadata.namespace:
        return None
    return found


def progress_of(world: World, entry: Entry) -> Progress | None:
    """Where the next search begins; None: with the first flavor."""
    if entry.assignment is None or entry.starts_anew:
        return None
    return Progress(
        last_tried=entry.assignment.last_tried,
        generation=_generation(world, entry.info.cluster_queue),
        cycle=world.backlog.cycle,
        shape=entry.waiting.shape,
    )


def message_of(assignment: Assignment) -> str:
    """Why the PodSets did not get flavors; empty if all fit."""
    texts = []
    for one in assignment.pod_sets:
        if one.error is not None:
            return f"failed to assign flavors to pod set {one.name}: {one.error}"
        if one.reasons:
            reasons = ", ".join(sorted(map(str, one.reasons)))
            texts.append(f"couldn't assign flavors to pod set {one.name}: {reasons}")
    return "; ".join(texts)


def _resumed(world: World, entry: Entry, queue: Queue) -> LastTried:
    """Where the last search ended, unless that is outdated or the entry starts anew."""
    progress = entry.waiting.progress
    if progress is None or entry.starts_anew:
        return ()
    if world.snapshot.gates.flavor_fungibility_preserve_scan_progress:
        shape = entry.waiting.shape
        if None not in (progress.shape, shape) and progress.shape != shape:
            return ()
        if world.backlog.cycle - progress.cycle <= 1:
            return progress.last_tried
    outdated = _generation(world, queue.name) > progress.generation
    return () if outdated else progress.last_tried


def _generation(world: World, queue: str) -> int:
    return world.backlog.generations.get(queue, 0)


def _answer(search: _Search, sliced: Holding | None) -> Answer:
    """The best assignment, with whom it preempts; the slice that is replaced is the first of them."""
    own = () if sliced is None else (Target(sliced, ""),)
    full = _assign(search, ())
    if full.mode == FIT:
        return full, own
    targets = _targets(search, full) if full.mode == PREEMPT else ()
    if targets:
        return full, own + targets
    if search.world.snapshot.gates.partial_admission:
        partial = reduce_pod_sets(
            pod_sets_of(search.question.info.object), lambda counts: _partly(search, counts)
        )
        if partial is not None:
            return partial[0], own + partial[1]
    return full, ()


def _partly(search: _Search, counts: tuple[int, ...]) -> Answer | None:
    """The assignment of so many pods, if it fits or others can be preempted for it."""
    assignment = _assign(search, counts)
    if assignment.mode == FIT:
        return assignment, ()
    targets = _targets(search, assignment) if assignment.mode == PREEMPT else ()
    return (assignment, targets) if targets else None


def _assign(search: _Search, counts: tuple[int, ...]) -> Assignment:
    question = replace(search.question, counts=counts) if counts else search.question
    return assign_flavors(search.cycle, search.queue, question)


def _targets(search: _Search, assignment: Assignment) -> tuple[Target, ...]:
    world, info = search.world, search.question.info
    asks = asks_of(search.cycle, search.queue, search.question, assignment)
    places = Places(world.topologies, info, asks) if asks else None
    return tuple(preempt(search.preemptor, info, assignment, places))


def nomination(assignment: Assignment) -> Mapping[str, Mapping[str, str]]:
    """By PodSet and resource the flavors of an assignment, to which a second look keeps."""
    return {
        one.name: {resource: each.flavor for resource, each in one.flavors.items()}
        for one in assignment.pod_sets
    }
