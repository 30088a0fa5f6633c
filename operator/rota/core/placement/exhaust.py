"""States a placement as a puzzle for an exhaustive search, and reads the answer back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rota.core.placement.board import Board, Tally
from rota.core.placement.demand import Demand
from rota.core.placement.domains import domain_counts, open_domains, together
from rota.core.placement.feasibility import admitted, fits
from rota.core.placement.puzzle import Evenness, Group, Pair, Puzzle, Solver
from rota.core.rules import HOST_SCOPE, Affinity

MOST_HOSTS = 40
"""Fleets up to this size are searched exhaustively: most have no more, and there greedy orders fail."""

SHARED = frozenset({"spread", "affinity"})
"""Filters that the puzzle states by itself, because they depend on what else is seated."""


def search(
    order: Sequence[Sequence[tuple[int, Demand]]], board: Board, solver: Solver
) -> dict[int, Tally] | None:
    """Seats by the demand's number, of the answer that the solver found; None without any.

    `order` holds the numbered demands by priority, the highest first.
    """
    answer = solver(state(order, board))
    if answer is None:
        return None
    result = {}
    numbers = [at for tier in order for at, _ in tier]
    for at, seats in zip(numbers, answer.seats, strict=True):
        counts = np.array(seats, np.int64)
        rows = np.flatnonzero(counts)
        result[at] = Tally(rows, counts[rows])
    return result


def state(order: Sequence[Sequence[tuple[int, Demand]]], board: Board) -> Puzzle:
    """The puzzle of seating the demands of `order` once what leaves has left."""
    demands = [demand for tier in order for _, demand in tier]
    return Puzzle(
        free=tuple(map(tuple, np.maximum(board.free(after=True), 0).tolist())),
        groups=tuple(
            _group(demand, at, demands, board.without(demand))
            for at, tier in enumerate(order)
            for _, demand in tier
        ),
        apart=tuple(_apart(demands, board)),
        near=tuple(_near(demands, board)),
    )


def _group(demand: Demand, tier: int, ordered: Sequence[Demand], board: Board) -> Group:
    room = np.minimum(fits(demand, board, after=True), demand.count)
    room = np.minimum(room, admitted(demand, board, after=True, without=SHARED))
    for near in demand.service.placement.affinity:
        if near.required and _partner(near, ordered) is None:
            room = np.where(together(board, near.workload, near.scope) > 0, room, 0)
    return Group(
        needs=tuple(board.vector(demand.service.requests).tolist()),
        count=demand.count,
        tier=tier,
        room=tuple(np.maximum(room, 0).tolist()),
        evenness=tuple(_evenness(demand, board)),
    )


def _partner(one: Affinity, ordered: Sequence[Demand]) -> int | None:
    """The demand that is to be seated together with another; None where what stands decides alone."""
    found = [at for at, demand in enumerate(ordered) if demand.service.id == one.workload]
    return found[0] if len(found) == 1 else None


def _evenness(demand: Demand, board: Board) -> list[Evenness]:
    result = []
    for one in demand.service.placement.spread:
        if one.hard:
            opened = open_domains(demand, board, one.key)
            numbers = np.cumsum(opened) - 1
            codes = board.domains(one.key).codes
            mapped = [int(numbers[code]) if code >= 0 and opened[code] else -1 for code in codes.tolist()]
            totals = domain_counts(board, demand.service.id, one.key)[:-1][opened]
            result.append(
                Evenness(domains=tuple(mapped), standing=tuple(totals.tolist()), max_skew=one.max_skew)
            )
    return result


def _scope(scope: str, board: Board) -> tuple[int, ...]:
    if scope == HOST_SCOPE:
        return (-1,) * len(board.hosts)
    return tuple(board.domains(scope).codes.tolist())


def _apart(demands: Sequence[Demand], board: Board) -> list[Pair]:
    pairs: dict[tuple[int, int, str], Pair] = {}
    for first, demand in enumerate(demands):
        rivals = {(rival.workload, rival.scope) for rival in board.rivals.get(demand.service.id, ())}
        for second, other in enumerate(demands):
            if second < first:
                continue
            for workload, scope in sorted(rivals):
                if workload == other.service.id:
                    pairs[first, second, scope] = Pair(
                        first=first, second=second, domains=_scope(scope, board)
                    )
            if set(demand.service.container.fixed_ports) & set(other.service.container.fixed_ports):
                pairs[first, second, HOST_SCOPE] = Pair(
                    first=first, second=second, domains=_scope(HOST_SCOPE, board)
                )
    return list(pairs.values())


def _near(demands: Sequence[Demand], board: Board) -> list[Pair]:
    result = []
    for first, demand in enumerate(demands):
        for one in demand.service.placement.affinity:
            second = _partner(one, demands) if one.required else None
            if second is not None:
                met = frozenset(np.flatnonzero(together(board, one.workload, one.scope) > 0).tolist())
                result.append(Pair(first=first, second=second, domains=_scope(one.scope, board), free=met))
    return result
