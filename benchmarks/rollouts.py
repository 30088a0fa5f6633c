"""A hundred rollouts of a service of twelve while commits keep coming, a fifth of which cannot work.

In virtual time on engines in memory, judged at every instant: how few serve, how many run.
"""

from __future__ import annotations

import structlog

from benchmarks.figures import Figures
from rota.core.model import UpdateRules
from tests.simulation.churn import REPLICAS, START_FIRST, STOP_FIRST, churn

ROLLOUTS = 100
SURGE = 3
SEED = 1


def rollouts(figures: Figures) -> None:
    """By both orders: start-first with maxUnavailable 0, stop-first with maxUnavailable 2."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
    for order, update, unavailable in (("start-first", START_FIRST, 0), ("stop-first", STOP_FIRST, 2)):
        _row(figures, order, update, unavailable)


def _row(figures: Figures, order: str, update: UpdateRules, unavailable: int) -> None:
    done = churn(update, unavailable, ROLLOUTS, SEED)
    ends = f"{done.good} good, {done.failed} failed, {done.overtaken} overtaken"
    name = f"{ROLLOUTS} rollouts, {order}, {ends}"
    figures.row(f"{name}: fewest healthy", [done.lowest], "", f"≥ {REPLICAS - unavailable}")
    figures.row(f"{name}: most running", [done.most], "", f"≤ {REPLICAS + SURGE}")
