"""The placement benchmarks by name."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.figures import Figures
from benchmarks.placement.changes import changes
from benchmarks.placement.density import density
from benchmarks.placement.growth import growth
from benchmarks.placement.judges import judges
from benchmarks.placement.memory import memory
from benchmarks.placement.scale import scale
from benchmarks.placement.tight import tight

ENTRIES: dict[str, Callable[[Figures], None]] = {
    "placement-judges": judges,
    "placement-scale": scale,
    "placement-memory": memory,
    "placement-changes": changes,
    "placement-density": density,
    "placement-tight": tight,
    "placement-growth": growth,
}
