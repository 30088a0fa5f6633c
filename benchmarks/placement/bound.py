"""A lower bound on the hosts that any placement uses: a linear program.

It holds cpu, memory, labels and zones, and lets instances and hosts be divided. On request it also holds
that a host in use takes one instance of what keeps apart from its kind, and a port once: without that the
bound of a fleet with a workload apart on 400 hosts can be below 400. Hosts that are alike are one class.
Every placement of all instances satisfies the program, so that none uses fewer hosts than its value,
rounded up.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from ortools.linear_solver import pywraplp

from benchmarks.placement.checker import MAX_SKEW
from benchmarks.placement.fleets import Fleet, Ints

ROUNDING = 1e-6


class NoBound(RuntimeError):
    """The program has no solution: not all instances have room, even divided."""


class Classes(NamedTuple):
    """Hosts that are alike: how many, what each has, in which zone, and one host of each."""

    sizes: Ints
    capacity: Ints
    zone: Ints
    example: Ints


def classes(fleet: Fleet) -> Classes:
    kinds = np.column_stack([fleet.capacity, fleet.zone, fleet.labels])
    _, example, sizes = np.unique(kinds, axis=0, return_index=True, return_counts=True)
    return Classes(sizes, fleet.capacity[example], fleet.zone[example], example)


def hosts_needed(fleet: Fleet, *, apart: bool) -> int:
    """The fewest hosts on which all instances could be, by the relaxation, with or without anti-affinity
    and ports. Raises NoBound."""
    return math.ceil(_solved(pywraplp.Solver.CreateSolver("GLOP"), fleet, apart=apart) - ROUNDING)


def _solved(solver: pywraplp.Solver, fleet: Fleet, *, apart: bool) -> float:
    kinds = classes(fleet)
    used = [solver.NumVar(0, int(size), "") for size in kinds.sizes]
    resources = range(fleet.capacity.shape[1])
    rows = [
        [
            _row(solver, -solver.infinity(), 0, {used[kind]: -_scaled(kinds.capacity[kind, one], one)})
            for one in resources
        ]
        for kind in range(len(used))
    ]
    alone: dict[int, list[dict[int, pywraplp.Variable]]] = defaultdict(list)
    for workload in range(len(fleet.replicas)):
        amounts = _amounts(solver, fleet, kinds, workload)
        if fleet.apart[workload]:
            alone[-1 - workload].append(amounts)
        if port := int(fleet.port[workload]):
            alone[port].append(amounts)
        for kind, amount in amounts.items():
            for one in resources:
                rows[kind][one].SetCoefficient(amount, _scaled(fleet.requests[workload, one], one))
    for rivals in alone.values() if apart else ():
        for kind, one in enumerate(used):
            here = {amounts[kind]: 1.0 for amounts in rivals if kind in amounts}
            _row(solver, -solver.infinity(), 0, here | {one: -1.0})
    objective = solver.Objective()
    objective.SetMinimization()
    for one in used:
        objective.SetCoefficient(one, 1)
    status = solver.Solve()
    if status != pywraplp.Solver.OPTIMAL:
        raise NoBound(f"the linear program ended with status {status}")
    return float(objective.Value())


def _amounts(
    solver: pywraplp.Solver, fleet: Fleet, kinds: Classes, workload: int
) -> dict[int, pywraplp.Variable]:
    """How much of `workload` goes to which class: all of it, evenly over zones where that is asked for."""
    replicas = int(fleet.replicas[workload])
    allowed = np.flatnonzero(fleet.eligible(workload)[kinds.example]).tolist()
    amounts = {kind: solver.NumVar(0, replicas, "") for kind in allowed}
    _row(solver, replicas, replicas, dict.fromkeys(amounts.values(), 1))
    if fleet.even[workload]:
        zones = sorted(set(kinds.zone[allowed].tolist()))
        slack = MAX_SKEW * (len(zones) - 1)
        least = math.ceil((replicas - slack) / len(zones))
        most = (replicas + slack) // len(zones)
        for zone in zones:
            there = [amount for kind, amount in amounts.items() if kinds.zone[kind] == zone]
            _row(solver, max(0, least), most, dict.fromkeys(there, 1))
    return amounts


def _row(
    solver: pywraplp.Solver, least: float, most: float, terms: dict[pywraplp.Variable, float]
) -> pywraplp.Constraint:
    row = solver.Constraint(least, most)
    for variable, factor in terms.items():
        row.SetCoefficient(variable, factor)
    return row


def _scaled(amount: int, resource: int) -> float:
    """Cores, and GiB: numbers near one keep the solver exact."""
    return float(amount) / (1000.0, 1024.0**3)[resource]
