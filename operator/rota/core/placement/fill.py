"""What is left over, shared out: workloads that fill grow into it, by weight, in whole instances.

A share is measured in room: how much of the whole fleet an elastic workload has beyond its least, in
the dimension of which it has most, divided by its weight (dominant resource fairness, Ghodsi et al.,
NSDI 2011). What runs stays where it is; only a difference of more than one instance is evened out, so
that a small change elsewhere does not reshuffle a pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from rota.core.ids import WorkloadId
from rota.core.model import Fill, Service
from rota.core.placement.board import NO_LIMIT, NONE, Board, Tally
from rota.core.placement.demand import Demand
from rota.core.placement.domains import can_spare
from rota.core.placement.feasibility import admitted, fits
from rota.core.placement.rank import order
from rota.core.placement.seat import seat
from rota.core.placement.terrain import Ints

MOST_TRADES = 1000
"""Instances that one workload gives up for another in one decision."""


@dataclass(slots=True, kw_only=True)
class Elastic:
    """One workload that fills: how many it has (its least included), and what sharing comes to.

    `standing` counts by row the instances that run and stay, which may be given up; `now` and `later` are
    new seats by row, `given_up` the rows that one instance each is to leave, `barred` hosts that are out of
    the question. `patient`: it takes what is free, and nobody gives up for it.
    """

    service: Service
    fill: Fill
    count: int
    standing: dict[int, int] = field(default_factory=dict)
    barred: dict[str, str] = field(default_factory=dict)
    patient: bool = False
    now: Tally = NONE
    later: Tally = NONE
    given_up: list[int] = field(default_factory=list)

    @property
    def id(self) -> WorkloadId:
        return self.service.id

    @property
    def beyond(self) -> int:
        """How many it has beyond its least."""
        return self.count - self.fill.min

    def wants(self, limits: Limits) -> int:
        """How many more it may have: up to its `max`, as far as quotas leave any."""
        left = limits.left_for(self.service)
        return max(left if self.fill.max is None else min(left, self.fill.max - self.count), 0)


class Limits(Protocol):
    """What quotas leave."""

    def left_for(self, service: Service) -> int:
        """How many more of `service` every quota allows; below 0, how many too many there are."""

    def spend(self, service: Service, count: int) -> None:
        """`count` more of `service` are wanted; fewer, where it is negative."""


def share_out(ones: Sequence[Elastic], board: Board, limits: Limits, reserve: Ints | None = None) -> None:
    """Grow `ones` into what is free on `board`, then even out what they have. `reserve` is kept free.

    What they have beyond their least counts for quotas last, and gives way to them.

    The board is changed; what each comes to is kept with it.
    """
    every = np.arange(len(board.hosts))
    if reserve is not None:
        board.hold_back(reserve, every)
    unit = {one.id: dominant_share(one.service, one.fill.weight, board) for one in ones}
    _count_for_quotas(ones, limits, unit)
    _grow(ones, board, limits, unit)
    _trade(ones, board, limits, unit)
    if reserve is not None:
        board.hold_back(-reserve, every)


def dominant_share(service: Service, weight: int, board: Board) -> float:
    """The share of the whole fleet that one instance takes, by weight."""
    whole = np.maximum(board.capacity.sum(axis=0), 1)
    return max(float((board.vector(service.requests) / whole).max()), 1e-12) / weight


Units = Mapping[WorkloadId, float]
"""The share of the fleet that one instance takes, by weight."""


def _count_for_quotas(ones: Sequence[Elastic], limits: Limits, unit: Units) -> None:
    """Take what they have beyond their least off the quotas; while one is over, the largest share shrinks."""
    for one in ones:
        limits.spend(one.service, max(one.beyond, 0))
    while True:
        over = [one for one in ones if one.beyond > 0 and limits.left_for(one.service) < 0]
        if not over:
            return
        largest = max(over, key=lambda one: (one.beyond * unit[one.id], one.id))
        largest.count -= 1
        limits.spend(largest.service, -1)


def _grow(ones: Sequence[Elastic], board: Board, limits: Limits, unit: Units) -> None:
    """The one with the least share takes next, in portions that the others can still catch up with."""
    growing = [one for one in ones if one.wants(limits) > 0]
    while growing:
        growing.sort(key=lambda one: (one.beyond * unit[one.id], one.id))
        least = growing[0]
        count = min(_portion(growing, unit, board, least.wants(limits)), least.wants(limits))
        given = _take(least, count, board) if count > 0 else 0
        limits.spend(least.service, given)
        if not given or least.wants(limits) <= 0:
            growing.remove(least)


def _portion(growing: Sequence[Elastic], unit: Units, board: Board, left: int) -> int:
    """As many as bring the first level with the next, or a part of what is left over that leaves enough to
    the others."""
    least = growing[0]
    if len(growing) == 1:
        return left
    level = growing[1].beyond * unit[growing[1].id]
    to_level = int(level / unit[least.id]) - least.beyond + 1
    low = max(1, to_level)
    if left // (4 * len(growing)) <= low:
        return low
    one = Demand(service=least.service, count=1)
    fleetwide = int(np.minimum(fits(one, board, after=True), left).sum())
    return max(low, min(fleetwide, left) // (4 * len(growing)))


def _take(one: Elastic, count: int, board: Board) -> int:
    """New seats for `count` more, now or once what leaves has left; how many there were."""
    demand = Demand(service=one.service, count=count, barred=one.barred)
    taken = 0
    for after in (False, True):
        given = seat(demand, board, count - taken, after=after) if taken < count else None
        if given is None or not given.any():
            continue
        rows = np.flatnonzero(given)
        board.seat(one.service, rows, given[rows])
        tally = Tally(rows, given[rows])
        if after:
            one.later = one.later.plus(tally)
        else:
            one.now = one.now.plus(tally)
        taken += int(given.sum())
    one.count += taken
    return taken


# --- evening out


def _trade(ones: Sequence[Elastic], board: Board, limits: Limits, unit: Units) -> None:
    """While the one with the most would still not have less than the one with the least, it gives up."""
    for _ in range(MOST_TRADES):
        by_share = sorted(ones, key=lambda one: (one.beyond * unit[one.id], one.id))
        if not any(
            _trade_once(giver, taker, board, limits, unit)
            for giver in reversed(by_share)
            for taker in by_share
            if giver is not taker and not taker.patient
        ):
            return


def _trade_once(giver: Elastic, taker: Elastic, board: Board, limits: Limits, unit: Units) -> bool:
    """Let `giver` leave one host for one more of `taker`, if that is fair and it fits there."""
    needed = _needed(giver, taker, board)
    fair = (giver.beyond - needed) * unit[giver.id] >= (taker.beyond + 1) * unit[taker.id]
    # What it has may be on its way yet: of what runs, it keeps its least.
    if sum(giver.standing.values()) - needed < giver.fill.min:
        return False
    if not fair or giver.beyond < needed or not _may_trade(giver, taker, needed, limits):
        return False
    row = _where(giver, taker, needed, board)
    if row is None:
        return False
    board.unseat(giver.service, np.array([row]), np.array([needed]))
    giver.given_up += [row] * needed
    giver.standing[row] -= needed
    giver.count -= needed
    limits.spend(giver.service, -needed)
    _seat_at(taker, row, board)
    limits.spend(taker.service, 1)
    return True


def _may_trade(giver: Elastic, taker: Elastic, needed: int, limits: Limits) -> bool:
    """Whether quotas and `max` let `taker` have one more once `giver` has given up."""
    limits.spend(giver.service, -needed)
    wants = taker.wants(limits)
    limits.spend(giver.service, needed)
    return wants > 0


def _where(giver: Elastic, taker: Elastic, needed: int, board: Board) -> int | None:
    """A host that `giver` can leave, where nobody needs it beside itself, and that takes `taker` then."""
    rows = np.array(sorted(giver.standing), np.int64)
    demand = Demand(service=taker.service, count=1, barred=taker.barred)
    admits = admitted(demand, board, after=True)
    ranks = order(taker.service, board)
    freed, asked = needed * board.vector(giver.service.requests), board.vector(taker.service.requests)
    for row in rows[np.argsort(ranks[rows])].tolist():
        fits_then = bool((board.free_after[row] + freed >= asked).all())
        free_to_go = min(giver.standing[row], can_spare(giver.service, row, board))
        if admits[row] > 0 and free_to_go >= needed and fits_then:
            return int(row)
    return None


def _needed(giver: Elastic, taker: Elastic, board: Board) -> int:
    """How many of `giver` make the room that one of `taker` asks for."""
    asked, freed = board.vector(taker.service.requests), board.vector(giver.service.requests)
    parts = [-(-int(a) // int(f)) if f else int(NO_LIMIT) for a, f in zip(asked, freed, strict=True) if a]
    return max(min(max(parts, default=1), 1 << 20), 1)


def _seat_at(one: Elastic, row: int, board: Board) -> None:
    """One more on a host, once what gives way there has left."""
    seat_there = Tally(np.array([row]), np.array([1]))
    board.seat(one.service, seat_there.rows, seat_there.counts)
    one.later = one.later.plus(seat_there)
    one.count += 1
