"""How the time grows with the fleet, workloads in proportion, and its plot for the documentation.

It is processor time: placing is one thread that waits for nothing, and on an idle core it is the same as
the clock's, but other work on the machine does not bend the line.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.figures import Figures
from benchmarks.placement.fleets import Wish, fleet
from benchmarks.placement.plot import Series, drawn
from benchmarks.placement.through_rota import placed
from rota.core.rules import Strategy

HOSTS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000)
RUNS = 3
PER_HOST, PER_WORKLOAD = 20, 100
PLOT = Path(__file__).parents[2] / "docs" / "placement-growth.svg"
TITLE = "Processor time to place a whole fleet: 20 instances a host, 100 a workload, 75 % of cpu"


def growth(figures: Figures) -> None:
    """Time by size, the slope on logarithmic axes, and the plot."""
    series = []
    for strategy, name in ((Strategy.SPREAD, "spread"), (Strategy.PACK, "dense")):
        print(f"{PER_HOST} instances a host, {PER_WORKLOAD} a workload, {name}; processor time")
        points = [(hosts, _seconds(figures, hosts, strategy)) for hosts in HOSTS]
        slope, offset = np.polyfit(*np.log10(np.array(points)).T, 1).tolist()
        figures.row(f"  {name}: slope of log time over log hosts", [slope], "")
        series.append(Series(name=name, points=tuple(points), slope=slope, offset=offset))
    PLOT.write_text(drawn(TITLE, "hosts", "seconds", series), encoding="utf-8")
    print(f"written: {PLOT.relative_to(PLOT.parents[1])}")


def _seconds(figures: Figures, hosts: int, strategy: Strategy) -> float:
    replicas = hosts * PER_HOST
    wish = Wish(hosts=hosts, workloads=replicas // PER_WORKLOAD, replicas=replicas)
    one = fleet(replace(wish, strategy=strategy))
    times = [placed(one).processor for _ in range(RUNS)]
    figures.row(f"  {replicas:,} of {wish.workloads:,} workloads on {hosts:,} hosts", times, "s")
    return statistics.median(times)
