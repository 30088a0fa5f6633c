"""The whole brain, one pure function: what is wanted, where it goes, what may be done now.

windows → guard → rosters → rollouts → placement → actions. Same inputs, same decision, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rota.core.ids import WorkloadId
from rota.core.leads import prospect
from rota.core.ledger import HostRecord, Ledger, Target
from rota.core.model import Fleet
from rota.core.observed import Hold, HostState, Now, ObservedContainer, ObservedState
from rota.core.placement.board import Board
from rota.core.placement.demand import Refusal
from rota.core.placement.headroom import Headroom
from rota.core.placement.puzzle import Solver
from rota.core.planning import back_off, closing, drains, duty, guard, holds, images, promises, specs
from rota.core.planning.actions import Action, Change, ChangeKind, StopInstance
from rota.core.planning.allow import left_to_spare
from rota.core.planning.arrange import arrange
from rota.core.planning.compose import Composer
from rota.core.planning.drains import DrainState
from rota.core.planning.edge_records import follow
from rota.core.planning.ground import PortBook, board_of
from rota.core.planning.progress import follow as follow_rollouts
from rota.core.planning.roster import Roster, containers_by_workload
from rota.core.planning.scene import Scene, untouchable
from rota.core.planning.shift import Shift
from rota.core.planning.start_times import learn, with_new
from rota.core.planning.steps import Steps, Stop
from rota.core.planning.terms import last_to_leave
from rota.core.planning.waits import WITHHELD
from rota.core.windows import InForce, Want, in_force

JUST_AFTER = 0.001
"""Seconds: a deadline has passed when more time has gone by, not in its very instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """Instances of one workload that no host admits, and what each host said."""

    workload: WorkloadId
    count: int
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What follows from one snapshot.

    `changes` are target minus observed; `actions` the steps among them that are safe now; `held` says why
    there are none although there could be (suspended, paused, frozen). `requeue_after` is in seconds,
    `next_edge` the instant of the wall clock at which the next edge comes or its growth begins; `headroom` is
    the verdict where the fleet is to survive a loss. `fleet` has the specs that hold, which are not those of
    the commit where these have failed; `spare` is how many more of each workload its disruption budget lets
    go; `drains` are the hosts that are being emptied; with `brake`, so many hosts are lost that it is not
    believed.
    """

    fleet: Fleet
    changes: tuple[Change, ...]
    actions: tuple[Action, ...]
    unplaced: tuple[Unplaced, ...]
    wants: Mapping[WorkloadId, Want]
    windows: tuple[InForce, ...]
    guard: guard.Verdict
    cordons: Mapping[str, str]
    ledger: Ledger
    held: Hold | None
    headroom: Headroom | None
    spare: Mapping[WorkloadId, int]
    drains: tuple[DrainState, ...]
    brake: str
    requeue_after: float | None
    next_edge: datetime | None


def decide(
    fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now, solver: Solver | None = None
) -> Decision:
    """Everything Rota would do about `observed` to reach what `fleet` wants at `now`.

    `solver` searches small fleets exhaustively where nothing else finds room; without it that is not done.
    """
    return survey(fleet, observed, ledger, now, solver)[0]


def survey(
    fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now, solver: Solver | None = None
) -> tuple[Decision, Board]:
    """The decision, and the board that placement left: what every host would say of one more instance."""
    held = holds.hold(fleet, observed, ledger, now)
    ledger = specs.tried_anew(fleet, holds.paused(ledger, held, now))
    stated, fleet = fleet, specs.in_force(fleet, ledger)
    ahead = prospect(fleet, ledger, now)
    wants = ahead.wants
    groups = containers_by_workload(observed)
    ledger = _taught(ledger, fleet, observed, groups, now)
    verdict = guard.judge(fleet, ledger, {name: _slots(group) for name, group in groups.items()}, now)
    scene = Scene(fleet=fleet, observed=observed, ledger=ledger, now=now)

    shifts = duty.shifts(scene, wants, groups, verdict)
    orphans = _orphans(scene, {shift.id: shift.roster for shift in shifts}, groups, verdict)
    cordons = closing.cordons(fleet, now)
    leaving = [container for shift in shifts for container in _leavers(shift.steps, observed)]
    leaving += [stop.container for stop in orphans.stops]
    leaving += [container for shift in shifts for container in duty.moved_away(shift)]
    board = board_of(fleet, observed, cordons, leaving)
    arrangement = arrange(shifts, scene, board, solver)
    shifts = duty.after(shifts, arrangement, scene, groups)
    elastic = (shift for shift in shifts if shift.least is not None)
    wants = {**wants, **{shift.id: duty.settled(wants[shift.id], shift) for shift in elastic}}

    composer = Composer(scene=scene, arrangement=arrangement, ports=PortBook(observed))
    composer.compose(shifts, orphans)
    progress = follow_rollouts(stated, scene, shifts, composer.roomless)
    beyond = {shift.id: shift.roster.beyond for shift in shifts}
    next_ledger = _next_ledger(scene, shifts, composer, verdict) if held is None else ledger
    next_ledger = replace(next_ledger, edges=follow(scene, ahead, shifts, composer.changes))
    if held is None:
        next_ledger = replace(
            next_ledger, rollouts=progress.rollouts, good=progress.good, failed=progress.failed
        )
        next_ledger = replace(next_ledger, images=images.in_use(ledger.images, stated, next_ledger))
    host_gone = bool(ledger.hosts.keys() - next_ledger.hosts.keys())
    reverts = progress.failed.keys() != ledger.failed.keys()
    at_once = host_gone or (held is None and reverts)
    decision = Decision(
        fleet=fleet,
        changes=tuple(sorted(composer.changes, key=_change_order)),
        actions=() if held else tuple(composer.actions),
        unplaced=tuple(
            Unplaced(workload=workload, count=len(refusals) + beyond[workload], refusals=refusals[0])
            for workload, refusals in sorted(composer.refused.items())
        ),
        wants=wants,
        windows=tuple(in_force(policy, fleet, now.wall) for policy in fleet.policies),
        guard=verdict,
        cordons=cordons,
        ledger=next_ledger,
        held=held,
        headroom=arrangement.headroom,
        spare={shift.id: left_to_spare(shift, scene) for shift in shifts},
        drains=drains.states(scene, shifts, composer.changes),
        brake=scene.outage.message,
        requeue_after=0.0
        if at_once
        else _requeue_after(
            scene, shifts, groups, [*_room_waits(scene, shifts, groups, composer), *progress.waits]
        ),
        next_edge=ahead.wake,
    )
    return decision, board


def _taught(
    ledger: Ledger,
    fleet: Fleet,
    observed: ObservedState,
    groups: Mapping[WorkloadId, list[ObservedContainer]],
    now: Now,
) -> Ledger:
    """`ledger` with what the outcomes and the instances tell: failed starts, images, how long starts take."""
    failures = back_off.fold(ledger.failures, observed.outcomes, now)
    learnt = learn(fleet, observed, ledger)
    return replace(
        ledger,
        failures=back_off.forgive(failures, fleet, ledger.good, groups, now),
        images=images.resolved(ledger, observed.outcomes),
        starting=learnt.starting,
        start_times=learnt.times,
    )


def _slots(containers: Iterable[ObservedContainer]) -> int:
    return len({container.slot for container in containers})


def _orphans(
    scene: Scene,
    rosters: Mapping[WorkloadId, Roster],
    groups: Mapping[WorkloadId, list[ObservedContainer]],
    verdict: guard.Verdict,
) -> Steps:
    """Containers of workloads that the commit does not have: stopped, unless the guard withholds it or others
    that go as well depend on them."""
    fleet, observed = scene.fleet, scene.observed
    steps = Steps(workload=WorkloadId("", ""))
    leaving = last_to_leave(rosters, groups, scene)
    for workload in sorted(groups.keys() - fleet.services.keys()):
        for container in groups[workload]:
            if observed.is_stopping(container):
                continue
            cause = f"{specs.short(fleet.revision)} does not have {workload}"
            wait = WITHHELD if workload in verdict.blocked else untouchable(container, observed)
            wait = wait or leaving.get(workload)
            if wait is None:
                steps.stops.append(Stop(container, cause))
            steps.changes.append(
                Change(
                    kind=ChangeKind.STOP,
                    workload=workload,
                    slot=container.slot,
                    cause=cause,
                    source=container.host,
                    wait=wait,
                )
            )
    return steps


def _leavers(steps: Steps, observed: ObservedState) -> Iterable[ObservedContainer]:
    """What this decision frees: its stops. Predecessors of a rollout count until they are stopped."""
    return [stop.container for stop in steps.stops if not observed.is_stopping(stop.container)]


def _next_ledger(scene: Scene, shifts: Sequence[Shift], composer: Composer, verdict: guard.Verdict) -> Ledger:
    targets = {}
    for shift in shifts:
        one = shift.roster
        fit = one.calm or all(group[0].fit for group in one.kept.values())
        settled = fit and not one.missing and not one.released and not one.stopping
        due = min(one.wanted, one.owed)
        targets[shift.id] = Target(count=due, cause=shift.causes.count, settled=settled)
    return replace(
        scene.ledger,
        fleet=holds.identity(scene.fleet),
        hosts=_host_records(scene),
        pins={**scene.ledger.pins, **composer.pins},
        applied=guard.next_applied(scene.fleet, scene.ledger, verdict, scene.now),
        targets=targets,
        starting=with_new(scene.ledger.starting, composer.actions, composer.awaited, scene.now),
        crashes=back_off.crashed(scene.ledger.crashes, composer.crashed, scene.fleet, scene.now),
        drains={name: one.since for name, one in scene.drains.items()},
        drain_ends={
            (name, one.seconds): one.end
            for name, one in scene.drains.items()
            if one.seconds is not None and one.end is not None
        },
        braked=bool(scene.outage.message),
        brake_released=scene.outage.released_at,
        **promises.kept(
            scene,
            shifts,
            composer.promises,
            composer.moves_begun(),
            [one for one in composer.actions if isinstance(one, StopInstance)],
        ),
    )


def _host_records(scene: Scene) -> dict[str, HostRecord]:
    """Every host of the commit, and each one that left it and still runs something of ours."""
    records = {}
    for name, before in scene.ledger.hosts.items():
        view = scene.observed.hosts.get(name)
        empty = view is not None and view.state is HostState.REACHABLE and not view.all_containers
        if name not in scene.fleet.hosts and not empty:
            records[name] = before
    for name, host in scene.fleet.hosts.items():
        view = scene.observed.hosts.get(name)
        known = scene.ledger.hosts[name].engine_id if name in scene.ledger.hosts else ""
        seen = view is not None and view.engine is not None and view.state is HostState.REACHABLE
        engine_id = view.engine.id if seen and view is not None and view.engine is not None else known
        records[name] = HostRecord(
            endpoint=host.endpoint, address=host.address, tls=host.tls, engine_id=engine_id
        )
    return dict(sorted(records.items()))


def _requeue_after(
    scene: Scene,
    shifts: Iterable[Shift],
    groups: Mapping[WorkloadId, list[ObservedContainer]],
    others: Iterable[float],
) -> float | None:
    """Seconds until something that was waited for may have come: a soak, a back-off, a deadline."""
    now = scene.now.mono
    waits = [*others, *(failure.until - now for failure in scene.ledger.failures.values())]
    waits += [failure.until - now for failure in scene.ledger.crashes.values()]
    waits += [one.end - scene.now.mono for one in scene.drains.values() if one.end is not None]
    if scene.outage.released_at is not None:
        waits.append(scene.outage.released_at + scene.fleet.failure.lost_after - now)
    for shift in shifts:
        waits += shift.steps.requeue
        deadline = shift.service.update.healthy_deadline
        waits += [
            container.seen_since + deadline - now + JUST_AFTER
            for container in groups.get(shift.id, [])
            if container.running and not container.ready
        ]
    return min((wait for wait in waits if wait > 0), default=None)


def _room_waits(
    scene: Scene,
    shifts: Iterable[Shift],
    groups: Mapping[WorkloadId, list[ObservedContainer]],
    composer: Composer,
) -> list[float]:
    """While somebody has no room: the soak of those whose budget could let them make it."""
    if not composer.refused:
        return []
    return [
        one.ready_since + shift.service.update.min_healthy_time - scene.now.mono
        for shift in shifts
        for one in groups.get(shift.id, [])
        if one.ready_since is not None
    ]


def _change_order(change: Change) -> tuple[str, WorkloadId, int, str]:
    return (change.kind, change.workload, change.slot, change.source or "")
