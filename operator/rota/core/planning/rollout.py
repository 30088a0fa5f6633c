"""One workload's next steps: what to stop, what to restart, what to start, within its budgets.

Traffic first: a successor is started and soaks before its predecessor is stopped, unless the
workload must stop first (a fixed host port, a pinned volume). What serves nobody needs no budget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from rota.core.model import Order, Service, Singleton
from rota.core.observed import ContainerState, Now, ObservedContainer
from rota.core.planning.actions import Change, ChangeKind
from rota.core.planning.budget import spare
from rota.core.planning.judge import Instance
from rota.core.planning.roster import Roster
from rota.core.planning.steps import Causes, Start, Steps, Stop, Terms
from rota.core.planning.waits import Wait, WaitReason


@dataclass(slots=True)
class _Budget:
    """How many more may be started beside what is there, how many ready ones may be stopped, and how many
    sick ones may be replaced at a time: where all of them are sick, something else is likely the cause.
    `canaries` are how many more may get a new spec that is still being tried; None: it is not."""

    surge: int
    unavailable: int
    sick: int
    canaries: int | None


def plan_rollout(roster: Roster, causes: Causes, terms: Terms, now: Now) -> Steps:
    """The steps of one workload."""
    service = roster.service
    steps = Steps(workload=service.id)
    if roster.calm and all(group[0].container.running for group in roster.kept.values()):
        return steps
    surge = max(service.update.max_surge.of(roster.wanted), 1)
    early = _early(roster, causes)
    lost = len(roster.missing) - len(early)
    budget = _Budget(
        surge=roster.wanted + surge - max(roster.alive + len(roster.missing), roster.wanted),
        unavailable=spare(roster, service.max_unavailable, roster.owed),
        sick=surge - lost - sum(_is_coming(group) for group in roster.kept.values()),
        canaries=_canaries(roster, terms),
    )
    for slot, group in roster.released.items():
        _release(slot, group, steps, roster.gives_way.get(slot, causes.count), terms.leave)
    # Canaries are those that ran, while there are such: a slot that is missing may have no place.
    renewable = sum(not group[0].current for group in roster.kept.values()) if terms.former else 0
    for slot in sorted(roster.missing, key=lambda slot: (slot not in roster.between, slot)):
        ahead = slot in early
        held = _held_back(budget, terms, service, 0 if slot in roster.between else renewable)
        former = bool(held and terms.former)
        budget.canaries = _one_less(budget.canaries, held)
        steps.starts.append(
            Start(
                slot=slot,
                change=ChangeKind.START,
                cause=causes.ahead if ahead else roster.succeeds.get(slot, causes.count),
                wait=_missing_waits(roster, slot) or terms.start or (None if former else held),
                former=former,
                ahead=ahead,
                patient=ahead and causes.patient,
            )
        )
    rollout = _Rollout(roster, steps, budget, causes, terms, now)
    if not terms.renew:
        first = next(iter(roster.kept), 0)
        steps.image_first += [(host, first, causes.spec) for host in terms.lacking]
    for slot, group in sorted(roster.kept.items(), key=_unready_first):
        if group[0].fit:
            _settle(roster, group, steps, terms, now)
        else:
            rollout.succeed(slot)
    if any(len(group) > 1 or not group[0].fit for group in roster.kept.values()):
        steps.requeue += _soaks(roster, now)
    return steps


def _early(roster: Roster, causes: Causes) -> frozenset[int]:
    """The missing slots that are only due at an edge to come: what is due now comes first."""
    kept = len(roster.kept)
    first = max(causes.due - kept, 0)
    return frozenset(roster.missing[first : first + max(causes.soon - max(kept, causes.due), 0)])


def _canaries(roster: Roster, terms: Terms) -> int | None:
    """How many more may get the wanted spec while it is being tried."""
    if terms.canaries is None:
        return None
    return terms.canaries - sum(any(one.current for one in group) for group in roster.kept.values())


def _held_back(budget: _Budget, terms: Terms, service: Service, reserved: int = 0) -> Wait | None:
    """Why nothing more gets the wanted spec now. So many canaries are `reserved` for others."""
    never = terms.renew or terms.imageless
    if never or budget.canaries is None or budget.canaries > reserved:
        return never
    canary = service.update.canary
    count = canary.count if canary is not None else 0
    return Wait(WaitReason.CANARIES, f"{count} {'canary is' if count == 1 else 'canaries are'} tried first")


def _one_less(canaries: int | None, held: Wait | None) -> int | None:
    return canaries if canaries is None or held else canaries - 1


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


def _release(slot: int, group: tuple[Instance, ...], steps: Steps, cause: str, leave: Wait | None) -> None:
    for one in group:
        wait = one.untouchable or leave
        steps.changes.append(
            Change(
                kind=ChangeKind.STOP,
                workload=steps.workload,
                slot=slot,
                cause=cause,
                source=one.container.host,
                wait=wait,
            )
        )
        if wait is None:
            steps.stops.append(Stop(one.container, cause))


def _missing_waits(roster: Roster, slot: int) -> Wait | None:
    """A slot with its data or its port still in use by the instance that leaves it has to wait."""
    exclusive = roster.service.container.pinned or roster.service.singleton is not Singleton.NONE
    leaving = next((one for one in roster.stopping if one.slot == slot), None)
    if exclusive and leaving is not None:
        return Wait(WaitReason.PREDECESSOR, f"the instance before it is stopping on {leaving.host}")
    return None


def _settle(roster: Roster, group: tuple[Instance, ...], steps: Steps, terms: Terms, now: Now) -> None:
    """A slot whose best instance is what the target asks for: keep it running, end the others."""
    keeper, others = group[0], group[1:]
    container = keeper.container
    if keeper.reachable and container.state in (ContainerState.EXITED, ContainerState.CREATED):
        if keeper.restart_at <= now.mono:
            steps.restarts.append((container, "it does not run"))
        else:
            steps.requeue.append(keeper.restart_at - now.mono)
            steps.changes.append(_again(container))
    min_healthy = roster.service.update.min_healthy_time
    soaked = keeper.soaked(now, min_healthy)
    for one in others:
        cause = _why_loses(one, container)
        wait = one.untouchable
        if one.container.ready and not soaked and not one.overdue:
            wait = wait or _not_soaked(container.host, min_healthy)
        if one.container.ready and not one.current and not one.overdue:
            wait = wait or _lacking(terms)
        if wait is None:
            steps.stops.append(Stop(one.container, cause, sick=one.sick or bool(one.crashing)))
        steps.changes.append(_loser(one, container.host, cause, wait))


def _again(container: ObservedContainer) -> Change:
    return Change(
        kind=ChangeKind.START,
        workload=container.workload,
        slot=container.slot,
        cause="it does not run",
        host=container.host,
        source=container.host,
        wait=Wait(
            WaitReason.BACK_OFF, "it ended again and again: backing off before it is started once more"
        ),
    )


def _not_soaked(host: str, min_healthy: float) -> Wait:
    return Wait(WaitReason.SOAK, f"its successor on {host} is not yet healthy for {min_healthy:g}s")


def _loser(one: Instance, host: str, cause: str, wait: Wait | None) -> Change:
    container = one.container
    kind = ChangeKind.REPLACE if not one.current else ChangeKind.MOVE if one.misplaced else ChangeKind.STOP
    return Change(
        kind=kind,
        workload=container.workload,
        slot=container.slot,
        cause=cause,
        host=None if kind is ChangeKind.STOP else host,
        source=container.host,
        wait=wait,
    )


DUPLICATE = "duplicate of "
"""How the cause of a stop begins where a host that came back had one more of what was replaced."""


def _why_loses(one: Instance, keeper: ObservedContainer) -> str:
    if not one.current:
        return f"replaced by {keeper.name}"
    return one.misplaced or one.failed or one.crashing or f"{DUPLICATE}{keeper.name} on {keeper.host}"


class _Rollout(NamedTuple):
    """Brings successors, slot by slot, as long as the budget lasts."""

    roster: Roster
    steps: Steps
    budget: _Budget
    causes: Causes
    terms: Terms
    now: Now

    def succeed(self, slot: int) -> None:
        """A slot without what the target asks for: bring its successor, in the order of the workload."""
        best, *others = self.roster.kept[slot]
        min_healthy = self.roster.service.update.min_healthy_time
        soaked = best.soaked(self.now, min_healthy)
        coming = None if soaked else _not_soaked(best.container.host, min_healthy)
        _retire(best, others, self.steps, self.causes, coming)
        if best.overdue and not best.untouchable:
            self.steps.stops.append(Stop(best.container, best.overdue))
            self.steps.changes.append(self._change(slot, best, ChangeKind.STOP, best.overdue, None))
            return
        cause = best.misplaced or (self.causes.spec if not best.current else best.failed or best.crashing)
        new_held = _held_back(self.budget, self.terms, self.roster.service)
        former = bool(new_held and self.terms.former and (best.misplaced or best.failed))
        stays_on_spec = best.current and bool(best.misplaced or not self.terms.renew)
        held = self.terms.start or (None if former or stays_on_spec else new_held)
        order = self.roster.service.update.order
        makes_before = order is Order.START_FIRST and best.serves and best.reachable
        if makes_before or best.abandoned or best.crashing:
            self._start_first(slot, best, cause, held, former=former)
        else:
            self._stop_first(slot, best, cause, held, former=former)

    def _start_first(self, slot: int, best: Instance, cause: str, held: Wait | None, *, former: bool) -> None:
        """A successor beside it. Where the predecessor serves nobody and cannot be waited for, it is no
        surge."""
        service, budget = self.roster.service, self.budget
        free = best.abandoned or bool(best.crashing)
        held = held or (self.terms.move if best.crashing and not best.misplaced else None)
        spent = Wait(WaitReason.BUDGET, f"maxSurge is {service.update.max_surge}")
        wait = held or (None if free or budget.surge > 0 else spent)
        budget.surge -= wait is None and not free
        self._renewed(best, wait, former=former)
        instead = best.container if budget.unavailable > 0 and wait is None and not free else None
        budget.unavailable -= instead is not None
        moves = bool(best.misplaced or best.crashing) and best.current
        self.steps.starts.append(
            Start(
                slot=slot,
                change=ChangeKind.MOVE if moves else ChangeKind.REPLACE,
                cause=cause,
                prefer=best.destination if best.misplaced or best.crashing else best.container.host,
                source=best.container.host,
                wait=wait,
                instead=instead,
                abandoned=best.abandoned,
                crashed=bool(best.crashing) and wait is None,
                former=former,
            )
        )

    def _stop_first(self, slot: int, best: Instance, cause: str, held: Wait | None, *, former: bool) -> None:
        """Its room for its successor."""
        budget, host = self.budget, best.container.host
        prefer = best.destination if best.misplaced else host
        wait = held or _stop_first_waits(best, budget, self.terms, former=former)
        if wait == NEEDS_IMAGE:
            self.steps.image_first.append((host, slot, cause))
        if wait is None:
            budget.unavailable -= best.serves
            budget.sick -= not best.serves
            self._renewed(best, wait, former=former)
            self.steps.stops.append(Stop(best.container, cause, sick=best.sick))
            if prefer is not None:
                self.steps.holds.append((slot, prefer))
        kind = ChangeKind.MOVE if best.misplaced and best.current else ChangeKind.REPLACE
        self.steps.changes.append(self._change(slot, best, kind, cause, wait, prefer))

    def _renewed(self, best: Instance, wait: Wait | None, *, former: bool) -> None:
        """One more gets the wanted spec."""
        if not best.current and wait is None and not former and self.budget.canaries is not None:
            self.budget.canaries -= 1

    def _change(
        self,
        slot: int,
        best: Instance,
        kind: ChangeKind,
        cause: str,
        wait: Wait | None,
        host: str | None = None,
    ) -> Change:
        return Change(
            kind=kind,
            workload=self.steps.workload,
            slot=slot,
            cause=cause,
            host=host,
            source=best.container.host,
            wait=wait,
        )


def _retire(
    best: Instance, others: Iterable[Instance], steps: Steps, causes: Causes, coming: Wait | None
) -> None:
    """Beside the one that holds a slot until its successor comes, nothing that is not wanted stays.

    A rollout that a newer commit overtakes leaves two: the second would hold its surge for ever. What serves
    waits while the best is `coming`: it may be its successor, by the spec that was good before.
    """
    for one in others:
        cause = one.misplaced or (causes.spec if not one.current else one.failed or one.crashing)
        wait = one.untouchable
        if one.container.ready and not one.overdue:
            wait = wait or (best.untouchable if not best.reachable else coming)
        if wait is None:
            sick = one.sick or bool(one.crashing)
            steps.stops.append(Stop(one.container, cause, sick=sick, crashed=bool(one.crashing)))
        steps.changes.append(
            Change(
                kind=ChangeKind.STOP,
                workload=steps.workload,
                slot=one.container.slot,
                cause=cause,
                source=one.container.host,
                wait=wait,
            )
        )


NEEDS_IMAGE = Wait(WaitReason.IMAGE, "its image is not on the host yet")


def _lacking(terms: Terms) -> Wait | None:
    """Why nothing is stopped for a new spec yet: who is to run it has not its image."""
    if not terms.lacking:
        return None
    return Wait(WaitReason.IMAGE, f"its image is not on {', '.join(terms.lacking)} yet")


def _stop_first_waits(best: Instance, budget: _Budget, terms: Terms, *, former: bool) -> Wait | None:
    if best.untouchable:
        return best.untouchable
    if not best.current and not best.misplaced and not former:
        if _lacking(terms):
            return _lacking(terms)
        if best.container.host not in terms.images:
            return NEEDS_IMAGE
    if best.stranded:
        return best.stranded
    if best.serves and budget.unavailable <= 0:
        return Wait(WaitReason.BUDGET, "maxUnavailable is reached")
    if best.failed and budget.sick <= 0:
        return Wait(WaitReason.SICK, "others that are sick are replaced before it")
    return None
