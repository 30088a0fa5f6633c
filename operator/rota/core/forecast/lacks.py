"""By how much room is short for what has no place, dimension by dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rota.core.decide import Decision, Unplaced
from rota.core.ids import WorkloadId
from rota.core.placement.board import Board
from rota.core.placement.demand import Demand, Refusal
from rota.core.placement.feasibility import ADMIT
from rota.core.placement.refusals import first_refusal, shortage
from rota.core.quantities import format_shortage


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """`count` of the `wanted` instances of a workload have no place, and what every host said of them.

    Of the hosts that refuse for nothing but room, `nearest` is the one that lacks least for one more
    instance, and `best` what it lacks, by dimension. `total` is what all the missing instances ask for
    beyond all that is free on those hosts together: empty where only its pieces are too small. All three
    are empty where no host lacks only room. Millicores, bytes, and units of extended resources.
    """

    workload: WorkloadId
    count: int
    wanted: int
    refusals: tuple[Refusal, ...]
    nearest: str = ""
    best: Mapping[str, int] = field(default_factory=dict)
    total: Mapping[str, int] = field(default_factory=dict)

    def in_words(self) -> str:
        """`memory short by 4Gi on the best host, h2; memory by 12Gi in sum`; empty where it is not room."""
        if not self.best:
            return ""
        told = f"{self.shortest()} on the best host, {self.nearest}"
        return f"{told}; {_amounts(self.total, 'by')} in sum" if self.total else told

    def shortest(self) -> str:
        """`memory short by 4Gi`: what the best host lacks; empty where it is not room."""
        return _amounts(self.best, "short by")


def lacks_of(decision: Decision, board: Board) -> tuple[Lack, ...]:
    """What `decision` finds no place for. `board` is what it left free."""
    return tuple(_lack(one, decision, board) for one in decision.unplaced)


def _lack(one: Unplaced, decision: Decision, board: Board) -> Lack:
    service = board.services[one.workload]
    wanted = max(decision.wants[one.workload].count, one.count)
    told = Lack(workload=one.workload, count=one.count, wanted=wanted, refusals=one.refusals)
    demand = Demand(service=service, count=1)
    rows = np.flatnonzero(first_refusal(demand, board) == len(ADMIT))
    if not len(rows):
        return told
    needs = board.vector(service.requests)
    free = np.maximum(board.free(after=True)[rows], 0)
    missing = np.maximum(needs - free, 0) * (needs > 0)
    nearest = int(rows[int(np.argmin((missing / np.maximum(needs, 1)).sum(axis=1)))])
    beyond = one.count * needs - free.sum(axis=0)
    return Lack(
        workload=one.workload,
        count=one.count,
        wanted=wanted,
        refusals=one.refusals,
        nearest=board.hosts[nearest].name,
        best=shortage(demand, board, nearest, after=True),
        total={
            name: int(amount)
            for name, amount, asked in zip(board.resources, beyond, needs, strict=True)
            if asked > 0 and amount > 0
        },
    )


def _amounts(short: Mapping[str, int], verb: str) -> str:
    return ", ".join(f"{name} {verb} {format_shortage(name, amount)}" for name, amount in short.items())
