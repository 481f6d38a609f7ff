"""`--slowdown`: what sharing costs, from a file with sources, or as the range between two bounds.

The file is a stellwerk.dev/v1alpha1 Interference:

    apiVersion: stellwerk.dev/v1alpha1
    kind: Interference
    metadata: {name: measured}
    spec:
      factors:
      - {method: mps, factor: "1.075", date: "2026-11-23", source: "..."}

A factor of 1.075 means that a job beside others takes 7.5 % longer. Methods: time-slicing, mps, mig.
"""

from fractions import Fraction

from stellwerk.adapters.files import read_raw, sha256
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.stellwerk import Interference
from stellwerk.api.manifests import load_manifests
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING
from stellwerk.sim.demand.load import Input
from stellwerk.sim.slowdown import Slowdown

BOUNDS = {
    "range": (Slowdown(), Slowdown(rest="proportional")),
    "none": (Slowdown(),),
    "proportional": (Slowdown(rest="proportional"),),
}
METHODS = (TIME_SLICING, MPS, MIG)
MOST = 1000


def slowdowns_of(argument: str) -> tuple[tuple[Slowdown, ...], tuple[Input, ...]]:
    """The slowdowns to replay, and the file that was read; raises InvalidInput."""
    if argument in BOUNDS:
        return BOUNDS[argument], ()
    raw = read_raw(argument)
    factors: dict[str, Fraction] = {}
    for manifest in load_manifests(raw, argument):
        if not isinstance(manifest.object, Interference):
            raise InvalidInput(
                "{kind} is not an Interference",
                fix="give a stellwerk.dev/v1alpha1 Interference, or --slowdown range, none or proportional",
                source=argument,
                document=manifest.document,
                kind=str(manifest.raw.get("kind")),
            )
        factors |= _factors(manifest.object, argument)
    both = (Slowdown(factors=factors), Slowdown(rest="proportional", factors=factors))
    return both, (Input("slowdown", argument, sha256(raw)),)


def _factors(interference: Interference, source: str) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for position, entry in enumerate(interference.spec.factors):
        path = f"spec.factors[{position}]"
        if entry.method not in METHODS:
            raise InvalidInput(
                "{method} is not a way of sharing",
                fix="use one of: time-slicing, mps, mig",
                source=source,
                path=f"{path}.method",
                method=entry.method[:80],
            )
        if not entry.factor.is_finite() or not 1 <= entry.factor <= MOST or not entry.source:
            raise InvalidInput(
                "a factor is a number from 1 to {most} with its source",
                fix='write for example {{factor: "1.075", source: "where it was measured"}}',
                source=source,
                path=path,
                most=MOST,
            )
        found[entry.method] = Fraction(entry.factor)
    return found
