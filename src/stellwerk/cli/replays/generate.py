"""`stellwerk generate demo -o DIR`: a built-in demand as Kubernetes manifests."""

from pathlib import Path

import click

from stellwerk.api.errors import InvalidInput
from stellwerk.cli.options import LANG


@click.command("generate", short_help="Write a built-in demand as Kubernetes manifests.")
@click.argument("demand")
@click.option("-o", "--output", required=True, metavar="DIR", help="Folder for the files, made if missing.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed gives other times.")
@LANG
def command(demand: str, output: str, seed: int, lang: str | None) -> int:
    """Write DEMAND (demo, mittelstand) with its queues and fleet; `stellwerk replay DIR` reads it back."""
    from stellwerk.adapters.output import write_output
    from stellwerk.sim.demand.builtin import write_manifests

    files = write_manifests(demand, seed)
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            "{name} cannot be made: {reason}",
            fix="name another folder with -o",
            path="-o",
            name=output,
            reason=error.strerror or str(error),
        ) from None
    for name, text in files:
        write_output(str(folder / name), text.encode())
        click.echo(str(folder / name))
    return 0
