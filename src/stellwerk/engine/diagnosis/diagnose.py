"""Facts to findings: one layer after the other, and which verbs can work."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from stellwerk.engine.diagnosis.cluster import kube_findings, kueue_findings
from stellwerk.engine.diagnosis.database import database_findings
from stellwerk.engine.diagnosis.exporter import exporter_findings
from stellwerk.engine.diagnosis.facts import Facts
from stellwerk.engine.diagnosis.findings import LAYERS, VERBS, VERDICTS, Finding, finding, named


class Layer(Struct, frozen=True):
    """One layer; its verdict is the worst of its findings."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        """ok, warning or missing."""
        return max((each.verdict for each in self.findings), key=VERDICTS.index, default=VERDICTS[0])


class Diagnosis(Struct, frozen=True):
    """The layers, and for each verb the codes of the findings that stop it."""

    layers: tuple[Layer, ...]
    stopped_by: Mapping[str, tuple[str, ...]]

    @property
    def works(self) -> bool:
        """Whether every verb can work."""
        return not any(self.stopped_by.values())


def diagnose(facts: Facts) -> Diagnosis:
    """What the facts mean."""
    found = (
        *database_findings(facts),
        *exporter_findings(facts),
        *kube_findings(facts),
        *kueue_findings(facts),
        *_own_findings(facts),
    )
    return Diagnosis(
        tuple(Layer(name, tuple(each for each in found if each.layer == name)) for name in LAYERS),
        {verb: tuple(each.code for each in found if verb in each.stops) for verb in VERBS},
    )


def _own_findings(facts: Facts) -> Iterator[Finding]:
    rules = facts.rules
    if rules.names or facts.own:
        yield finding("rules-run", rules=len(rules.names), series=sum(facts.own.values()))
    else:
        yield finding("rules-none")
    if rules.failing:
        yield finding("rules-failing", words=rules.failing[0][1], **named(name for name, _ in rules.failing))
