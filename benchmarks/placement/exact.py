"""Small fleets decided exactly, by a model of its own: the judge of `tight.py` and of the bound."""

from __future__ import annotations

from enum import Enum

import numpy as np
from ortools.sat.python import cp_model

from benchmarks.placement.checker import MAX_SKEW
from benchmarks.placement.fleets import Fleet

WORKERS = 2


class Verdict(Enum):
    """Whether all instances have room together."""

    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


class Model:
    """Counts by workload and host under every rule of the fleet; `whole`: all instances must be seated."""

    def __init__(self, fleet: Fleet, *, whole: bool) -> None:
        self.fleet, self.cp = fleet, cp_model.CpModel()
        self.hosts = range(len(fleet.zone))
        self.counts = [self._workload(workload, whole) for workload in range(len(fleet.replicas))]
        for host in self.hosts:
            self._host(host)

    def _workload(self, workload: int, whole: bool) -> dict[int, cp_model.IntVar]:
        fleet, replicas = self.fleet, int(self.fleet.replicas[workload])
        most = (fleet.capacity // fleet.requests[workload]).min(axis=1)
        most = np.minimum(most, 1 if fleet.one_each[workload] else replicas)
        eligible = np.flatnonzero(fleet.eligible(workload))
        counts = {
            host: self.cp.new_int_var(0, int(most[host]), "") for host in eligible.tolist() if most[host]
        }
        total = sum(counts.values())
        self.cp.add(total == replicas if whole else total <= replicas)
        if fleet.even[workload]:
            least = self.cp.new_int_var(0, replicas, "")
            for zone in np.unique(fleet.zone[eligible]).tolist():
                there = sum(count for host, count in counts.items() if fleet.zone[host] == zone)
                self.cp.add(there >= least)
                self.cp.add(there <= least + MAX_SKEW)
        return counts

    def _host(self, host: int) -> None:
        here = [(workload, counts[host]) for workload, counts in enumerate(self.counts) if host in counts]
        for resource, capacity in enumerate(self.fleet.capacity[host].tolist()):
            needs = self.fleet.requests[:, resource].tolist()
            self.cp.add(sum(needs[workload] * count for workload, count in here) <= capacity)
        by_port: dict[int, list[cp_model.IntVar]] = {}
        for workload, count in here:
            if port := int(self.fleet.port[workload]):
                by_port.setdefault(port, []).append(count)
        for rivals in by_port.values():
            self.cp.add(sum(rivals) <= 1)

    def solve(self, seconds: float) -> tuple[int, cp_model.CpSolver]:
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = seconds
        solver.parameters.num_workers = WORKERS
        return solver.solve(self.cp), solver


def decide(fleet: Fleet, seconds: float) -> Verdict:
    """Whether the whole fleet can be placed."""
    status, _ = Model(fleet, whole=True).solve(seconds)
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Verdict.FEASIBLE
    return Verdict.INFEASIBLE if status == cp_model.INFEASIBLE else Verdict.UNKNOWN


def most_seated(fleet: Fleet, seconds: float) -> int | None:
    """How many instances can be seated at most; None if that is not proved in time."""
    model = Model(fleet, whole=False)
    model.cp.maximize(sum(count for counts in model.counts for count in counts.values()))
    status, solver = model.solve(seconds)
    return round(solver.objective_value) if status == cp_model.OPTIMAL else None


def fewest_hosts(fleet: Fleet, seconds: float) -> int | None:
    """The fewest hosts that hold the whole fleet; None if there is no answer in time."""
    model = Model(fleet, whole=True)
    used = [model.cp.new_bool_var("") for _ in model.hosts]
    for counts in model.counts:
        for host, count in counts.items():
            model.cp.add(count == 0).only_enforce_if(~used[host])
    model.cp.minimize(sum(used))
    status, solver = model.solve(seconds)
    return round(solver.objective_value) if status == cp_model.OPTIMAL else None
