"""Small tight fleets, each decided by an exact model of the benchmark's own: does Rota find the way?"""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from benchmarks.figures import Figures
from benchmarks.placement.baselines import Order, Rule, as_given, best_fit, constrained_first, grouped, spread
from benchmarks.placement.exact import Verdict, decide, most_seated
from benchmarks.placement.fleets import Bounds, Fleet, Shape, Wish, fleet
from benchmarks.placement.through_rota import Run, placed
from rota.core.placement.puzzle import Answer, Puzzle, Solver
from rota.core.rules import Strategy

CASES = 400
DECIDED_WITHIN = 30.0
"""Seconds for the judge; what it does not know by then is not counted."""

BOUNDS = Bounds(labelled=1.15, one_each=1.0, request=1.0, memory=1.05)
NAMED = 12
"""Missed cases named."""

QUICK, SLOW, SHARE_QUICK = 0.1, 10.0, 93

GREEDY: dict[str, tuple[Rule, Order]] = {
    "best fit": (best_fit, as_given),
    "best fit, constrained first": (best_fit, constrained_first),
    "plain spreading": (spread, as_given),
    "plain spreading, constrained first": (spread, constrained_first),
}


@dataclass(slots=True)
class _Watched:
    """A solver that remembers its answers: whether the last one was proved is the proof."""

    solver: Solver
    answers: list[Answer | None] = field(default_factory=list)

    def __call__(self, puzzle: Puzzle) -> Answer | None:
        answer = self.solver(puzzle)
        self.answers.append(answer)
        return answer

    @property
    def proved(self) -> bool:
        last = self.answers[-1] if self.answers else None
        return last is not None and last.proved


@dataclass(slots=True)
class _Tally:
    """What came of the cases. Times are of `place`, in seconds. `counted`: infeasible ones that needed no
    search, as what was left over had no room even before all others, and no fewer can be."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    whole: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    proved: int = 0
    counted: int = 0
    fewest_left: int = 0
    greedy: Counter[str] = field(default_factory=Counter)


def case(number: int) -> Fleet:
    """8 to 39 hosts at 50 to 92 % of cpu, at most 80 workloads, 3 to 8 instances a host."""
    rng = np.random.default_rng(40_000 + number)
    hosts, workloads = int(rng.integers(8, 40)), int(rng.integers(10, 81))
    wish = Wish(
        hosts=hosts,
        workloads=workloads,
        replicas=max(workloads, int(hosts * rng.uniform(3, 8))),
        cpu_share=float(rng.uniform(0.5, 0.92)),
        shape=tuple(Shape)[int(rng.integers(len(Shape)))],
        strategy=(Strategy.SPREAD, Strategy.PACK)[number % 2],
        seed=number,
        bounds=BOUNDS,
    )
    return fleet(wish)


def tight(figures: Figures) -> None:
    """All cases; the bars hold for those that are feasible."""
    exact = rota_solver()
    print(f"{CASES} small tight fleets; {'with' if exact else 'WITHOUT'} rota.exact")
    tally = _Tally()
    for number in range(CASES):
        _judged(case(number), exact, tally)
    _told(figures, tally)


def rota_solver() -> Solver | None:
    """Rota's exact solver where it is at hand."""
    maker = getattr(importlib.import_module("rota.exact"), "solver", None)
    found: Solver | None = maker() if maker is not None else None
    return found


def _judged(one: Fleet, exact: Solver | None, tally: _Tally) -> None:
    verdict = decide(one, DECIDED_WITHIN)
    tally.verdicts[verdict] += 1
    watched = _Watched(exact) if exact is not None else None
    run = placed(one, watched)
    left = int(run.placement.unplaced.sum())
    if verdict is Verdict.FEASIBLE:
        for name, (rule, order) in GREEDY.items():
            tally.greedy[name] += not grouped(one, rule, order).unplaced.any()
        if left:
            tally.missed.append(f"{one.wish.seed} ({left} left over, {run.placing:.2f} s)")
        else:
            tally.whole.append(run.placing)
    elif verdict is Verdict.INFEASIBLE:
        _refused(one, run, watched, tally)


def _refused(one: Fleet, run: Run, watched: _Watched | None, tally: _Tally) -> None:
    tally.refused.append(run.placing)
    seated = int(one.replicas.sum() - run.placement.unplaced.sum())
    fewest = seated == most_seated(one, DECIDED_WITHIN)
    tally.fewest_left += fewest
    if watched is not None:
        tally.proved += watched.proved
        tally.counted += fewest and not watched.answers


def _told(figures: Figures, tally: _Tally) -> None:
    feasible, infeasible = tally.verdicts[Verdict.FEASIBLE], tally.verdicts[Verdict.INFEASIBLE]
    print(f"feasible {feasible}, infeasible {infeasible}, not known {tally.verdicts[Verdict.UNKNOWN]}")
    for name, found in tally.greedy.items():
        figures.row(f"  {name}: {found} of {feasible} placed whole", [100 * found / feasible], "%")
    name = f"  Rota: {len(tally.whole)} of {feasible} placed whole"
    figures.row(name, [100 * len(tally.whole) / feasible], "%", "100")
    quick = sum(seconds <= QUICK for seconds in tally.whole)
    figures.row(f"    of all feasible, within {QUICK:g} s", [100 * quick / feasible], "%", f"{SHARE_QUICK}")
    figures.row("    time of those placed whole", tally.whole, "s")
    figures.row("    the longest", [max(tally.whole)], "s", f"{SLOW:g}")
    if tally.missed:
        print(f"    missed {len(tally.missed)}: case {', '.join(tally.missed[:NAMED])}")
    proved = tally.proved + tally.counted
    name = f"  infeasible: {proved} of {infeasible} said with proof, {tally.counted} of them by counting"
    figures.row(name, [100 * proved / max(infeasible, 1)], "%", "100")
    figures.row(
        f"    as few left over as possible: {tally.fewest_left}",
        [100 * tally.fewest_left / max(infeasible, 1)],
        "%",
    )
    if tally.refused:
        figures.row("    time", tally.refused, "s", f"{SLOW:g}")
        figures.row("    the longest", [max(tally.refused)], "s")
