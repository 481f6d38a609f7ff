"""The words of a refusal hold what helps: the database's reason, and what to do about a full disk."""

import errno
import json
import os

import httpx

from stellwerk.adapters.output import unwritten
from stellwerk.adapters.prometheus.client import _said

# As VictoriaMetrics 1.138 words it.
REASON = "the number of matching timeseries exceeds 300000; increase -search.maxUniqueTimeseries"


def said(words: str) -> str:
    return _said(httpx.Response(422, content=json.dumps({"status": "error", "error": words}).encode()))


def test_a_refusal_that_quotes_the_query_first_keeps_its_reason() -> None:
    query = '{__name__=~\\"' + "|".join(f"DCGM_{n}" for n in range(99)) + '\\"}[86400000ms]'
    words = said(f'error when executing query="{query}" for (time=1, step=300000): {REASON}')
    assert words == f'error when executing query="..." for (time=1, step=300000): {REASON}'


def test_a_refusal_of_victoriametrics_ends_with_what_to_do() -> None:
    query = '{__name__=~\\"' + "|".join(f"DCGM_{n}" for n in range(99)) + '\\"}'
    words = said(
        f'error when exporting data for query="{query}" on the time range (1 to 2): cannot fetch data '
        f'for "{query}": cannot select more than -search.maxSamplesPerQuery=3 samples; possible solutions: '
        "increase the -search.maxSamplesPerQuery; reduce time range for the query"
    )
    assert "-search.maxSamplesPerQuery=3" in words and words.endswith("reduce time range for the query")


def test_of_a_long_refusal_start_and_end_are_kept() -> None:
    words = said(f"cannot execute {'x' * 900}: {REASON}")
    assert words.startswith("cannot execute x") and words.endswith(REASON) and len(words) <= 300


def test_a_full_disk_says_to_make_room() -> None:
    full = unwritten("a.json", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert "No space left" in str(full) and "make room" in str(full.fix)
    assert "may write to" in str(unwritten("a.json", OSError(errno.EACCES, "Permission denied")).fix)
