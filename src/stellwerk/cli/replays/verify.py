"""`stellwerk verify RECEIPT`: run it again, and say whether it is the same."""

import click

from stellwerk.cli.options import LANG, ProgressLine, language_of
from stellwerk.report.text import msg

SHOWN = 20


@click.command("verify", short_help="Re-run a receipt: same (0) or different (1).")
@click.argument("receipt")
@LANG
def command(receipt: str, lang: str | None) -> int:
    """Re-run the job of RECEIPT from its inputs. Exit code 0: the same, to the last digit; 1: different."""
    from stellwerk.adapters.files import read_raw
    from stellwerk.report.proof import made_by_other_version, run_again
    from stellwerk.report.receipt import read_receipt
    from stellwerk.report.text import translator

    spoken = language_of(lang)
    _ = translator(spoken)
    written = read_raw(receipt)
    found = read_receipt(written, receipt)
    with ProgressLine(spoken) as progress:
        differences = run_again(found, written, receipt, progress)
    if not differences:
        click.echo(_(SAME, sha256=found.result_sha256))
        return 0
    click.echo(_(DIFFERENT, count=len(differences)) if len(differences) > 1 else _(DIFFERENT_ONCE))
    for difference in differences[:SHOWN]:
        click.echo(f"  {difference.path}: {difference.old} -> {difference.new}")
    if len(differences) > SHOWN:
        click.echo(_(MORE, count=len(differences) - SHOWN))
    if made_by_other_version(found):
        click.echo(_(OTHER_VERSION, version=found.stellwerk), err=True)
    return 1


SAME = msg("same: the result has SHA-256 {sha256} again")
DIFFERENT = msg("different, in {count} places (receipt -> now):")
DIFFERENT_ONCE = msg("different in one place (receipt -> now):")
MORE = msg("  and {count} more")
OTHER_VERSION = msg(
    "the receipt was written by Stellwerk {version}: try that version before you doubt the figures"
)
