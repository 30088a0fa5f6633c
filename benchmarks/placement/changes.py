"""A running fleet changes: hosts are lost, an edge between windows comes. Who need not move must not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.figures import Figures
from benchmarks.placement.baselines import by_turns
from benchmarks.placement.checker import Placement, Violation, check
from benchmarks.placement.fleets import ZONES, Fleet, Ints, Wish, fleet
from benchmarks.placement.through_rota import Stage, number_of, placed
from rota.core.placement.board import Board
from rota.core.placement.demand import Demand, Seating
from rota.core.placement.place import place

BASE = Wish(hosts=10_000, workloads=2_000, replicas=200_000)
IN_TURN, AT_ONCE = 15, 100
SERVICES, KEPT_AT_NIGHT = 0.6, 0.5
"""The share of workloads that shrink at the edge, and to what; the others take the cpu that this frees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What one decision took and did: seconds on a fresh board, processor time of it, instances asked
    for, and instances elsewhere that changed. `part`: what the title of its row says."""

    seconds: float
    processor: float
    part: float
    asked: int
    unplaced: int
    moved: int


def changes(figures: Figures) -> None:
    """Losses on a fleet that was spread at 75 % of cpu, and an edge of about 100,000 changes."""
    one = fleet(BASE)
    stage, running = Stage.of(one), placed(one).placement
    print(f"{BASE.replicas:,} instances on {BASE.hosts:,} hosts, spread; then")
    rng = np.random.default_rng(BASE.seed)
    singles = rng.choice(BASE.hosts, IN_TURN, replace=False).tolist()
    losses = [_lost(stage, running, [host]) for host in singles]
    _told(figures, "one host lost, 15 in turn", losses, 0.010)
    many = rng.choice(BASE.hosts, AT_ONCE, replace=False).tolist()
    _told(figures, "100 hosts lost at once", [_lost(stage, running, many) for _ in range(3)], 0.3)
    _edge(figures, stage, running)


def _lost(stage: Stage, running: Placement, hosts: Sequence[int]) -> _Change:
    """New places for what ran on `hosts`, decided on a board that knows them as closed."""
    gone = np.isin(running.hosts, hosts)
    left = _part(running, ~gone)
    lost = np.zeros(len(stage.services), np.int64)
    np.add.at(lost, running.workloads[gone], running.counts[gone])
    board = stage.board(closed=hosts)
    stage.restore(left, board)
    again = board.checkpoint()
    demands = stage.demands(lost)
    seconds, processor, seatings = _timed_place(demands, board)
    warm, _, _ = _timed_place(demands, again)
    after = stage.placement(board, stage.fleet.replicas)
    check(stage.fleet, after)
    if np.isin(after.hosts, hosts).any():
        raise Violation("a lost host was given something")
    asked = int(lost.sum())
    unplaced = sum(seating.unplaced for seating in seatings)
    moved = _moved(stage, left, board, seatings)
    return _Change(
        seconds=seconds, processor=processor, part=warm, asked=asked, unplaced=unplaced, moved=moved
    )


def _timed_place(demands: Sequence[Demand], board: Board) -> tuple[float, float, list[Seating]]:
    """Seconds, processor time, answers."""
    began, processor = time.perf_counter(), time.process_time()
    seatings = place(demands, board)
    return time.perf_counter() - began, time.process_time() - processor, seatings


def _moved(stage: Stage, before: Placement, board: Board, seatings: Sequence[Seating]) -> int:
    """Instances by which the board differs from what stood there and what was answered."""
    expected = _matrix(stage, before)
    for seating in seatings:
        workload = number_of(seating.demand.service.id)
        for seats in (seating.now, seating.later):
            for host, count in seats.items():
                expected[workload, int(host[1:])] += count
    found = _matrix(stage, stage.placement(board, stage.fleet.replicas))
    return int(np.abs(found - expected).sum())


def _matrix(stage: Stage, placement: Placement) -> np.ndarray:
    result = np.zeros((len(stage.services), len(stage.hosts)), np.int16)
    np.add.at(result, (placement.workloads, placement.hosts), placement.counts.astype(np.int16))
    return result


def _part(placement: Placement, which: np.ndarray) -> Placement:
    columns = (placement.workloads, placement.hosts, placement.counts)
    return Placement(*(column[which] for column in columns), placement.unplaced)


def _told(figures: Figures, title: str, made: Sequence[_Change], bar: float) -> None:
    asked = [one.asked for one in made]
    span = f"{min(asked):,}" if min(asked) == max(asked) else f"{min(asked):,}–{max(asked):,}"
    figures.row(
        f"  {title}, {span} instances: decided", [1000 * one.seconds for one in made], "ms", f"{1000 * bar:g}"
    )
    figures.row("    processor time of it", [1000 * one.processor for one in made], "ms")
    figures.row(
        "    again, on a board whose labels were read before", [1000 * one.part for one in made], "ms"
    )
    figures.row("    without a place", [one.unplaced for one in made], "", "0")
    figures.row("    other instances moved", [one.moved for one in made], "", "0")


# --- the edge


def _edge(figures: Figures, stage: Stage, running: Placement) -> None:
    """Day to night: who leaves is given; that it leaves, and where what comes goes, is timed."""
    night = _night(stage.fleet)
    kept = _kept(stage.fleet, running, night)
    leaving = Placement(running.workloads, running.hosts, running.counts - kept, running.unplaced)
    grown = np.maximum(night - stage.fleet.replicas, 0)
    made = [_crossed(stage, running, leaving, grown) for _ in range(3)]
    removed = int(leaving.counts.sum())
    check(replace(stage.fleet, replicas=night), made[-1][1])
    print(f"  an edge: {removed:,} leave, {int(grown.sum()):,} come")
    figures.row("    decided", [one[0].seconds for one in made], "s", "1")
    figures.row("    processor time of it", [one[0].processor for one in made], "s")
    figures.row("    of that: those who leave unseated", [one[0].part for one in made], "s")
    figures.row("    without a place", [one[0].unplaced for one in made], "", "0")
    figures.row("    other instances moved", [one[0].moved for one in made], "", "0")


def _crossed(stage: Stage, running: Placement, leaving: Placement, grown: Ints) -> tuple[_Change, Placement]:
    board = stage.board()
    stage.restore(running, board)
    demands = stage.demands(grown)
    starts = np.searchsorted(leaving.workloads, np.arange(len(stage.services) + 1)).tolist()
    began, processor = time.perf_counter(), time.process_time()
    for number, service in enumerate(stage.services):
        part = slice(starts[number], starts[number + 1])
        if (goes := leaving.counts[part] > 0).any():
            board.unseat(service, leaving.hosts[part][goes], leaving.counts[part][goes])
    unseated = time.perf_counter() - began
    _, _, seatings = _timed_place(demands, board)
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    stays = Placement(running.workloads, running.hosts, running.counts - leaving.counts, running.unplaced)
    change = _Change(
        seconds=seconds,
        processor=processor,
        part=unseated,
        asked=int(grown.sum()),
        unplaced=sum(seating.unplaced for seating in seatings),
        moved=_moved(stage, stays, board, seatings),
    )
    night = stage.fleet.replicas - _by_workload(stage, leaving) + grown
    return change, stage.placement(board, night)


def _by_workload(stage: Stage, placement: Placement) -> Ints:
    result = np.zeros(len(stage.services), np.int64)
    np.add.at(result, placement.workloads, placement.counts)
    return result


def _night(day: Fleet) -> Ints:
    """Services shrink to half; the rest grows by as much cpu, in proportion."""
    rng = np.random.default_rng(day.wish.seed)
    services = rng.random(len(day.replicas)) < SERVICES
    night = np.where(services, np.maximum(1, (day.replicas * KEPT_AT_NIGHT).astype(np.int64)), day.replicas)
    freed = (day.replicas - night) @ day.requests[:, 0]
    batch = np.where(services, 0, day.replicas) @ day.requests[:, 0]
    more = (day.replicas * (freed / batch)).astype(np.int64)
    return np.where(services, night, day.replicas + more)


def _kept(day: Fleet, running: Placement, night: Ints) -> Ints:
    """How many of each count stay: evenly over zones where that is asked for, else over hosts."""
    kept = running.counts.copy()
    starts = np.searchsorted(running.workloads, np.arange(len(night) + 1)).tolist()
    for workload in np.flatnonzero(night < day.replicas).tolist():
        part = slice(starts[workload], starts[workload + 1])
        kept[part] = _fewer(day, workload, running.hosts[part], running.counts[part], int(night[workload]))
    return kept


def _fewer(day: Fleet, workload: int, hosts: Ints, counts: Ints, left: int) -> Ints:
    if not day.even[workload]:
        return by_turns(np.arange(len(hosts)), counts, left)
    zone = day.zone[hosts]
    totals = np.bincount(zone, weights=counts, minlength=ZONES).astype(np.int64)
    kept = np.zeros_like(counts)
    for one, share in enumerate(by_turns(np.arange(ZONES), totals, left).tolist()):
        there = np.flatnonzero(zone == one)
        kept[there] = by_turns(np.arange(len(there)), counts[there], share)
    return kept
