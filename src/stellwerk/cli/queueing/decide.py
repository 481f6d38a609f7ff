"""What `admit` and `why` share: which manifests, under which rules, how many cycles."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from stellwerk.cli.cluster import cluster_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stellwerk.api.manifests import Manifest
    from stellwerk.engine.queueing.course.run import Course
    from stellwerk.engine.queueing.course.verdict import Verdict
    from stellwerk.report.text import Language

ALL = "all"
OPTIONS = (
    click.option(
        "-f",
        "--file",
        "paths",
        multiple=True,
        metavar="DIR|FILE",
        help="Queues, quota, flavors, Workloads, Jobs, Nodes (repeatable).",
    ),
    click.option(
        "--cycles", default=ALL, show_default=True, metavar="N|all", help="How many scheduling cycles."
    ),
    click.option(
        "--fair-sharing", is_flag=True, help="Kueue's Configuration has fairSharing, by default rules."
    ),
    click.option(
        "--gate",
        "gates",
        multiple=True,
        metavar="NAME=true|false",
        help="Turn a gate on or off (repeatable).",
    ),
    click.option("--at", metavar="TIME", help="The time of the first cycle (else the latest in the files)."),
)


class Settings(Struct, frozen=True, kw_only=True):
    """The options as they were written."""

    paths: tuple[str, ...]
    cycles: str
    fair_sharing: bool
    gates: tuple[str, ...]
    at: str | None
    kubeconfig: str | None = None
    context: str | None = None


def decided_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that decide what is decided."""
    for option in reversed(OPTIONS):
        function = option(function)
    return cluster_options(function)


def one_of(found: "tuple[Verdict, ...]", name: str) -> "Verdict":
    """The Job or Workload of this name, or namespace/name. Raises InvalidInput for none, and for several."""
    from stellwerk.api.errors import InvalidInput
    from stellwerk.catalog.nearest import nearest
    from stellwerk.engine.queueing.course.verdict import job_key

    keys = {key: one for one in found for key in (one.key, job_key(one)) if key}
    matching = {id(one): key for key, one in keys.items() if name in (key, key.partition("/")[2])}
    if len(matching) == 1:
        return keys[next(iter(matching.values()))]
    if matching:
        raise InvalidInput(
            "{count} are called {name}",
            fix="write one of: {known}",
            count=len(matching),
            name=name[:80],
            known=", ".join(sorted(matching.values())[:5]),
        )
    raise InvalidInput(
        "nothing that waits or runs is called {name}",
        fix="write one of: {near}",
        name=name[:80],
        near=nearest(name[:80], dict.fromkeys(keys, "")),
    )


def check_source(settings: Settings) -> None:
    """Files or a cluster, not both and not none. Raises InvalidInput."""
    from stellwerk.api.errors import InvalidInput

    if bool(settings.paths) == (settings.kubeconfig is not None):
        raise InvalidInput(
            "objects come from files or from a cluster, and {count} of the two are named",
            fix="write -f DIR, or --kubeconfig",
            count=2 if settings.paths else 0,
        )


def decide(settings: Settings, lang: "Language" = "en") -> "tuple[Course, tuple[Verdict, ...]]":
    """The cycles on files or on a live cluster, and what became of each workload. Raises InvalidInput."""
    from stellwerk.api.generated_names import with_names
    from stellwerk.cli.cluster import READ_BY, kinds_of, open_cluster, read_live
    from stellwerk.sim.intake.manifests import read_all

    check_source(settings)
    if settings.kubeconfig is None:
        return decide_on(with_names(read_all(settings.paths, "manifests")[0]), settings)
    with open_cluster(settings.kubeconfig, settings.context, lang) as client:
        found = read_live(client, kinds_of(READ_BY["admit"]))
    return decide_on(found.manifests, settings)


def decide_on(manifests: "Sequence[Manifest]", settings: Settings) -> "tuple[Course, tuple[Verdict, ...]]":
    """The same on objects that were read. Raises InvalidInput, also where nothing is queued."""
    from msgspec.structs import replace

    from stellwerk.api.errors import InvalidInput
    from stellwerk.engine.queueing.course.run import run_cycles
    from stellwerk.engine.queueing.course.verdict import verdicts
    from stellwerk.engine.queueing.preemption.fair import FINAL, INITIAL
    from stellwerk.sim.intake.kueue import kueue_configuration
    from stellwerk.sim.intake.queues import queued_objects

    most, at = _cycles(settings.cycles), _moment(settings)
    changes = gates_of(settings.gates)
    configuration = kueue_configuration(manifests, changes)
    if settings.fair_sharing:
        configuration = replace(configuration, fair_sharing=(FINAL, INITIAL))
    queued = queued_objects(manifests, at, configuration.jobs)
    course = run_cycles(queued.objects, configuration, queued.now, most)
    found = verdicts(course)
    if not found:
        names = ", ".join(settings.paths)[:200] or "the cluster"
        raise InvalidInput(
            "{name} has no Workload, and no Job with a queue",
            fix="add a Workload, or a Job with the label kueue.x-k8s.io/queue-name",
            source=names,
            name=names,
        )
    return course, found


def _moment(settings: Settings) -> int | None:
    """A live cluster is looked at now."""
    import time

    if settings.at is None and settings.kubeconfig is not None:
        return time.time_ns()
    return time_of(settings.at)


def _cycles(text: str) -> int | None:
    from stellwerk.api.errors import InvalidInput

    if text == ALL:
        return None
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 6 and int(text)):
        raise InvalidInput(
            "{value} is no number of cycles", fix="write --cycles all, or 1 to 999999", value=text[:80]
        )
    return int(text)


def time_of(text: str | None) -> int | None:
    """Nanoseconds since 1970 of an option; None where it was not given. Raises InvalidInput."""
    from stellwerk.api.duration import parse_time
    from stellwerk.api.errors import InvalidInput

    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise InvalidInput(
            "{value} is not a time", fix='write RFC 3339, such as "2026-01-31T08:00:00Z"', value=text[:80]
        ) from None


def gates_of(texts: tuple[str, ...]) -> dict[str, bool]:
    """Kueue's feature gates that options turn on or off. Raises InvalidInput for one that there is not."""
    from stellwerk.api.errors import InvalidInput
    from stellwerk.engine.queueing.gates import feature_gates

    changes: dict[str, bool] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if value not in ("true", "false"):
            raise InvalidInput(
                "the gate {gate} has no value", fix="write NAME=true or NAME=false", gate=text[:80]
            )
        changes[name] = value == "true"
    try:
        feature_gates(changes)
    except ValueError as error:
        raise InvalidInput(
            "Kueue has no gate {gate}", fix="write one of Kueue's feature gates", gate=str(error)[:80]
        ) from None
    return changes
