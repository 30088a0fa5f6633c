"""Which of the feasible hosts are best: even filling for what spreads, fullest first for what packs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rota.core.model import Service
from rota.core.placement.board import Board
from rota.core.placement.terrain import Ints
from rota.core.rules import Strategy

ZONE = "zone"
"""The host label that a service spreads over where it states no `spread` of its own."""

_LOAD_STEPS = 1 << 20
_TIE_BITS = 24


def spread_keys(service: Service) -> tuple[str, ...]:
    """The labels to spread over, what is required first; a service that packs keeps to those only."""
    stated = sorted(service.placement.spread, key=lambda one: not one.hard)
    if service.placement.strategy is Strategy.PACK:
        return tuple(one.key for one in stated if one.hard)
    return tuple(one.key for one in stated) or (ZONE,)


def order(service: Service, board: Board) -> Ints:
    """A number per host, smaller is better; no two hosts of a fleet are likely to have the same.

    Spread: the least loaded first. Pack: those that run something before those that are empty, and the
    tightest fit over both dimensions first, so that hosts stay empty. Ties by a stable hash.
    """
    if service.placement.strategy is Strategy.PACK:
        score = _slack(board) / 2 + np.where(_empty(board), 0.5, 0.0)
    else:
        score = np.minimum(np.maximum(board.load(), 0.0), 1.0)
    steps = np.asarray(score * _LOAD_STEPS).astype(np.int64)
    return np.asarray((steps << _TIE_BITS) | board.ties(service.id))


def _slack(board: Board) -> npt.NDArray[np.float64]:
    """What is free of a host, as a mean share of the largest host there is, 0 to 1."""
    largest = np.maximum(board.capacity[:, :2].max(axis=0, initial=1), 1)
    share = board.free_after[:, :2] / largest
    return np.asarray(np.clip((share[:, 0] + share[:, 1]) / 2, 0.0, 1.0))


def _empty(board: Board) -> npt.NDArray[np.bool_]:
    untouched = board.free_after[:, :2] >= board.capacity[:, :2]
    return np.asarray(untouched[:, 0] & untouched[:, 1])


def best_of(candidates: Ints, count: int, ranks: Ints) -> Ints:
    """The `count` members of `candidates` with the smallest ranks."""
    if count >= len(candidates):
        return candidates
    if count <= 0:
        return candidates[:0]
    return candidates[np.argpartition(ranks[candidates], count - 1)[:count]]


def fill_evenly(standing: Ints, room: Ints, count: int, ranks: Ints) -> Ints:
    """Give `count` to entries so that standing + given is as even as it can be, none above its `room`.

    What does not come out even goes to those with the smallest ranks. Water-filling by bisection of the
    level; gives less than `count` where there is no more room.
    """
    if len(room) * count <= FEW:
        return _one_after_the_other(standing, room, count, ranks)
    takers = np.flatnonzero(room > 0)
    if not len(takers) or int(room.sum()) <= count:
        return room.copy()
    lowest = standing[takers] == standing[takers].min()
    if count <= np.count_nonzero(lowest):
        given = np.zeros(len(room), np.int64)
        given[best_of(takers[lowest], count, ranks)] = 1
        return given
    low = _level(standing[takers], room[takers], count)
    given = np.minimum(np.maximum(low - standing, 0), room)
    at_level = np.flatnonzero((standing + given <= low) & (given < room))
    given[best_of(at_level, count - int(given.sum()), ranks)] += 1
    return np.asarray(given)


FEW = 64
"""Entries × instances up to which a plain loop is quicker than arrays."""


def _one_after_the_other(standing: Ints, room: Ints, count: int, ranks: Ints) -> Ints:
    levels, left, order = standing.tolist(), room.tolist(), ranks.tolist()
    given = [0] * len(left)
    for _ in range(count):
        takers = [at for at in range(len(left)) if left[at] > given[at]]
        if not takers:
            break
        best = min(takers, key=lambda at: (levels[at] + given[at], given[at], order[at]))
        given[best] += 1
    return np.array(given, np.int64)


def _level(standing: Ints, room: Ints, count: int) -> int:
    """The highest level up to which `count` fills every entry; all of them have room."""
    low, step = int(standing.min()), 1
    while int(np.minimum(np.maximum(low + step - standing, 0), room).sum()) <= count:
        low, step = low + step, step * 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        if int(np.minimum(np.maximum(middle - standing, 0), room).sum()) <= count:
            low = middle
        else:
            high = middle
    return low


def fill_in_order(room: Ints, count: int, ranks: Ints) -> Ints:
    """Give `count` to the entries with the smallest ranks, each up to its `room`."""
    given = np.zeros(len(room), np.int64)
    takers = np.flatnonzero(room > 0)
    takers = takers[np.argsort(ranks[takers])]
    upto = np.minimum(np.cumsum(room[takers]), count)
    given[takers] = np.diff(upto, prepend=0)
    return given
