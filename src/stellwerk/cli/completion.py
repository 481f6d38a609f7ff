"""`stellwerk completion bash|zsh|fish`: the script that completes verbs and options."""

import click
from click.shell_completion import get_completion_class

from stellwerk.cli.main import root


@click.command("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script: eval "$(stellwerk completion bash)" in your shell's start file."""
    found = get_completion_class(shell)
    assert found is not None, "click knows these three shells"
    click.echo(found(root, {}, "stellwerk", "_STELLWERK_COMPLETE").source())
