"""What holds of placement after every pass, judged on the engines or on what was decided."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

from rota.core.ids import WorkloadId
from rota.core.model import INSTANCES, Service
from rota.core.observed import ContainerState, HostState, ObservedContainer
from rota.core.planning.actions import StartInstance, StopInstance
from rota.core.windows import wanted
from rota.engine.labels import requests_of
from rota.engine.port import ListedContainer
from tests.core.placement.course import Course
from tests.core.placement.judge import Stand, faults
from tests.simulation.invariants import ours
from tests.simulation.world import World


def no_host_is_over_any_capacity(world: World) -> None:
    """The requests of all containers on a host, whatever state they are in, in every dimension."""
    stand = Stand(hosts=world.fleet.hosts, services=world.fleet.services)
    used: dict[str, Counter[str]] = defaultdict(Counter)
    for name, one in ours(world):
        requests = requests_of(one.labels["rota.requests"])
        assert requests is not None
        used[name].update(dict(requests.items()))
    for name in world.fleet.hosts:
        capacity = stand.capacity(name)
        over = {what: amount for what, amount in used[name].items() if amount > capacity.get(what, 0)}
        assert not over, f"capacity: {name} has {over} of {capacity}"


def _stopped(world: World) -> set[tuple[str, str]]:
    assert world.decision is not None
    return {(one.host, one.container_id) for one in world.decision.actions if isinstance(one, StopInstance)}


def _starts(world: World) -> list[StartInstance]:
    assert world.decision is not None
    return [one for one in world.decision.actions if isinstance(one, StartInstance)]


def _staying(world: World) -> list[ObservedContainer]:
    """What this decision lets run on, on hosts of the fleet and others."""
    stopped = _stopped(world)
    return [
        one
        for one in world.observed.containers()
        if (one.host, one.id) not in stopped and not world.observed.is_stopping(one)
    ]


def what_starts_may_stand_where_it_starts(world: World) -> None:
    """Every filter, with each slot counted once, where its newest instance is."""
    assert world.decision is not None
    fleet, starts = world.fleet, _starts(world)
    if not starts:
        return
    shut = {
        name: str(view.state)
        for name, view in world.observed.hosts.items()
        if view.state is not HostState.REACHABLE
    }
    homes: dict[tuple[WorkloadId, int], str] = {}
    for one in sorted(_staying(world), key=lambda one: one.seen_since):
        homes[one.workload, one.slot] = one.host
    homes |= {(one.workload, one.slot): one.host for one in starts}
    counts = Counter(
        (workload, host)
        for (workload, _), host in homes.items()
        if workload in fleet.services and host in fleet.hosts
    )
    nothing: dict[str, Counter[str]] = {name: Counter() for name in fleet.hosts}
    # Overrides cordon, and take the cordon of a manifest back: what is in force was decided with the rest.
    cordons = world.decision.cordons
    hosts = {name: replace(one, unschedulable=name in cordons) for name, one in fleet.hosts.items()}
    stand = Stand(hosts=hosts, services=fleet.services, counts=counts, shut=shut, occupied=nothing)
    placed = Counter((one.workload, one.host) for one in starts)
    # Of whom it must be near, a predecessor will do, or one that only waits for its image; for evenness
    # counts where all others are to go as well.
    waits = [one for one in world.decision.changes if one.waits.startswith("image ") and one.host is not None]
    near = counts + Counter((one.workload, one.host) for one in [*_staying(world), *waits])
    to = {(one.workload, one.slot): one.host for one in world.decision.changes if one.host in fleet.hosts}
    even = Counter((workload, host) for (workload, _), host in {**homes, **to}.items())
    found = faults(stand, placed)
    for words, other in ((" without ", near), (" is uneven ", even)):
        again = faults(replace(stand, counts=other), placed)
        found = [one for one in found if words not in one or one in again]
    assert not found, f"filters: {found}"


def what_fills_stays_within_its_bounds(world: World) -> None:
    """Those that hold now, and while growth is ahead of an edge, those of that edge as well."""
    assert world.decision is not None
    stated = wanted(world.fleet, world.clock.wall)
    for workload, want in world.decision.wants.items():
        fill, count = want.fill, want.count
        if want.ahead is None:
            assert fill == stated[workload].fill, f"fill: {workload} has {fill}, stated {stated[workload]}"
        if fill is not None:
            most = count if fill.max is None else max(fill.max, fill.min)
            assert fill.min <= count <= most, f"fill: {workload} wants {count} of {fill}"


def quotas_hold(world: World) -> None:
    """Whoever is started anew leaves what is due within every quota."""
    assert world.decision is not None
    if not world.fleet.quotas or not _starts(world):
        return
    slots: dict[WorkloadId, set[int]] = defaultdict(set)
    for one in _staying(world):
        slots[one.workload].add(one.slot)
    new = {one.workload for one in _starts(world) if one.slot not in slots[one.workload]}
    for start in _starts(world):
        slots[start.workload].add(start.slot)
    for quota in world.fleet.quotas:
        covered = [one for one in world.fleet.services.values() if quota.covers(one)]
        for name, most in quota.hard.items():
            asking = [one for one in covered if _amount(one, name)]
            count = sum(
                min(len(slots[one.id]), world.decision.wants[one.id].due) * _amount(one, name)
                for one in asking
            )
            assert not new & {one.id for one in asking} or count <= most, (
                f"quota: {quota} has {count} of {most} {name} with {sorted(map(str, new))} starting"
            )


def _amount(service: Service, name: str) -> int:
    return {INSTANCES: 1, **dict(service.requests.items())}.get(name, 0)


@dataclass
class Restless:
    """How much moves by choice, and how often each slot is started.

    A choice is what could have stayed: its start says so. `moves` of one daemon are counted against the
    limit of an hour; `moved` and `started` since the last change from outside.
    """

    daemon: int = 0
    moves: set[str] = field(default_factory=set)
    moved: Counter[tuple[WorkloadId, int]] = field(default_factory=Counter)
    started: Counter[tuple[str, str]] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)
    doing: set[str] = field(default_factory=set)

    def __call__(self, world: World) -> None:
        if self.daemon != world.tally.restarts:
            self.daemon = world.tally.restarts
            self.moves = set()
        begun = {f"{one.workload}/{one.slot} > {one.host}": one for one in _starts(world) if _by_choice(one)}
        self.moved.update((begun[name].workload, begun[name].slot) for name in begun.keys() - self.doing)
        self.doing = set(begun)
        self.moves |= begun.keys()
        limit = world.fleet.max_moves_per_hour
        assert len(self.moves) <= limit, f"moves: {len(self.moves)} of {limit}: {sorted(self.moves)}"
        for name, one in ours(world):
            if f"{name} {one.id}" not in self.known:
                self.known.add(f"{name} {one.id}")
                self.started[one.labels["rota.workload"], one.labels["rota.slot"]] += 1

    def forget(self) -> None:
        """Something changed from outside: what happened before it does not count."""
        self.moved.clear()
        self.started.clear()

    def ping_pong(self, moves: int, starts: int) -> list[str]:
        """What moved by choice, or was started, more often than that since the last change."""
        found = [
            f"{workload}/{slot} moved {count} times"
            for (workload, slot), count in self.moved.items()
            if count > moves
        ]
        found += [
            f"{workload}/{slot} started {count} times"
            for (workload, slot), count in self.started.items()
            if count > starts
        ]
        return sorted(found)


def _by_choice(start: StartInstance) -> bool:
    return start.cause.startswith(("spread: ", "makes room for "))


def unsettled(world: World) -> list[str]:
    """What is not as it should be in the end: on the engines, and of what is told of the rest."""
    decision = world.decision
    assert decision is not None
    there: dict[WorkloadId, list[tuple[str, ListedContainer]]] = defaultdict(list)
    told = {(one.workload, one.slot) for one in decision.changes if one.waits}
    found = []
    for name, one in ours(world):
        workload = WorkloadId.parse(one.labels["rota.workload"])
        waits = (workload, int(one.labels["rota.slot"])) in told
        if workload not in world.fleet.services or (name not in world.fleet.hosts and not waits):
            found.append(f"{one.name} is still on {name}")
        there[workload].append((name, one))
    for workload, service in world.fleet.services.items():
        for name, one in there[workload]:
            old = one.labels["rota.spec"] != service.spec_hash
            if not one.ready or (old and (workload, int(one.labels["rota.slot"])) not in told):
                found.append(f"{one.name} on {name} is {one.state} {one.health} {one.labels['rota.spec']}")
        slots = [one.labels["rota.slot"] for _, one in there[workload]]
        if len(slots) != len(set(slots)):
            found.append(f"{workload} has slots {sorted(slots)}")
    pending = [one for one in world.observed.containers() if one.state is ContainerState.PENDING]
    found += [f"{one.name} is still being started" for one in pending]
    course = Course(world.fleet, world.observed, world.ledger, world.clock.now(), decision=decision)
    return found + course.final_problems()
