"""What a pass found and decided, for people: one pure summary that is always written, on failure too.

No clocks and no durations stand in it, so that an unchanged fleet has an unchanged status.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rota.core.decide import Decision, Unplaced
from rota.core.edge_lines import EdgeLine, edge_lines
from rota.core.ledger import Ledger
from rota.core.model import Fleet
from rota.core.observed import Hold, HostState, HostView, ObservedState
from rota.core.planning.drains import DrainState
from rota.core.planning.ground import capacity_of, less_than_declared
from rota.core.resources import Resources
from rota.core.survival import Survival, survival_of
from rota.core.windows import InForce
from rota.core.workload_status import (
    HealthWord,
    WorkloadStatus,
    waits_for_a_lost_host,
    workload_statuses,
    worst,
)

ROLLED_BACK = "RolledBack"
"""The reason of a fleet of which a workload was returned to the spec before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """`Ready` is always there; `Reconciling`, `Stalled` and `Degraded` only while they are true."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A problem of the repository: where it is and what it is."""

    path: str
    line: int
    column: int
    message: str
    severity: str = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """What came of the repository: the commit seen last and the one that holds, or why there is none.

    `reason` is a CamelCase word (`GitUnreachable`, `InvalidCommit` …), empty where all is well.
    """

    attempted: str = ""
    applied: str = ""
    reason: str = ""
    message: str = ""
    problems: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """One host: what is known of it, what it offers, what is asked of it.

    `address` is where others reach its published ports; `drain` says how far it has come to be empty.
    """

    view: HostView
    state: HostState
    detail: str
    endpoint: str
    address: str
    capacity: Resources | None
    reserved: Resources
    requested: Resources
    cordon: str
    departing: bool
    drain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatus:
    """Everything that the status branch, the CLI and the demo show."""

    fleet: str
    uid: str
    source: SourceStatus
    conditions: tuple[Condition, ...]
    health: HealthWord
    windows: tuple[tuple[str, str, str, str], ...]
    hosts: tuple[HostStatus, ...]
    workloads: tuple[WorkloadStatus, ...]
    unplaced: tuple[Unplaced, ...]
    ledger: Ledger
    survival: Survival | None = None
    edges: tuple[EdgeLine, ...] = ()

    @property
    def ready(self) -> bool:
        return any(one.type == "Ready" and one.status == "True" for one in self.conditions)


def summarise(
    fleet: Fleet | None,
    observed: ObservedState,
    decision: Decision | None,
    source: SourceStatus,
    ledger: Ledger,
) -> FleetStatus:
    """The status after a pass. Without a fleet or a decision it still says why there is none."""
    if fleet is None or decision is None:
        conditions = _conditions((), source, None, HealthWord.UNKNOWN, (), 0)
        return FleetStatus(
            fleet="",
            uid="",
            source=source,
            conditions=conditions,
            health=HealthWord.UNKNOWN,
            windows=(),
            hosts=(),
            workloads=(),
            unplaced=(),
            ledger=ledger,
        )
    hosts = tuple(_host(name, fleet, observed, decision) for name in sorted(observed.hosts))
    workloads = workload_statuses(fleet, observed, decision)
    health = worst(one.health for one in workloads)
    return FleetStatus(
        fleet=fleet.name,
        uid=fleet.uid,
        source=source,
        conditions=_conditions(
            workloads,
            source,
            decision.held,
            health,
            _alarms(hosts, decision),
            _moving(observed, decision),
        ),
        health=health,
        windows=tuple(_window(one) for one in decision.windows),
        hosts=hosts,
        workloads=workloads,
        unplaced=decision.unplaced,
        ledger=ledger,
        survival=survival_of(decision.headroom),
        edges=tuple(edge_lines(fleet, decision.ledger.edges)),
    )


def stalled(status: FleetStatus, reason: str, message: str) -> FleetStatus:
    """`status` with one more thing that does not go on, which is no fault of the fleet's own."""
    condition = Condition(type="Stalled", status="True", reason=reason, message=message)
    return replace(status, conditions=(*status.conditions, condition))


def _window(one: InForce) -> tuple[str, str, str, str]:
    until = one.until.astimezone(one.policy.zone).isoformat() if one.until is not None else ""
    return (str(one.policy), one.window, until, one.then or "")


def _host(name: str, fleet: Fleet, observed: ObservedState, decision: Decision) -> HostStatus:
    view = observed.hosts[name]
    host = fleet.hosts.get(name)
    record = decision.ledger.hosts.get(name)
    requested = Resources()
    for container in view.all_containers:
        requested += container.requests
    reached = host or record
    return HostStatus(
        view=view,
        state=view.state,
        detail=view.detail or (less_than_declared(host, view) if host is not None else ""),
        endpoint=reached.endpoint if reached is not None else "",
        address=reached.address if reached is not None else "",
        capacity=capacity_of(host, view) if host is not None else None,
        reserved=host.reserved if host is not None else Resources(),
        requested=requested,
        cordon=decision.cordons.get(name, "") if host is not None else _departs(view),
        departing=host is None,
        drain=next((_drain(one) for one in decision.drains if one.host == name), ""),
    )


def _departs(view: HostView) -> str:
    if view.state is HostState.LOST:
        return "left the fleet: let go once it answers and is empty"
    return "left the fleet: being drained"


def _drain(one: DrainState) -> str:
    """What is left of a drain, and what will be stopped by force, said before it is."""
    left = f"{one.left} instance{'s'[: one.left != 1]} left" if one.left else "empty"
    if not one.stuck:
        return left
    named = ", ".join(f"{each.workload}/{each.slot} ({each.why})" for each in one.stuck)
    if one.deadline is None:
        return f"{left}; these have nowhere to go, and there is no deadline: {named}"
    return f"{left}; stopped by force at {one.deadline.isoformat(timespec='seconds')}: {named}"


def _alarms(hosts: tuple[HostStatus, ...], decision: Decision) -> tuple[tuple[str, str], ...]:
    """What makes the fleet Degraded beside its workloads, as (reason, message)."""
    alarms = []
    if decision.guard.message:
        alarms.append(("PruneBlocked", decision.guard.message))
    if decision.brake:
        alarms.append(("Brake", decision.brake))
    for host in hosts:
        given_up = host.departing and host.state is HostState.LOST  # a commit let it go: that is known
        if host.state not in (HostState.REACHABLE, HostState.UNKNOWN) and not given_up:
            reason = "HostLost" if host.state is HostState.LOST else "HostUnreachable"
            alarms.append((reason, f"{host.view.name} is {host.state}: {host.detail}"))
        if host.departing:
            alarms += _stranded(host, decision)
        alarms += [
            ("NameTaken", f"{one.name} on {host.view.name}: {one.reason}") for one in host.view.foreign
        ]
    return tuple(alarms)


def _moving(observed: ObservedState, decision: Decision) -> int:
    """How many instances differ from their target, workloads that left the commit included; what the
    guard withholds is at rest, and so is what waits for a lost host."""
    return sum(
        change.workload not in decision.guard.blocked and not waits_for_a_lost_host(change, observed)
        for change in decision.changes
    )


def _stranded(host: HostStatus, decision: Decision) -> list[tuple[str, str]]:
    """What has its volumes on a host that left the repository, and so keeps it from being let go."""
    name = host.view.name
    held = [
        f"{one.workload}/{one.slot}"
        for one in host.view.containers
        if decision.ledger.pins.get((one.workload, one.slot)) == name
    ]
    if not held:
        return []
    mend = "Add the Host again, or remove the workload"
    return [
        (
            "VolumesLeftBehind",
            f"{name} left the repository and holds the volumes of {', '.join(held)}. {mend}",
        )
    ]


def _conditions(
    workloads: tuple[WorkloadStatus, ...],
    source: SourceStatus,
    held: Hold | None,
    health: HealthWord,
    alarms: tuple[tuple[str, str], ...],
    moving: int,
) -> tuple[Condition, ...]:
    conditions = [_ready(workloads, source, held, health)]
    if moving and not held:
        changes = f"{moving} instance{'s'[: moving > 1]} to change"
        conditions.append(Condition(type="Reconciling", status="True", reason="Progressing", message=changes))
    if held:
        conditions.append(Condition(type="Stalled", status="True", reason=held.reason, message=held.message))
    if source.reason:
        conditions.append(
            Condition(type="Stalled", status="True", reason=source.reason, message=source.message)
        )
    sick = [
        f"{one.namespace}/{one.name}: {one.reason}"
        for one in workloads
        if one.health is HealthWord.DEGRADED or (one.health is HealthWord.MISSING and one.reason)
    ]
    if alarms or sick:
        rolled_back = any(one.reason.startswith(ROLLED_BACK) for one in workloads)
        reason = ROLLED_BACK if rolled_back else alarms[0][0] if alarms else "WorkloadDegraded"
        message = "; ".join([text for _, text in alarms] + sick)
        conditions.append(Condition(type="Degraded", status="True", reason=reason, message=message))
    return tuple(conditions)


def _ready(
    workloads: tuple[WorkloadStatus, ...], source: SourceStatus, held: Hold | None, health: HealthWord
) -> Condition:
    if not workloads and not source.applied:
        return Condition(
            type="Ready", status="Unknown", reason=source.reason or "NoRevision", message=source.message
        )
    waiting = [one for one in workloads if one.health is not HealthWord.HEALTHY]
    if source.reason:
        return Condition(type="Ready", status="False", reason=source.reason, message=source.message)
    if held:
        return Condition(type="Ready", status="False", reason=held.reason, message=held.message)
    if waiting:
        listed = ", ".join(f"{one.namespace}/{one.name} {one.ready}/{one.desired}" for one in waiting)
        return Condition(type="Ready", status="False", reason=str(health), message=listed)
    total = sum(one.desired for one in workloads)
    message = f"{total} instance{'s'[: total != 1]} of {len(workloads)} workloads are ready"
    return Condition(type="Ready", status="True", reason="ReconciliationSucceeded", message=message)
