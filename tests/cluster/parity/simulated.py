"""A scenario decided by Stellwerk: queues by its controllers under virtual time, devices by its allocator."""

import msgspec

from stellwerk.api.manifests import Manifest, encode, load_manifests
from stellwerk.api.validation import validate
from stellwerk.cli.allocation.allocate import rules_of
from stellwerk.engine.allocation.gates import gates_on
from stellwerk.engine.allocation.pods.turn import allocate_pods
from stellwerk.engine.allocation.pods.world import world_of
from stellwerk.engine.queueing.cycle.status import time_text
from stellwerk.sim.intake.kueue import kueue_configuration
from stellwerk.sim.queueing.play import Options, workloads_after
from tests.cluster.parity.record import Record, is_device, queue_record
from tests.cluster.parity.scenario import FAIR_SHARING, Json, Scenario

RELEASE = "1.36"
GATES = ("DRADeviceTaintRules=true",)
_START_NS, _GAP_NS = 1_800_000_000_000_000_000, 10_000_000_000
_CONFIGURATION = {"apiVersion": "config.kueue.x-k8s.io/v1beta2", "kind": "Configuration"}


def simulated(scenario: Scenario) -> list[Record]:
    """The record after each step."""
    after = _devices_after if is_device(scenario) else _queues_after
    return [after(scenario, step) for step in range(len(scenario.steps))]


def _queues_after(scenario: Scenario, step: int) -> Record:
    jobs = [_arriving(each, i) for i, each in enumerate(scenario.steps[: step + 1])]
    fair = FAIR_SHARING if scenario.fair else {}
    manifests = _manifests([{**_CONFIGURATION, **fair}, *scenario.objects, *jobs])
    end = _START_NS + (step + 1) * _GAP_NS - 1
    found = workloads_after(manifests, kueue_configuration(manifests, {}), Options(until_ns=end))
    return queue_record(found)


def _arriving(job: Json, number: int) -> Json:
    annotations = {
        "stellwerk.dev/arrival": time_text(_START_NS + number * _GAP_NS),
        "stellwerk.dev/duration": "10h",
    }
    return {**job, "metadata": {**job["metadata"], "annotations": annotations}}


def _devices_after(scenario: Scenario, step: int) -> Record:
    manifests = _manifests([*scenario.objects, *scenario.steps[: step + 1]])
    outcome = allocate_pods(world_of(manifests), rules_of(RELEASE, gates_on(RELEASE, GATES)))
    found: Record = {}
    for answer in outcome.answers:
        results = []
        for claim in answer.claims if answer.allocated else ():
            raw = msgspec.json.decode(encode(claim))
            results += raw.get("status", {}).get("allocation", {}).get("devices", {}).get("results", [])
        devices = sorted([each["request"], each["pool"], each["device"]] for each in results)
        found[answer.key[1]] = {"node": answer.node, "devices": devices}
    return found


def _manifests(objects: list[Json]) -> list[Manifest]:
    text = b"\n---\n".join(msgspec.json.encode(each) for each in objects)
    found = load_manifests(text, "scenario")
    validate(found)  # A scenario that an API server would refuse is no scenario.
    return found
