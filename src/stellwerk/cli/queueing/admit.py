"""`stellwerk admit -f DIR`: who may start, with which flavors, whom that preempts, why the others wait."""

import sys
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.options import LANG, OUTPUT, language_of
from stellwerk.cli.queueing.decide import Settings, decide, decided_options

if TYPE_CHECKING:
    from stellwerk.engine.queueing.course.run import Course
    from stellwerk.engine.queueing.course.verdict import Verdict
    from stellwerk.report.text import Language


@click.command(
    "admit", short_help="Who may start, with which flavors, whom that preempts, and why others wait."
)
@decided_options
@OUTPUT
@LANG
def command(output: str, lang: str | None, **options: Any) -> int:
    """Decide who is admitted, as Kueue's scheduling cycles decide it on the same objects.

    A Workload is made of each Job with a queue. Nothing is changed; `-o json` holds the Workloads as Kueue
    would write them.

    Exit code 0: all are admitted; 1: not all.
    """
    from stellwerk.engine.queueing.course.verdict import ADMITTED

    spoken = language_of(lang)
    course, found = decide(Settings(**options), spoken)
    sys.stdout.write(_text(course, found, (output, spoken)))
    return 0 if all(one.state == ADMITTED for one in found) else 1


def _text(course: "Course", found: "tuple[Verdict, ...]", shown: "tuple[str, Language]") -> str:
    import shutil

    form, lang = shown
    if form != "table":
        from stellwerk.report.queueing.document import admission_text

        return admission_text(course, found, form)
    from stellwerk.report.queueing.table import render_admission

    return render_admission(course, found, (lang, shutil.get_terminal_size((100, 24)).columns))
