"""Random clusters get from us what Kueue's own code gives them: domains, counts, the words of a refusal."""

from pathlib import Path

from tests.conformance.__main__ import judged, read_lines

ANSWERED = Path(__file__).parent / "kueue" / "tas-random.jsonl.xz"


def test_random_clusters_are_decided_as_kueue_decided_them() -> None:
    cases = read_lines(ANSWERED)
    outcomes = [outcome for case in cases for outcome in case["want"]["podSets"].values()]
    assert len(cases) > 1500
    # The sample says something only if both answers are frequent.
    assert (
        min(
            sum("failureReason" in one for one in outcomes),
            sum("topologyAssignment" in one for one in outcomes),
        )
        > 500
    )
    assert [line for line in map(judged, cases) if line is not None] == []
