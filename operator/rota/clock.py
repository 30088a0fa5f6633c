"""The only reader of time. Two clocks, one value: wall for windows, monotonic for waits."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from rota.core.observed import Now
from rota.errors import Fatal


class Clock(Protocol):
    """What the controller, the engines and the tests read."""

    def now(self) -> Now: ...

    def real_seconds(self, wall_seconds: float) -> float:
        """How long to wait until the wall clock has advanced by `wall_seconds`."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Now:
        return Now(wall=datetime.now(UTC), mono=time.monotonic())

    def real_seconds(self, wall_seconds: float) -> float:
        return wall_seconds


@dataclass(frozen=True)
class ShiftedClock:
    """Wall time that began at `start` when the monotonic clock showed `origin`, `speed` times as fast.

    Monotonic time stays real: heartbeats, health, grace and deadlines are not hurried.
    """

    start: datetime
    speed: float
    origin: float

    @classmethod
    def parse(cls, text: str) -> ShiftedClock:
        """Read `START[xSPEED]`, such as `2026-06-01T06:50:00+02:00x60`; it starts now."""
        match = re.fullmatch(r"(?P<start>[^x]+)(?:x(?P<speed>\d+(?:\.\d+)?))?", text)
        try:
            start = datetime.fromisoformat(match["start"]) if match else None
        except ValueError:
            start = None
        if match is None or start is None or start.tzinfo is None:
            raise Fatal(
                f"--clock {text!r}: not START[xSPEED]. Write an RFC 3339 time with an offset and, if it is "
                "to run faster, x and the factor: 2026-06-01T06:50:00+02:00x60."
            )
        speed = float(match["speed"] or 1)
        if speed <= 0:
            raise Fatal(
                f"--clock {text!r}: a clock cannot run {speed:g} times as fast. Give a factor above 0."
            )
        return cls(start=start.astimezone(UTC), speed=speed, origin=time.monotonic())

    def now(self) -> Now:
        mono = time.monotonic()
        wall = self.start + timedelta(seconds=(mono - self.origin) * self.speed)
        return Now(wall=wall, mono=mono, speed=self.speed)

    def real_seconds(self, wall_seconds: float) -> float:
        return wall_seconds / self.speed
