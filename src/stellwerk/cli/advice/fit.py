"""`stellwerk fit`: how much GPU memory a model needs, which GPU holds it, and whether it may share."""

from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.options import LANG, language_of
from stellwerk.report.text import msg

if TYPE_CHECKING:
    from stellwerk.engine.advice.fit.estimate import Estimate
    from stellwerk.engine.advice.fit.shape import ModelShape
    from stellwerk.engine.advice.fit.verdict import Verdict
    from stellwerk.report.text import Language

CONFIG_LIMIT = 1 << 20
OUTPUTS = ("table", "json", "yaml")


@click.command("fit", short_help="Will it fit? GPU memory of a model, from its config.json.")
@click.argument("config")
@click.option("--task", default="inference", show_default=True, metavar="inference|full|lora|qlora")
@click.option("--seq", type=int, default=2048, show_default=True, help="Tokens of a sequence.")
@click.option(
    "--batch", type=int, default=1, show_default=True, help="Sequences at once (training: per GPU)."
)
@click.option("--gpus", type=int, default=1, show_default=True, help="GPUs that work together.")
@click.option(
    "--strategy", default="", metavar="none|ddp|zero1|zero2|zero3|fsdp|tp", help="What they divide."
)
@click.option("--dtype", default="", metavar="bfloat16|float16|float32|fp8|int8|int4|nf4", help="Of weights.")
@click.option("--rank", type=int, default=16, show_default=True, help="LoRA's rank.")
@click.option(
    "--targets", default="all", show_default=True, metavar="all|attention|qv", help="LoRA's layers."
)
@click.option(
    "--optimizer",
    default="adamw",
    show_default=True,
    metavar="adamw|adamw-no-copy|adamw-16bit|adamw-8bit",
    help="States of the optimizer.",
)
@click.option("--no-checkpointing", is_flag=True, help="Keep all activations for the backward pass.")
@click.option("--loss-chunks", type=int, default=1, show_default=True, help="The loss in so many parts.")
@click.option("--gpu", default="", metavar="MODEL", help="Only this GPU model of the catalog.")
@click.option("-o", "--output", default="table", show_default=True, metavar="table|json|yaml")
@click.option("--claim", is_flag=True, help="Print a ResourceClaimTemplate for it.")
@LANG
def command(config: str, **options: Any) -> int:
    """GPU memory of a model, term by term. CONFIG: its Hugging Face config.json, or a built-in name.

    Exit code 0: a GPU of the catalog (or --gpu) holds it; 1: none does.
    """
    from stellwerk.catalog.gpus import gpu_model, gpu_models
    from stellwerk.engine.advice.fit.claim import claim_template
    from stellwerk.engine.advice.fit.estimate import estimate_memory
    from stellwerk.engine.advice.fit.verdict import judge

    output, gpu = options.pop("output"), options.pop("gpu")
    claim, lang = options.pop("claim"), language_of(options.pop("lang"))
    _check_output(output)
    only = gpu_model(gpu) if gpu else None
    name, shape = _read(config)
    estimate = estimate_memory(name, shape, _plan(options))
    verdict = judge(estimate, shape, (only,) if only else gpu_models())
    if claim:
        click.echo(claim_template(estimate, verdict, only), nl=False)
    elif output == "table":
        _table(estimate, verdict, lang)
    else:
        click.echo(_plain(estimate, verdict, output), nl=False)
    _notes(estimate, shape, lang)
    return 0 if verdict.fits else 1


def _check_output(output: str) -> None:
    from stellwerk.api.errors import InvalidInput

    if output not in OUTPUTS:
        raise InvalidInput(
            "-o {output} is not known", fix="use one of: {known}", output=output, known=", ".join(OUTPUTS)
        )


def _plan(options: dict[str, Any]) -> Any:
    from stellwerk.engine.advice.fit.plan import Plan

    return Plan(checkpointing=not options.pop("no_checkpointing"), **options)


def _read(config: str) -> tuple[str, "ModelShape"]:
    """The model's name and shape, from the catalog or from a file."""
    from pathlib import Path

    from stellwerk.adapters.files import read_input
    from stellwerk.api.errors import InvalidInput
    from stellwerk.catalog.models import model, model_names
    from stellwerk.catalog.nearest import nearest
    from stellwerk.engine.advice.fit.config import decode_config, read_shape

    builtin = model(config)
    if builtin is not None:
        return config, read_shape(builtin.config, config)
    if not any(mark in config for mark in "/\\.") and not Path(config).exists():
        raise InvalidInput(
            "there is no built-in model and no file {name}",
            fix="name a config.json, or one of: {near}",
            name=config,
            near=nearest(config, model_names()),
        )
    path = Path(config)
    name = path.stem if path.stem != "config" else path.resolve().parent.name or "model"
    return name, read_shape(decode_config(read_input(path, CONFIG_LIMIT), config), config)


def _gb(nbytes: int, lang: "Language") -> str:
    from decimal import Decimal

    from stellwerk.report.text import number

    return number(Decimal(nbytes) / 10**9, lang, 2)


def _table(estimate: "Estimate", verdict: "Verdict", lang: "Language") -> None:
    from stellwerk.report.text import number, reason_text, translator

    _ = translator(lang)
    plan = estimate.plan
    count = number(estimate.parameters, lang)
    click.echo(_(HEAD, model=estimate.model, parameters=count, precision=estimate.precision))
    click.echo(_(ASKED, task=plan.task, seq=plan.seq, batch=plan.batch, gpus=plan.gpus,
                 strategy=estimate.strategy))  # fmt: skip
    click.echo()
    rows = [
        (
            term.name,
            *(_gb(each, lang) for each in (term.nbytes, term.low, term.high)),
            term.formula,
            term.source,
        )
        for term in estimate.terms
    ]
    total = [_gb(each, lang) for each in (estimate.total, estimate.low, estimate.high)]
    _print([(_(TERM), _(GB_EACH), _(LEAST), _(MOST), _(FORMULA), _(SOURCE)), *rows, (_(SUM), *total, "", "")])
    click.echo()
    words = {"yes": _(YES), "tight": _(TIGHT), "no": _(NO)}
    share = verdict.sharing == "mig"
    cards = [
        (
            card.gpu,
            _gb(card.memory_bytes, lang),
            words[card.fits],
            str(card.least_gpus or "-"),
            card.mig_profile if share else "",
        )
        for card in verdict.cards
    ]
    _print([(_(GPU), _(MEMORY), _(FITS), _(NEEDED), _(MIG)), *cards])
    click.echo()
    click.echo(_(SHARE if share else WHOLE))
    for reason in verdict.reasons:
        click.echo("- " + reason_text(reason, lang))


def _print(rows: list[tuple[str, ...]]) -> None:
    """Columns parted by two spaces; figures to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if column in (1, 2, 3) and len(row) > 5 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def _plain(estimate: "Estimate", verdict: "Verdict", output: str) -> str:
    """English, bytes as integers."""
    import msgspec
    import yaml

    from stellwerk.report.export import to_plain

    reasons = [{"code": each.code, "text": str(each)} for each in verdict.reasons]
    value = to_plain({"estimate": estimate, "verdict": verdict, "fits": verdict.fits})
    value["verdict"]["reasons"] = reasons
    if output == "json":
        return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
    return str(yaml.safe_dump(value, sort_keys=False, width=110))


def _notes(estimate: "Estimate", shape: "ModelShape", lang: "Language") -> None:
    """To stderr: what the figures rest on, and what nobody promised."""
    from stellwerk.report.text import translator

    _ = translator(lang)
    if estimate.plan.seq > shape.context:
        click.echo(_(LONG, seq=estimate.plan.seq, context=shape.context), err=True)


HEAD = msg("{model}: {parameters} parameters, weights in {precision}")
ASKED = msg("{task}, {seq} tokens x batch {batch}, {gpus} GPU(s), strategy {strategy}")
TERM = msg("TERM")
GB_EACH = msg("GB/GPU")
LEAST = msg("AT LEAST")
MOST = msg("AT MOST")
FORMULA = msg("FORMULA")
SOURCE = msg("SOURCE")
SUM = msg("sum")
GPU = msg("GPU MODEL")
MEMORY = msg("MEMORY GB")
FITS = msg("FITS")
NEEDED = msg("GPUS NEEDED")
MIG = msg("MIG SLICE")
YES = msg("yes")
TIGHT = msg("tight")
NO = msg("no")
SHARE = msg(
    "May share: a MIG slice holds it, with memory and faults of its own; it computes more slowly there."
)
WHOLE = msg("Do not share:")
LONG = msg("{seq} tokens are more than the {context} the model was made for")
