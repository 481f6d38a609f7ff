"""Who judges what `check` is asked: the layers' rules, and with a live cluster what it holds."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stellwerk.api.manifests import Manifest
    from stellwerk.cli.allocation.live import Live
    from stellwerk.engine.allocation.support.row import Cluster, Row
    from stellwerk.engine.diagnosis.claims.there import There
    from stellwerk.engine.queueing.course.verdict import Verdict
    from stellwerk.engine.queueing.snapshot import Configuration

Judge = Callable[[Sequence["Manifest"]], Sequence["Row"]]
KWOK = "kwok"


def judge_of_rules(cluster: "Cluster") -> Judge:
    """What the layers' rules say."""
    from stellwerk.engine.allocation.support.check import check_support
    from stellwerk.engine.allocation.support.subject import asked_of

    return lambda manifests: check_support(asked_of(manifests), cluster)


def judge_of_cluster(live: "Live", cluster: "Cluster") -> Judge:
    """The same, and what the live cluster has."""
    from stellwerk.engine.diagnosis.claims.rows import check_there

    there = _there(live, cluster)
    return lambda manifests: check_there(manifests, there, cluster)


def check_scheduler(
    live: "Live", cluster: "Cluster", manifests: "Sequence[Manifest]", stated: Mapping[str, bool]
) -> None:
    """Raise InvalidInput where the answer depends on gates of a scheduler that does not show them.

    The answer was given with the API server's; `stated` gates were written as options.
    """
    from msgspec.structs import replace

    from stellwerk.api.errors import InvalidInput
    from stellwerk.catalog.versions import gates
    from stellwerk.engine.allocation.support.check import is_refused

    unsure = sorted(
        name
        for name, on in cluster.changed.items()
        if name not in stated and (known := gates(cluster.kubernetes).get(name)) and known.default != on
    )
    if live.scheduler is not None or not unsure:
        return
    defaults = replace(cluster, scheduler_changed=stated)
    if is_refused(judge_of_cluster(live, defaults)(manifests)):
        raise InvalidInput(
            "it depends on feature gates that the API server has on and the scheduler does not show: {gates}",
            fix="if the scheduler has it on too, say it: --gate {gate}={value}",
            gates=", ".join(unsure),
            gate=unsure[0],
            value=str(cluster.changed[unsure[0]]).lower(),
        )


def _there(live: "Live", cluster: "Cluster") -> "There":
    from stellwerk.catalog.versions import gates
    from stellwerk.cli.allocation.allocate import rules_of
    from stellwerk.engine.diagnosis.claims.there import There

    configuration = _configuration(live, cluster)
    on = frozenset(name for name in gates(cluster.kubernetes) if cluster.scheduler_on(name))
    return There(
        manifests=tuple(live.manifests),
        rules=rules_of(cluster.kubernetes, on),
        managed=_managed(live, configuration),
        decided=lambda manifests: _decided(manifests, configuration),
        buys_gpus=[each.component.rpartition("-")[2] for each in cluster.providers] != [KWOK],
    )


def _configuration(live: "Live", cluster: "Cluster") -> "Configuration":
    """Of the cluster's Kueue, its gates too."""
    from stellwerk.api.manifests import Manifest, typed
    from stellwerk.api.scheme import KUEUE_CONFIG
    from stellwerk.catalog.kueue import kueue_facts
    from stellwerk.sim.intake.kueue import kueue_configuration

    known = {gate.name for gate in kueue_facts().gates}
    shown = live.queue.installed.gates if live.queue.installed is not None else None
    changes = {name: on for name, on in {**(shown or {}), **cluster.changed}.items() if name in known}
    written = live.queue.configuration
    if not written:
        return kueue_configuration([], changes)
    raw: dict[str, Any] = {**written, "apiVersion": KUEUE_CONFIG, "kind": "Configuration"}
    source = "Kueue's Configuration in the cluster"
    return kueue_configuration([typed(Manifest(raw=raw, object=None, source=source, document=1))], changes)


def _managed(live: "Live", configuration: "Configuration") -> "Callable[[Manifest], bool]":
    from stellwerk.api.groups.batch import Job
    from stellwerk.api.groups.core import Namespace
    from stellwerk.api.groups.kueue import LocalQueue
    from stellwerk.engine.allocation.support.subject import names_queue
    from stellwerk.engine.queueing.jobs.managed import job_queues

    objects = [one.object for one in live.manifests]
    queues = job_queues(
        [one for one in objects if isinstance(one, Namespace)],
        [one for one in objects if isinstance(one, LocalQueue)],
        configuration.jobs,
    )

    def managed(manifest: "Manifest") -> bool:
        if isinstance(manifest.object, Job):
            return queues.queue_of(manifest.object) is not None
        return names_queue(manifest) and manifest.kind.lower() in configuration.jobs.frameworks

    return managed


def _decided(manifests: "Sequence[Manifest]", configuration: "Configuration") -> "dict[str, Verdict]":
    import time

    from stellwerk.engine.queueing.course.run import run_cycles
    from stellwerk.engine.queueing.course.verdict import job_key, verdicts
    from stellwerk.sim.intake.queues import queued_objects

    queued = queued_objects(manifests, time.time_ns(), configuration.jobs)
    course = run_cycles(queued.objects, configuration, queued.now)
    return {job_key(one): one for one in verdicts(course)}
