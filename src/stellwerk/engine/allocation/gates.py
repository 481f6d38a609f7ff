"""The gates of DRA that are on in a cluster: those of a Kubernetes release, and what its admin has changed.

What the API server refuses to start with is refused here too: a gate that the release does not have, one that
is locked, one without those that it needs (KEP-5295).
"""

from collections.abc import Sequence

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.nearest import nearest
from stellwerk.catalog.versions import default_features, gates, release

_WORDS = {"true": True, "false": False}


def gates_on(kubernetes: str, settings: Sequence[str]) -> frozenset[str]:
    """The gates that are on in a release (1.34 to 1.37), after settings such as DRADeviceTaints=true.

    Raises InvalidInput for what the API server would refuse.
    """
    on = set(default_features(kubernetes))
    for setting in settings:
        name, _, word = setting.partition("=")
        if word.lower() not in _WORDS:
            raise InvalidInput(
                "{setting} does not say whether the gate is on",
                fix="write NAME=true or NAME=false",
                path="--gate",
                setting=setting[:80],
            )
        _check(kubernetes, name, _WORDS[word.lower()])
        (on.add if _WORDS[word.lower()] else on.discard)(name)
    for name in sorted(on):
        if lacking := [one for one in gates(kubernetes)[name].requires if one not in on]:
            raise InvalidInput(
                "the gate {gate} needs {needed}, which is off",
                fix="add --gate {needed}=true, or --gate {gate}=false",
                path="--gate",
                gate=name,
                needed=lacking[0],
            )
    return frozenset(on)


def gates_to_turn_on(kubernetes: str, on: frozenset[str]) -> tuple[str, ...]:
    """The gates that are off and could be turned on alone, by name. Raises InvalidInput for the release."""
    return tuple(
        name
        for name, gate in sorted(gates(kubernetes).items())
        if name not in on and not gate.locked and on.issuperset(gate.requires)
    )


def _check(kubernetes: str, name: str, wanted: bool) -> None:
    gate = gates(kubernetes).get(name)
    if gate is None:
        raise InvalidInput(
            "Kubernetes {release} has no gate {gate} that concerns devices",
            fix="use one of: {near}; all: stellwerk catalog versions",
            path="--gate",
            release=release(kubernetes).version,
            gate=name[:80] or '""',
            near=nearest(name[:80], gates(kubernetes)),
        )
    if gate.locked and gate.default != wanted:
        raise InvalidInput(
            "the gate {gate} is locked in Kubernetes {release}",
            fix="leave --gate {gate} out, or name another release with --kubernetes",
            path="--gate",
            release=release(kubernetes).version,
            gate=name,
        )
