"""Who judges is judged first: checker, bound, exact model and grouped rules, on small fleets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from benchmarks.figures import Figures
from benchmarks.placement import loops
from benchmarks.placement.baselines import grouped, nomad, spread
from benchmarks.placement.bound import hosts_needed
from benchmarks.placement.checker import Placement, Violation, check
from benchmarks.placement.exact import fewest_hosts
from benchmarks.placement.fleets import ANY, GIB, SSD, Fleet, Shape, Wish, fleet

TINY, SMALL = 40, 40


def judges(figures: Figures) -> None:
    """All of them; the number of wrong verdicts is to be none."""
    spoiled = list(_spoiled())
    unseen = [told for told, one, placement in spoiled if told not in _verdict(one, placement)]
    figures.row(
        f"checker: {len(spoiled)} spoiled placements, not seen {unseen or ''}", [len(unseen)], "", "0"
    )
    figures.row("bound: fleets worked out by hand, wrong", [_by_hand()], "", "0")
    gaps = list(_gaps())
    above = sum(gap < 0 for gap in gaps)
    figures.row(f"bound: {len(gaps)} tiny fleets, above the exact optimum", [above], "", "0")
    figures.row("  hosts of the optimum above the bound", gaps, "")
    for name, rule, score in (("Nomad's", nomad, loops.nomad_score), ("spread", spread, loops.least_full)):
        wrong = sum(_differs(number, rule, score) for number in range(SMALL))
        figures.row(f"{name} rule, grouped against one by one: {SMALL} fleets, differing", [wrong], "", "0")


def _verdict(one: Fleet, placement: Placement) -> str:
    try:
        check(one, placement)
    except Violation as violation:
        return str(violation)
    return "sound"


def _spoiled() -> Iterator[tuple[str, Fleet, Placement]]:
    """A sound placement with one thing wrong, for every rule, and what must be said of it."""
    one = fleet(Wish(hosts=60, workloads=40, replicas=600, cpu_share=0.5))
    sound = grouped(one, spread)
    check(one, sound)
    at = {
        "label": _entry(sound, one.label == SSD),
        "twice": _entry(sound, one.apart),
        "port": _entry(sound, one.port > 0),
        "even": _entry(sound, one.even & (one.label == ANY)),
    }
    yield "not what was wanted", one, sound._replace(counts=_with(sound.counts, 0, int(sound.counts[0]) + 1))
    yield "counts below one", one, sound._replace(counts=_with(sound.counts, 0, -1))
    yield "above their capacity", replace(one, capacity=one.capacity // 4), sound
    elsewhere = int(np.flatnonzero(one.labels & SSD == 0)[0])
    yield "without the label", one, sound._replace(hosts=_with(sound.hosts, at["label"], elsewhere))
    first, second = _pair(sound, int(sound.workloads[at["twice"]]))
    joined = _with(_with(sound.counts, first, 2), second, 0)
    yield "twice on a host", one, _without_zeros(sound._replace(counts=joined))
    yield "stands twice", one, sound._replace(hosts=_with(sound.hosts, second, int(sound.hosts[first])))
    holder = int(sound.workloads[at["port"]])
    other = int(np.flatnonzero((one.port == 0) & ~one.apart)[0])
    yield (
        "ports taken twice",
        replace(one, port=_with(one.port, other, int(one.port[holder]))),
        _beside(sound, other, holder),
    )
    moved = sound.workloads == sound.workloads[at["even"]]
    yield (
        "more skew",
        replace(one, zone=np.where(np.isin(np.arange(60), sound.hosts[moved]), 0, one.zone)),
        sound,
    )


def _entry(sound: Placement, which: np.ndarray) -> int:
    """The first entry of a workload that `which` names and that has several."""
    several = np.bincount(sound.workloads) > 1
    return int(np.flatnonzero((which & several)[sound.workloads])[0])


def _with(values: np.ndarray, at: int, value: int) -> np.ndarray:
    changed = values.copy()
    changed[at] = value
    return changed


def _pair(sound: Placement, workload: int) -> tuple[int, int]:
    first, second = np.flatnonzero(sound.workloads == workload)[:2].tolist()
    return first, second


def _without_zeros(placement: Placement) -> Placement:
    kept = placement.counts > 0
    return Placement(*(column[kept] for column in placement[:3]), placement.unplaced)


def _beside(sound: Placement, other: int, holder: int) -> Placement:
    """The first entry of `other` on the host of the first of `holder`."""
    mine = int(np.flatnonzero(sound.workloads == other)[0])
    theirs = int(np.flatnonzero(sound.workloads == holder)[0])
    taken = (sound.workloads == other) & (sound.hosts == sound.hosts[theirs])
    return sound if taken.any() else sound._replace(hosts=_with(sound.hosts, mine, int(sound.hosts[theirs])))


def _by_hand() -> int:
    """Ten hosts of 16 cores, half of them with an ssd: how many of five fleets have not the plain bound."""
    plain = Fleet(
        wish=Wish(hosts=10, workloads=1, replicas=41),
        capacity=np.tile(np.array([16_000, 64 * GIB]), (10, 1)),
        zone=np.arange(10) % 3,
        labels=np.where(np.arange(10) < 5, SSD, 0),
        replicas=np.array([41]),
        requests=np.array([[1000, GIB]]),
        label=np.array([ANY]),
        port=np.array([0]),
        apart=np.array([False]),
        even=np.array([False]),
    )
    even = replace(plain, label=np.array([SSD]), replicas=np.array([33]), even=np.array([True]))
    heavy = replace(plain, requests=np.array([[1000, 16 * GIB]]), replicas=np.array([33]))
    lonely = replace(plain, replicas=np.array([7]), apart=np.array([True]))
    ported = replace(plain, replicas=np.array([6]), port=np.array([30000]))
    known = ((plain, 3), (even, 3), (heavy, 9), (lonely, 7), (ported, 6))
    return sum(hosts_needed(one, apart=True) != hosts for one, hosts in known)


def _gaps() -> Iterator[int]:
    """Hosts of the exact optimum above the bound, for tiny fleets that can be placed."""
    for seed in range(TINY):
        shape = tuple(Shape)[seed % len(Shape)]
        one = fleet(Wish(hosts=6 + seed % 5, workloads=8, replicas=40, cpu_share=0.6, shape=shape, seed=seed))
        optimum = fewest_hosts(one, 20)
        if optimum is not None:
            yield optimum - max(hosts_needed(one, apart=True), hosts_needed(one, apart=False))


def _differs(number: int, rule: Callable[..., np.ndarray], score: loops.Score) -> bool:
    """Whether seating a workload at once ends otherwise than container by container.

    No two hosts are equal, so that no tie decides; spread over zones is left out.
    """
    one = fleet(Wish(hosts=30, workloads=30, replicas=300, cpu_share=0.6 + number / 100, seed=number))
    rng = np.random.default_rng(number)
    no_ties = one.capacity + rng.integers(0, 999, one.capacity.shape)
    one = replace(one, even=np.zeros_like(one.even), capacity=no_ties)
    at_once = grouped(one, rule)
    one_by_one, _ = loops.every_host(one, score)
    return _matrix(one, at_once).tolist() != _matrix(one, one_by_one).tolist()


def _matrix(one: Fleet, placement: Placement) -> np.ndarray:
    result = np.zeros((len(one.replicas), len(one.zone)), np.int64)
    np.add.at(result, (placement.workloads, placement.hosts), placement.counts)
    return result
