"""How long whole fleets take, beside known rules on the same fleets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from benchmarks.figures import Figures
from benchmarks.placement import loops
from benchmarks.placement.baselines import (
    best_fit,
    constrained_first,
    decreasing_size,
    first_fit,
    grouped,
    nomad,
    spread,
    swarm,
)
from benchmarks.placement.checker import Placement, check
from benchmarks.placement.fleets import Fleet, Wish, fleet
from benchmarks.placement.through_rota import placed
from rota.core.rules import Strategy

RUNS = 5
SIZES = (
    (Wish(hosts=500, workloads=200, replicas=10_000), {Strategy.SPREAD: 0.1, Strategy.PACK: 0.15}),
    (Wish(hosts=1_000, workloads=500, replicas=50_000), {}),
    (Wish(hosts=10_000, workloads=2_000, replicas=200_000), {Strategy.SPREAD: 1.5, Strategy.PACK: 10}),
)
"""The fleets, with the seconds allowed by strategy."""

LOOKS = 15_000_000
"""Hosts that a plain loop looks at before its time is scaled up to the whole fleet."""

NAMES = {Strategy.SPREAD: "spread", Strategy.PACK: "dense"}

KNOWN: dict[str, Callable[[Fleet], Placement]] = {
    "spread, grouped": lambda one: grouped(one, spread),
    "Swarm's rule, grouped": lambda one: grouped(one, swarm),
    "first fit, grouped": lambda one: grouped(one, first_fit),
    "best fit, grouped, as given": lambda one: grouped(one, best_fit),
    "best fit, grouped, decreasing size": lambda one: grouped(one, best_fit, decreasing_size),
    "best fit, grouped, constrained first": lambda one: grouped(one, best_fit, constrained_first),
    "Nomad's rule, grouped, all hosts": lambda one: grouped(one, nomad),
    "Nomad's rule, its samples of log2 hosts": loops.nomad_sampled,
}
"""All of them one run."""


def scale(figures: Figures) -> None:
    """Every size: Rota's two strategies, then what else is known, each result checked."""
    for wish, bars in SIZES:
        one = fleet(wish)
        print(f"{wish.replicas:,} of {wish.workloads:,} workloads on {wish.hosts:,} hosts; {_asked(one)}")
        ours = {strategy: _rota(figures, wish, strategy, bars.get(strategy)) for strategy in NAMES}
        for name, rule in KNOWN.items():
            began = time.perf_counter()
            placement = rule(one)
            seconds = time.perf_counter() - began
            check(one, placement)
            figures.row(f"  {name}: {_outcome(placement)}", [seconds], "s")
        for name, score in (("best fit", loops.least_left), ("spread", loops.least_full)):
            seconds, looked = _plain_loop(one, score)
            figures.row(f"  {name}, plain loop, scaled from {looked:,} containers", [seconds], "s")
        figures.row(
            "  plain spreading loop, as a multiple of Rota's spread", [seconds / ours[Strategy.SPREAD]], "×"
        )


def _rota(figures: Figures, wish: Wish, strategy: Strategy, bar: float | None) -> float:
    """Median seconds of placing."""
    one = fleet(replace(wish, strategy=strategy))
    runs = [placed(one) for _ in range(RUNS)]
    bar_text = "" if bar is None else f"{bar:g}"
    name = f"  Rota, {NAMES[strategy]}: {_outcome(runs[-1].placement)}"
    median = figures.row(name, [run.placing for run in runs], "s", bar_text)
    figures.row("    processor time of it", [run.processor for run in runs], "s")
    figures.row(
        "    not in it: an empty board from hosts and services", [run.empty_board for run in runs], "s"
    )
    figures.row("    not in it: hosts, services and demands as values", [run.values for run in runs], "s")
    return median


def _plain_loop(one: Fleet, score: loops.Score) -> tuple[float, int]:
    """Seconds for the whole fleet, scaled from its first containers; and how many those were."""
    began = time.perf_counter()
    _, looked = loops.every_host(one, score, max(1, LOOKS // len(one.zone)))
    seconds = time.perf_counter() - began
    return seconds * int(one.replicas.sum()) / looked, looked


def _outcome(placement: Placement) -> str:
    return f"{placement.hosts_used():,} hosts, {int(placement.unplaced.sum()):,} left over"


def _asked(one: Fleet) -> str:
    cpu, memory = one.shares()
    return f"{cpu:.0%} of cpu, {memory:.0%} of memory"
