"""Both clocks, moved by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rota.core.observed import Now

FIRST_MONO = 1000.0
"""No zero: a daemon starts on a machine that has been up for a while."""


class VirtualClock:
    """Implements `rota.clock.Clock`. Nothing here waits: time passes when somebody says so."""

    def __init__(self, wall: datetime) -> None:
        self.wall = wall.astimezone(UTC)
        self.mono = FIRST_MONO

    def now(self) -> Now:
        return Now(wall=self.wall, mono=self.mono)

    def real_seconds(self, wall_seconds: float) -> float:
        return wall_seconds

    def advance(self, seconds: float) -> None:
        """Time passes, on both clocks."""
        self.wall += timedelta(seconds=seconds)
        self.mono += seconds

    def advance_to(self, mono: float) -> None:
        """Time passes until the monotonic clock shows `mono`, exactly."""
        self.wall += timedelta(seconds=mono - self.mono)
        self.mono = mono

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock, forwards or back; waits do not notice."""
        self.wall += timedelta(seconds=seconds)
