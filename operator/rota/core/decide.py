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
from rota.core.planning import back_off, duty, guard, promises
from rota.core.planning.actions import Action, Change, ChangeKind
from rota.core.planning.arrange import arrange
from rota.core.planning.compose import Composer
from rota.core.planning.edge_records import follow
from rota.core.planning.ground import PortBook, board_of
from rota.core.planning.rollout import Steps, Stop
from rota.core.planning.roster import Scene, containers_by_workload, untouchable
from rota.core.planning.shift import Shift
from rota.core.planning.start_times import learn, with_new
from rota.core.windows import InForce, Want, in_force


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """Instances of one workload that no host admits, and what each host said."""

    workload: WorkloadId
    count: int
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What follows from one snapshot.

    `changes` are target minus observed; `actions` the steps among them that are safe now; `held`
    says why there are none although there could be (suspended, paused, frozen). `requeue_after` is
    in seconds, `next_edge` the instant of the wall clock at which the next edge comes or its growth begins;
    `headroom` is the verdict where the fleet is to
    survive a loss.
    """

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
    ahead = prospect(fleet, ledger, now)
    wants = ahead.wants
    groups = containers_by_workload(observed)
    failures = back_off.fold(ledger.failures, observed.outcomes, now)
    learnt = learn(fleet, observed, ledger)
    ledger = replace(
        ledger,
        failures=back_off.forgive(failures, fleet, groups, now),
        starting=learnt.starting,
        start_times=learnt.times,
    )
    verdict = guard.judge(fleet, ledger, {name: _slots(group) for name, group in groups.items()}, now)
    scene = Scene(fleet=fleet, observed=observed, ledger=ledger, now=now)

    shifts = duty.shifts(scene, wants, groups, verdict)
    orphans = _orphans(fleet, groups, verdict, observed)
    cordons = _cordons(fleet, now)
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
    held = _hold(scene)
    beyond = {shift.id: shift.roster.beyond for shift in shifts}
    next_ledger = _next_ledger(scene, shifts, composer, verdict)
    next_ledger = replace(next_ledger, edges=follow(scene, ahead, shifts, composer.changes))
    host_gone = bool(ledger.hosts.keys() - next_ledger.hosts.keys())
    decision = Decision(
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
        requeue_after=0.0 if host_gone else _requeue_after(scene, shifts, groups, bool(composer.refused)),
        next_edge=ahead.wake,
    )
    return decision, board


def _slots(containers: Iterable[ObservedContainer]) -> int:
    return len({container.slot for container in containers})


def _orphans(
    fleet: Fleet,
    groups: Mapping[WorkloadId, list[ObservedContainer]],
    verdict: guard.Verdict,
    observed: ObservedState,
) -> Steps:
    """Containers of workloads that the commit does not have: stopped, unless the guard withholds it."""
    steps = Steps(workload=WorkloadId("", ""))
    for workload in sorted(groups.keys() - fleet.services.keys()):
        for container in groups[workload]:
            if observed.is_stopping(container):
                continue
            cause = f"{duty.revision(fleet)} does not have {workload}"
            waits = "PruneBlocked" if workload in verdict.blocked else untouchable(container, observed)
            if not waits:
                steps.stops.append(Stop(container, cause))
            steps.changes.append(
                Change(
                    kind=ChangeKind.STOP,
                    workload=workload,
                    slot=container.slot,
                    cause=cause,
                    source=container.host,
                    waits=waits,
                )
            )
    return steps


def _leavers(steps: Steps, observed: ObservedState) -> Iterable[ObservedContainer]:
    """What this decision frees: its stops. Predecessors of a rollout count until they are stopped."""
    return [stop.container for stop in steps.stops if not observed.is_stopping(stop.container)]


def _cordons(fleet: Fleet, now: Now) -> dict[str, str]:
    """Why nothing new goes to a host, by host name."""
    cordons = {name: "cordoned by its manifest" for name, host in fleet.hosts.items() if host.unschedulable}
    for override in sorted(fleet.overrides_in_force(now.wall), key=str):
        if override.target_kind == "Host" and override.unschedulable is not None:
            if override.unschedulable:
                cordons[override.target_name] = (
                    f"cordoned until {override.until.isoformat()} by override {override.name}"
                )
            else:
                cordons.pop(override.target_name, None)
    return cordons


def _hold(scene: Scene) -> Hold | None:
    return (
        scene.observed.held
        or _another_fleet(scene.fleet, scene.ledger)
        or _suspended(scene.fleet, scene.now)
        or _first_look(scene.observed)
    )


def _identity(fleet: Fleet) -> str:
    return f"{fleet.name} {fleet.uid}"


def _another_fleet(fleet: Fleet, ledger: Ledger) -> Hold | None:
    """A commit that renames the fleet: nothing that runs would be its own, and all would start again."""
    if ledger.fleet in ("", _identity(fleet)):
        return None
    message = (
        f"the commit calls the fleet {_identity(fleet)!r} (name and uid), and what runs belongs to "
        f"{ledger.fleet!r}. Put them back, or give the new fleet a status branch of its own."
    )
    return Hold("AnotherFleet", message)


def _suspended(fleet: Fleet, now: Now) -> Hold | None:
    for override in sorted(fleet.overrides_in_force(now.wall), key=str):
        if override.target_kind == "Fleet" and override.suspend:
            until = override.until.isoformat()
            message = f"suspended until {until} by override {override.name}: {override.reason}"
            return Hold("Suspended", message)
    return None


def _first_look(observed: ObservedState) -> Hold | None:
    unseen = observed.unseen()
    message = f"waiting for the first answer of {', '.join(unseen)}"
    return Hold("FirstLook", message, passing=True) if unseen else None


def _next_ledger(scene: Scene, shifts: Sequence[Shift], composer: Composer, verdict: guard.Verdict) -> Ledger:
    if _hold(scene) is not None:
        return scene.ledger
    targets = {}
    for shift in shifts:
        one = shift.roster
        fit = one.calm or all(group[0].fit for group in one.kept.values())
        settled = fit and not one.missing and not one.released and not one.stopping
        due = min(one.wanted, one.owed)
        targets[shift.id] = Target(count=due, cause=shift.causes.count, settled=settled)
    return replace(
        scene.ledger,
        fleet=_identity(scene.fleet),
        hosts=_host_records(scene),
        pins={**scene.ledger.pins, **composer.pins},
        applied=guard.next_applied(scene.fleet, scene.ledger, verdict, scene.now),
        targets=targets,
        starting=with_new(scene.ledger.starting, composer.actions, scene.now),
        **promises.kept(scene, shifts, composer.promises, composer.moves_begun()),
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
    room_wanted: bool,
) -> float | None:
    """Seconds until something that was waited for may have come: a soak, a back-off, a deadline. While
    somebody has no room, that includes the soak of those whose budget could let them make it."""
    now = scene.now.mono
    waits = [failure.until - now for failure in scene.ledger.failures.values()]
    for shift in shifts:
        waits += shift.steps.requeue
        deadline = shift.service.update.healthy_deadline
        waits += [
            container.seen_since + deadline - now
            for container in groups.get(shift.id, [])
            if container.running and not container.ready
        ]
        if room_wanted:
            soak = shift.service.update.min_healthy_time
            ready = (one.ready_since for one in groups.get(shift.id, []))
            waits += [since + soak - now for since in ready if since is not None]
    return min((wait for wait in waits if wait > 0), default=None)


def _change_order(change: Change) -> tuple[str, WorkloadId, int, str]:
    return (change.kind, change.workload, change.slot, change.source or "")
