"""Spread that has become uneven is repaired: one move at a time for each workload, and never without gain.

A fleet that grew, or got a host back, has its instances on the old hosts. A move is worth its trouble
only where it takes from a zone, or within a zone from a host, that has at least two more than the one it
goes to: then it makes the counts more even, and cannot be worth undoing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rota.core.model import Service
from rota.core.placement.board import Board
from rota.core.placement.demand import Demand
from rota.core.placement.domains import open_domains, together
from rota.core.placement.rank import order, spread_keys
from rota.core.placement.seat import seat
from rota.core.placement.terrain import Ints, Mask
from rota.core.rules import Strategy

MOST_SOURCES = 8
"""Domains, or hosts, from which a move is looked for."""


class Repair(NamedTuple):
    """A move that makes a workload more even: from where, to where, and why in words."""

    source: str
    target: str
    why: str


def even_out(service: Service, board: Board, barred: Mapping[str, str]) -> Repair | None:
    """The one move that helps `service` most, None where none does. The board is not changed.

    The labels it spreads over come one after the other, the hosts last; what helps one of them must not
    harm those before it. So every move brings the whole closer to even, and none is ever undone.
    """
    tally = board.tallies.get(service.id)
    if tally is None or int(tally.counts.sum()) < 2 or not _is_even_work(service, board):
        return None
    demand = Demand(service=service, count=1, barred=barred)
    counts = board.counts(service.id)
    levels: list[_Level] = []
    for key in (*spread_keys(service), None):
        levels.append(_level(demand, key, counts, board))
        found = _between(demand, levels, counts, board)
        if found is not None:
            return found
    return None


def _is_even_work(service: Service, board: Board) -> bool:
    """Whether evenness is what its hosts are chosen by, and nothing ties it to where it is."""
    drawn = any(not one.required for one in service.placement.affinity)
    tied = service.container.pinned or service.id in board.followers
    return service.placement.strategy is Strategy.SPREAD and not drawn and not tied


class _Level(NamedTuple):
    """How many of the workload are in the same domain as each host, by one label, or on each host alone.

    `domain` numbers the domains; `open` are the hosts in domains that count.
    """

    key: str | None
    there: Ints
    domain: Ints
    open: Mask


def _level(demand: Demand, key: str | None, counts: Ints, board: Board) -> _Level:
    if key is None:
        return _Level(None, counts, np.arange(len(counts)), np.ones(len(counts), np.bool_))
    domains = board.domains(key)
    opened = np.append(open_domains(demand, board, key), False)
    there = together(board, demand.service.id, key)
    return _Level(key, there, domains.places, opened[domains.places])


def _between(demand: Demand, levels: list[_Level], counts: Ints, board: Board) -> Repair | None:
    """A move from where the last of `levels` has most to where it has at least two fewer."""
    level = levels[-1]
    standing = np.flatnonzero((counts > 0) & (level.domain >= 0) & board.reachable)
    lowest = level.there[level.open].min(initial=np.iinfo(np.int64).max)
    uneven = standing[level.there[standing] - lowest >= 2]
    if not len(uneven):
        return None
    ranks = order(demand.service, board)
    sources = uneven[np.lexsort((-ranks[uneven], -counts[uneven], -level.there[uneven]))]
    _, first = np.unique(level.domain[sources], return_index=True)
    for source in sources[np.sort(first)][:MOST_SOURCES].tolist():
        gains = level.open & (level.there <= level.there[source] - 2) & (level.domain != level.domain[source])
        for before in levels[:-1]:
            gains &= (before.domain == before.domain[source]) | (before.there < before.there[source])
        target = _seat_in(np.flatnonzero(gains), source, demand, board)
        if target is not None:
            return Repair(
                board.hosts[source].name, board.hosts[target].name, _why(level, source, target, board)
            )
    return None


def _why(level: _Level, source: int, target: int, board: Board) -> str:
    there, here = board.hosts[source], board.hosts[target]
    if level.key is None:
        return f"spread: {there.name} has {level.there[source]}, {here.name} has {level.there[target]}"
    fuller, emptier = there.labels.get(level.key, "(no label)"), here.labels[level.key]
    return f"spread: {level.key} {fuller} has {level.there[source]}, {emptier} has {level.there[target]}"


def _seat_in(rows: Ints, source: int, demand: Demand, board: Board) -> int | None:
    """A seat that is free now on one of `rows`, with one instance gone from `source`."""
    if not len(rows):
        return None
    allowed = {board.hosts[row].name for row in rows.tolist()}
    elsewhere = {host.name: "it gains nothing there" for host in board.hosts if host.name not in allowed}
    there = board.hosts[source].name
    one = replace(demand, barred={**elsewhere, **demand.barred}, replaces={there: 1})
    given = np.flatnonzero(seat(one, board, 1, after=False))
    return int(given[0]) if len(given) else None
