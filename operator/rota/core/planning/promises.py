"""What a decision has to remember for the next: room that is reserved, moves that are under way, and who
was stopped for whom. Without it the next decision could give the freed room to somebody else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from rota.core.ledger import Move, PinKey, Reservation
from rota.core.planning.actions import StopInstance
from rota.core.planning.allow import HOUR
from rota.core.planning.scene import Scene
from rota.core.planning.shift import Shift

RESERVED_SECONDS = 600.0
"""Room that was not claimed for so long is anybody's again."""


class Kept(TypedDict):
    """Fields of the ledger."""

    reservations: Mapping[PinKey, Reservation]
    moves: Mapping[PinKey, Move]
    displaced: frozenset[PinKey]
    moves_begun: tuple[float, ...]
    successions: Mapping[PinKey, str]


def kept(
    scene: Scene,
    shifts: Sequence[Shift],
    promised: Mapping[PinKey, str],
    begun: Mapping[PinKey, Move],
    stops: Iterable[StopInstance],
) -> Kept:
    """`promised` are the hosts on which room is being freed, by slot; `begun` the moves that begin now,
    `stops` what is stopped now."""
    held = {(shift.id, slot) for shift in shifts for slot, _ in shift.steps.holds}
    mono = scene.now.mono
    return Kept(
        reservations={
            key: _reservation(key, host, scene, successor=key in held)
            for key, host in sorted(promised.items())
        },
        moves=dict(sorted({**_under_way(scene, shifts), **begun}.items())),
        displaced=_displaced(scene, shifts),
        successions=_successions(scene, shifts, stops),
        moves_begun=(*(at for at in scene.ledger.moves_begun if mono - at < HOUR), *(mono for _ in begun)),
    )


def _reservation(key: PinKey, host: str, scene: Scene, *, successor: bool) -> Reservation:
    """A new one, or the one there is: a promise is not prolonged by being repeated."""
    before = scene.ledger.reservations.get(key)
    if before is not None and before.host == host and before.until > scene.now.mono:
        return before
    until = scene.now.mono + RESERVED_SECONDS
    return Reservation(host=host, until=until, successor=successor)


def _under_way(scene: Scene, shifts: Sequence[Shift]) -> dict[PinKey, Move]:
    """Moves of which both the old and the new instance are there, or the new one is in the queue of its
    host. One whose new instance is gone again has failed, and is over."""
    queued = {(workload, slot) for workload, slot, _ in scene.queued}
    kept = {shift.id: shift.roster.kept for shift in shifts}
    result = {}
    for key, move in scene.ledger.moves.items():
        workload, slot = key
        hosts = {one.container.host for one in kept.get(workload, {}).get(slot, ())}
        under_way = len(hosts) > 1 or key in queued
        if under_way and move.source in hosts and move.target in scene.fleet.hosts:
            result[key] = move
    return result


def _successions(scene: Scene, shifts: Sequence[Shift], stops: Iterable[StopInstance]) -> dict[PinKey, str]:
    """Why slots that stay lost their instance: what is stopped now, and what was and has no successor yet."""
    kept = {shift.id: shift.roster.kept for shift in shifts}
    missing = {(shift.id, slot) for shift in shifts for slot in shift.roster.missing}
    result = {key: cause for key, cause in scene.ledger.successions.items() if key in missing}
    for stop in stops:
        group = kept.get(stop.workload, {}).get(stop.slot, ())
        if group and group[0].container.id == stop.container_id:
            result[stop.workload, stop.slot] = stop.cause
    return result


def _displaced(scene: Scene, shifts: Sequence[Shift]) -> frozenset[PinKey]:
    """Slots that were stopped for a higher priority, as long as they have no instance."""
    result = set()
    for shift in shifts:
        yielded = shift.roster.gives_way if shift.fill is None else ()
        before = {slot for workload, slot in scene.ledger.displaced if workload == shift.id}
        result |= {(shift.id, slot) for slot in {*yielded, *before} if slot in shift.roster.missing}
    return frozenset(result)
