"""`rota check` and clocks: what it says of a host whose clock is another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rota.cli.check import Finding, clock_finding
from rota.core.observed import Now
from rota.engine.memory import MemoryEngine
from rota.simulation.clock import VirtualClock

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Steps:
    """A clock on which every look takes `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._looks = -1

    def now(self) -> Now:
        self._looks += 1
        passed = self._looks * self._seconds
        return Now(wall=NOON + timedelta(seconds=passed), mono=passed)

    def real_seconds(self, wall_seconds: float) -> float:
        return wall_seconds


@pytest.mark.parametrize(
    ("theirs", "took", "said"),
    [
        (0.0, 0.0, "within 2 s of ours"),
        (1.9, 0.0, "within 2 s of ours"),
        (-1.9, 0.0, "within 2 s of ours"),
        (3.0, 4.0, "within 2 s of ours"),
        (3601.0, 0.0, "3601 s ahead of ours. Set both by NTP"),
        (-3600.0, 0.0, "3600 s behind ours. Set both by NTP"),
        (3600.0, 4.0, "3598 s ahead of ours. Set both by NTP"),
    ],
)
def test_the_clock_of_a_host(theirs: float, took: float, said: str) -> None:
    engine = MemoryEngine("h1", VirtualClock(NOON + timedelta(seconds=theirs)))
    found = clock_finding("h1", engine, Steps(took))
    assert isinstance(found, Finding)
    assert (found.what, found.good) == ("clock of h1", said.startswith("within"))
    assert found.detail.startswith(said)
