"""From what rollouts ask for to seats: demands by workload, room made for them, what is left over shared.

In this order: what was promised room before; everyone by precedence; room for those that found none;
those that were stopped for it; what fills; and, where all is calm, one step towards an even spread.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from rota.core.ledger import PinKey
from rota.core.model import Fill
from rota.core.placement.board import Board
from rota.core.placement.demand import Claim, Demand, Seating, tiers
from rota.core.placement.even_out import even_out
from rota.core.placement.fill import Elastic, share_out
from rota.core.placement.headroom import headroom
from rota.core.placement.make_room import Allowance, Way, make_room
from rota.core.placement.place import place
from rota.core.placement.puzzle import Solver
from rota.core.planning.actions import ChangeKind
from rota.core.planning.ahead import place_ahead
from rota.core.planning.allow import QuotaBook, allowance_of, tenants_by_host
from rota.core.planning.arrangement import Arrangement, reserved, wants_seat
from rota.core.planning.images import is_there
from rota.core.planning.scene import Scene
from rota.core.planning.shift import Kind, Seat, Shift
from rota.core.planning.steps import Start


def arrange(shifts: Sequence[Shift], scene: Scene, board: Board, solver: Solver | None) -> Arrangement:
    """Seats for every start of `shifts`; the board is changed as they are taken."""
    result = Arrangement()
    quotas = QuotaBook.of(scene.fleet, shifts)
    admitted = []
    asked = [each for shift in shifts for each in _demands(shift, scene, result)]
    for one in sorted(asked, key=lambda each: each.kind.ahead):
        demand, refusal = quotas.admit(one.demand, ahead=one.kind.ahead)
        if refusal is not None:
            result.refusals[one.kind] = (refusal,)
        if demand.count:
            admitted.append(replace(one, demand=demand))
    others = [*_seat_the_promised(admitted, board, result), *(one for one in admitted if not one.promised)]
    ground = _Ground(shifts, scene, board, solver, allowance_of(shifts, scene))
    due, ahead, waiting = _by_turn(others)
    _place_and_make_room(due, ground, result)
    _place_the_displaced(shifts, board, result)
    _place_ahead(ahead, ground, result)
    _seat_all(waiting, place([one.demand for one in waiting], board), result)
    _lower_what_yields(shifts, result)
    _fill(shifts, scene, board, quotas, result)
    _repair(shifts, board, ground.allowance, result)
    return result


# --- demands


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A demand, and which starts its seats are for. `promised`: room is reserved for it; `holds` is the
    slot that nothing starts for yet, because its predecessor is only now being stopped."""

    kind: Kind
    demand: Demand
    promised: bool = False
    holds: int | None = None


def _by_turn(asked: Sequence[_Asked]) -> tuple[list[_Asked], list[_Asked], list[_Asked]]:
    """What is due and can start, what is ahead of its edge, and what cannot start now, for the plan only."""
    ahead = [one for one in asked if one.kind.ahead]
    due = [one for one in asked if not (one.kind.ahead or one.kind.waits)]
    return due, ahead, [one for one in asked if one.kind.waits and not one.kind.ahead]


def _demands(shift: Shift, scene: Scene, result: Arrangement) -> Iterator[_Asked]:
    """The starts of one workload that need a seat, those alike joined; successors first."""
    yield from _holds(shift, scene)
    there = is_there(shift.service, scene)
    former_there = shift.former is not None and is_there(shift.former, scene)
    groups: dict[tuple[Kind, bool, str | None, Claim], list[Start]] = defaultdict(list)
    for start in shift.steps.starts:
        if wants_seat(start):
            key, kind = (shift.id, start.slot), shift.kind_of(start)
            host = reserved(key, scene)
            # What is ahead of its edge has time to wait for the host where it belongs.
            waits_for = host if start.ahead else None
            claim = _claim(start, key, scene, image_there=former_there if start.former else there)
            groups[kind, host is not None, waits_for, claim].append(start)
    ordered = sorted(groups.items(), key=lambda one: not one[0][0].successor)
    for (kind, promised, waits_for, claim), starts in ordered:
        service = shift.service_of(starts[0])
        prefer: dict[str, int] = defaultdict(int)
        replaces: dict[str, int] = defaultdict(int)
        for start in starts:
            host = result.wish(start, shift, scene)
            if host is not None:
                prefer[host] += 1
            if start.source is not None and start.source in scene.fleet.hosts:
                replaces[start.source] += 1
        leaves = {one.source: "it moves away from there" for one in starts if one.change is ChangeKind.MOVE}
        barred = {
            **shift.barred_for(starts[0]),
            **{host: why for host, why in leaves.items() if host is not None},
        }
        pinned = service.container.pinned
        yield _Asked(
            kind=kind,
            promised=promised,
            demand=Demand(
                service=service,
                count=len(starts),
                prefer=dict(prefer),
                replaces=dict(replaces),
                pinned_to=scene.ledger.pins.get((shift.id, starts[0].slot)) if pinned else waits_for,
                barred=barred,
                shunned=shift.shunned,
                claim=claim,
                new=starts[0].change is ChangeKind.START,
            ),
        )


def _holds(shift: Shift, scene: Scene) -> Iterator[_Asked]:
    """The room of what is stopped first stays with its slot: nobody else is given it meanwhile."""
    pinned = shift.service.container.pinned
    for slot, host in shift.steps.holds:
        demand = Demand(
            service=shift.service,
            count=1,
            prefer={host: 1},
            pinned_to=scene.ledger.pins.get((shift.id, slot)) if pinned else None,
            barred=shift.barred,
            claim=Claim.NOTHING,
            new=False,
            patient=True,
        )
        yield _Asked(kind=Kind(shift.id, True, slot), demand=demand, promised=True, holds=slot)


def _claim(start: Start, key: PinKey, scene: Scene, *, image_there: bool) -> Claim:
    """What may be asked of others for a start: a successor beside one that serves asks for little, what was
    stopped for a higher priority stops nobody itself, and nobody goes for what cannot start now."""
    if start.wait is not None or not image_there:
        return Claim.NOTHING
    if key in scene.ledger.displaced or start.patient:
        return Claim.ELASTIC
    serves = start.change is not ChangeKind.START and not start.abandoned
    return Claim.ELASTIC if serves else Claim.PREEMPTION


# --- everyone, and room for those that find none


class _Ground(NamedTuple):
    """What placing everyone needs beside the demands."""

    shifts: Sequence[Shift]
    scene: Scene
    board: Board
    solver: Solver | None
    allowance: Allowance


def _seat_the_promised(asked: Sequence[_Asked], board: Board, result: Arrangement) -> list[_Asked]:
    """Those that room is reserved for come before everybody; who finds none all the same, comes again."""
    promised = [one for one in asked if one.promised]
    left = []
    for one, seating in zip(promised, place([one.demand for one in promised], board), strict=True):
        if one.holds is not None:
            for host in (*seating.now, *seating.later):
                result.holds[one.kind.workload, one.holds] = host
            continue
        _seat_all([one], [replace(seating, unplaced=0)], result)
        if seating.unplaced:
            pinned_to = None if one.kind.ahead else one.demand.pinned_to
            demand = replace(one.demand, count=seating.unplaced, pinned_to=pinned_to)
            left.append(replace(one, demand=demand, promised=False))
    return left


def _place_and_make_room(asked: Sequence[_Asked], ground: _Ground, result: Arrangement) -> None:
    """Everyone at once; where that leaves somebody out who may ask others, priority by priority, with
    room made before lower priorities are served. The latter only if it leaves out fewer."""
    if not asked:
        return
    board = ground.board
    together = board.checkpoint()
    seatings = place([one.demand for one in asked], together, ground.solver)
    if not any(one.unplaced and one.demand.claim > Claim.NOTHING for one in seatings):
        board.become(together)
        _seat_all(asked, seatings, result)
        return
    apart = Arrangement()
    stepwise = board.checkpoint()
    left = _tier_by_tier(asked, ground._replace(board=stepwise), apart)
    if left < _left_out(asked, seatings):
        board.become(stepwise)
        for kind, seats in apart.seats.items():
            result.seats[kind] += seats
        result.refusals.update(apart.refusals)
        result.evictions += apart.evictions
        for eviction in apart.evictions:
            ground.allowance.spend(eviction)
        return
    board.become(together)
    _seat_all(asked, seatings, result)


def _left_out(asked: Sequence[_Asked], seatings: Sequence[Seating]) -> list[int]:
    """Unplaced instances by priority, the highest first."""
    return [sum(seatings[at].unplaced for at in tier) for tier in tiers([one.demand for one in asked])]


def _tier_by_tier(asked: Sequence[_Asked], ground: _Ground, result: Arrangement) -> list[int]:
    allowance = ground.allowance.copy()
    tenants = tenants_by_host(ground.shifts, ground.scene)
    left = []
    for tier in tiers([one.demand for one in asked]):
        members = [asked[at] for at in tier]
        seatings = place([one.demand for one in members], ground.board)
        left.append(0)
        for one, seating in zip(members, seatings, strict=True):
            count = seating.unplaced
            found = make_room(one.demand, count, ground.board, tenants, allowance) if count else []
            for host, evictions in found:
                result.seats[one.kind].append(Seat(host, waits_for_room=True))
                result.evictions += evictions
            left[-1] += count - len(found)
            _seat_all([one], [replace(seating, unplaced=count - len(found))], result)
    return left


def _seat_all(asked: Sequence[_Asked], seatings: Sequence[Seating], result: Arrangement) -> None:
    for one, seating in zip(asked, seatings, strict=True):
        for hosts, waits in ((seating.now, False), (seating.later, True)):
            for host, count in hosts.items():
                result.seats[one.kind] += [Seat(host, waits)] * count
        if seating.unplaced:
            fleetwide = (each for each in result.refusals.get(one.kind, ()) if not each.hosts)
            result.refusals[one.kind] = (*fleetwide, *seating.refusals)


def _place_the_displaced(shifts: Sequence[Shift], board: Board, result: Arrangement) -> None:
    """What is stopped for a higher priority may go where there is room, and asks nothing of others."""
    barred = {shift.id: shift.barred for shift in shifts}
    for eviction in result.evictions:
        if eviction.way is Way.PREEMPT:
            service = eviction.tenant.service
            demand = Demand(service=service, count=1, barred=barred[service.id], claim=Claim.NOTHING)
            _seat_all([_Asked(kind=Kind(service.id), demand=demand)], place([demand], board), result)


def _place_ahead(asked: Sequence[_Asked], ground: _Ground, result: Arrangement) -> None:
    """What is only due at an edge to come, after all that is due now: it is not missed while it waits."""
    edges = {shift.id: shift.causes.edge for shift in ground.shifts}
    standing = {
        edge: tenants_by_host(ground.shifts, ground.scene, edge)
        for edge in {edges[one.kind.workload] for one in asked}
    }
    for at in (at for tier in tiers([one.demand for one in asked]) for at in tier):
        one = asked[at]
        edge = edges[one.kind.workload]
        going = [shift for shift in ground.shifts if shift.going and shift.yields(edge)]
        found = place_ahead(one.demand, going, ground.board, standing[edge], ground.allowance)
        result.seats[one.kind] += found.seats
        result.evictions += found.evictions


def _lower_what_yields(shifts: Sequence[Shift], result: Arrangement) -> None:
    """What an edge takes away soon and has made room now is not wanted back until then."""
    yielded = Counter(one.tenant.service.id for one in result.evictions if one.way is Way.YIELD)
    for shift in shifts:
        if shift.fill is None and yielded[shift.id]:
            result.counts[shift.id] = shift.roster.wanted - yielded[shift.id]


# --- what is left over


def _fill(
    shifts: Sequence[Shift], scene: Scene, board: Board, quotas: QuotaBook, result: Arrangement
) -> None:
    elastic = []
    for shift in shifts:
        if shift.fill is None:
            continue
        stopped = sum(one.target is None and one.tenant.service.id == shift.id for one in result.evictions)
        placed = len(result.seats.get(Kind(shift.id), ()))
        count = len(shift.roster.kept) - stopped + placed
        gone = {one.tenant.slot for one in result.evictions if one.tenant.service.id == shift.id}
        standing: dict[int, int] = defaultdict(int)
        for slot, group in shift.roster.kept.items():
            row = board.rows.get(group[0].container.host)
            if slot not in gone and row is not None and not group[0].untouchable:
                standing[row] += 1
        elastic.append(
            Elastic(
                service=shift.service,
                fill=_without_growth(shift.fill, count, shift.keeps),
                count=count,
                standing=dict(standing),
                barred=dict(shift.barred),
                patient=bool(shift.causes.ahead),
            )
        )
    beyond = {one.id: max(one.count - one.fill.min, 0) for one in elastic}
    if scene.fleet.survive is not None:
        result.headroom = headroom(scene.fleet.survive, board, beyond)
    if not elastic:
        return
    reserve = None if result.headroom is None else result.headroom.reserve
    share_out(elastic, board, quotas, reserve)
    for one in elastic:
        result.counts[one.id] = max(one.count, one.fill.min)
        result.given_up[one.id] = [board.hosts[row].name for row in one.given_up]
        for tally, waits in ((one.now, False), (one.later, True)):
            for row, count in zip(tally.rows.tolist(), tally.counts.tolist(), strict=True):
                result.seats[Kind(one.id)] += [Seat(board.hosts[row].name, waits)] * count


def _without_growth(fill: Fill, count: int, keeps: int | None) -> Fill:
    """What an edge is about to take away does not grow any more beyond what that leaves."""
    return fill if keeps is None else replace(fill, max=max(count, fill.min, keeps))


# --- an even spread


def _repair(shifts: Sequence[Shift], board: Board, allowance: Allowance, result: Arrangement) -> None:
    """One move for each workload that is calm and uneven, as far as the moves of this hour reach."""
    evicted = {one.tenant.service.id for one in result.evictions}
    for shift in shifts:
        service = shift.service
        if allowance.moves <= 0:
            return
        if service.id in evicted or allowance.left[service.id, Way.MOVE] <= 0:
            continue
        found = even_out(service, board, shift.barred)
        if found is not None:
            one = np.ones(1, np.int64)
            board.unseat(service, np.array([board.rows[found.source]]), one)
            board.seat(service, np.array([board.rows[found.target]]), one)
            result.repairs[service.id] = found
            allowance.moves -= 1
