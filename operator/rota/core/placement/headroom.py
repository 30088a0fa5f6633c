"""Whether the fleet survives the loss of any one host, or zone, and what has to be kept free for it.

A loss is played through: what the lost hosts have is placed on the others, as it would be. What fills
beyond its least does not count, neither as lost nor as standing in the way: it yields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rota.core.model import Loss, Service, WorkloadId
from rota.core.placement.board import Board
from rota.core.placement.demand import Claim, Demand, Refusal, precedence
from rota.core.placement.rank import ZONE
from rota.core.placement.refusals import in_words, refusals
from rota.core.placement.seat import seat
from rota.core.placement.terrain import Ints

MOST_LOSSES = 200
"""Losses that are played through, the fullest hosts first: what survives these survives the others, as a
rule, and a large fleet is not to spend its passes on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What would have no place if `lost` (a host or a zone) were lost: how many of which workload, and
    what the hosts that are left would say."""

    lost: str
    workload: WorkloadId
    count: int
    refusals: tuple[Refusal, ...]

    def __str__(self) -> str:
        return f"without {self.lost}, {self.count} of {self.workload}: {in_words(self.refusals)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """The verdict. `reserve` is the room to keep free, by host and resource of the board; `checked` of
    `losses` were played through."""

    loss: Loss
    shortfalls: tuple[Shortfall, ...]
    reserve: Ints = field(compare=False)
    checked: int
    losses: int


def headroom(loss: Loss, board: Board, elastic: Mapping[WorkloadId, int]) -> Headroom:
    """Play through the losses on `board`, which is left as it was. `elastic` says how many instances of a
    workload are beyond its least."""
    losses = _losses(loss, board)
    played = losses[:MOST_LOSSES]
    reserve = np.zeros_like(board.free_after)
    shortfalls: list[Shortfall] = []
    firm = _without_elastic(board, elastic)
    for lost, rows in played:
        used, short = _play(lost, rows, firm, reserve)
        reserve = np.maximum(reserve, used)
        shortfalls += short
    return Headroom(
        loss=loss,
        shortfalls=tuple(shortfalls),
        reserve=reserve,
        checked=len(played),
        losses=len(losses),
    )


def _losses(loss: Loss, board: Board) -> list[tuple[str, Ints]]:
    """What can be lost, the fullest first: its name and its hosts, of those that are open."""
    used = (board.capacity - board.free_after)[:, :2] / np.maximum(
        board.capacity[:, :2].max(axis=0, initial=1), 1
    )
    weight = used.sum(axis=1)
    if loss is Loss.HOST:
        groups = [(board.hosts[row].name, np.array([row])) for row in np.flatnonzero(board.reachable)]
    else:
        domains = board.domains(ZONE)
        groups = [
            (f"{ZONE} {value}", rows[board.reachable[rows]])
            for value, rows in zip(domains.values, domains.members, strict=True)
        ]
        # A host of no zone is its own.
        lone = np.flatnonzero((domains.codes < 0) & board.reachable)
        groups += [(board.hosts[row].name, np.array([row])) for row in lone]
    return sorted(
        ((name, rows) for name, rows in groups if len(rows)),
        key=lambda one: (-float(weight[one[1]].sum()), one[0]),
    )


def _without_elastic(board: Board, elastic: Mapping[WorkloadId, int]) -> Board:
    """The board as if what fills beyond its least had yielded, from the hosts that have most of it."""
    firm = board.checkpoint()
    for workload, count in sorted(elastic.items()):
        tally = board.tallies.get(workload)
        left = count
        for at in [] if tally is None else np.argsort(-tally.counts, kind="stable").tolist():
            if tally is not None and left > 0:
                leaving = min(left, int(tally.counts[at]))
                firm.unseat(board.services[workload], tally.rows[at : at + 1], np.array([leaving]))
                left -= leaving
    return firm


def _play(lost: str, rows: Ints, firm: Board, reserve: Ints) -> tuple[Ints, list[Shortfall]]:
    """What the loss of `rows` takes from the others, seats in room kept for other losses first."""
    gone = set(rows.tolist())
    closed = tuple(f"{lost} is lost" if row in gone else why for row, why in enumerate(firm.closed))
    trial = replace(firm.checkpoint(), closed=closed, _remembered={})
    before = trial.free_after.copy()
    short = []
    for service, count in _tenants(rows, firm):
        left = _leave(service, rows, trial)
        demand = Demand(
            service=service,
            count=count,
            prefer=_kept_for(service, reserve - (before - trial.free_after), trial),
            claim=Claim.NOTHING,
        )
        given = seat(demand, trial, left, after=True)
        seats = np.flatnonzero(given)
        trial.seat(service, seats, given[seats])
        missing = left - int(given.sum())
        if missing:
            words = tuple(
                one
                for one in refusals(demand, trial)
                if not gone.issuperset(map(firm.rows.__getitem__, one.hosts))
            )
            short.append(Shortfall(lost=lost, workload=service.id, count=missing, refusals=words))
    return np.maximum(before - trial.free_after, 0), short


def _tenants(rows: Ints, board: Board) -> Sequence[tuple[Service, int]]:
    """What stands on `rows`, in the order in which it would be placed again. Pinned data stays lost."""
    found = []
    for workload, tally in board.tallies.items():
        count = int(tally.counts[np.isin(tally.rows, rows)].sum())
        service = board.services.get(workload)
        if count > 0 and service is not None and not service.container.pinned:
            found.append((service, count))
    return sorted(found, key=lambda one: precedence(one[0]))


def _leave(service: Service, rows: Ints, trial: Board) -> int:
    """Take a workload off the lost hosts, whose room is of no use; how many there were."""
    counts = trial.counts(service.id)[rows]
    trial.add(service.id, rows, -counts)
    return int(counts.sum())


def _kept_for(service: Service, spare: Ints, board: Board) -> dict[str, int]:
    """Hosts that have room kept for another loss already: only one of them happens at a time."""
    needs = board.vector(service.requests)
    asked = needs > 0
    if not asked.any():
        return {}
    fit = np.floor_divide(np.maximum(spare[:, asked], 0), needs[asked]).min(axis=1)
    return {board.hosts[row].name: int(fit[row]) for row in np.flatnonzero(fit > 0).tolist()}
