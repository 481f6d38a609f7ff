"""The 60 claims checked, then applied: how often verdict and layer are right, and how long it took."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tests.cluster.claims.cases import FINE, OPERATOR, SCHEDULER, Case
from tests.cluster.claims.real import Seen, clear, play
from tests.cluster.claims.said import Said, check
from tests.cluster.claims.world import (
    DRA_MODE,
    KUEUE,
    PLUGIN_MODE,
    cluster_objects,
    definitions,
    nvidia_objects,
    static_pods,
)
from tools.cluster.parts import start_karpenter, start_kueue
from tools.cluster.stack import Stack


class Rewritten(Struct, frozen=True):
    """The smallest rewrite of a claim: what check says of it, and what became of it, in its own namespace."""

    case: Case
    said: Said
    seen: Seen

    @property
    def is_right(self) -> bool:
        """It passes, and it runs."""
        return self.said.layer == FINE and self.seen.layer == FINE

    def __str__(self) -> str:
        words = f"said {self.said.layer or 'fine'} ({self.said.words}), real {self.seen.words}"
        return f"rewrite of {self.case.name}: {words}"


class Compared(Struct, frozen=True):
    """One claim: as it was meant, as check said it before it was applied, as the real components did."""

    case: Case
    said: Said
    seen: Seen
    rewritten: "Rewritten | None" = None

    @property
    def did(self) -> str:
        """Who refused it. A layer that cannot run here is known by what was read: then it is `case.layer`.

        With no device of NVIDIA's published, the scheduler finds none: so much of the operator's "no" shows.
        """
        if self.case.shown:
            return self.seen.layer
        expected = SCHEDULER if self.case.layer == OPERATOR else FINE
        return self.case.layer if self.seen.layer == expected else self.seen.layer

    @property
    def is_right(self) -> bool:
        """Verdict and layer: said, done and meant are one."""
        return self.said.layer == self.did == self.case.layer

    @property
    def is_false_fine(self) -> bool:
        """Said to be let through, and it was not."""
        return self.said.layer == FINE and self.did != FINE

    def __str__(self) -> str:
        return (
            f"{self.case.name}: meant {self.case.layer or 'fine'}, said {self.said.layer or 'fine'} "
            f"({self.said.words}), real {self.did or 'fine'} ({self.seen.words})"
        )


def started(stack: Stack) -> None:
    """The control plane with everything that the claims meet, NVIDIA's part aside."""
    stack.start()
    start_kueue(stack, configuration=KUEUE)
    start_karpenter(stack)
    stack.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "nvidia"}}, *definitions()])
    stack.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/clusterpolicies.nvidia.com")
    stack.apply([*cluster_objects(), *static_pods(stack.gates)])


def compared(stack: Stack, cases: Sequence[Case], folder: Path) -> list[Compared]:
    """All of them, under each mode of NVIDIA's operator those that are meant for it."""
    found = []
    for mode in (DRA_MODE, PLUGIN_MODE):
        mine = [each for each in cases if each.mode == mode]
        installed = nvidia_objects(mode)
        stack.apply(installed)
        stack.apply([one for each in mine for one in each.before])
        said = {each.name: check(stack, each, folder) for each in mine}
        seen = play(stack, mine)
        clear(stack, mine)
        rewritten = _rewritten(stack, mine, said, folder)
        found += [
            Compared(each, said[each.name], seen[each.name], rewritten.get(f"{each.name}-r")) for each in mine
        ]
        _take_away(stack, installed)
    return found


def _rewritten(
    stack: Stack, cases: Sequence[Case], said: Mapping[str, Said], folder: Path
) -> dict[str, Rewritten]:
    """The rewrites, each applied in place of its claim. By name."""
    others = [_again(each, said[each.name]) for each in cases if said[each.name].whole]
    if not others:
        return {}
    stack.kubectl("wait", "--for=delete", "--timeout=60s", *(f"namespace/{each.namespace}" for each in cases))
    stack.apply([one for each in others for one in each.before])
    told = {each.name: check(stack, each, folder) for each in others}
    seen = play(stack, others)
    clear(stack, others)
    return {each.name: Rewritten(each, told[each.name], seen[each.name]) for each in others}


def _again(case: Case, said: Said) -> Case:
    """The rewrite in another namespace."""
    name = f"{case.name}-r"
    text = json.dumps({"before": case.before, "file": said.whole})
    made = json.loads(text.replace(f'"namespace": "{case.name}"', f'"namespace": "{name}"'))
    for each in made["before"]:
        if each["kind"] == "Namespace":
            each["metadata"]["name"] = name
    return replace(case, name=name, layer=FINE, file=tuple(made["file"]), before=tuple(made["before"]))


def _take_away(stack: Stack, objects: Sequence[dict[str, object]]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    stack.kubectl("delete", "--wait=false", "--ignore-not-found", "-f", "-", stdin=text)


def report(found: Sequence[Compared]) -> str:
    """The figures, and what is not right."""
    wrong = [str(each) for each in found if not each.is_right]
    rewrites = [each.rewritten for each in found if each.rewritten]
    refused = [each for each in found if each.said.layers]
    slowest = max(found, key=lambda each: each.said.wall_s)
    return "\n".join(
        [
            *wrong,
            *(str(each) for each in rewrites if not each.is_right),
            f"right: {len(found) - len(wrong)} of {len(found)}",
            f"false fine: {sum(each.is_false_fine for each in found)}",
            f"slowest: {slowest.said.wall_s:.2f} s ({slowest.case.name})",
            f"most CPU: {max(each.said.cpu_s for each in found):.2f} s",
            f"rewrites that pass and run: {sum(each.is_right for each in rewrites)} of {len(rewrites)}, "
            f"of {len(refused)} claims that were refused",
            f"only one layer named: {sum(len(each.said.layers) < 2 for each in found)} of {len(found)}",
        ]
    )
