"""A plan's MIG layouts for mig-parted: its configuration, the ConfigMap of it, and each node's label.

mig-parted's file has counts by profile, no placements: the driver chooses those. Format and strictness:
NVIDIA/mig-parted api/spec/v1; what a GPU's instances become when counts differ: its pkg/mig/config.
"""

from itertools import groupby
from typing import Any

from stellwerk.catalog.gpus import gpu_model
from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.geometry import Instance
from stellwerk.engine.partition.inventory import DEVICE_PLUGIN, Gpu, PartitionPlan
from stellwerk.engine.partition.layouts import cut
from stellwerk.engine.partition.policy import MIG
from stellwerk.report.partition.claims import comment_lines, commented
from stellwerk.report.partition.nodes import (
    APPLY,
    CLUSTER_ONLY,
    NAMESPACE,
    POLICY_ONLY,
    by_node,
    cluster_policy,
    config_map,
    node_labels,
    placed,
)
from stellwerk.report.partition.yaml_text import yaml_text

LABEL, CONFIG_MAP, OFF = "nvidia.com/mig.config", "stellwerk-mig-parted", "all-disabled"
BARE, MAP, LABELS = "config.yaml", "mig-parted-config.yaml", "mig-parted-node-labels.yaml"
POLICY = "mig-parted-cluster-policy.yaml"
MOST_NAME = 63  # A label's value.
Entries = tuple[dict[str, Any], ...]


def mig_parted_files(plan: PartitionPlan) -> list[tuple[str, str]]:
    """(file name, YAML): the bare configuration, its ConfigMap, the node labels, and a ClusterPolicy patch.

    Nodes whose GPUs cannot be cut get no label. The patch is for the device plugin only.
    """
    nodes = {
        node: gpus
        for node, gpus in by_node(plan).items()
        if any(gpu_model(gpu.model).mig_supported for gpu in gpus)
    }
    configs, names = _configs(nodes)
    config = yaml_text({"version": "v1", "mig-configs": {name: list(configs[name]) for name in configs}})
    bare = comment_lines([*_bare_head(plan), *_placements(nodes)]) + config
    files = [
        (BARE, bare),
        (MAP, commented(_map_head(plan), config_map(CONFIG_MAP, {"config.yaml": config}))),
        (LABELS, node_labels(_label_head(plan), LABEL, names)),
    ]
    if plan.executor == DEVICE_PLUGIN:
        manager = {"enabled": True, "config": {"name": CONFIG_MAP, "default": OFF}}
        spec = {"mig": {"strategy": "mixed"}, "migManager": manager}
        files.append((POLICY, commented(_policy_head(), cluster_policy(spec))))
    return files


def _configs(nodes: dict[str, list[Gpu]]) -> tuple[dict[str, Entries], dict[str, str]]:
    """Configurations by name, and each node's; equal layouts share one."""
    configs: dict[str, Entries] = {OFF: ({"devices": "all", "mig-enabled": False},)}
    names: dict[str, str] = {}
    for node, gpus in nodes.items():
        entries = _entries(gpus)
        if all(gpu.method != MIG for gpu in gpus):
            names[node] = OFF
            continue
        same = next((name for name, known in configs.items() if known == entries), None)
        names[node] = same or _name(entries, configs)
        configs[names[node]] = entries
    return configs, names


def _entries(gpus: list[Gpu]) -> Entries:
    """One entry for GPUs of the node that are alike, by their first index; a filter where models differ."""
    mixed = len({gpu.model for gpu in gpus}) > 1
    alike: dict[tuple[tuple[str, ...], bool, tuple[tuple[str, int], ...]], list[int]] = {}
    for gpu in gpus:
        chips = gpu_model(gpu.model).pci_device_ids if mixed else ()
        alike.setdefault((chips, gpu.method == MIG, _counts(gpu)), []).append(gpu.index)
    found: list[dict[str, Any]] = []
    for (chips, enabled, counts), indices in alike.items():
        entry: dict[str, Any] = {"device-filter": list(chips)} if chips else {}
        entry |= {"devices": indices, "mig-enabled": enabled}
        if enabled:
            entry["mig-devices"] = dict(counts)
        found.append(entry)
    return tuple(found)


def _counts(gpu: Gpu) -> tuple[tuple[str, int], ...]:
    """(profile, count), the largest first, as mig-parted makes them."""
    names = sorted((each.profile for each in gpu.instances), key=lambda name: (-_size(gpu, name), name))
    return tuple((name, len(list(group))) for name, group in groupby(names))


def _size(gpu: Gpu, name: str) -> int:
    table = mig_table(gpu.model)
    profile = table.profile(name) if table else None
    assert profile is not None, "a plan has only profiles of the model"
    return profile.size


def _name(entries: Entries, taken: dict[str, Entries]) -> str:
    """Readable, such as `gpu0-3.off_gpu4.3g.40gb-1g.10gb-x4`; numbered where a label cannot hold it."""
    name = "_".join(f"gpu{_ranges(entry['devices'])}.{_layout(entry)}" for entry in entries)
    if len(name) <= MOST_NAME and name not in taken:
        return name
    return next(free for n in range(1, len(taken) + 2) if (free := f"layout-{n}") not in taken)


def _layout(entry: dict[str, Any]) -> str:
    if not entry["mig-enabled"]:
        return "off"
    counts = entry["mig-devices"].items()
    return (
        "-".join(
            f"{profile.replace('+', '.')}{f'-x{count}' if count > 1 else ''}" for profile, count in counts
        )
        or "empty"
    )


def _ranges(indices: list[int]) -> str:
    """[0, 1, 2, 5] as `0-2.5`."""
    runs = [
        [index for _, index in run]
        for _, run in groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0])
    ]
    return ".".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _placements(nodes: dict[str, list[Gpu]]) -> list[str]:
    """The plan's placements where the driver may choose others."""
    alike: dict[tuple[str, str], list[Gpu]] = {}
    for gpus in nodes.values():
        for gpu in gpus:
            if gpu.method == MIG:
                alike.setdefault((gpu.model, placed(gpu)), []).append(gpu)
    free = [(plan, gpus) for (_, plan), gpus in alike.items() if has_choice(gpus[0])]
    if not free:
        return []
    return [
        "",
        "mig-parted takes counts, and the driver chooses placements: on these GPUs perhaps others than the",
        "plan's, which can be had by: nvidia-smi mig -i GPU -cgi PROFILE:START,... -C",
        *(f"- {', '.join(f'{gpu.node}/{gpu.index}' for gpu in gpus)}: {plan}" for plan, gpus in free),
    ]


def has_choice(gpu: Gpu) -> bool:
    """Whether the same profiles fit on the GPU in another way than the plan's."""
    table = mig_table(gpu.model)
    assert table is not None, "a plan cuts only what can be cut"
    wanted = tuple(item for each in gpu.instances if (item := table.profile(each.profile)))
    mine = {(each.profile, each.start) for each in gpu.instances}
    others = tuple(
        Instance(profile, start)
        for profile in dict.fromkeys(wanted)
        for start in profile.starts
        if (profile.name, start) not in mine
    )
    found = cut(table, (), others, wanted)
    return found is not None and any(instance in others for instance in found)


def _executor(plan: PartitionPlan) -> list[str]:
    if plan.executor == DEVICE_PLUGIN:
        return [
            POLICY_ONLY,
            f"Its MIG Manager reads {MAP} and carries out the label of {LABELS}.",
        ]
    return [
        CLUSTER_ONLY,
        "GPUCluster has no MIG Manager: apply config.yaml on each node yourself (static MIG).",
    ]


def _bare_head(plan: PartitionPlan) -> list[str]:
    return [
        *_executor(plan),
        "mig-parted's configuration as its command line reads it.",
        "Apply on a node: nvidia-mig-parted apply -f config.yaml -c NAME (the node's label)",
        "It deletes all instances of a GPU whose counts differ: drain its pods first.",
        f"Undo: nvidia-mig-parted apply -f config.yaml -c {OFF}",
    ]


def _map_head(plan: PartitionPlan) -> list[str]:
    return [
        *_executor(plan),
        "mig-parted's configuration for MIG Manager.",
        f"Apply: {APPLY} {MAP}",
        f"Undo: first undo {LABELS}, then:",
        f"  kubectl delete configmap -n {NAMESPACE} {CONFIG_MAP}",
    ]


def _label_head(plan: PartitionPlan) -> list[str]:
    return [
        *_executor(plan),
        "Which of mig-parted's configurations each node gets. Drain the pods of its GPUs first.",
        f"Apply: {APPLY} {LABELS}",
        "MIG Manager says in nvidia.com/mig.config.state: pending, rebooting, success or failed.",
        f"Undo: kubectl label node NODE --overwrite {LABEL}={OFF}",
    ]


def _policy_head() -> list[str]:
    return [
        POLICY_ONLY,
        "Names the configuration to MIG Manager.",
        "Apply: kubectl patch clusterpolicy cluster-policy --type merge",
        f"  --patch-file {POLICY}",
        "Undo: the same with the spec.migManager.config that was there before.",
    ]
