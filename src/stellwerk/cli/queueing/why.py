"""`stellwerk why JOB -f DIR`: why it waits, its place in the queue, what it waits for."""

import sys
from typing import Any

import click

from stellwerk.cli.options import LANG, OUTPUT, language_of
from stellwerk.cli.queueing.decide import Settings, decide, decided_options, one_of


@click.command("why", short_help="Why a job waits: one reason, its place in the queue, what it waits for.")
@click.argument("job", metavar="JOB")
@decided_options
@OUTPUT
@LANG
def command(job: str, output: str, lang: str | None, **options: Any) -> int:
    """Say why JOB waits: a Job's or Workload's name, or NAMESPACE/NAME.

    Decided as by `stellwerk admit` on the same files.

    Exit code 0: it is admitted; 1: it is not.
    """
    import shutil

    from stellwerk.engine.queueing.course.verdict import ADMITTED

    spoken = language_of(lang)
    course, found = decide(Settings(**options))
    one = one_of(found, job)
    if output != "table":
        from stellwerk.report.queueing.document import why_text

        sys.stdout.write(why_text(course, one, output))
    else:
        from stellwerk.report.queueing.table import render_why

        width = shutil.get_terminal_size((100, 24)).columns
        sys.stdout.write(render_why(course, one, (spoken, width)))
    return 0 if one.state == ADMITTED else 1
