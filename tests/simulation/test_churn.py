"""A service of twelve under constant change of commits: never too few, never too many, always an end.

The full hundred is `python -m benchmarks rollouts`.
"""

from __future__ import annotations

import pytest

from rota.core.model import UpdateRules
from tests.simulation.churn import REPLICAS, START_FIRST, STOP_FIRST, churn

ROLLOUTS = 12
SURGE = 3
"""A quarter of twelve."""


@pytest.mark.parametrize(
    ("update", "max_unavailable"), [(START_FIRST, 0), (STOP_FIRST, 2)], ids=["start-first", "stop-first"]
)
@pytest.mark.parametrize("seed", range(2))
def test_commits_that_come_all_the_time_never_take_too_many_or_add_too_many(
    update: UpdateRules, max_unavailable: int, seed: int
) -> None:
    done = churn(update, max_unavailable, ROLLOUTS, seed)
    assert done.lowest >= REPLICAS - max_unavailable
    assert done.most <= REPLICAS + SURGE
    assert done.good + done.failed + done.overtaken == ROLLOUTS
    assert done.good > 0
