"""How long the solver takes for tight puzzles: `PYTHONPATH=operator python -m tests.exact.measure 200`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from time import perf_counter

from rota import exact
from rota.core.placement.puzzle import Puzzle
from tests.exact.checker import faults
from tests.exact.puzzles import planted, tight


def measure(make: Callable[[int], Puzzle], cases: int) -> None:
    """Print the distribution over `cases` seeds, and the seeds that stayed unproved or took long."""
    solve = exact.solver()
    assert solve is not None, exact.missing()
    took: list[tuple[float, int]] = []
    kinds: Counter[str] = Counter()
    for seed in range(cases):
        puzzle = make(seed)
        began = perf_counter()
        answer = solve(puzzle)
        took.append((perf_counter() - began, seed))
        missing = sum(group.count for group in puzzle.groups)
        kind = "none"
        if answer is not None:
            assert faults(puzzle, answer.seats) == [], seed
            missing -= sum(map(sum, answer.seats))
            kind = ("all" if not missing else "some") + (" proved" if answer.proved else " unproved")
        kinds[kind] += 1
        if not kind.endswith(" proved") or took[-1][0] > 1:
            print(f"  seed {seed}: {kind}, {missing} left out, {took[-1][0]:.2f} s")
    took.sort()
    middle, late, last = (took[int((cases - 1) * part)][0] for part in (0.5, 0.95, 1))
    print(
        f"{make.__name__}: {dict(kinds)}; median {middle:.3f} s, p95 {late:.3f} s, max {last:.2f} s",
        flush=True,
    )


if __name__ == "__main__":
    for generator in (planted, tight):
        measure(generator, int(sys.argv[1]))
