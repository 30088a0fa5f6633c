"""Seats for one workload: as many as asked for, at once, on the hosts that rank best.

Domains first (zones), then the hosts in each. A hard spread, and a workload that keeps apart from its
own kind in a zone, bind hosts together: what one takes changes what another may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rota.core.placement.board import NO_LIMIT, Board
from rota.core.placement.demand import Demand
from rota.core.placement.domains import domain_counts, open_domains, soft_penalty
from rota.core.placement.feasibility import admitted, fits
from rota.core.placement.rank import fill_evenly, fill_in_order, order, spread_keys
from rota.core.placement.terrain import Ints
from rota.core.rules import HOST_SCOPE, Strategy


class _Cap(NamedTuple):
    """A limit that the hosts of a domain share: no domain may have more than `skew` above the fewest of
    the open domains, or more than `most` (None: no such limit)."""

    key: str
    open: Ints
    skew: int | None
    most: int | None

    def left(self, totals: Ints) -> Ints:
        """How many more each domain takes with these totals (the last entry: hosts without the label)."""
        if self.most is not None:
            left = np.maximum(self.most - totals, 0)
            left[-1] = NO_LIMIT
            return left
        fewest = int(totals[self.open].min()) if len(self.open) else 0
        left = np.maximum(fewest + (self.skew or 0) - totals, 0)
        left[-1] = 0
        return np.asarray(left)


def seat(demand: Demand, board: Board, count: int, *, after: bool) -> Ints:
    """How many of `count` instances each host takes. The board is not changed."""
    board = board.without(demand)
    caps = _caps(demand, board)
    room = _room(demand, board, after, bool(caps))
    given = np.zeros(len(room), np.int64)
    if not room.any():
        return given
    ranks = order(demand.service, board)
    for host, wish in sorted(demand.prefer.items()):
        row = board.rows.get(host)
        for _ in range(wish if row is not None else 0):
            if given.sum() < count and _more(demand, board, room - given, given, caps)[row] > 0:
                given[row] += 1
    penalty = soft_penalty(demand, board)
    tiers = [None] if penalty is None else [penalty <= level for level in np.unique(penalty)]
    left = count - int(given.sum())
    for tier in tiers:
        reach = room if tier is None else np.where(tier, room, 0)
        give = _one_by_one if len(caps) > 1 or any(cap.most is not None for cap in caps) else _by_domain
        while left > 0:
            fresh = left == count
            more = give(demand, board, _Ask(reach if fresh else reach - given, given, left, ranks, caps))
            got = int(more.sum())
            if not got:
                break
            given = more if fresh else given + more
            left -= got
    return given


class _Ask(NamedTuple):
    """What is still to be given: the room that is left, what was given already, how many, in which order."""

    room: Ints
    given: Ints
    left: int
    ranks: Ints
    caps: tuple[_Cap, ...]


def _room(demand: Demand, board: Board, after: bool, shared: bool) -> Ints:
    """What each host takes by itself; what it shares with others of its domain comes later."""
    without = frozenset({"spread"}) if shared else frozenset()
    return np.minimum(admitted(demand, board, after=after, without=without), fits(demand, board, after=after))


def bound_together(demand: Demand, board: Board) -> bool:
    """Whether what one host takes changes what another may."""
    return bool(_caps(demand, board))


def _caps(demand: Demand, board: Board) -> tuple[_Cap, ...]:
    workload = demand.service.id
    hard = [
        _Cap(one.key, np.flatnonzero(open_domains(demand, board, one.key)), one.max_skew, None)
        for one in demand.service.placement.spread
        if one.hard
    ]
    alone = [
        _Cap(rival.scope, np.zeros(0, np.int64), None, 1)
        for rival in board.rivals.get(workload, ())
        if rival.workload == workload and rival.scope != HOST_SCOPE
    ]
    return (*hard, *alone)


def _totals(demand: Demand, board: Board, key: str, given: Ints) -> Ints:
    """Instances by domain, those just given included; the last entry: hosts without the label."""
    totals = domain_counts(board, demand.service.id, key)
    if given.any():
        domains = board.domains(key)
        totals += np.bincount(domains.places, weights=given, minlength=len(totals)).astype(np.int64)
    return totals


def _more(demand: Demand, board: Board, room: Ints, given: Ints, caps: tuple[_Cap, ...]) -> Ints:
    """`room` as far as the caps allow one more right now."""
    for cap in caps:
        domains = board.domains(cap.key)
        left = cap.left(_totals(demand, board, cap.key, given))
        room = np.minimum(room, left[domains.places])
    return room


def _one_by_one(demand: Demand, board: Board, ask: _Ask) -> Ints:
    """The next single seat, by the rank of a spread: fewest in its domains, fewest on the host, order."""
    room = _more(demand, board, ask.room, ask.given, ask.caps)
    more = np.zeros(len(room), np.int64)
    candidates = np.flatnonzero(room > 0)
    if not len(candidates):
        return more
    keys: list[Ints] = [ask.ranks[candidates]]
    if demand.service.placement.strategy is Strategy.SPREAD:
        keys.append((board.counts(demand.service.id) + ask.given)[candidates])
    for key in reversed(spread_keys(demand.service)):
        domains = board.domains(key)
        totals = _totals(demand, board, key, ask.given)
        keys.append(totals[domains.places][candidates])
    more[candidates[np.lexsort(keys)[0]]] = 1
    return more


def _by_domain(demand: Demand, board: Board, ask: _Ask) -> Ints:
    """All at once: even over the domains of the first key, then evenly or tightly in each of them."""
    keys = spread_keys(demand.service)
    within = _evenly_on_hosts(demand, board, ask)
    domains = board.domains(keys[0]) if keys else None
    if domains is None or (len(domains.values) < 2 and not ask.caps):
        return within(slice(None), ask.left)
    room = np.bincount(domains.places, weights=ask.room, minlength=len(domains.values) + 1).astype(np.int64)
    standing = _totals(demand, board, keys[0], ask.given)
    if ask.caps:
        room[-1] = 0
        room = _within_skew(ask.caps[0], standing, room)
    shares = fill_evenly(standing, room, ask.left, -room)  # an odd one goes where most room is
    given = np.zeros(len(ask.room), np.int64)
    for code in np.flatnonzero(shares).tolist():
        rows = domains.members[code] if code < len(domains.members) else np.flatnonzero(domains.codes < 0)
        given[rows] = within(rows, int(shares[code]))
    return given


def _within_skew(cap: _Cap, standing: Ints, room: Ints) -> Ints:
    """`room` cut to the highest level that evenness can reach: the domain that fills up first sets it."""
    reachable = (standing + room)[cap.open]
    fewest = int(reachable.min()) if len(reachable) else 0
    return np.clip(fewest + (cap.skew or 0) - standing, 0, room)


def _evenly_on_hosts(demand: Demand, board: Board, ask: _Ask) -> Callable[[Ints | slice, int], Ints]:
    """What fills some hosts, given by their rows, with so many: a number for each of these hosts."""
    counts = board.counts(demand.service.id) + ask.given
    packs = demand.service.placement.strategy is Strategy.PACK

    def within(rows: Ints | slice, count: int) -> Ints:
        if packs:
            return fill_in_order(ask.room[rows], count, ask.ranks[rows])
        return fill_evenly(counts[rows], ask.room[rows], count, ask.ranks[rows])

    return within
