"""What a user may type wrong at `stellwerk watch`, and lines for people when no answer comes."""

from pathlib import Path

import pytest

from stellwerk.api.errors import Unreachable
from stellwerk.cli.main import main
from stellwerk.report.advice.changes import recovered_line, unreachable_json, unreachable_line

URL = "http://127.0.0.1:9"
MINUTE = 60_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no database is named. Next: name it: --prometheus"),
        (["--prometheus", "ftp://x"], '"ftp://x" is no URL of a database'),
        (["--prometheus", URL, "--every", "0s"], '--every "0s" is no duration from 1s to 24h'),
        (["--prometheus", URL, "--every", "25h"], '--every "25h" is no duration'),
        (["--prometheus", URL, "--every", "often"], '--every "often" is no duration'),
        (["--prometheus", URL, "--days", "0"], "--days 0 is not between 1 and 400"),
        (["--prometheus", URL, "--headroom", "-1"], "--headroom -1 is not between 0 and 1000"),
        (["--prometheus", URL, "--after", "0"], "0 is not in the range"),
        (["--prometheus", URL, "--fleet", "no-such-fleet"], "no-such-fleet"),
        (["--prometheus", URL, "--state", "missing/state.json"], "missing/state.json cannot be written"),
        (["--prometheus", URL, "-o", "yaml"], "'yaml' is not one of"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["watch", "--save", str(tmp_path), "--lang", "en", "--once", *arguments])
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert words in said.err and len(said.err.splitlines()) == 1 and not said.out


def test_no_answer_is_one_line_in_the_readers_language() -> None:
    error = Unreachable("{url} does not answer: {words}", fix="see whether it runs", url=URL, words="a\nb")
    line = unreachable_line(error, 15 * MINUTE, "en")
    assert line == (
        "1970-01-01 00:15 UTC  unreachable, tried again: http://127.0.0.1:9 does not answer: a b. "
        "Next: see whether it runs\n"
    )
    assert recovered_line(15 * MINUTE, 3, "de") == "01.01.1970 00:15 UTC  wieder da; Runden ohne Antwort: 3\n"
    assert unreachable_json(error, 15 * MINUTE) == (
        '{"type":"unreachable","time":"1970-01-01T00:15:00Z","reason":{"code":"Unreachable","text":'
        '"http://127.0.0.1:9 does not answer: a\\nb","values":{"url":"http://127.0.0.1:9","words":"a\\nb"}},'
        '"next":"see whether it runs"}\n'
    )
