"""How often the schedules of a repository open together: whoever looks a year ahead looks at each opening."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from rota.core.hours import openings_a_day
from rota.core.model import CapacityPolicy, Scheduled
from rota.manifest.document import Manifest
from rota.manifest.problem import Problem

MAX_OPENINGS: Final = 6000
"""On one date, by all schedules: a year of them is some seconds of work, and some hundred megabytes."""


def too_many_openings(policies: Iterable[tuple[Manifest, CapacityPolicy]]) -> Iterator[Problem]:
    """One problem, at the first policy that goes beyond the limit."""
    counted: set[tuple[str, Scheduled, frozenset[date]]] = set()
    openings, over = 0, None
    for manifest, policy in policies:
        for window in policy.windows:
            if not isinstance(window.hours, Scheduled):
                continue
            # Equal ones are resolved once.
            pattern = (policy.zone.key, window.hours, window.except_on)
            openings += openings_a_day(window.hours) if pattern not in counted else 0
            counted.add(pattern)
        if openings > MAX_OPENINGS and over is None:
            over = manifest
    if over is not None:
        message = (
            f"the schedules of this repository open {openings:,} times a day together, and the limit is"
            f" {MAX_OPENINGS:,}"
        )
        mend = "Let them open less often; those of equal schedule, duration, zone and dates count once."
        yield over.problem(("spec", "windows"), message, mend)
