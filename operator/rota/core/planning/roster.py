"""Who is on duty: the containers of one workload by slot, and which slots stay, go or are missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rota.core.ledger import Ledger, Move
from rota.core.model import Fleet, Service, Strategy, WorkloadId
from rota.core.observed import (
    ContainerState,
    Health,
    HostState,
    Now,
    ObservedContainer,
    ObservedState,
)
from rota.core.placement.keep import must_move
from rota.core.placement.rank import ZONE
from rota.core.placement.terrain import stable_hash

MOST_STARTS = 20_000
"""Instances of one workload that are started in one decision at most; the others follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One container of a workload, judged: all that is text is a reason, or empty.

    `misplaced`: it has to move. `failed`: it had its chance. `untouchable`: it cannot be stopped now.
    `stranded`: it must not be replaced, for its successor could have no place. `abandoned`: its host does
    not answer, and a commit let it go, which is a person's word that it need not be waited for.
    `destination` is where it was asked to move.
    """

    container: ObservedContainer
    current: bool
    misplaced: str
    failed: str
    reachable: bool
    untouchable: str
    stranded: str
    abandoned: bool
    packs: bool
    destination: str | None

    @property
    def fit(self) -> bool:
        """What the target asks for: the wanted spec, on a host it may stay on, not failed."""
        return self.current and not self.misplaced and not self.failed

    def soaked(self, now: Now, min_healthy_time: float) -> bool:
        """Ready for `min_healthy_time` seconds without a break."""
        since = self.container.ready_since
        return since is not None and now.mono - since >= min_healthy_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The slots of one workload.

    `kept` are the slots that stay, with their containers (best first); `released` those that go;
    `missing` the numbers that lack an instance; `stopping` what is already on its way out. `alive`
    counts every container there is, stopping ones included, which is what surge is counted against;
    but what a silent host keeps from being removed holds nobody up. `beyond` are as many more that are
    missing than one decision starts. `owed` is the count that the disruption budget is judged by: what fills
    owes nobody the instances that it is only now growing by. `gives_way` says why a released slot
    goes that placement took, by slot.
    """

    service: Service
    wanted: int
    kept: Mapping[int, tuple[Instance, ...]]
    released: Mapping[int, tuple[Instance, ...]]
    missing: tuple[int, ...]
    stopping: tuple[ObservedContainer, ...]
    alive: int
    owed: int
    beyond: int = 0
    gives_way: Mapping[int, str] = field(default_factory=dict)

    @property
    def calm(self) -> bool:
        """Nothing of it is under way: every slot has the one instance that it should have."""
        return not (self.missing or self.released or self.stopping) and all(
            len(group) == 1 and group[0].fit and group[0].container.ready for group in self.kept.values()
        )


def containers_by_workload(observed: ObservedState) -> dict[WorkloadId, list[ObservedContainer]]:
    """The containers of each workload, in an order that does not depend on how its hosts list them."""
    groups: dict[WorkloadId, list[ObservedContainer]] = defaultdict(list)
    for container in sorted(observed.containers(), key=lambda one: (one.host, one.slot, one.id)):
        groups[container.workload].append(container)
    return groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What judging an instance needs beside the instance itself."""

    fleet: Fleet
    observed: ObservedState
    ledger: Ledger
    now: Now


def roster(
    service: Service,
    wanted: int,
    containers: Iterable[ObservedContainer],
    scene: Scene,
    gives_way: Mapping[int, str] | None = None,
    owed: int | None = None,
) -> Roster:
    """Sort the containers of `service` into slots, and choose which slots go when there are too many.

    The slots in `gives_way` go in any case, for the reasons it holds. `owed` is `wanted` unless stated.
    """
    gives_way = gives_way or {}
    stopping = []
    slots: dict[int, list[Instance]] = defaultdict(list)
    for container in containers:
        if scene.observed.is_stopping(container):
            stopping.append(container)
        else:
            slots[container.slot].append(_judge(container, service, scene))
    groups = {slot: tuple(sorted(slots[slot], key=_best_first)) for slot in sorted(slots)}
    staying = {slot: group for slot, group in groups.items() if slot not in gives_way}
    zones = {name: host.labels.get(ZONE, "") for name, host in scene.fleet.hosts.items()}
    released = _choose_released(staying, len(staying) - wanted, zones) | (groups.keys() & gives_way.keys())
    kept = {slot: group for slot, group in groups.items() if slot not in released}
    return Roster(
        service=service,
        wanted=wanted,
        kept=kept,
        released={slot: groups[slot] for slot in sorted(released)},
        missing=_free_numbers(kept, min(wanted - len(kept), MOST_STARTS), _between(service.id, scene)),
        beyond=max(wanted - len(kept) - MOST_STARTS, 0),
        stopping=tuple(stopping),
        alive=len(kept) + sum(_reachable(one, scene) for one in (*_surplus(groups, kept), *stopping)),
        owed=wanted if owed is None else owed,
        gives_way=gives_way,
    )


def _surplus(
    groups: Mapping[int, tuple[Instance, ...]], kept: Mapping[int, object]
) -> Iterator[ObservedContainer]:
    """What no slot needs: all but the best of a slot that is kept, all of one that goes."""
    for slot, group in groups.items():
        yield from (one.container for one in (group[1:] if slot in kept else group))


def _reachable(container: ObservedContainer, scene: Scene) -> bool:
    return scene.observed.hosts[container.host].state is HostState.REACHABLE


def _judge(container: ObservedContainer, service: Service, scene: Scene) -> Instance:
    pinned_to = scene.ledger.pins.get((service.id, container.slot)) if service.container.pinned else None
    reachable = _reachable(container, scene)
    move = _asked_to_move(container, scene)
    return Instance(
        container=container,
        current=container.spec == service.spec_hash,
        misplaced=must_move(service, scene.fleet.hosts.get(container.host), pinned_to)
        or (move.cause if move is not None else ""),
        failed=_failure(container, service, scene) if reachable else "",
        reachable=reachable,
        untouchable=untouchable(container, scene.observed),
        stranded=_stranded(container, pinned_to, scene),
        packs=service.placement.strategy is Strategy.PACK,
        destination=move.target if move is not None else None,
        abandoned=not reachable and pinned_to is None and container.host not in scene.fleet.hosts,
    )


def _asked_to_move(container: ObservedContainer, scene: Scene) -> Move | None:
    move = scene.ledger.moves.get((container.workload, container.slot))
    goes = move is not None and move.source == container.host and move.target in scene.fleet.hosts
    return move if goes else None


def _stranded(container: ObservedContainer, pinned_to: str | None, scene: Scene) -> str:
    if pinned_to != container.host or container.host in scene.fleet.hosts:
        return ""
    return f"{container.host} left the fleet and holds its volumes"


def untouchable(container: ObservedContainer, observed: ObservedState) -> str:
    """Why it cannot be stopped now, or empty: unknown removes nothing, and what starts has no id yet."""
    if observed.hosts[container.host].state is not HostState.REACHABLE:
        return f"{container.host} does not answer"
    return "it is being started" if container.state is ContainerState.PENDING else ""


def _failure(container: ObservedContainer, service: Service, scene: Scene) -> str:
    if container.health is Health.UNHEALTHY:
        return "unhealthy"
    if container.state is ContainerState.DEAD:
        return "its Engine could not remove it"
    deadline = service.update.healthy_deadline
    if container.running and not container.ready and scene.now.mono - container.seen_since > deadline:
        return f"not healthy within {deadline:g}s"
    failed = scene.ledger.failures.get((service.id, container.host, container.spec))
    if failed is not None and container.state in (ContainerState.CREATED, ContainerState.EXITED):
        return f"could not be started: {failed.message}"
    return ""


def _best_first(instance: Instance) -> tuple[bool, bool, bool, float, str]:
    container = instance.container
    return (
        not instance.fit,
        not container.ready,
        not container.running,
        container.seen_since,
        container.id,
    )


def _choose_released(
    groups: Mapping[int, tuple[Instance, ...]], excess: int, zones: Mapping[str, str]
) -> set[int]:
    """The worst placed slots: not ready, then unfit, then in the zone and on the host that has most of
    them; what packs leaves the hosts that have least of it, so that these become empty."""
    by_host: dict[str, list[int]] = defaultdict(list)
    ranks = {slot: _release_rank(slot, group) for slot, group in groups.items()}
    for slot in sorted(groups, key=ranks.__getitem__, reverse=True):
        by_host[groups[slot][0].container.host].append(slot)  # the worst last
    per_zone: dict[str, int] = defaultdict(int)
    for host, slots in by_host.items():
        per_zone[zones.get(host, "")] += len(slots)
    packs = any(group[0].packs for group in groups.values())

    def worst(host: str) -> tuple[bool, bool, int, int, int]:
        serves, fit, tie = ranks[by_host[host][-1]]
        there = len(by_host[host])
        return (
            (serves, fit, 0, there, tie)
            if packs
            else (serves, fit, -per_zone[zones.get(host, "")], -there, tie)
        )

    released: set[int] = set()
    for _ in range(max(excess, 0)):
        host = min((one for one, slots in by_host.items() if slots), key=worst)
        released.add(by_host[host].pop())
        per_zone[zones.get(host, "")] -= 1
    return released


def _release_rank(slot: int, group: tuple[Instance, ...]) -> tuple[bool, bool, int]:
    best = group[0]
    serves = any(one.container.ready and one.reachable for one in group)
    return serves, best.fit, stable_hash(f"{best.container.workload}/{slot}")


def _between(workload: WorkloadId, scene: Scene) -> list[int]:
    """The slots whose instance was stopped first and has no successor yet: these keep their numbers."""
    return sorted(
        slot
        for (owner, slot), promise in scene.ledger.reservations.items()
        if owner == workload and promise.successor
    )


def _free_numbers(kept: Mapping[int, object], count: int, first: Iterable[int]) -> tuple[int, ...]:
    """So many numbers that nobody has: those in `first`, then the lowest."""
    missing = [slot for slot in first if slot not in kept][: max(count, 0)]
    taken = {*kept, *missing}
    number = 0
    while len(missing) < count:
        if number not in taken:
            missing.append(number)
        number += 1
    return tuple(sorted(missing))
