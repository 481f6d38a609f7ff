"""One argument to a demand: a built-in name, a file (manifests or a table), or a directory of manifests."""

from pathlib import Path

import msgspec
from msgspec import Struct, structs

from stellwerk.adapters.files import FILE_LIMIT, MIB, expand, list_manifest_files, read_raw, sha256
from stellwerk.adapters.forms import read_demand
from stellwerk.adapters.rows import shown
from stellwerk.adapters.traces import GPU_MEMORY_BYTES, OPENB_DAYS, Window, openb_demand, openb_raw
from stellwerk.adapters.usage import PLAN_MINUTES
from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import Manifest, load_manifests
from stellwerk.api.validation import validate
from stellwerk.engine.demand import Demand
from stellwerk.engine.workload import demand_from_manifests
from stellwerk.sim.demand.builtin import BUILTIN, fleet_file

FLEET_KINDS = frozenset({"Fleet", "Node"})
_MANIFEST_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_PACKED = frozenset({".xz", ".gz"})
DIRECTORY_LIMIT = FILE_LIMIT


class Input(Struct, frozen=True):
    """One input of a replay as a receipt names it: the SHA-256 is that of the bytes as they lie there."""

    role: str  # "demand" or "fleet"
    name: str
    sha256: str


class DemandOptions(Struct, frozen=True, kw_only=True):
    """How to read a demand; each field matters to one form only.

    `days`: the last days of a trace (None: 14 of the built-in one, all of a file). `plan_minutes`: how much
    of measured use the plan knows. `gpu_memory_bytes`: what 1000 milli-GPU of a trace stand for.
    """

    days: int | None = None
    plan_minutes: int = PLAN_MINUTES
    gpu_memory_bytes: int = GPU_MEMORY_BYTES


class LoadedDemand(Struct, frozen=True, kw_only=True):
    """A demand, the Fleet and Node objects found beside it, and what was read.

    `manifests` are all objects that were read, for checks across them; tables have none.
    """

    demand: Demand
    fleet_manifests: tuple[Manifest, ...] = ()
    manifests: tuple[Manifest, ...] = ()
    inputs: tuple[Input, ...]


_DEFAULT = DemandOptions()


def load_demand(argument: str, seed: int = 1, options: DemandOptions = _DEFAULT) -> LoadedDemand:
    """What `argument` names; a built-in name goes before a file of that name. Raises InvalidInput."""
    if argument in BUILTIN:
        return _builtin(argument, seed, options)
    path = Path(argument)
    try:
        # An empty argument is a slip, although a Path reads it as the current directory.
        is_directory, is_there = bool(argument) and path.is_dir(), bool(argument) and path.exists()
    except (OSError, ValueError):
        is_directory = is_there = False
    if is_directory:
        return _from_manifests(argument, _read_directory(path))
    if not is_there:
        raise InvalidInput(
            '"{name}" is neither a file or directory, nor a demand that comes with Stellwerk',
            fix="name one that is there, or one of {builtin}",
            source=shown(argument, 200),
            name=shown(argument, 200),
            builtin=", ".join(BUILTIN),
        )
    raw = read_raw(path)
    if is_manifest_file(argument):
        return _from_manifests(argument, [(argument, raw)])
    window = Window(days=options.days, gpu_memory_bytes=options.gpu_memory_bytes)
    demand = read_demand(expand(raw, argument), argument, window, options.plan_minutes)
    return LoadedDemand(demand=_named(demand, argument), inputs=(Input("demand", argument, sha256(raw)),))


def load_objects(argument: str) -> tuple[Manifest, ...]:
    """The checked objects of a manifest file or a directory of them. Raises InvalidInput."""
    path = Path(argument)
    found = _read_directory(path) if path.is_dir() else [(argument, read_raw(path))]
    manifests = [item for source, raw in found for item in load_manifests(expand(raw, source), source)]
    validate(manifests)
    return tuple(manifests)


def is_manifest_file(name: str) -> bool:
    """Whether a file holds manifests by its name: *.yaml, *.yml or *.json, perhaps packed as .xz or .gz."""
    suffixes = Path(name).suffixes
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in _MANIFEST_SUFFIXES


def _read_directory(path: Path) -> list[tuple[str, bytes]]:
    """The manifest files of a directory, each by its path, of a bounded size together."""
    found: list[tuple[str, bytes]] = []
    size = 0
    for file in list_manifest_files(path):
        found.append((str(file), read_raw(file)))
        size += len(found[-1][1])
        if size > DIRECTORY_LIMIT:
            raise InvalidInput(
                "the manifests in {name} have more than {limit} MiB together",
                fix="move what is not to be replayed out of the directory",
                source=str(path),
                name=str(path),
                limit=DIRECTORY_LIMIT // MIB,
            )
    return found


def _from_manifests(name: str, found: list[tuple[str, bytes]]) -> LoadedDemand:
    manifests = [item for source, raw in found for item in load_manifests(expand(raw, source), source)]
    validate(manifests)
    return LoadedDemand(
        demand=_named(demand_from_manifests(name, manifests), name),
        fleet_manifests=tuple(item for item in manifests if item.kind in FLEET_KINDS),
        manifests=tuple(manifests),
        inputs=tuple(Input("demand", source, sha256(raw)) for source, raw in found),
    )


def _named(demand: Demand, argument: str) -> Demand:
    """The demand under its file's name alone: where it lies on this machine is nobody else's business."""
    return structs.replace(demand, name=Path(argument).name or argument)


def _builtin(name: str, seed: int, options: DemandOptions) -> LoadedDemand:
    fleet = fleet_file(name)
    fleet_manifests = tuple(load_manifests(fleet, f"{name}.yaml"))
    validate(fleet_manifests)
    generate = BUILTIN[name]
    if generate is None:
        days = OPENB_DAYS if options.days is None else options.days
        raw, manifests = openb_raw(), []
        demand = openb_demand(days, options.gpu_memory_bytes)
    else:
        items = generate(seed)
        # The way of a user's file, so that a generated demand is held to the same rules.
        raw = msgspec.json.encode({"apiVersion": "v1", "kind": "List", "items": items})
        manifests = load_manifests(raw, name)
        validate(manifests)
        demand = demand_from_manifests(name, manifests)
    return LoadedDemand(
        demand=demand,
        fleet_manifests=fleet_manifests,
        manifests=tuple(manifests),
        inputs=(Input("demand", name, sha256(raw)), Input("fleet", name, sha256(fleet))),
    )
