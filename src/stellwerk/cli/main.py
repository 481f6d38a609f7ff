"""`stellwerk`: the verbs, loaded only when they are called, so that `--help` answers at once.

Exit codes: 0 yes, 1 no, 2 bad input, 3 an outside world that cannot be reached.
"""

import importlib
import os
import sys
from typing import Any

import click

from stellwerk import __version__

# Verb -> (what it does, in one line). The module of the same name in this package holds the command.
VERBS = {
    "up": "Run the main job and serve its report on loopback.",
    "replay": "Replay a demand under each sharing policy, side by side, with EUR and a receipt.",
    "verify": "Re-run a receipt: same (0) or different (1).",
    "usage": "Read measured series; say which GPUs, pods, holes and doubts they hold.",
    "advise": "From measured use: who should share, how, who must not, what it saves.",
    "watch": "Keep verdicts from a database up to date: only what changes is told.",
    "bill": "Divide the fleet's cost among teams and causes, to the cent.",
    "whatif": "Replay measured use unchanged, then under each way of sharing.",
    "doctor": "Which layers are there, which fields are missing, and for what.",
    "fit": "Will it fit? GPU memory of a model, from its config.json.",
    "compare": "Whole GPU, time-slicing, MPS, MIG and vGPU side by side for a workload.",
    "partition": "Plan how each GPU is cut or shared: layout, steps, EUR, proven optimum.",
    "plan": "One plan for a cluster: MIG, sharing, classes, quotas, node pools; its EUR and its proof.",
    "export": "Write a plan for NVIDIA's tools, or rules, scrapes and a dashboard for monitoring.",
    "check": "Which layer would refuse this claim: API server, Kueue, Karpenter, driver.",
    "allocate": "Say which devices each claim gets, on which node, or why not and what would help.",
    "admit": "Who may start, with which flavors, whom that preempts, and why others wait.",
    "why": "Why a job waits: one reason, its place in the queue, what it waits for.",
    "simulate": "The same Jobs under another quota, cohort or weight: waits, shares, EUR.",
    "generate": "Write a built-in demand as Kubernetes manifests.",
    "anonymize": "Write a case without names that gives the same figures.",
    "catalog": "List GPU models, MIG profiles, node types with prices, fleets, rates.",
    "completion": "Print the completion script of a shell.",
}

# Where a verb's module lies, if not in this folder itself.
ROOMS = {
    **{verb: f"replays.{verb}" for verb in ("up", "replay", "whatif", "verify", "anonymize", "generate")},
    **{verb: f"partition.{verb}" for verb in ("partition", "export")},
    **{verb: f"allocation.{verb}" for verb in ("allocate", "check")},
    **{verb: f"queueing.{verb}" for verb in ("admit", "why", "simulate")},
    **{verb: f"advice.{verb}" for verb in ("usage", "advise", "watch", "bill", "fit", "compare")},
}


class Verbs(click.Group):
    """The verbs by name; a verb's module is imported when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, or None for an unknown one."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"stellwerk.cli.{ROOMS.get(cmd_name, cmd_name)}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest verb when this one is unknown."""
        if args and args[0] not in VERBS:
            from stellwerk.api.errors import InvalidInput
            from stellwerk.catalog.nearest import nearest

            raise InvalidInput(
                "there is no verb {verb}",
                fix="use one of: {near}; all: stellwerk --help",
                verb=args[0][:80],
                near=nearest(args[0][:80], VERBS),
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line a verb, without importing any of them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="stellwerk")
def root() -> None:
    """Stellwerk makes GPUs on Kubernetes cheap, and proves it: begin with `stellwerk up`."""


def main(arguments: list[str] | None = None) -> None:
    """Run a verb; turn every mistake of the user into one line and an exit code."""
    argv = sys.argv[1:] if arguments is None else arguments
    try:
        sys.exit(_run(argv))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has seen enough: not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _run(argv: list[str]) -> int:
    from stellwerk.api.errors import InvalidInput, Unreachable

    try:
        result: Any = root.main(args=argv, prog_name="stellwerk", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        return _complain(_as_invalid(error), argv)
    except InvalidInput as error:
        return _complain(error, argv)
    except Unreachable as error:
        _complain(error, argv)
        return 3
    except click.Abort:
        return 130
    return result if isinstance(result, int) else 0


def _as_invalid(error: click.ClickException) -> Any:
    """click's own complaints (an unknown option, a missing argument) as ours."""
    from stellwerk.api.errors import InvalidInput

    ctx = getattr(error, "ctx", None)
    verb = ctx.command_path if ctx is not None else "stellwerk"
    return InvalidInput(
        "{complaint}",
        fix="see {verb} --help",
        complaint=error.format_message().rstrip("."),
        verb=verb,
    )


def _complain(error: Any, argv: list[str]) -> int:
    from stellwerk.report.text import error_text

    click.echo(error_text(error, _language(argv)), err=True)
    return 2


def _language(argv: list[str]) -> Any:
    """The language of an error: --lang if it is a valid one, else the environment's."""
    from stellwerk.report.text import LANGUAGES, resolve_language

    asked: str | None = None
    for position, word in enumerate(argv):
        if word.startswith("--lang="):
            asked = word.removeprefix("--lang=")
        elif word == "--lang" and position + 1 < len(argv):
            asked = argv[position + 1]
    return resolve_language(asked if asked in LANGUAGES else None, os.environ)


if __name__ == "__main__":
    main()
