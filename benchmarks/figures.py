"""Medians with their range, printed as they come."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


class Figures:
    """Prints one row per figure: what, median [min–max], unit, bar."""

    def row(self, what: str, values: Sequence[float], unit: str, bar: str = "") -> float:
        """Print the median of `values` and give it back."""
        median = statistics.median(values)
        extent = f" [{min(values):.3g}–{max(values):.3g}]" if len(values) > 1 else ""
        print(f"{what:<66} {median:8.3g}{extent} {unit}{f'   bar: {bar}' if bar else ''}", flush=True)
        return median


def timed(action: Callable[[], object]) -> float:
    """Seconds that `action` takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
