"""`stellwerk usage PATH...`: what was understood of measured series, before any figure rests on it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.live import live_options, metrics_paths, moment_ms
from stellwerk.cli.options import LANG, language_of

if TYPE_CHECKING:
    from stellwerk.adapters.metrics.load import LoadedUsage
    from stellwerk.engine.usage import PodUse, Samples, Usage
    from stellwerk.report.text import Language

_NS_PER_MS = 1_000_000


@click.command("usage", short_help="Read measured series; say which GPUs, pods, holes and doubts they hold.")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@live_options
@click.option("--interval", metavar="30s", help="Scrape interval (else the median step).")
@click.option("--at", metavar="TIME", help="When exposition text without times was scraped (RFC 3339).")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Form of what goes to stdout.",
)
@LANG
def command(paths: tuple[str, ...], interval: str | None, at: str | None, output: str, **options: Any) -> int:
    """Read PATH... (files or folders of metrics) and print devices, pods, interval, holes and warnings.

    Prometheus' JSON, exposition text, CSV or Parquet, also .xz or .gz, with the names and labels of DCGM
    exporter and kube-state-metrics.
    """
    from stellwerk.adapters.metrics.load import UsageOptions, load_usage

    language = language_of(options.pop("lang"))
    asked = UsageOptions(
        interval_ms=None if interval is None else _interval_ms(interval),
        at_ms=None if at is None else moment_ms("--at", at),
    )
    loaded = load_usage(metrics_paths(paths, options, language), asked)
    if output == "json":
        import msgspec

        content = msgspec.json.format(msgspec.json.encode(_plain(loaded)), indent=2)
        click.echo(content.decode())
    else:
        _print(loaded, language)
    return 0


def _interval_ms(text: str) -> int:
    from stellwerk.api.duration import parse_duration
    from stellwerk.api.errors import InvalidInput

    try:
        milliseconds = parse_duration(text) // _NS_PER_MS
    except ValueError:
        milliseconds = 0
    if not 0 < milliseconds <= 86_400_000:
        raise InvalidInput(
            '--interval: "{value}" is no duration from 1ms to 24h',
            fix="write Go's form, such as --interval 30s",
            value=text,
        )
    return milliseconds


def _plain(loaded: "LoadedUsage") -> dict[str, Any]:
    """The usage for programs: times in milliseconds, of each series only how much there is."""
    usage = loaded.usage
    return {
        "startMs": usage.start_ms,
        "endMs": usage.end_ms,
        "intervalMs": usage.interval_ms,
        "devices": [
            {
                "key": device.key,
                "node": device.node,
                "uuid": device.uuid,
                "index": device.index,
                "model": device.model,
                "profile": device.profile,
                "instance": device.instance,
                "samples": _counts(device.series),
            }
            for device in usage.devices
        ],
        "pods": [_plain_pod(pod) for pod in usage.pods],
        "holes": [
            {"node": hole.node, "startMs": hole.start_ms, "endMs": hole.end_ms} for hole in usage.holes
        ],
        "cluster": _plain_cluster(usage),
        "warnings": [
            {"code": warning.code, "text": str(warning), "values": warning.values}
            for warning in usage.warnings
        ],
        "inputs": [{"name": file.name, "sha256": file.sha256} for file in loaded.inputs],
    }


def _plain_cluster(usage: "Usage") -> dict[str, Any]:
    """Lives and cordons of nodes, and when workloads waited: what is read beside the pods that ran."""
    nodes = [
        {
            "node": name,
            "lives": [
                {"startMs": life.start_ms, "endMs": life.end_ms, "begun": life.begun, "gone": life.gone}
                for life in node.lives
            ],
            "cordoned": _stretches(node.cordoned),
        }
        for name, node in usage.cluster.nodes.items()
    ]
    return {"nodes": nodes, "pending": _stretches(usage.cluster.pending)}


def _stretches(stretches: "Iterable[tuple[int, int]]") -> list[dict[str, int]]:
    return [{"startMs": start, "endMs": end} for start, end in stretches]


def _plain_pod(pod: "PodUse") -> dict[str, Any]:
    return {
        "namespace": pod.namespace,
        "pod": pod.pod,
        "container": pod.container,
        "ownerKind": pod.owner_kind,
        "owner": pod.owner,
        "team": pod.team,
        "kind": pod.kind,
        "devices": pod.devices,
        "startMs": pod.start_ms,
        "endMs": pod.end_ms,
        "gpusRequested": pod.gpus_requested,
        "labels": pod.labels,
        "claim": pod.claim,
        "samples": _counts(pod.series),
        "sharedWith": pod.shared_with,
        "attributed": pod.attributed,
    }


def _counts(series: "Mapping[str, Samples]") -> dict[str, int]:
    return {metric: len(series[metric].times_ms) for metric in series}


def _print(loaded: "LoadedUsage", lang: "Language") -> None:
    from stellwerk.report.text import moment, number, reason_text, translator

    usage, _ = loaded.usage, translator(lang)
    click.echo(
        _(
            "{devices} GPUs or instances, {pods} pods, {files} files: {start} to {end}, every {seconds} s",
            devices=len(usage.devices),
            pods=len(usage.pods),
            files=len(loaded.inputs),
            start=moment(usage.start_ms * _NS_PER_MS, lang),
            end=moment(usage.end_ms * _NS_PER_MS, lang),
            seconds=number(usage.interval_ms // 1000, lang),
        )
    )
    click.echo()
    _table(("DEVICE", "NODE", "MODEL", "PROFILE", "METRICS", "SAMPLES"), _device_rows(usage))
    click.echo()
    _table(("POD", "OWNER", "KIND", "GPUS", "FROM", "FOR", "SHARES WITH"), _pod_rows(usage, lang))
    if usage.holes:
        click.echo()
        _table(("HOLE", "FROM", "FOR"), _hole_rows(usage, lang))
    if usage.warnings:
        click.echo()
    for warning in usage.warnings:
        click.echo(f"{warning.code}: {reason_text(warning, lang)}")


def _device_rows(usage: "Usage") -> list[tuple[str, ...]]:
    return [
        (
            device.key,
            device.node or "-",
            device.model or "unknown",
            device.profile or "-",
            str(len(device.series)),
            str(_most(device.series.values())),
        )
        for device in usage.devices
    ]


def _most(series: "Iterable[Samples]") -> int:
    return max((len(each.times_ms) for each in series), default=0)


def _pod_rows(usage: "Usage", lang: "Language") -> list[tuple[str, ...]]:
    from stellwerk.report.text import duration, moment

    return [
        (
            pod.name,
            f"{pod.owner_kind}/{pod.owner}" if pod.owner else "-",
            pod.kind,
            str(len(pod.devices)),
            moment(pod.start_ms * _NS_PER_MS, lang),
            duration((pod.end_ms - pod.start_ms) * _NS_PER_MS, lang),
            str(len(pod.shared_with)) + ("" if pod.attributed else " (not split)"),
        )
        for pod in usage.pods
    ]


def _hole_rows(usage: "Usage", lang: "Language") -> list[tuple[str, ...]]:
    from stellwerk.report.text import duration, moment

    return [
        (
            hole.node or "*",
            moment(hole.start_ms * _NS_PER_MS, lang),
            duration((hole.end_ms - hole.start_ms) * _NS_PER_MS, lang),
        )
        for hole in usage.holes
    ]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Columns parted by two spaces, as kubectl prints them; names may hold what a terminal must not obey."""
    clean = [tuple("".join(c if c.isprintable() else " " for c in cell) for cell in row) for row in rows]
    widths = [max(len(row[i]) for row in [head, *clean]) for i in range(len(head))]
    for row in [head, *clean]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
