"""Our allocator gives Kubernetes' own answers on random cases: devices, their order, errors.

More of them, in the same form: `python -m tests.differential.go_allocator COUNT FIRST > FILE`, then
`python -m tests.conformance FILE`.
"""

import pytest

from tests.conformance.dra_allocator import decide, difference
from tests.differential.dra_cases import random_cases
from tests.differential.go_allocator import MISSING, expected, go_allocator

CASES = 1_000


@pytest.mark.parametrize("first", range(0, CASES, 250))
def test_random_claims_get_what_kubernetes_gives_them(first: int) -> None:
    oracle = go_allocator()
    if oracle is None:
        pytest.skip(MISSING)
    cases = random_cases(first, 250)
    differing = []
    for case, answer in zip(cases, oracle.run(cases), strict=True):
        what = difference(decide(case), expected(answer))
        if what is not None:
            differing.append(f"{case['name']}: {what}")
    assert not differing, "\n".join(differing[:5])
