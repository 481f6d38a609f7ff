"""`stellwerk generate demo -o DIR`: a built-in demand as Kubernetes manifests."""

import click

from stellwerk.cli.options import LANG


@click.command("generate", short_help="Write a built-in demand as Kubernetes manifests.")
@click.argument("demand")
@click.option("-o", "--output", required=True, metavar="DIR", help="Folder for the files, made if missing.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed gives other times.")
@LANG
def command(demand: str, output: str, seed: int, lang: str | None) -> int:
    """Write DEMAND (demo, mittelstand) with its queues and fleet; `stellwerk replay DIR` reads it back."""
    from stellwerk.adapters.output import write_folder
    from stellwerk.sim.demand.builtin import write_manifests

    for path, _ in write_folder(output, "-o", write_manifests(demand, seed)):
        click.echo(path)
    return 0
