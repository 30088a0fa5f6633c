"""One workload's next steps: what to stop, what to restart, what to start, within its budgets.

Traffic first: a successor is started and soaks before its predecessor is stopped, unless the
workload must stop first (a fixed host port, a pinned volume). What serves nobody needs no budget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from rota.core.ids import WorkloadId
from rota.core.model import Order
from rota.core.observed import ContainerState, Now, ObservedContainer
from rota.core.planning.actions import Change, ChangeKind
from rota.core.planning.roster import Instance, Roster


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """An instance to place: `change` is how the plan calls it, `prefer` where it should stay.

    With `waits` it is only announced: a seat is found for the plan, but nothing is started now.
    `instead` may be stopped first where there is no room for both; None where the budget forbids it.
    `abandoned`: its predecessor is on a host that is gone, and serves nobody. `ahead`: it is only due at an
    edge to come; `patient`, that edge lets others go, so that nobody else need be stopped for it.
    """

    slot: int
    change: ChangeKind
    cause: str
    prefer: str | None = None
    source: str | None = None
    waits: str = ""
    instead: ObservedContainer | None = None
    abandoned: bool = False
    ahead: bool = False
    patient: bool = False


class Stop(NamedTuple):
    """A container to be stopped. `sick`: it had its chance and failed, which counts as a failed start."""

    container: ObservedContainer
    cause: str
    sick: bool = False


@dataclass(slots=True, kw_only=True)
class Steps:
    """What a workload's rollout asks for. `image_first` are the hosts that need the image before a stop;
    `holds` the slots whose successor takes the room that a stop frees, and on which host."""

    workload: WorkloadId
    changes: list[Change] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    restarts: list[tuple[ObservedContainer, str]] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    image_first: list[tuple[str, int, str]] = field(default_factory=list)
    holds: list[tuple[int, str]] = field(default_factory=list)
    requeue: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Budget:
    """How many more may be started beside what is there, how many ready ones may be stopped, and how many
    sick ones may be replaced at a time: where all of them are sick, something else is likely the cause."""

    surge: int
    unavailable: int
    sick: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """Why a workload changes: its count, its spec, or an instance that went missing.

    `ahead` says why it grows before an edge: from as many as are `due` until then to as many as are due
    `soon`, at `edge`. `patient`: that edge lets others go, whose room it can wait for.
    """

    count: str
    spec: str
    ahead: str = ""
    due: int = 0
    soon: int = 0
    edge: datetime | None = None
    patient: bool = False


def plan_rollout(roster: Roster, causes: Causes, images: frozenset[tuple[str, str]], now: Now) -> Steps:
    """The steps of one workload. `images` are the (host, image) pairs known to be there."""
    service = roster.service
    steps = Steps(workload=service.id)
    if roster.calm and all(group[0].container.running for group in roster.kept.values()):
        return steps
    surge = max(service.update.max_surge.of(roster.wanted), 1)
    early = _early(roster, causes)
    lost = len(roster.missing) - len(early)
    budget = _Budget(
        surge=roster.wanted + surge - max(roster.alive + len(roster.missing), roster.wanted),
        unavailable=roster.healthy - (roster.owed - service.max_unavailable.of(roster.owed)),
        sick=surge - lost - sum(_is_coming(group) for group in roster.kept.values()),
    )
    for slot, group in roster.released.items():
        _release(slot, group, steps, roster.gives_way.get(slot, causes.count))
    for slot in roster.missing:
        ahead = slot in early
        steps.starts.append(
            Start(
                slot=slot,
                change=ChangeKind.START,
                cause=causes.ahead if ahead else causes.count,
                waits=_missing_waits(roster, slot),
                ahead=ahead,
                patient=ahead and causes.patient,
            )
        )
    for slot, group in sorted(roster.kept.items(), key=_unready_first):
        if group[0].fit:
            _settle(roster, group, steps, now)
        else:
            _succeed(roster, slot, steps, budget, causes, images)
    if any(len(group) > 1 or not group[0].fit for group in roster.kept.values()):
        steps.requeue += _soaks(roster, now)
    return steps


def _early(roster: Roster, causes: Causes) -> frozenset[int]:
    """The missing slots that are only due at an edge to come: what is due now comes first."""
    kept = len(roster.kept)
    first = max(causes.due - kept, 0)
    return frozenset(roster.missing[first : first + max(causes.soon - max(kept, causes.due), 0)])


def _is_coming(group: tuple[Instance, ...]) -> bool:
    """Whether the slot has what is wanted, and it does not serve yet."""
    return group[0].fit and not group[0].container.ready


def _soaks(roster: Roster, now: Now) -> list[float]:
    """How many seconds the instances that are ready have yet to soak, which somebody waits for."""
    min_healthy = roster.service.update.min_healthy_time
    since = [group[0].container.ready_since for group in roster.kept.values()]
    return [at + min_healthy - now.mono for at in since if at is not None]


def _unready_first(item: tuple[int, tuple[Instance, ...]]) -> tuple[bool, int]:
    slot, group = item
    return any(one.container.ready for one in group), slot


def _release(slot: int, group: tuple[Instance, ...], steps: Steps, cause: str) -> None:
    for one in group:
        waits = one.untouchable
        steps.changes.append(
            Change(
                kind=ChangeKind.STOP,
                workload=steps.workload,
                slot=slot,
                cause=cause,
                source=one.container.host,
                waits=waits,
            )
        )
        if not waits:
            steps.stops.append(Stop(one.container, cause))


def _missing_waits(roster: Roster, slot: int) -> str:
    """A slot with its data or its port still in use by the instance that leaves it has to wait."""
    exclusive = roster.service.container.pinned
    leaving = next((one for one in roster.stopping if one.slot == slot), None)
    if exclusive and leaving is not None:
        return f"the instance before it is stopping on {leaving.host}"
    return ""


def _settle(roster: Roster, group: tuple[Instance, ...], steps: Steps, now: Now) -> None:
    """A slot whose best instance is what the target asks for: keep it running, end the others."""
    keeper, others = group[0], group[1:]
    container = keeper.container
    if keeper.reachable and container.state in (ContainerState.EXITED, ContainerState.CREATED):
        steps.restarts.append((container, "it does not run"))
    min_healthy = roster.service.update.min_healthy_time
    soaked = keeper.soaked(now, min_healthy)
    for one in others:
        cause = _why_loses(one, container)
        waits = one.untouchable
        if one.container.ready and not soaked:
            waits = waits or f"its successor on {container.host} is not yet healthy for {min_healthy:g}s"
        if not waits:
            steps.stops.append(Stop(one.container, cause, sick=bool(one.failed)))
        steps.changes.append(_loser(one, container.host, cause, waits))


def _loser(one: Instance, host: str, cause: str, waits: str) -> Change:
    container = one.container
    kind = ChangeKind.REPLACE if not one.current else ChangeKind.MOVE if one.misplaced else ChangeKind.STOP
    return Change(
        kind=kind,
        workload=container.workload,
        slot=container.slot,
        cause=cause,
        host=None if kind is ChangeKind.STOP else host,
        source=container.host,
        waits=waits,
    )


def _why_loses(one: Instance, keeper: ObservedContainer) -> str:
    if not one.current:
        return f"replaced by {keeper.name}"
    return one.misplaced or one.failed or f"duplicate of {keeper.name} on {keeper.host}"


def _succeed(
    roster: Roster,
    slot: int,
    steps: Steps,
    budget: _Budget,
    causes: Causes,
    images: frozenset[tuple[str, str]],
) -> None:
    """A slot without what the target asks for: bring its successor, in the order of the workload."""
    service, (best, *others) = roster.service, roster.kept[slot]
    _retire(best, others, steps, causes)
    cause = best.misplaced or (causes.spec if not best.current else best.failed)
    host = best.container.host
    prefer = best.destination if best.misplaced else host
    kind = ChangeKind.MOVE if best.misplaced and best.current else ChangeKind.REPLACE
    makes_before = service.update.order is Order.START_FIRST and best.container.ready and best.reachable
    if makes_before or best.abandoned:
        # Where the predecessor serves nobody and cannot be waited for, its successor is no surge.
        waits = "" if best.abandoned or budget.surge > 0 else f"maxSurge is {service.update.max_surge}"
        budget.surge -= not waits and not best.abandoned
        instead = best.container if budget.unavailable > 0 and not waits else None
        budget.unavailable -= instead is not None
        steps.starts.append(
            Start(
                slot=slot,
                change=kind,
                cause=cause,
                prefer=prefer,
                source=host,
                waits=waits,
                instead=instead,
                abandoned=best.abandoned,
            )
        )
        return
    waits = _stop_first_waits(service.container.image, best, budget, images)
    if waits == NEEDS_IMAGE:
        steps.image_first.append((host, slot, cause))
    if not waits:
        budget.unavailable -= best.container.ready
        budget.sick -= not best.container.ready
        steps.stops.append(Stop(best.container, cause, sick=bool(best.failed)))
        if prefer is not None:
            steps.holds.append((slot, prefer))
    steps.changes.append(
        Change(
            kind=kind, workload=steps.workload, slot=slot, cause=cause, host=prefer, source=host, waits=waits
        )
    )


def _retire(best: Instance, others: Iterable[Instance], steps: Steps, causes: Causes) -> None:
    """Beside the one that holds a slot until its successor comes, nothing that is not wanted stays.

    A rollout that a newer commit overtakes leaves two: the second would hold its surge for ever.
    """
    for one in others:
        cause = one.misplaced or (causes.spec if not one.current else one.failed)
        waits = one.untouchable
        if one.container.ready and not best.reachable:
            waits = waits or best.untouchable
        if not waits:
            steps.stops.append(Stop(one.container, cause, sick=bool(one.failed)))
        steps.changes.append(
            Change(
                kind=ChangeKind.STOP,
                workload=steps.workload,
                slot=one.container.slot,
                cause=cause,
                source=one.container.host,
                waits=waits,
            )
        )


NEEDS_IMAGE = "its image is not on the host yet"


def _stop_first_waits(image: str, best: Instance, budget: _Budget, images: frozenset[tuple[str, str]]) -> str:
    host = best.container.host
    if best.untouchable:
        return best.untouchable
    if not best.current and not best.misplaced and (host, image) not in images:
        return NEEDS_IMAGE
    if best.stranded:
        return best.stranded
    if best.container.ready and budget.unavailable <= 0:
        return "maxUnavailable is reached"
    if best.failed and best.current and budget.sick <= 0:
        return "others that are sick are replaced before it"
    return ""
