"""A walk through time: from the start to each next instant at which a decision changes something."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from rota.core.forecast.days import midnight, zone_of
from rota.core.forecast.instant import Forecast, Instant, LeadBegin, OverrideTurn, QuotaUse, Turn
from rota.core.forecast.lacks import lacks_of
from rota.core.forecast.settle import Player, Settled, Snapshot, at_rest
from rota.core.hours import DAY
from rota.core.ids import WorkloadId
from rota.core.leads import prospect
from rota.core.ledger import EdgeRecord, Ledger
from rota.core.model import Fleet, Host, Loss
from rota.core.observed import HostState, Now, ObservedState
from rota.core.placement.headroom import MOST_LOSSES, Headroom, Pinned, could_be_off, headroom
from rota.core.placement.puzzle import Solver
from rota.core.placement.rank import ZONE
from rota.core.planning.ground import capacity_of
from rota.core.quotas import usage
from rota.core.resources import Resources
from rota.core.windows import next_edge, wanted

MOST_INSTANTS = 1000
"""More edges and leads than these are no forecast that anybody reads."""
_LOSSES_TIMES_HOSTS = 30_000
"""What a loss takes to be played through grows with the fleet: at so many of both, an instant has enough."""


def losses_for(fleet: Fleet) -> int:
    """How many losses are played through at each instant of a forecast: fewer in a very large fleet."""
    return min(MOST_LOSSES, max(_LOSSES_TIMES_HOSTS // max(len(fleet.hosts), 1), 1))


def forecast(
    fleet: Fleet,
    before: Snapshot,
    stretch: tuple[datetime, datetime],
    *,
    losses: int = 0,
    solver: Solver | None = None,
) -> Forecast:
    """What [start, end) comes to for `fleet`, from what was observed `before` it, if nothing fails.

    `losses` is how many losses are played through at each instant, fullest hosts first, each for all its
    equals; 0 leaves it at what decisions do by themselves, which is where the fleet is to survive a loss.
    What was observed earlier goes straight to what the start asks for, as after a downtime.
    """
    start, end = stretch
    walk = Walk(fleet, before, losses, Player(fleet, solver))
    instants: list[Instant] = []
    at: datetime | None = start
    judged_at = start
    while at is not None and at < end and len(instants) < MOST_INSTANTS:
        now = Now(wall=judged_at, mono=(judged_at - start).total_seconds())
        instants.append(walk.step(at, now))
        at, judged_at = walk.next_instant(now)
    complete = at is None or at >= end
    assert walk.first is not None
    return Forecast(
        fleet=fleet,
        start=start,
        end=end if at is None or complete else at,
        zone=zone_of(fleet),
        instants=tuple(instants),
        decision=walk.first.first,
        capacity=_capacity(fleet, walk.snapshot.observed),
        complete=complete,
    )


class Walk:
    """Where a walk has come to: what stands now, and what was said of the instant before."""

    def __init__(self, fleet: Fleet, before: Snapshot, losses: int, player: Player) -> None:
        self._fleet, self._losses, self._player = fleet, losses, player
        self.snapshot = replace(before, ledger=replace(before.ledger, failures={}))
        self.first: Settled | None = None
        self._next: datetime | None = None
        self._told: Instant | None = None

    def next_instant(self, now: Now) -> tuple[datetime | None, datetime]:
        """The next instant, None where nothing changes any more, and when to judge it: of all the leads that
        begin before the next edge, the first is told, and the last has to have begun. Those of another local
        day are told on that day, whichever day a forecast begins with."""
        edge = next_edge(self._fleet, now.wall)
        if self._next is None or edge is None or self._next >= edge:
            return self._next, self._next or now.wall
        growth = prospect(self._fleet, self.snapshot.ledger, now).growth
        day = self._next.astimezone(zone_of(self._fleet)).date()
        end = min(edge, midnight(day + DAY, zone_of(self._fleet)))
        last = max((one.begins for one in growth if now.wall < one.begins < end), default=self._next)
        return self._next, max(last, self._next)

    def step(self, at: datetime, now: Now) -> Instant:
        """Settle one instant, as of `now`, and tell it."""
        earlier = self.snapshot.ledger
        settled = self._player.settle(self.snapshot, now)
        decision, told = settled.last, self._told
        counts = _counts(self._fleet, settled.snapshot.observed)
        windows = tuple((str(one.policy), one.window) for one in decision.windows)
        turns = _turns(told.windows, windows) if told is not None else ()
        used = _in_use(settled.snapshot.observed)
        empty = tuple(
            name
            for name in sorted(self._fleet.hosts)
            if name not in used and _answers(settled.snapshot.observed, name)
        )
        verdict = self._headroom(settled, counts)
        spare = empty
        if verdict is not None and empty:
            spare = could_be_off(verdict, at_rest(settled.board), self._beyond(settled, counts), empty)
        instant = Instant(
            at=at,
            judged_at=now.wall,
            turns=turns,
            overrides=tuple(_overrides(self._fleet, told.at if told is not None else None, at)),
            leads=tuple(_leads(settled, counts, earlier, now.wall, first=told is None)),
            windows=windows,
            wanted={workload: decision.wants[workload].due for workload in sorted(self._fleet.services)},
            before=told.counts if told is not None else _counts(self._fleet, self.snapshot.observed),
            counts=counts,
            changed=dict(sorted(settled.changed.items())),
            after_room=_after_room(settled, at) if turns else {},
            lacks=lacks_of(decision, settled.board),
            headroom=verdict,
            quotas=tuple(_quotas(self._fleet, now.wall)),
            empty=empty,
            spare=spare,
            cost=sum(host.cost_per_hour for host in self._fleet.hosts.values()),
            cost_in_use=sum(
                host.cost_per_hour for name, host in sorted(self._fleet.hosts.items()) if name in used
            ),
            held=str(decision.held or ""),
        )
        if told is not None and instant.same_as(told):
            instant = replace(instant, silent=True)
        self.first = self.first or settled
        self.snapshot, self._told, self._next = settled.snapshot, instant, decision.next_edge
        return instant

    def _headroom(self, settled: Settled, counts: Mapping[WorkloadId, int]) -> Headroom | None:
        """The verdict about what is due now: growth that is ahead of its edge is not lost yet."""
        found = settled.last.headroom
        early = any(want.ahead is not None and want.ahead.count for want in settled.last.wants.values())
        if (found is None and self._losses) or (found is not None and early):
            loss = found.loss if found is not None else Loss.HOST
            most = self._losses or MOST_LOSSES
            found = headroom(loss, at_rest(settled.board), self._beyond(settled, counts), most)
        if found is None or not found.losses:
            return None
        return replace(found, pinned=tuple(_slots_of(found, settled.snapshot.observed, self._fleet)))

    def _beyond(self, settled: Settled, counts: Mapping[WorkloadId, int]) -> dict[WorkloadId, int]:
        """How many of each workload nobody misses: what fills beyond its least, and what is ahead."""
        least = {
            workload: want.due if want.fill is None else want.fill.min
            for workload, want in settled.last.wants.items()
            if want.fill is not None or want.ahead is not None
        }
        return {workload: max(counts[workload] - count, 0) for workload, count in least.items()}


def _turns(before: tuple[tuple[str, str], ...], after: tuple[tuple[str, str], ...]) -> tuple[Turn, ...]:
    return tuple(
        Turn(policy=policy, before=was, after=now)
        for (policy, was), (_, now) in zip(before, after, strict=True)
        if was != now
    )


def _overrides(fleet: Fleet, after: datetime | None, at: datetime) -> Iterator[OverrideTurn]:
    """The Overrides that begin or end between the instant told last and `at`, or at the very start."""
    for one in sorted(fleet.overrides, key=str):
        for moment, begins in ((one.start, True), (one.until, False)):
            if moment is not None and (moment == at if after is None else after < moment <= at):
                yield OverrideTurn(override=str(one), begins=begins)


def _leads(
    settled: Settled, counts: Mapping[WorkloadId, int], before: Ledger, at: datetime, *, first: bool
) -> Iterator[LeadBegin]:
    """The leads that have begun by now; at the start of a forecast, also those that were under way."""
    known = set() if first else {_edge(one) for one in before.edges if one.begun is not None}
    begun: dict[tuple[datetime, str, str], list[EdgeRecord]] = defaultdict(list)
    for one in settled.last.ledger.edges:
        if one.begun is not None and one.begun <= at < one.at and _edge(one) not in known:
            begun[_edge(one)].append(one)
    for (edge, policy, window), ones in sorted(begun.items()):
        since = [one.begun for one in ones if one.begun is not None]
        waits = [(one.workload, one.wanted - counts.get(one.workload, 0)) for one in ones if one.after_room]
        idle = all(one.after_room and not settled.started.get(one.workload) for one in ones)
        yield LeadBegin(
            at=edge,
            begun=min(since),
            last=max(since),
            policy=policy,
            window=window,
            roomless=tuple(sorted(one for one in waits if one[1] > 0)) if idle else (),
        )


def _edge(record: EdgeRecord) -> tuple[datetime, str, str]:
    """The edge of a record, by the whole name of its policy or Override, which is in the namespace of its
    workloads."""
    space, override = record.workload.namespace, record.window.removeprefix("override ")
    if record.policy:
        return record.at, f"{space}/{record.policy}", record.window
    return record.at, "", f"override {space}/{override}"


def _slots_of(found: Headroom, observed: ObservedState, fleet: Fleet) -> Iterator[Pinned]:
    """What is pinned, with the numbers of its slots."""
    for one in found.pinned:
        slots = {
            container.slot
            for container in observed.containers()
            if container.workload == one.workload
            and one.lost in (container.host, _zone(fleet.hosts.get(container.host)))
        }
        yield replace(one, slots=tuple(sorted(slots)))


def _zone(host: Host | None) -> str:
    return f"{ZONE} {host.labels.get(ZONE)}" if host is not None else ""


def _after_room(settled: Settled, at: datetime) -> dict[WorkloadId, int]:
    """The starts at an edge that its lead could not bring, or that wait here until others have stopped."""
    late = {one.workload for one in settled.last.ledger.edges if one.at == at and one.after_room}
    return {
        workload: count
        for workload, count in sorted(settled.started.items())
        if workload in late or workload in settled.waited
    }


def _counts(fleet: Fleet, observed: ObservedState) -> dict[WorkloadId, int]:
    """The slots of each workload that run, those on hosts that do not answer included."""
    slots: dict[WorkloadId, set[int]] = {workload: set() for workload in sorted(fleet.services)}
    for container in observed.containers():
        if container.workload in slots and not observed.is_stopping(container):
            slots[container.workload].add(container.slot)
    return {workload: len(there) for workload, there in slots.items()}


def _in_use(observed: ObservedState) -> frozenset[str]:
    return frozenset(name for name, view in observed.hosts.items() if view.all_containers)


def _answers(observed: ObservedState, host: str) -> bool:
    view = observed.hosts.get(host)
    return view is not None and view.state is HostState.REACHABLE


def _quotas(fleet: Fleet, at: datetime) -> Iterator[QuotaUse]:
    """The quotas that what is wanted at `at` uses up, or more; what fills counts at its least."""
    wants = wanted(fleet, at) if fleet.quotas else {}
    for quota in sorted(fleet.quotas, key=str):
        for dimension, amount in sorted(usage(quota, fleet, wants).items()):
            hard = quota.hard[dimension]
            if amount and amount >= hard:
                yield QuotaUse(quota=str(quota), dimension=dimension, wanted=amount, hard=hard)


def _capacity(fleet: Fleet, observed: ObservedState) -> Resources:
    total = Resources()
    for name, host in fleet.hosts.items():
        view = observed.hosts.get(name)
        capacity = capacity_of(host, view) if view is not None and _answers(observed, name) else None
        if capacity is not None:
            total += capacity
    return total
