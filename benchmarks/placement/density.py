"""How many hosts are used against the lower bound, and what is left over in a nearly full fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmarks.figures import Figures
from benchmarks.placement.baselines import (
    best_fit,
    constrained_first,
    decreasing_size,
    grouped,
    spread,
    swarm,
)
from benchmarks.placement.bound import NoBound, hosts_needed
from benchmarks.placement.checker import Placement, check
from benchmarks.placement.fleets import EASY, Bounds, Fleet, Shape, Wish, fleet
from benchmarks.placement.loops import nomad_sampled
from benchmarks.placement.through_rota import placed
from rota.core.rules import Strategy

SEEDS = (1, 2, 3)
SHARES = (0.75, 0.85)
FULL = 0.98
BASE = Wish(hosts=1_000, workloads=500, replicas=50_000, strategy=Strategy.PACK, bounds=Bounds(one_each=0.4))
"""What keeps apart from its kind could do so on the hosts that the bound leaves in use."""

WIDELY_APART = EASY
"""Some workloads have an instance on more hosts than the rest needs: they must come first."""

MOST_OVER = 2.0
"""Per cent of hosts above the bound."""

DENSE: dict[str, Callable[[Fleet], Placement]] = {
    "best fit, constrained first": lambda one: grouped(one, best_fit, constrained_first),
    "best fit, decreasing size": lambda one: grouped(one, best_fit, decreasing_size),
    "Nomad's rule, sampled": nomad_sampled,
}
EVEN: dict[str, Callable[[Fleet], Placement]] = {
    "plain spreading": lambda one: grouped(one, spread),
    "plain spreading, constrained first": lambda one: grouped(one, spread, constrained_first),
    "Swarm's rule": lambda one: grouped(one, swarm),
}


def density(figures: Figures) -> None:
    """Hosts used by each method over the bound, by shape and fullness, then nearly full fleets."""
    print(f"{BASE.replicas:,} on {BASE.hosts:,} hosts: hosts used above the bound, seeds {_listed(SEEDS)}")
    overs: list[float] = []
    for share in SHARES:
        for title, wish in _kinds(replace(BASE, cpu_share=share)):
            overs += _above_bound(figures, wish, f"{title}, {share:.0%}")
    figures.row("all of them: Rota, dense, above the bound", overs, "%", f"{MOST_OVER:g}")
    widest = replace(BASE, bounds=WIDELY_APART)
    for shape in (Shape.UNIFORM, Shape.MIX):
        _above_bound(figures, replace(widest, shape=shape), f"{shape}, 75%, some apart on up to 80% of hosts")
    _full(figures)


def _kinds(wish: Wish) -> Iterator[tuple[str, Wish]]:
    for shape in Shape:
        yield shape, replace(wish, shape=shape)
    yield "mix, 2 to 8 GiB a core", replace(wish, one_ratio=False)
    yield "mix, no rules", replace(wish, constraints=False)


def _above_bound(figures: Figures, wish: Wish, title: str) -> list[float]:
    """Per cent above the bound of Rota's dense placements, by seed."""
    fleets = [fleet(replace(wish, seed=seed)) for seed in SEEDS]
    try:
        bounds = [hosts_needed(one, apart=True) for one in fleets]
        looser = [hosts_needed(one, apart=False) for one in fleets]
    except NoBound as no_bound:
        print(f"{title}: {no_bound}")
        return []
    told = "" if looser == bounds else f"; without anti-affinity and ports {_listed(looser)}"
    print(f"{title}: the bound is {_listed(bounds)} hosts{told}")
    runs = [placed(one) for one in fleets]
    ours = _compared(figures, "Rota, dense", [run.placement for run in runs], bounds, f"{MOST_OVER:g}")
    figures.row("    in", [run.placing for run in runs], "s")
    for name, rule in DENSE.items():
        _compared(figures, name, [_checked(one, rule) for one in fleets], bounds, "")
    return ours


def _compared(
    figures: Figures, name: str, placements: list[Placement], bounds: list[int], bar: str
) -> list[float]:
    left = [int(one.unplaced.sum()) for one in placements]
    used = [one.hosts_used() for one in placements]
    overs = [100 * (hosts / bound - 1) for hosts, bound in zip(used, bounds, strict=True)]
    left_over = f", {_listed(left)} left over" if any(left) else ""
    figures.row(f"  {name}: {_listed(used)} hosts{left_over}", overs, "%", bar)
    return overs


def _full(figures: Figures) -> None:
    """What is left over at 98 % of cpu; the bar for each seed is plain spreading."""
    fleets = [fleet(replace(BASE, cpu_share=FULL, seed=seed)) for seed in SEEDS]
    print(
        f"{BASE.replicas:,} on {BASE.hosts:,} hosts at {FULL:.0%} of cpu, seeds {_listed(SEEDS)}: left over"
    )
    plain: list[int] = []
    for name, rule in (EVEN | DENSE).items():
        left = [int(_checked(one, rule).unplaced.sum()) for one in fleets]
        plain = plain or left
        figures.row(f"  {name}: {_listed(left)}", left, "")
    for strategy, name in ((Strategy.SPREAD, "spread"), (Strategy.PACK, "dense")):
        runs = [placed(replace(one, wish=replace(one.wish, strategy=strategy))) for one in fleets]
        left = [int(run.placement.unplaced.sum()) for run in runs]
        more = sum(max(0, one - other) for one, other in zip(left, plain, strict=True))
        figures.row(f"  Rota, {name}: {_listed(left)}; more than plain spreading", [more], "", "0")
        figures.row("    in", [run.placing for run in runs], "s")


def _checked(one: Fleet, rule: Callable[[Fleet], Placement]) -> Placement:
    placement = rule(one)
    check(one, placement)
    return placement


def _listed(numbers: tuple[int, ...] | list[int]) -> str:
    return " · ".join(f"{number:,}" for number in numbers)
