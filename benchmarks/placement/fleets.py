"""Synthetic fleets: seeded, as plain arrays that know nothing of Rota's own model.

Three host sizes, three zones, half of the hosts with an ssd, a tenth with a rare label. Replicas have a
heavy tail; requests come in five shapes and are scaled until the whole fleet asks for the share of cpu that
was wished for. A workload is given no rule that it could not keep by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rota.core.rules import Strategy

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

GIB = 1024**3
MIB = 1024**2
ZONES = 3
CORES, CORE_SHARES = (16, 32, 64), (0.5, 0.3, 0.2)
GIB_PER_CORE = (2, 4, 8)
MOST_REPLICAS = 400

ANY, SSD, RARE = 0, 1, 2
"""The label that a workload asks for."""

LABELLED = {SSD: 0.20, RARE: 0.05}
PORTED, APART, EVEN = 0.10, 0.20, 0.70


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How near to what a fleet can hold its rules may come.

    `labelled`: the share of the labelled hosts' room that those who must go there ask for at most.
    `one_each`: the share of the hosts that admit it of which a workload with one place a host has one.
    `request`: the share of the smallest host that one instance asks for. `memory`: of all memory, as a
    multiple of the share of cpu: 0.8 is 60 % of the memory with 75 % of the cpu.
    """

    labelled: float = 0.5
    one_each: float = 0.8
    request: float = 0.5
    memory: float = 0.8


EASY = Bounds()


class Shape(StrEnum):
    """How cpu and memory of the requests lie."""

    UNIFORM = "uniform"
    BIMODAL = "bimodal"
    CORRELATED = "correlated"
    ANTI_CORRELATED = "anti-correlated"
    MIX = "mix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a fleet is to be like. `one_ratio`: 4 GiB a core everywhere, else 2, 4 or 8."""

    hosts: int
    workloads: int
    replicas: int
    cpu_share: float = 0.75
    shape: Shape = Shape.MIX
    constraints: bool = True
    strategy: Strategy = Strategy.SPREAD
    seed: int = 1
    one_ratio: bool = True
    bounds: Bounds = EASY


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Hosts and workloads by number. cpu in millicores, memory in bytes; `capacity` is hosts × 2,
    `requests` workloads × 2. `port` 0: none. `apart`: at most one instance a host. `even`: strictly
    spread over the zones that have a host with the label."""

    wish: Wish
    capacity: Ints
    zone: Ints
    labels: Ints
    replicas: Ints
    requests: Ints
    label: Ints
    port: Ints
    apart: Mask
    even: Mask

    @cached_property
    def admitting(self) -> tuple[Mask, Mask, Mask]:
        """The hosts that have each label; `labels` are bits, so that a host may have both."""
        return (
            np.ones(len(self.zone), np.bool_),
            (self.labels & SSD) > 0,
            (self.labels & RARE) > 0,
        )

    @cached_property
    def one_each(self) -> Mask:
        """Workloads of which a host takes one instance: a fixed port has the same effect as `apart`."""
        return self.apart | (self.port > 0)

    def eligible(self, workload: int) -> Mask:
        """The hosts whose labels admit `workload`."""
        return self.admitting[self.label[workload]]

    def shares(self) -> tuple[float, float]:
        """How much of all cpu and all memory is asked for."""
        asked = self.replicas @ self.requests
        cpu, memory = asked / self.capacity.sum(axis=0)
        return float(cpu), float(memory)


def fleet(wish: Wish) -> Fleet:
    """The fleet that `wish` describes; the same wish has the same fleet."""
    rng = np.random.default_rng(wish.seed)
    capacity, zone, labels = _hosts(rng, wish)
    replicas = _replicas(rng, wish.workloads, wish.replicas)
    raw = _SHAPES[wish.shape](rng, wish.workloads)
    requests = _scaled(raw, replicas, capacity, wish)
    nothing = np.zeros(wish.workloads, np.int64)
    bare = Fleet(
        wish=wish,
        capacity=capacity,
        zone=zone,
        labels=labels,
        replicas=replicas,
        requests=requests,
        label=nothing,
        port=nothing,
        apart=nothing > 0,
        even=nothing > 0,
    )
    return _constrained(rng, bare) if wish.constraints else bare


def _hosts(rng: np.random.Generator, wish: Wish) -> tuple[Ints, Ints, Ints]:
    count = wish.hosts
    quotas = np.maximum(1, np.round(np.array(CORE_SHARES) * count)).astype(np.int64)
    cores = rng.permutation(np.resize(np.repeat(np.array(CORES), quotas), count))
    ratios = np.full(count, 4) if wish.one_ratio else rng.choice(np.array(GIB_PER_CORE), count)
    capacity = np.stack([cores * 1000, cores * ratios * GIB], axis=1).astype(np.int64)
    zone = rng.permutation(np.arange(count) % ZONES).astype(np.int64)
    ssd = rng.permutation(np.arange(count) < count // 2)
    rare = rng.permutation(np.arange(count) < max(1, count // 10))
    return capacity, zone, ssd * SSD + rare * RARE


def _replicas(rng: np.random.Generator, workloads: int, total: int) -> Ints:
    """A heavy tail from 1 to 400 that adds up to `total`; no workload has more than a fifth of it."""
    most = min(MOST_REPLICAS, max(4, total // 5))
    if not workloads <= total <= workloads * most:
        raise ValueError(f"{total} replicas do not divide into {workloads} times 1 to {most}")
    weights = rng.pareto(1.1, workloads) + 0.02
    low, high = 0.0, float(most / weights.min())
    for _ in range(60):
        middle = (low + high) / 2
        short = np.clip(weights * middle, 1, most).round().sum() < total
        low, high = (middle, high) if short else (low, middle)
    replicas = np.clip(weights * low, 1, most).round().astype(np.int64)
    while (missing := total - int(replicas.sum())) > 0:
        below = np.flatnonzero(replicas < most)
        replicas[rng.permutation(below)[:missing]] += 1
    return replicas


def _uniform(rng: np.random.Generator, count: int) -> Floats:
    return rng.uniform(0.1, 2.0, (count, 2))


def _bimodal(rng: np.random.Generator, count: int) -> Floats:
    """Mostly small, some eight times as large, in each resource by itself."""
    return np.where(rng.random((count, 2)) < 0.8, 0.25, 2.0) * rng.uniform(0.8, 1.2, (count, 2))


def _correlated(rng: np.random.Generator, count: int) -> Floats:
    size = rng.lognormal(0.0, 0.8, count)
    return np.stack([size, size * rng.uniform(0.8, 1.25, count)], axis=1)


def _anti_correlated(rng: np.random.Generator, count: int) -> Floats:
    lean = rng.uniform(0.1, 1.9, count)
    return np.stack([lean, 2.0 - lean], axis=1) * rng.uniform(0.5, 1.5, (count, 1))


def _mix(rng: np.random.Generator, count: int) -> Floats:
    """Round sizes as people write them: an eighth of a core to four, 1 to 8 GiB with each core."""
    cpu = rng.choice([0.125, 0.25, 0.5, 1.0, 2.0, 4.0], count, p=[0.15, 0.2, 0.25, 0.2, 0.15, 0.05])
    ratio = rng.choice([0.25, 0.5, 1.0, 2.0], count, p=[0.2, 0.3, 0.3, 0.2])
    return np.stack([cpu, cpu * ratio], axis=1)


_SHAPES = {
    Shape.UNIFORM: _uniform,
    Shape.BIMODAL: _bimodal,
    Shape.CORRELATED: _correlated,
    Shape.ANTI_CORRELATED: _anti_correlated,
    Shape.MIX: _mix,
}


def _scaled(raw: Floats, replicas: Ints, capacity: Ints, wish: Wish) -> Ints:
    """`raw` so that all replicas together ask for the share wished for, within the bounds; no instance
    asks for less than 10 millicores and 4 MiB."""
    shares = np.minimum(np.array([wish.cpu_share, wish.cpu_share * wish.bounds.memory]), 1.0)
    wanted = capacity.sum(axis=0) * shares
    ceiling = capacity.min(axis=0) * wish.bounds.request
    scaled = raw
    for _ in range(40):
        scaled = np.minimum(scaled * (wanted / (replicas @ scaled)), ceiling)
    grain = np.array([1, MIB])
    floor = np.array([10, 4 * MIB])
    return np.maximum(np.floor(scaled / grain) * grain, floor).astype(np.int64)


def _constrained(rng: np.random.Generator, bare: Fleet) -> Fleet:
    """The same fleet with the rules of the survey given out to the shares named above."""
    label = _labels(rng, bare)
    limits = _limits(bare, label)
    fits = bare.replicas <= limits
    apart = _drawn(rng, fits, APART)
    ported = _drawn(rng, fits, PORTED)
    several = bare.replicas >= 3
    even = several & (rng.random(len(label)) < EVEN)
    return replace(bare, label=label, port=_ports(bare, ported, limits), apart=apart, even=even)


def _labels(rng: np.random.Generator, bare: Fleet) -> Ints:
    """Who must go to labelled hosts, within the bounds."""
    label = np.zeros(len(bare.replicas), np.int64)
    asked = bare.replicas[:, None] * bare.requests
    for kind, share in LABELLED.items():
        room = bare.capacity[bare.admitting[kind]].sum(axis=0) * bare.wish.bounds.labelled
        wanted = round(share * len(label))
        for workload in rng.permutation(len(label)).tolist():
            if wanted and not label[workload] and (asked[workload] <= room).all():
                label[workload] = kind
                room = room - asked[workload]
                wanted -= 1
    return label


def _limits(bare: Fleet, label: Ints) -> Ints:
    """How many instances a workload with one place a host may have, even if it is spread over zones."""
    by_label = []
    for admitting in bare.admitting:
        zones = np.bincount(bare.zone[admitting], minlength=ZONES)
        there = zones[zones > 0]
        by_label.append(int(there.min() * len(there) * bare.wish.bounds.one_each))
    return np.array(by_label, np.int64)[label]


def _drawn(rng: np.random.Generator, fits: Mask, share: float) -> Mask:
    """`share` of all workloads, from those that fit."""
    chosen = np.zeros(len(fits), np.bool_)
    chosen[rng.permutation(np.flatnonzero(fits))[: round(share * len(fits))]] = True
    return chosen


def _ports(bare: Fleet, ported: Mask, limits: Ints) -> Ints:
    """A host port for each of `ported`; every other one shares its neighbour's while both have room."""
    port = np.zeros(len(ported), np.int64)
    number, taken, least = 30000, 0, 0
    for at, workload in enumerate(np.flatnonzero(ported).tolist()):
        replicas, limit = int(bare.replicas[workload]), int(limits[workload])
        if not at % 2 or taken + replicas > min(least, limit) // 2:
            number, taken, least = number + 1, 0, limit
        port[workload] = number
        taken, least = taken + replicas, min(least, limit)
    return port
