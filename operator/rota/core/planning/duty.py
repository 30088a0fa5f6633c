"""Who is on duty: a shift for each workload before placement, and what placement makes of it after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rota.core.ids import WorkloadId
from rota.core.ledger import Move
from rota.core.model import Amount, Fill, Order, Service
from rota.core.observed import Deaths, ObservedContainer
from rota.core.placement.demand import precedence
from rota.core.placement.make_room import Eviction, Way
from rota.core.planning import guard, specs
from rota.core.planning.actions import OUTRANKED, ChangeKind, makes_room_for
from rota.core.planning.arrangement import Arrangement
from rota.core.planning.judge import MOST_DEATHS
from rota.core.planning.rollout import plan_rollout
from rota.core.planning.roster import Roster, first_to_go, roster
from rota.core.planning.scene import Scene
from rota.core.planning.shift import Seat, Shift
from rota.core.planning.steps import Causes, Start, Steps, Terms
from rota.core.planning.terms import terms_of
from rota.core.windows import Want

Groups = Mapping[WorkloadId, Sequence[ObservedContainer]]


def shifts(
    scene: Scene, wants: Mapping[WorkloadId, Want], groups: Groups, verdict: guard.Verdict
) -> list[Shift]:
    """A shift per workload in the order of precedence: priority, then size, then name.

    What fills keeps what it has for the time being: how much is left over shows after placement.
    """
    result = []
    for service in sorted(scene.fleet.services.values(), key=precedence):
        want, containers = wants[service.id], groups.get(service.id, ())
        withheld = verdict.blocked.get(service.id, 0)
        count, due, least = want.count + withheld, want.due + withheld, None
        if want.fill is not None:
            service, least = _elastic(service), want.fill.min
            there = len(_slots(service.id, containers, scene))
            count, due = want.fill.clamp(there), max(there, due)
        elif want.yields_at is not None:
            # What an edge is about to take away is not brought back, once others have begun to need it.
            least = count - want.leaves
            count = min(max(len(_slots(service.id, containers, scene)), least), count)
        left_behind = _left_behind(want.fill, containers, scene)
        former = specs.former(service, scene.ledger)
        one = roster(service, count, containers, scene, left_behind, min(count, due))
        result.append(
            Shift(
                roster=one,
                causes=_causes(one, want, withheld, scene),
                steps=Steps(workload=service.id),
                terms=Terms(),
                former=former,
                fill=want.fill,
                least=least,
                leaves=want.leaves,
                yields_at=want.yields_at,
                keeps=want.keeps,
                going=first_to_go(one, want.keeps, scene) if want.keeps is not None else frozenset(),
                barred=barred(service, scene),
                shunned=shunned(service, scene),
                former_barred=barred(former, scene) if former is not None else {},
            )
        )
    terms = terms_of({shift.id: shift.roster for shift in result}, groups, scene)
    return [_planned(shift, shift.roster, terms[shift.id], scene) for shift in result]


def _planned(shift: Shift, one: Roster, terms: Terms, scene: Scene) -> Shift:
    """`shift` with the steps of `one`."""
    steps = plan_rollout(one, shift.causes, terms, scene.now)
    return replace(shift, roster=one, steps=steps, terms=terms)


def moved_away(shift: Shift) -> list[ObservedContainer]:
    """The old instances of moves by choice whose new ones are there: what they were asked to leave for
    counts on their room."""
    return [
        one.container
        for group in shift.roster.kept.values()
        for one in group[1:]
        if one.destination is not None and not one.untouchable
    ]


def settled(want: Want, shift: Shift) -> Want:
    """`want` with the count that a workload came to which fills, or yields. What it has by now for an edge to
    come is due only once it serves."""
    count, ahead = shift.roster.wanted, want.ahead
    if ahead is not None:
        coming = sum(not any(one.container.ready for one in group) for group in shift.roster.kept.values())
        early = coming + sum(shift.is_ahead(start) for start in shift.steps.starts)
        ahead = replace(ahead, count=max(min(early, count - want.due), 0))
    return replace(want, count=count, ahead=ahead)


def after(ones: Sequence[Shift], arrangement: Arrangement, scene: Scene, groups: Groups) -> list[Shift]:
    """The shifts as placement leaves them: with what fills at its count, and what makes room on its way."""
    evictions: dict[WorkloadId, list[Eviction]] = defaultdict(list)
    for eviction in arrangement.evictions:
        evictions[eviction.tenant.service.id].append(eviction)
    result = []
    for shift in ones:
        left_behind = _left_behind(shift.fill, groups.get(shift.id, ()), scene)
        going = {**left_behind, **_gives_way(shift, evictions[shift.id], arrangement)}
        count = arrangement.counts.get(shift.id, shift.roster.wanted)
        if going != shift.roster.gives_way or count != shift.roster.wanted:
            owed = min(count, shift.roster.owed)
            one = roster(shift.service, count, groups.get(shift.id, ()), scene, going, owed)
            shift = _planned(shift, one, shift.terms, scene)
        moves = _moves(shift, evictions[shift.id], arrangement)
        shift.steps.starts.extend(_move(slot, move, shift, arrangement) for slot, move in moves)
        result.append(shift)
    return result


# --- before placement


def _elastic(service: Service) -> Service:
    """What fills is stopped first: it never needs room beside itself to be replaced."""
    budget = service.max_unavailable if service.max_unavailable.value else Amount(value=1)
    return replace(service, update=replace(service.update, order=Order.STOP_FIRST), max_unavailable=budget)


def _slots(workload: WorkloadId, containers: Sequence[ObservedContainer], scene: Scene) -> set[int]:
    """The slots of what fills that go on: those with an instance that stays and was not left behind, and
    those between one and its successor."""
    staying = {
        one.slot
        for one in containers
        if not scene.observed.is_stopping(one) and not _is_left_behind(one, scene)
    }
    between = {
        slot
        for (id_, slot), promise in scene.ledger.reservations.items()
        if id_ == workload and promise.successor and promise.until > scene.now.mono
    }
    return staying | between


def _left_behind(fill: Fill | None, containers: Sequence[ObservedContainer], scene: Scene) -> dict[int, str]:
    """The slots of what fills that are only on hosts which are lost, or left the fleet and do not answer:
    they are not moved, for what is left over is found out anew."""
    if fill is None:
        return {}
    staying = {one.slot for one in containers if not _is_left_behind(one, scene)}
    return {one.slot: _why_left(one, scene) for one in containers if one.slot not in staying}


def _why_left(container: ObservedContainer, scene: Scene) -> str:
    left = scene.posts[container.host].host is None
    return "its host left the fleet" if left else f"{container.host} is lost"


def _is_left_behind(container: ObservedContainer, scene: Scene) -> bool:
    post = scene.posts[container.host]
    return not post.reachable and (post.host is None or post.given_up)


def barred(service: Service, scene: Scene) -> dict[str, str]:
    """Hosts on which its starts failed a moment ago, and what was their last word; and those where its
    instances were taken away again and again."""
    result = {}
    for name, slot, deaths in _kept_dying(service, scene):
        there = scene.observed.hosts[name].all_containers
        if not any((one.workload, one.slot) == (service.id, slot) for one in there):
            result[name] = f"lost it {MOST_DEATHS} times within 5 minutes: {deaths.cause}"
    for host in scene.fleet.hosts if scene.ledger.failures else ():
        failure = scene.ledger.failures.get((service.id, host, service.spec_hash))
        if failure is not None and failure.until > scene.now.mono:
            starts = f"{failure.count} failed start{'s'[: failure.count > 1]}"
            result[host] = f"backing off after {starts}: {failure.message}"
    return result


def shunned(service: Service, scene: Scene) -> frozenset[str]:
    """The hosts where its instances kept dying: they come last."""
    return frozenset(name for name, _, _ in _kept_dying(service, scene))


def _kept_dying(service: Service, scene: Scene) -> Iterator[tuple[str, int, Deaths]]:
    """Where, in which slot and of what instances of its spec died again and again."""
    for name, view in scene.observed.hosts.items():
        for (workload, slot, spec), deaths in view.deaths.items():
            ours = (workload, spec) == (service.id, service.spec_hash)
            if ours and len(deaths.at) >= MOST_DEATHS:
                yield name, slot, deaths


def _causes(one: Roster, want: Want, withheld: int, scene: Scene) -> Causes:
    """Why the count of a workload differs from what runs: a commit, an edge, or a lost instance."""
    count, commit = _why_count(one, want, scene), specs.short(scene.fleet.revision)
    if want.ahead is None:
        return Causes(count=count, spec=commit)
    return Causes(
        count=count,
        spec=commit,
        ahead=f"ahead of {want.ahead.rule}",
        due=want.due + withheld,
        soon=want.count + withheld,
        edge=want.ahead.at,
        patient=want.ahead.patient,
    )


def _why_count(one: Roster, want: Want, scene: Scene) -> str:
    workload = one.service.id
    commit = specs.short(scene.fleet.revision)
    applied, before = scene.ledger.applied, scene.ledger.targets.get(workload)
    known = applied is not None and workload in applied.counts
    if isinstance(want.fill, Fill):
        return f"{want.rule}: fills what is left over"
    if not known or (applied is not None and applied.revision != scene.fleet.revision):
        return commit if before is None or before.count != want.due else before.cause
    if before is None or before.count != want.due:
        return want.rule
    if before.settled:
        return "more run than are wanted" if one.released else "an instance is missing"
    return before.cause


# --- after placement


def _gives_way(shift: Shift, evictions: Sequence[Eviction], arrangement: Arrangement) -> dict[int, str]:
    """The slots that placement takes from a workload, and why."""
    result = {}
    for one in evictions:
        if one.way is Way.YIELD:
            result[one.tenant.slot] = makes_room_for(one.claimant)
        elif one.way is Way.PREEMPT:
            cause = f"{makes_room_for(one.claimant)}{OUTRANKED}{shift.service.priority}"
            result[one.tenant.slot] = cause
    for host in arrangement.given_up.get(shift.id, ()):
        there = [
            slot
            for slot, group in shift.roster.kept.items()
            if group[0].container.host == host and slot not in result
        ]
        result[max(there)] = "others that fill have less than their share"
    return result


def _moves(shift: Shift, evictions: Sequence[Eviction], arrangement: Arrangement) -> list[tuple[int, Move]]:
    """The instances of a workload that are to move although they could stay."""
    result = [
        (
            one.tenant.slot,
            Move(source=one.host, target=one.target, cause=makes_room_for(one.claimant)),
        )
        for one in evictions
        if one.target is not None
    ]
    repair = arrangement.repairs.get(shift.id)
    if repair is not None:
        kept = shift.roster.kept.items()
        slot = max(slot for slot, group in kept if group[0].container.host == repair.source)
        result.append((slot, Move(source=repair.source, target=repair.target, cause=repair.why)))
    return result


def _move(slot: int, move: Move, shift: Shift, arrangement: Arrangement) -> Start:
    """The start that begins a move; its seat was found with it."""
    start = Start(slot=slot, change=ChangeKind.MOVE, cause=move.cause, prefer=move.target, source=move.source)
    arrangement.moves[shift.id, slot] = move
    arrangement.seats[shift.kind_of(start)].append(Seat(move.target))
    return start
