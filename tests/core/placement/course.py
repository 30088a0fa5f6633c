"""A fleet followed from pass to pass in a perfect world, and judged after each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rota.core.decide import Decision, Unplaced, decide
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fill, Fleet, Service
from rota.core.observed import Health, HostState, HostView, Now, ObservedContainer, ObservedState
from rota.core.placement.puzzle import Solver
from rota.core.planning.actions import Action, StartInstance, StopInstance
from tests.core.placement.judge import Stand, faults, needs, shortages, why_not
from tests.core.scenes import NOW, act, change_view, changes, later, seen

MOST_PASSES = 60


def stand_of(fleet: Fleet, observed: ObservedState) -> Stand:
    """What runs, each slot once: where it was seen last."""
    shut = {
        name: str(view.state)
        for name, view in observed.hosts.items()
        if view.state is not HostState.REACHABLE
    }
    leaving = {each for view in observed.hosts.values() for each in view.stopping}
    homes = {
        (one.workload, one.slot): one for one in sorted(observed.containers(), key=lambda one: one.seen_since)
    }
    counts = Counter(
        (one.workload, one.host)
        for one in homes.values()
        if one.workload in fleet.services and one.host in fleet.hosts and one.id not in leaving
    )
    occupied: dict[str, Counter[str]] = {name: Counter() for name in fleet.hosts}
    for one in observed.containers():
        if one.host in occupied:
            occupied[one.host].update(needs(one.requests))
    return Stand(hosts=fleet.hosts, services=fleet.services, counts=counts, shut=shut, occupied=occupied)


@dataclass
class Course:
    """`moved` are the moves by choice that began, as (instant, slot)."""

    fleet: Fleet
    observed: ObservedState = field(default_factory=ObservedState)
    ledger: Ledger = field(default_factory=Ledger)
    now: Now = NOW
    solver: Solver | None = None
    decision: Decision | None = None
    moved: list[float] = field(default_factory=list)
    stopped: list[ObservedContainer] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    check: bool = True
    slow: int = 0
    """So many passes pass before what starts is ready, and before what stops is gone."""
    pending: list[tuple[float, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.observed.hosts:
            self.observed = seen(self.fleet)

    def step(self, seconds: float = 5.0) -> Decision:
        """One pass, judged; its actions done; time goes on."""
        decision = decide(self.fleet, self.observed, self.ledger, self.now, self.solver)
        before = self.observed
        self.log += [f"--- {self.now.mono:g}", *changes(decision)]
        self.moved += decision.ledger.moves_begun[len(self._begun()) :]
        ids = {one.container_id for one in decision.actions if isinstance(one, StopInstance)}
        self.stopped += [one for one in before.containers() if one.id in ids]
        self.observed = self._world(before, decision.actions, seconds)
        self.decision, self.ledger = decision, decision.ledger
        if self.check:
            problems = self.problems(before)
            assert not problems, "\n".join([*problems, *self.log])
        self.now = later(seconds, self.now)
        return decision

    def _world(self, before: ObservedState, doing: tuple[Action, ...], seconds: float) -> ObservedState:
        """What becomes of actions: at once, or `slow` passes later."""
        if not self.slow:
            return act(before, doing, self.now)
        stops = [one for one in doing if isinstance(one, StopInstance)]
        after = act(before, tuple(one for one in doing if not isinstance(one, StopInstance)), self.now)
        ids = {one.id for one in before.containers()}
        for one in after.containers():
            if one.id not in ids:
                view = after.hosts[one.host]
                late = tuple(
                    replace(each, ready_since=None, health=Health.STARTING) if each.id == one.id else each
                    for each in view.containers
                )
                after = change_view(after, one.host, containers=late)
        for stop in stops:
            view = after.hosts[stop.host]
            after = change_view(after, stop.host, stopping=view.stopping | {stop.container_id})
        due = self.now.mono + self.slow * seconds
        self.pending += [(due, one.host, one.container_id) for one in stops]
        for name, view in after.hosts.items():
            gone = {each for at, host, each in self.pending if host == name and at <= self.now.mono}
            left = tuple(self._ripen(one, seconds) for one in view.containers if one.id not in gone)
            after = change_view(after, name, containers=left, stopping=view.stopping - gone)
        self.pending = [one for one in self.pending if one[0] > self.now.mono]
        return after

    def _ripen(self, one: ObservedContainer, seconds: float) -> ObservedContainer:
        if one.ready or self.now.mono - one.seen_since < self.slow * seconds:
            return one
        return replace(one, ready_since=self.now.mono, health=Health.HEALTHY)

    def _begun(self) -> tuple[float, ...]:
        return tuple(at for at in self.ledger.moves_begun if self.now.mono - at < 3600)

    def settle(self, most: int = MOST_PASSES) -> Decision:
        """Passes until two in a row do nothing; how it stands then is judged too."""
        quiet = 0
        for _ in range(most):
            decision = self.step()
            quiet = 0 if decision.actions else quiet + 1
            if quiet == 2 + 2 * self.slow:
                return decision
        raise AssertionError("\n".join(["does not settle", *self.log[-40:]]))

    # --- judging

    def problems(self, before: ObservedState) -> list[str]:
        assert self.decision is not None
        return [
            *self._overbooked(before),
            *self._filters(),
            *self._unready(before),
            *self._fills(),
            *self._moves(),
        ]

    def _starts(self) -> list[StartInstance]:
        assert self.decision is not None
        return [one for one in self.decision.actions if isinstance(one, StartInstance)]

    def _overbooked(self, before: ObservedState) -> list[str]:
        """Everything there is and everything that starts fits, before anything has stopped."""
        used: dict[str, Counter[str]] = defaultdict(Counter)
        for one in before.containers():
            used[one.host].update(needs(one.requests))
        starts = self._starts()
        for start in starts:
            used[start.host].update(needs(start.requests))
        stand = stand_of(self.fleet, before)
        return [
            f"overbooked: {host} has {amount} of {stand.capacity(host).get(name, 0)} {name}"
            for host in {one.host for one in starts}
            for name, amount in used[host].items()
            if amount > stand.capacity(host).get(name, 0)
        ]

    def _filters(self) -> list[str]:
        """What starts may stand where it starts, once what stops now has stopped."""
        placed = Counter((one.workload, one.host) for one in self._starts())
        return faults(stand_of(self.fleet, self.observed), placed)

    def _unready(self, before: ObservedState) -> list[str]:
        """No stop takes a workload below what its budget leaves."""
        assert self.decision is not None
        found = []
        for service in self.fleet.services.values():
            want = self.decision.wants[service.id]
            if want.fill is not None:  # what it is only now growing by is owed to nobody
                there = {one.slot for one in before.containers() if one.workload == service.id}
                want = replace(want, count=min(want.count, len(there)))
            budget = service.max_unavailable.of(want.count)
            if want.fill is not None:
                budget = max(budget, 1)
            serving = {
                one.slot
                for one in before.containers()
                if one.workload == service.id and one.ready and not before.is_stopping(one)
            }
            still = {
                one.slot
                for one in self.observed.containers()
                if one.workload == service.id
                and one.ready
                and not self.observed.is_stopping(one)
                and (one.slot in serving)
                and any(each.id == one.id for each in before.containers())
            }
            least = want.count - budget
            if len(still) < min(least, len(serving)):
                found.append(
                    f"unready: {service.id.name} keeps {len(still)} of {len(serving)}, least {least}"
                )
        return found

    def _fills(self) -> list[str]:
        assert self.decision is not None
        found = []
        for workload, want in self.decision.wants.items():
            if isinstance(want.fill, Fill):
                most = want.fill.max if want.fill.max is not None else want.count
                if not want.fill.min <= want.count <= max(most, want.fill.min):
                    found.append(f"fill: {workload.name} wants {want.count} of {want.fill}")
        return found

    def _moves(self) -> list[str]:
        last_hour = [at for at in self.moved if self.now.mono - at < 3600]
        if len(last_hour) > self.fleet.max_moves_per_hour:
            return [f"moves: {len(last_hour)} in an hour of {self.fleet.max_moves_per_hour}"]
        return []

    # --- the end

    def stand(self) -> Stand:
        return stand_of(self.fleet, self.observed)

    def count(self, name: str) -> int:
        return sum(one.workload.name == name for one in self.observed.containers())

    def final_problems(self) -> list[str]:
        """What is wrong with a fleet that has settled."""
        assert self.decision is not None
        stand, found = self.stand(), []
        unplaced = {one.workload: one for one in self.decision.unplaced}
        for workload, want in self.decision.wants.items():
            there = len({one.slot for one in self.observed.containers() if one.workload == workload})
            silent = unplaced[workload].count if workload in unplaced else 0
            if there + silent != want.count:
                found.append(f"{workload.name}: {there} + {silent} unplaced of {want.count}")
        for one in self.decision.unplaced:
            found += untruths(stand, one)
            if not any(each.filter in ("quota", "volume") for each in one.refusals):
                found += self._oppressed(stand, self.fleet.services[one.workload])
        return found

    def _oppressed(self, stand: Stand, service: Service) -> list[str]:
        """Whether one instance less of a lower priority, or of what fills, would make room."""
        assert self.decision is not None
        if any(workload == service.id for workload, _ in self.ledger.displaced):
            return []
        found = []
        for host in stand.hosts:
            reasons = why_not(stand, service, host)
            if not reasons or reasons - needs(service.requests).keys():
                continue
            for other in self.fleet.services.values():
                if other.id == service.id or not stand.on(other.id, host):
                    continue
                if self._spares(other, service):
                    freed = self._without(stand, other, host)
                    if not why_not(freed, service, host):
                        found.append(f"{service.id.name} has no place, {other.id.name} runs on {host}")
        return found

    def _without(self, stand: Stand, other: Service, host: str) -> Stand:
        """One instance of `other` less on a host."""
        counts = Counter(stand.counts)
        counts[other.id, host] -= 1
        one = next(
            each for each in self.observed.containers() if (each.workload, each.host) == (other.id, host)
        )
        assert stand.occupied is not None
        left = stand.occupied[host] - Counter(needs(one.requests))
        return replace(stand, counts=counts, occupied={**stand.occupied, host: left})

    def _spares(self, other: Service, service: Service) -> bool:
        assert self.decision is not None
        want = self.decision.wants[other.id]
        needed = any(
            one.required and one.workload == other.id
            for each in self.fleet.services.values()
            for one in each.placement.affinity
        )
        if other.container.pinned or needed:
            return False
        if want.fill is not None and want.count > want.fill.min:
            return self.decision.wants[service.id].fill is None
        budget = other.max_unavailable.of(want.count)
        return other.priority < service.priority and self.count(other.id.name) > want.count - budget


def untruths(stand: Stand, one: Unplaced) -> list[str]:
    """What of the reasons for unplaced instances does not hold on `stand`, host by host."""
    service, found = stand.services[one.workload], []
    said = Counter(host for each in one.refusals for host in each.hosts)
    if any(each.filter == "quota" for each in one.refusals):
        return []
    if said != Counter(list(stand.hosts)):
        found.append(f"{service.id.name}: not every host was heard once: {dict(said)}")
    for each in one.refusals:
        for host in each.hosts:
            true = why_not(stand, service, host)
            if each.filter == "volume":
                continue
            if each.filter not in true:
                found.append(
                    f"{service.id.name} on {host}: {each.filter} ({each.detail}), but: {sorted(true)}"
                )
            elif " short by " in each.detail and shortages(each.detail) != in_mebibytes(stand, service, host):
                found.append(f"{service.id.name} on {host}: {each.detail}, but {stand.short(service, host)}")
    return found


def in_mebibytes(stand: Stand, service: Service, host: str) -> dict[str, int]:
    """The shortage, memory rounded up as the words do."""
    short = stand.short(service, host)
    return {name: -(-value >> 20) << 20 if name == "memory" else value for name, value in short.items()}


def without_hosts(observed: ObservedState, *names: str) -> ObservedState:
    """These hosts and all that ran there are gone for good."""
    return replace(observed, hosts={name: view for name, view in observed.hosts.items() if name not in names})


def with_hosts(observed: ObservedState, fleet: Fleet) -> ObservedState:
    """Hosts of `fleet` that were not there yet answer."""
    return replace(observed, hosts={**seen(fleet).hosts, **observed.hosts})


Change = Callable[[Fleet], Fleet]
ViewOf = HostView
Workload = WorkloadId
