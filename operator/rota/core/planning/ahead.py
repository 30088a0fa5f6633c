"""Seats for what is only due at an edge to come: where it would stand if the edge had come already.

What the edge takes away from others that yield is thought away first; then only as much of it is stopped
early as stands in the way. So nothing has to move afterwards to be spread evenly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rota.core.ids import WorkloadId
from rota.core.model import Service
from rota.core.placement.board import Board
from rota.core.placement.demand import Claim, Demand
from rota.core.placement.feasibility import room
from rota.core.placement.make_room import Allowance, Eviction, Tenant, TenantsOf, make_room
from rota.core.placement.place import place
from rota.core.placement.seat import bound_together, seat
from rota.core.placement.terrain import Ints
from rota.core.planning.shift import Seat, Shift


class Found(NamedTuple):
    """Seats that were found, and what makes room for them."""

    seats: list[Seat]
    evictions: list[Eviction]


def place_ahead(
    demand: Demand, leaving: Sequence[Shift], board: Board, tenants_of: TenantsOf, allowance: Allowance
) -> Found:
    """Seats for as many of `demand` as find one before the edge. `leaving` are those of which it takes
    something that makes room. The board is changed by seats and what makes room; the allowance is spent."""
    found = Found([], [])
    going = {shift.id: shift for shift in leaving if yields_to(shift, demand.service)}

    def only_going(host: str) -> Sequence[Tenant]:
        return [
            one
            for one in tenants_of(host)
            if one.service.id in going and one.slot in going[one.service.id].going
        ]

    left = _seats_at_the_edge(demand, going, board, allowance)
    if not bound_together(demand, board):
        left -= _seat_all_at_once(demand, left, board, found)
    for row in np.flatnonzero(left).tolist():
        host, count = board.hosts[row].name, int(left[row])
        there = replace(demand, count=count, pinned_to=host, prefer={}, claim=Claim.ELASTIC)
        _seat(there, board, only_going, allowance, found)
    missing = demand.count - len(found.seats)
    if missing > 0:
        _seat(replace(demand, count=missing), board, tenants_of, allowance, found)
    return found


def yields_to(shift: Shift, claimant: Service) -> bool:
    """Whether what a workload has beyond its least makes room for `claimant`: what fills always does, what
    an edge takes away does for a higher priority."""
    lower = shift.service.priority < claimant.priority
    return shift.least is not None and shift.id != claimant.id and (shift.fill is not None or lower)


def _seats_at_the_edge(
    demand: Demand, going: dict[WorkloadId, Shift], board: Board, allowance: Allowance
) -> Ints:
    """How many of `demand` would stand where if all that yields and goes at the edge were gone, by row."""
    trial = board.checkpoint()
    for shift in going.values():
        rows = Counter(
            board.rows[group[0].container.host]
            for slot, group in shift.roster.kept.items()
            if slot in shift.going
            and (shift.id, slot) not in allowance.gone
            and group[0].container.host in board.rows
        )
        if rows:
            trial.unseat(shift.service, np.array(list(rows)), np.array(list(rows.values())))
    # As it will be: where there is room now is not to be preferred to where it belongs.
    return seat(demand, trial, demand.count, after=True)


def _seat_all_at_once(demand: Demand, wanted: Ints, board: Board, found: Found) -> Ints:
    """Seats for as many of `wanted` on each row as are free now, or once what leaves has left."""
    given = np.zeros(len(wanted), np.int64)
    for after in (False, True):
        more = np.minimum(wanted - given, room(demand, board, after=after))
        rows = np.flatnonzero(more)
        if len(rows):
            board.seat(demand.service, rows, more[rows])
        for row in rows.tolist():
            found.seats.extend([Seat(board.hosts[row].name, after)] * int(more[row]))
        given += more
    return given


def _seat(demand: Demand, board: Board, tenants_of: TenantsOf, allowance: Allowance, found: Found) -> None:
    """Seats that are free, then those that others make room for; added to what was found."""
    seating = place([demand], board)[0]
    for hosts, waits in ((seating.now, False), (seating.later, True)):
        for host, count in hosts.items():
            found.seats.extend([Seat(host, waits)] * count)
    if seating.unplaced:
        for host, evictions in make_room(demand, seating.unplaced, board, tenants_of, allowance):
            found.seats.append(Seat(host, waits_for_room=True))
            found.evictions.extend(evictions)
