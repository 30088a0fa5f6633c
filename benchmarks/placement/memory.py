"""The memory of placing 200,000 instances on 10,000 hosts, each time in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.figures import Figures
from benchmarks.placement.fleets import Wish, fleet
from benchmarks.placement.through_rota import Stage
from rota.core.placement.place import place
from rota.core.rules import Strategy

BASE = Wish(hosts=10_000, workloads=2_000, replicas=200_000)
BAR = 150
STATUS = Path("/proc/self/status")
PEAK_FROM_HERE = "5"
"""Written to /proc/self/clear_refs: the peak is counted anew."""


def memory(figures: Figures) -> None:
    """The peak of the process, and what that is above its modules alone."""
    for strategy, name in ((Strategy.SPREAD, "spread"), (Strategy.PACK, "dense")):
        command = [sys.executable, "-m", "benchmarks.placement.memory", strategy]
        seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{BASE.replicas:,} on {BASE.hosts:,} hosts, {name}, a process of its own")
        above = {key: value - seen["modules"] for key, value in seen.items()}
        figures.row("  peak, above the modules", [above["peak"]], "MiB", f"{BAR}")
        figures.row("    of that: hosts, services and demands as values", [above["values"]], "MiB")
        figures.row("    of that: with an empty board", [above["board"]], "MiB")
        figures.row("  peak of the whole process", [seen["peak"]], "MiB")


def _measured(strategy: Strategy) -> dict[str, float]:
    seen = {"modules": _resident("VmRSS")}
    one = fleet(replace(BASE, strategy=strategy))
    Path("/proc/self/clear_refs").write_text(PEAK_FROM_HERE)
    stage = Stage.of(one)
    demands = stage.demands(one.replicas)
    seen["values"] = _resident("VmRSS")
    board = stage.board()
    seen["board"] = _resident("VmRSS")
    place(demands, board)
    seen["peak"] = _resident("VmHWM")
    return seen


def _resident(field: str) -> float:
    """MiB."""
    line = next(one for one in STATUS.read_text().splitlines() if one.startswith(field))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    json.dump(_measured(Strategy(sys.argv[1])), sys.stdout)
