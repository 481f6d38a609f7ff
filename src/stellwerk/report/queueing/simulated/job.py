"""`simulate` as a job: from its arguments to the simulation, and to a receipt that can be made again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.api.generated_names import with_names
from stellwerk.api.manifests import Manifest
from stellwerk.engine.money.exchange import parse_rate
from stellwerk.engine.queueing.cycle.status import time_text
from stellwerk.engine.queueing.preemption.fair import FINAL, INITIAL
from stellwerk.engine.queueing.snapshot import Configuration
from stellwerk.report.export import to_plain
from stellwerk.report.queueing.simulated.document import simulation_document
from stellwerk.report.receipt import Evidence, Job, input_files, receipt_of_result, sha256_of
from stellwerk.sim.demand.load import Input
from stellwerk.sim.intake.kueue import kueue_configuration
from stellwerk.sim.intake.manifests import read_all
from stellwerk.sim.queueing.changes import read_changes
from stellwerk.sim.queueing.demand import queue_demand
from stellwerk.sim.queueing.ledger import QueueLedger
from stellwerk.sim.queueing.outcome.result import BASE, Simulation
from stellwerk.sim.queueing.play import Options, play
from stellwerk.sim.queueing.scenarios import Change, Rules, simulate


class SimulateArguments(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was asked. `until_ns`: since 1970; `gates`: those that were turned on or off."""

    verb: str = "simulate"
    paths: tuple[str, ...]
    changes: tuple[str, ...] = ()
    until_ns: int | None = None
    fair_sharing: bool = False
    gates: Mapping[str, bool] = {}
    rates: tuple[str, ...] = ()


class PreparedSimulation(Struct, frozen=True, kw_only=True):
    """What was read for the arguments."""

    arguments: SimulateArguments
    manifests: Sequence[Manifest]
    changes: tuple[Change, ...]
    inputs: tuple[Input, ...]

    def simulation(self) -> Simulation:
        """The base and each change. Raises InvalidInput."""
        rules = Rules(
            play=self._play,
            rates=[parse_rate(text) for text in self.arguments.rates],
            fair_sharing=_configuration(self.manifests, self.arguments).fair_sharing is not None,
        )
        return simulate(self.manifests, self.changes, rules)

    def _play(self, manifests: Sequence[Manifest]) -> QueueLedger:
        until = self.arguments.until_ns
        ledger = play(manifests, _configuration(manifests, self.arguments), Options(until_ns=until))
        if until is not None and until <= ledger.start_ns:
            raise InvalidInput(
                "the simulation would end before it begins, at {start}",
                fix="write a later --until",
                path="--until",
                start=time_text(ledger.start_ns),
            )
        return ledger


def prepare_simulation(arguments: SimulateArguments) -> PreparedSimulation:
    """All files read and checked. Raises InvalidInput."""
    written, inputs = read_all(arguments.paths, "manifests")
    manifests = with_names(written)
    managed = _configuration(manifests, arguments).jobs
    if not any(job.is_queued for job in queue_demand(manifests, managed).jobs):
        names = ", ".join(arguments.paths)[:200]
        raise InvalidInput(
            "{name} has no Job with a queue",
            fix="add Jobs with the label kueue.x-k8s.io/queue-name, and annotations of arrival and duration",
            source=names,
            name=names,
        )
    read = [(path, read_changes(path)) for path in arguments.changes]
    names_of = _names(arguments.changes)
    changes = tuple(
        Change(name=names_of[path], source=path, documents=documents) for path, (documents, _) in read
    )
    files = tuple(one for _, (_, found) in read for one in found)
    return PreparedSimulation(
        arguments=arguments, manifests=manifests, changes=changes, inputs=(*inputs, *files)
    )


def _configuration(manifests: Sequence[Manifest], arguments: SimulateArguments) -> Configuration:
    configuration = kueue_configuration(manifests, arguments.gates)
    if arguments.fair_sharing:
        configuration = replace(configuration, fair_sharing=(FINAL, INITIAL))
    return configuration


def simulation_receipt(prepared: PreparedSimulation, found: Simulation) -> dict[str, Any]:
    """The receipt as plain data: the simulation as with `-o json`."""
    evidence = Evidence(
        arguments=to_plain(prepared.arguments),
        inputs=input_files(prepared.inputs),
        hashes={
            "objects": sha256_of([one.raw for one in prepared.manifests]),
            "changes": sha256_of([one.raw for change in prepared.changes for one in change.documents]),
        },
    )
    return receipt_of_result(simulation_document(found), evidence)


def simulation_job(arguments: SimulateArguments) -> Job:
    """The job of a receipt, its input read again."""
    prepared = prepare_simulation(arguments)
    return Job(
        input_files(prepared.inputs),
        lambda: simulation_receipt(prepared, prepared.simulation()),
    )


def _names(paths: Sequence[str]) -> dict[str, str]:
    """What tables call each change: its file's name, or all of the path where two have the same."""
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise InvalidInput(
            "the change {name} is there twice", fix="give each change once", source=twice, name=twice
        )
    short = {path: Path(path).name.split(".")[0] or path for path in paths}
    taken = [*short.values(), BASE]
    return {path: name if taken.count(name) == 1 else path for path, name in short.items()}
