"""Places what needs a host, in order, and says why the rest has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rota.core.ledger import Ledger
from rota.core.observed import Now
from rota.core.placement.feasibility import Refusal, Request, refusal
from rota.core.placement.rank import rank, zone_counts
from rota.core.placement.room import Room


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """An instance to be placed. `prefer` is the host it should stay on, where that admits it."""

    request: Request
    prefer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A host for a demand. `waits_for_room`: it fits once what leaves that host has left."""

    host: str
    waits_for_room: bool = False


@dataclass(frozen=True, slots=True)
class NoSeat:
    """No host admits the demand: what each of them said."""

    refusals: tuple[Refusal, ...]


def place(
    demands: Sequence[Demand], rooms: Mapping[str, Room], ledger: Ledger, now: Now
) -> list[Seat | NoSeat]:
    """A seat for each demand, in the order given, which is the order of precedence.

    What fits only after others have left keeps that room: nobody behind it in the order gets it.
    `rooms` is changed as seats are taken.
    """
    return [_seat(demand, rooms, ledger, now) for demand in demands]


def _seat(demand: Demand, rooms: Mapping[str, Room], ledger: Ledger, now: Now) -> Seat | NoSeat:
    request = demand.request
    refusals: list[Refusal] = []
    for after in (False, True):
        refusals = []
        admitted = []
        for room in rooms.values():
            refused = refusal(request, room, ledger, now, after=after)
            if refused is None:
                admitted.append(room)
            else:
                refusals.append(refused)
        if admitted:
            zones = zone_counts(request.service, request.slot, rooms)
            best = min(
                admitted,
                key=lambda room: (
                    room.name != demand.prefer,
                    rank(request.service, request.slot, room, zones),
                ),
            )
            _take(request, best)
            return Seat(host=best.name, waits_for_room=after)
    return NoSeat(tuple(refusals))


def _take(request: Request, room: Room) -> None:
    room.occupy(request.service.id, request.slot, request.service.requests)
    fixed = set(request.service.container.fixed_ports)
    room.ports_now |= fixed
    room.ports_after |= fixed
