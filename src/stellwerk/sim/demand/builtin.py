"""The demands that come with Stellwerk, by name: two generated ones, and a trace of a production cluster."""

from collections.abc import Callable, Iterator
from importlib.resources import files

import yaml

from stellwerk.api.errors import InvalidInput
from stellwerk.sim.demand.objects import Manifest


def _demo(seed: int) -> list[Manifest]:
    from stellwerk.sim.demand import demo

    return demo.manifests(seed)


def _mittelstand(seed: int) -> list[Manifest]:
    from stellwerk.sim.demand import mittelstand

    return mittelstand.manifests(seed)


# Imported when asked for. A trace has no manifests.
BUILTIN: dict[str, Callable[[int], list[Manifest]] | None] = {
    "demo": _demo,
    "mittelstand": _mittelstand,
    "openb": None,
}


def fleet_file(name: str) -> bytes:
    """The YAML of the fleet that belongs to a built-in demand."""
    assert name in BUILTIN, "only built-in demands have a fleet"
    return files("stellwerk.sim.demand").joinpath("fleets").joinpath(f"{name}.yaml").read_bytes()


def write_manifests(name: str, seed: int = 1) -> list[tuple[str, str]]:
    """A generated demand as files: (file name, YAML), which read back to the same objects.

    The queues come first, so that `kubectl apply` creates them before the jobs; Period and Fleet are
    Stellwerk's own and stand apart. Raises InvalidInput for a name that is not generated.
    """
    generate = BUILTIN.get(name)
    if generate is None:
        raise InvalidInput(
            '"{name}" has no manifests to write',
            fix="choose one of {names}",
            name=name,
            names=", ".join(known for known, made in BUILTIN.items() if made is not None),
        )
    groups: dict[str, list[Manifest]] = {}
    for item in generate(seed):
        groups.setdefault(_file_name(item), []).append(item)
    return [
        *((file, f"# {_title(file, name, seed)}\n{_yaml(items)}") for file, items in sorted(groups.items())),
        ("fleet.yaml", fleet_file(name).decode()),
    ]


def _file_name(item: Manifest) -> str:
    """Where an object stands: queues, the period, or the jobs of a team."""
    if item["kind"] == "Period":
        return "period.yaml"
    return f"10-{item['metadata']['namespace']}.yaml" if _is_job(item) else "00-queues.yaml"


def _is_job(item: Manifest) -> bool:
    return "stellwerk.dev/arrival" in item["metadata"].get("annotations", {})


def _title(file: str, name: str, seed: int) -> str:
    if file == "period.yaml":
        return f"{name}: the period that is replayed (read by Stellwerk, not by a cluster)"
    if file == "00-queues.yaml":
        return f"{name}: namespaces of the teams, and Kueue's queues"
    team = file.removeprefix("10-").removesuffix(".yaml")
    return f"{name}: what team {team} runs, generated from seed {seed}"


def _yaml(items: list[Manifest]) -> str:
    return "---\n".join(_documents(items))


def _documents(items: list[Manifest]) -> Iterator[str]:
    # libyaml's dumper writes the same text, many times as fast, where PyYAML was built with it.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    for item in items:
        yield yaml.dump(item, Dumper=dumper, sort_keys=False, width=1_000)
