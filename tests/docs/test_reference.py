"""The reference names what there is, all of it, and nothing else."""

import re
from typing import Any

import click
import msgspec
import pytest
from msgspec.structs import replace

from stellwerk.adapters import files
from stellwerk.adapters import rows as table_rows
from stellwerk.adapters.tables import JOB_COLUMNS
from stellwerk.adapters.traces import POD_COLUMNS
from stellwerk.adapters.usage import USAGE_COLUMNS
from stellwerk.api import documents, yaml_events
from stellwerk.api.checks import names
from stellwerk.api.groups import stellwerk as api
from stellwerk.cli.main import VERBS, root
from stellwerk.engine.money import node_group
from stellwerk.engine.partition.policy import POLICIES
from stellwerk.engine.snapshot import NodeNetwork
from stellwerk.report.explain import FIGURES
from stellwerk.report.export import to_plain
from stellwerk.report.receipt import Receipt
from stellwerk.sim.exposed.metrics import all_metrics
from stellwerk.sim.intake.slowdowns import METHODS
from stellwerk.sim.main_job import Arguments, prepare, run
from stellwerk.sim.result import Run
from tests.docs.pages import REFERENCE, code, first_column, rows, sections

CLI = sections(REFERENCE / "cli.md")


def commands() -> dict[str, click.Command]:
    """Every verb, and every verb below a verb, by what a user types."""
    found: dict[str, click.Command] = {}
    waiting: list[tuple[str, click.Command]] = [("stellwerk", root)]
    while waiting:
        name, command = waiting.pop()
        if name != "stellwerk":
            found[name] = command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for child in command.list_commands(context):
                below = command.get_command(context, child)
                assert below is not None
                waiting.append((f"{name} {child}", below))
    return found


COMMANDS = commands()


def options_of(command: click.Command) -> list[click.Option]:
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def option_names(cell: str) -> set[str]:
    return {part.split(" ")[0] for part in code(cell)}


def test_every_verb_has_a_section_and_every_section_is_a_verb() -> None:
    assert {title for title in CLI if title.startswith("stellwerk")} == set(COMMANDS)
    assert {f"stellwerk {verb}" for verb in VERBS} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_verb_has_the_options_that_its_section_lists(name: str) -> None:
    listed = [option_names(row[0]) for row in rows(CLI[name])]
    real = [{*option.opts, *option.secondary_opts} for option in options_of(COMMANDS[name])]
    assert sorted(map(sorted, listed)) == sorted(map(sorted, real))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_default_is_the_one_that_the_section_states(name: str) -> None:
    stated = {option: row[1] for row in rows(CLI[name]) for option in option_names(row[0])}
    for option in options_of(COMMANDS[name]):
        default: Any = option.default
        if isinstance(default, str | int) and not isinstance(default, bool) and default != "":
            assert stated[option.opts[-1]] == str(default)


def test_every_figure_has_its_formula() -> None:
    assert {name for row in rows(whole("figures.md")) for name in code(row[0])} == set(FIGURES)


def test_every_path_of_a_figure_is_in_the_json() -> None:
    arguments = Arguments(demand="demo", size=True, policies=("mps",))
    replay = run(prepare(arguments), lambda *_: None)
    outcome = to_plain(replay)["outcomes"][0]
    outcome["runs"][0] |= {"network": to_plain(networked().network)}
    for row in rows(whole("figures.md")):
        for path in code(row[1]):
            if path.startswith("outcomes[]."):
                assert follow(outcome, path.removeprefix("outcomes[].")) is not None
            elif path != "sized":
                assert follow(outcome["runs"][0], path) is not None


def networked() -> Run:
    """A run on a fleet that describes its network."""
    prepared = prepare(Arguments(demand="demo", policies=("whole",)))
    fleet = prepared.scenario.fleet
    nodes = tuple(replace(node, network=NodeNetwork()) for node in fleet.nodes)
    scenario = replace(prepared.scenario, fleet=replace(fleet, nodes=nodes))
    return run(replace(prepared, scenario=scenario), lambda *_: None).outcomes[0].runs[0]


def follow(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value[key]
    return value


def whole(page: str) -> str:
    return "\n".join(sections(REFERENCE / page).values())


def test_every_label_and_annotation_is_in_the_table_and_no_other() -> None:
    constants = {
        value
        for value in vars(names).values()
        if isinstance(value, str) and re.fullmatch(r"stellwerk\.dev/[a-z-]+", value)
    }
    assert len(constants) >= 8
    assert first_column(sections(REFERENCE / "demand.md")["Manifests"]) == constants


@pytest.mark.parametrize(
    ("title", "columns"),
    [("Table of jobs", JOB_COLUMNS), ("Measured use", USAGE_COLUMNS), ("openb", (*POD_COLUMNS, "qos"))],
)
def test_every_column_of_a_table_is_there_and_no_other(title: str, columns: tuple[str, ...]) -> None:
    assert first_column(sections(REFERENCE / "demand.md")[title]) == set(columns)


def test_every_policy_has_its_rule() -> None:
    text = sections(REFERENCE / "policies.md")["The six"]
    assert first_column(text) == {policy.name for policy in POLICIES}
    for policy in POLICIES:
        assert f"**`{policy.name}`**" in text


def fields(*structs: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for struct in structs for field in msgspec.structs.fields(struct)}


def test_every_field_of_a_fleet_is_there_and_no_other() -> None:
    structs = api.FleetSpec, api.FleetNodeGroup, api.Money, api.Owned, api.FleetExchangeRate
    links = api.FleetNetwork, api.FleetNvlink, api.FleetPcie, api.FleetRdma, api.FleetTcp
    known = fields(*structs, api.FleetFaults, api.FleetMig, *links)
    assert first_column(whole("fleet.md")) == known
    for field in fields(api.InstanceType):
        assert f"`{field}`" in sections(REFERENCE / "fleet.md")["Fleet object"]


def test_every_field_of_a_period_is_there() -> None:
    assert fields(api.PeriodSpec) <= set(code(sections(REFERENCE / "demand.md")["Period"]))


def test_every_field_and_method_of_an_interference_is_there_and_no_other() -> None:
    text = sections(REFERENCE / "slowdown.md")["Interference file"]
    assert first_column(text) == fields(api.InterferenceFactor)
    assert set(METHODS) <= set(code(text))


def test_every_field_of_a_receipt_is_there_and_no_other() -> None:
    assert first_column(whole("receipt.md")) == fields(Receipt)


def test_the_limits_are_those_of_the_program() -> None:
    limits = {row[0]: row[1] for row in rows(sections(REFERENCE / "errors.md")["Limits"])}
    assert documents.MAX_BYTES == files.FILE_LIMIT
    assert limits["a file"] == f"{files.FILE_LIMIT // files.MIB} MiB"
    assert limits["a file unpacked from .xz or .gz"] == f"{files.EXPANDED_LIMIT // files.MIB} MiB"
    assert limits["manifest files in a folder"] == f"{files.FILES_LIMIT:,}"
    assert limits["rows of a table"] == f"{table_rows.ROWS_LIMIT:,}"
    assert limits["values in a YAML or JSON file"] == f"{yaml_events.MAX_VALUES:,}"
    assert limits["depth of nesting"] == f"{yaml_events.MAX_DEPTH} levels"
    assert limits["nodes of a fleet"] == f"{node_group.MOST_NODES:,}"
    assert limits["GPUs of a fleet"] == f"{node_group.MOST_FLEET_GPUS:,}"
    assert limits["GPUs of a node"] == f"{node_group.MOST_GPUS:,}"


def test_every_field_of_a_partition_plan_is_there() -> None:
    text = sections(REFERENCE / "export.md")["Plan file"]
    named = fields(
        api.PartitionPlanSpec,
        api.PlanGpu,
        api.PlanInstance,
        api.PlanTenant,
        api.PlanStep,
        api.PlanUnserved,
        api.PlanReason,
        api.PartitionPlanStatus,
    )
    assert named <= set(code(text))
    assert first_column(text) == fields(api.PartitionPlanSpec, api.PlanGpu)


def test_the_bandwidths_are_those_of_the_catalog() -> None:
    from stellwerk.catalog.published.network import bandwidth, communication_share, network_facts

    links = dict.fromkeys(row.link for row in network_facts().measurements)
    text = sections(REFERENCE / "network.md")
    stated = [row[1:] for row in rows(text["Published bandwidths"])][:12]
    for link, (value, span, count) in zip(links, stated, strict=True):
        found = bandwidth(link)
        assert found is not None and value == f"{found.value.normalize():f}", link
        ends = [f"{end.normalize():f}" for end in (found.low, found.high)]
        assert (re.findall(r"[0-9.]+", span) or [ends[0], ends[0]]) == ends, link
        assert int(count) == sum(row.link == link for row in network_facts().measurements), link
    share = communication_share()
    assert f"{share.value:f} as published; range {share.low:f} to {share.high:f}" in text["The factor"]


def test_every_level_of_a_link_is_there_and_no_other() -> None:
    from stellwerk.engine.topology.link import LEVELS

    assert first_column(sections(REFERENCE / "network.md")["The link of a gang"]) == set(LEVELS)


def test_every_figure_of_a_simulation_is_there() -> None:
    from stellwerk.sim.queueing.changes import KINDS, REMOVE
    from stellwerk.sim.queueing.outcome import result

    text = whole("simulate.md")
    named = set(code(text))
    written = {part for name in named for part in name.split(".")}
    assert fields(result.Jobs, result.Waits, result.Hours, result.Bill) - {"currency"} <= written
    shown = {"clusterQueue", "lastFinishNs", "name"}
    assert fields(result.QueueFigures) - shown <= written
    assert REMOVE in (REFERENCE / "simulate.md").read_text(encoding="utf-8")
    assert all(
        kind in sections(REFERENCE / "simulate.md")["Change files"]
        for kinds in KINDS.values()
        for kind in kinds
    )


def test_every_metric_that_is_exposed_is_there_with_type_unit_and_labels_and_no_other() -> None:
    stated = {code(row[0])[0]: (row[1], row[2], tuple(code(row[3]))) for row in rows(whole("exporter.md"))}
    assert stated == {metric.name: (metric.kind, metric.unit, metric.labels) for metric in all_metrics()}


def test_every_metric_of_the_process_is_there() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    from stellwerk.adapters.metrics.text import exposed_text

    text, _ = exposed_text(())
    found = {one.name for family in text_string_to_metric_families(text.decode()) for one in family.samples}
    named = {name for name in code(sections(REFERENCE / "exporter.md")["Process"]) if "_" in name}
    assert found <= named and all(name.startswith("process_") for name in named)
