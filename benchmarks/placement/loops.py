"""Rules that go container by container, in plain Python.

Two are there for their time, on the first containers only: best fit and spread over every host. The third is
Nomad's sampling, whole: it looks at a few feasible hosts in a shuffled ring and takes the best of them.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from benchmarks.placement.baselines import gathered
from benchmarks.placement.checker import MAX_SKEW, Placement
from benchmarks.placement.fleets import Fleet, Ints

Score = Callable[[float, float, float, float], float]
"""free cpu and free memory afterwards, cpu and memory of the host → the less the better."""


def least_left(cpu: float, memory: float, whole_cpu: float, whole_memory: float) -> float:  # noqa: ARG001
    return cpu / 1000 + memory / (4 << 30)


def least_full(cpu: float, memory: float, whole_cpu: float, whole_memory: float) -> float:
    return max(1 - cpu / whole_cpu, 1 - memory / whole_memory)


def nomad_score(cpu: float, memory: float, whole_cpu: float, whole_memory: float) -> float:
    """Negative: Nomad takes the highest."""
    return -min(18.0, max(0.0, 20.0 - (10.0 ** (cpu / whole_cpu) + 10.0 ** (memory / whole_memory))))


class Yard:
    """The fleet as plain lists, container by container."""

    def __init__(self, fleet: Fleet) -> None:
        self.whole: list[list[int]] = fleet.capacity.tolist()
        self.free: list[list[int]] = fleet.capacity.tolist()
        self.zones: list[int] = fleet.zone.tolist()
        self.ports: list[set[int]] = [set() for _ in self.zones]
        self.fleet = fleet

    def begin(self, workload: int) -> None:
        """Turn to the containers of `workload`."""
        self.cpu, self.memory = self.fleet.requests[workload].tolist()
        self.port = int(self.fleet.port[workload])
        self.one_each = bool(self.fleet.one_each[workload])
        self.even = bool(self.fleet.even[workload])
        self.eligible: list[bool] = self.fleet.eligible(workload).tolist()
        self.here: Counter[int] = Counter()
        self.by_zone = dict.fromkeys(np.unique(self.fleet.zone[self.fleet.eligible(workload)]).tolist(), 0)

    def admits(self, host: int) -> bool:
        free = self.free[host]
        return (
            self.cpu <= free[0]
            and self.memory <= free[1]
            and self.eligible[host]
            and not (self.one_each and self.here[host])
            and not (self.port and self.port in self.ports[host])
            and (not self.even or self.by_zone[self.zones[host]] < min(self.by_zone.values()) + MAX_SKEW)
        )

    def score(self, rule: Score, host: int) -> float:
        free, whole = self.free[host], self.whole[host]
        return rule(free[0] - self.cpu, free[1] - self.memory, whole[0], whole[1])

    def take(self, host: int) -> None:
        self.free[host][0] -= self.cpu
        self.free[host][1] -= self.memory
        self.here[host] += 1
        self.by_zone[self.zones[host]] += 1
        if self.port:
            self.ports[host].add(self.port)

    def seated(self, workload: int) -> tuple[int, Ints, Ints]:
        return workload, np.array(list(self.here), np.int64), np.array(list(self.here.values()), np.int64)


def every_host(fleet: Fleet, rule: Score, limit: int | None = None) -> tuple[Placement, int]:
    """Each container on the best of all hosts, as far as `limit` containers; and how many were looked at.

    Workloads that the limit cuts off count as unplaced.
    """
    yard = Yard(fleet)
    found, unplaced, looked = [], fleet.replicas.copy(), 0
    for workload in range(len(fleet.replicas)):
        yard.begin(workload)
        for _ in range(int(fleet.replicas[workload])):
            if limit is not None and looked >= limit:
                break
            looked += 1
            admitted = (host for host in range(len(yard.zones)) if yard.admits(host))
            best = min(admitted, key=lambda host: yard.score(rule, host), default=None)
            if best is None:
                break
            yard.take(best)
            unplaced[workload] -= 1
        found.append(yard.seated(workload))
    return gathered(found, unplaced), looked


def nomad_sampled(fleet: Fleet) -> Placement:
    """Nomad's rule with its sampling for services: the best of the first max(2, ceil(log2 hosts)) feasible
    hosts, met in a ring that is shuffled for each job and goes on where the last container left it."""
    count = len(fleet.zone)
    sample = max(2, math.ceil(math.log2(count)))
    rng = random.Random(fleet.wish.seed)
    yard, ring = Yard(fleet), list(range(count))
    found, unplaced = [], fleet.replicas.copy()
    for workload in range(len(fleet.replicas)):
        yard.begin(workload)
        rng.shuffle(ring)
        at = 0
        for _ in range(int(fleet.replicas[workload])):
            met = list(islice(((one, host) for one, host in _round(ring, at) if yard.admits(host)), sample))
            if not met:
                break
            at = met[-1][0] + 1 if len(met) == sample else at
            best = min((host for _, host in met), key=lambda host: yard.score(nomad_score, host))
            yard.take(best)
            unplaced[workload] -= 1
        found.append(yard.seated(workload))
    return gathered(found, unplaced)


def _round(ring: list[int], at: int) -> Iterator[tuple[int, int]]:
    """Once around, with positions."""
    for offset in range(len(ring)):
        yield at + offset, ring[(at + offset) % len(ring)]
