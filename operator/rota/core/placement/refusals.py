"""Why there is no place, in the same words everywhere: plan, status, log and `rota why`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from rota.core.placement.board import Board
from rota.core.placement.demand import Demand, Refusal
from rota.core.placement.feasibility import ADMIT, Filter, fits
from rota.core.placement.terrain import Ints
from rota.core.quantities import format_shortage


def shortage(demand: Demand, board: Board, row: int, *, after: bool) -> dict[str, int]:
    """By how much each dimension of a host is short of one instance; empty where it fits."""
    needs = board.vector(demand.service.requests)
    missing = needs - np.maximum(board.free(after=after)[row], 0)
    return {
        name: int(amount)
        for name, amount, asked in zip(board.resources, missing, needs, strict=True)
        if amount > 0 and asked > 0
    }


def shortage_words(missing: dict[str, int]) -> str:
    return ", ".join(f"{name} short by {format_shortage(name, amount)}" for name, amount in missing.items())


def first_refusal(demand: Demand, board: Board, *, after: bool = True) -> Ints:
    """For each host the index in `ADMIT` of the first filter that takes none, `len(ADMIT)` where only the
    room is short, -1 where it would be taken."""
    result = np.full(len(board.hosts), -1)
    for at, one in enumerate(ADMIT):
        more = one.admits(demand, board, after)
        if more is not None:
            result[(result < 0) & (more <= 0)] = at
    result[(result < 0) & (fits(demand, board, after=after) <= 0)] = len(ADMIT)
    return result


MOST_DETAILS = 12
"""So many different answers of one filter are told one by one; of more, the nearest stands for all."""


def refusals(demand: Demand, board: Board) -> tuple[Refusal, ...]:
    """What every host says that takes none, hosts that say the same joined."""
    board = board.without(demand)
    first = first_refusal(demand, board)
    result: list[Refusal] = []
    for at in sorted(set(first.tolist()) - {-1}):
        rows = np.flatnonzero(first == at)
        if at < len(ADMIT):
            result += _joined(ADMIT[at].name, _by_words(rows, ADMIT[at], demand, board), board)
        else:
            result += _short(demand, board, rows)
    if not result and board.hosts:
        return (Refusal(filter=ORDER, hosts=(), detail="it fits now that others have their places"),)
    return tuple(result)


def _by_words(rows: Ints, one: Filter, demand: Demand, board: Board) -> dict[str, list[int]]:
    words: dict[str, list[int]] = defaultdict(list)
    for row in rows.tolist():
        words[one.explain(demand, board, row)].append(row)
    return words


def _joined(name: str, words: dict[str, list[int]], board: Board) -> Iterator[Refusal]:
    if len(words) <= MOST_DETAILS:
        for detail, rows in words.items():
            yield Refusal(filter=name, hosts=_names(rows, board), detail=detail)
        return
    detail, (row, *_) = next(iter(words.items()))
    every = sorted(row for rows in words.values() for row in rows)
    yield Refusal(
        filter=name, hosts=_names(every, board), detail=f"{board.hosts[row].name}: {detail}, the others alike"
    )


def _names(rows: list[int], board: Board) -> tuple[str, ...]:
    return tuple(board.hosts[row].name for row in rows)


def _short(demand: Demand, board: Board, rows: Ints) -> Iterator[Refusal]:
    """Hosts without the room: those that lack the same joined; of too many, the nearest speaks."""
    needs = board.vector(demand.service.requests)
    missing = np.maximum(needs - np.maximum(board.free(after=True)[rows], 0), 0) * (needs > 0)
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, lacks in zip(rows.tolist(), missing.tolist(), strict=True):
        alike[tuple(lacks)].append(row)
    if len(alike) <= MOST_DETAILS:
        for same in alike.values():
            yield _short_of(demand, board, same, same[0], "")
        return
    share = (missing / np.maximum(needs, 1)).sum(axis=1)
    nearest = int(rows[int(np.argmin(share))])
    yield _short_of(demand, board, rows.tolist(), nearest, f"nearest is {board.hosts[nearest].name}: ")


def _short_of(demand: Demand, board: Board, rows: list[int], row: int, prefix: str) -> Refusal:
    missing = shortage(demand, board, row, after=True)
    return Refusal(
        filter=next(iter(missing)), hosts=_names(rows, board), detail=prefix + shortage_words(missing)
    )


FLEETWIDE = "quota"
"""The filter that refuses before any host is asked."""

ORDER = "order"
"""The answer to what the hosts would take after all: it was served before what it must be with."""

NOT_ROOM = frozenset({FLEETWIDE, ORDER, *(one.name for one in ADMIT)})


def is_room(refusal: Refusal) -> bool:
    """Whether hosts refuse only for what they have left of cpu, memory or an extended resource."""
    return refusal.filter not in NOT_ROOM


MOST_NAMES = 12


def in_words(found: tuple[Refusal, ...]) -> str:
    """Every host's answer in one line."""
    return "; ".join(refusal_lines(found))


def refusal_lines(found: tuple[Refusal, ...]) -> list[str]:
    """Every host's answer, a line for each reason; of very many hosts that say the same, how many."""
    lines = []
    for one in found:
        names = ", ".join(one.hosts)
        if len(one.hosts) > MOST_NAMES:
            names = f"{', '.join(one.hosts[:3])} and {len(one.hosts) - 3} more"
        lines.append(f"{names}: {one.detail}" if names else one.detail)
    return lines or ["there is no host"]
