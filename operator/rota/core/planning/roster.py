"""Who is on duty: the containers of one workload by slot, and which slots stay, go or are missing."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from operator import attrgetter
from typing import NamedTuple

from rota.core.ids import WorkloadId
from rota.core.model import Host, Service
from rota.core.observed import Now, ObservedContainer, ObservedState
from rota.core.placement.rank import ZONE
from rota.core.placement.terrain import stable_hash
from rota.core.planning.judge import Instance, Judge, best_first
from rota.core.planning.scene import Scene

MOST_STARTS = 20_000
"""Instances of one workload that are started in one decision at most; the others follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The slots of one workload.

    `kept` are the slots that stay, with their containers (best first); `released` those that go;
    `missing` the numbers that lack an instance; `stopping` what is already on its way out. `healthy` counts
    the kept slots that have what serves, for long enough to be counted on. `calm`: nothing of it is under
    way, every slot has the one instance that it should have. `alive` counts every container there is,
    stopping ones included, which is what surge is counted against; but what a silent host keeps from being
    removed holds nobody up. `beyond` are as many more that are missing than one decision starts. `owed` is
    the count that the disruption budget is judged by: what fills owes nobody the instances that it is only
    now growing by. `gives_way` says why a released slot goes that placement took, by slot. `between` are
    those missing that are to have the wanted spec before others: whose instance was stopped first for it, or
    for which it was asked already. `succeeds` says of missing slots why the instance before was stopped.
    """

    service: Service
    wanted: int
    kept: Mapping[int, tuple[Instance, ...]]
    released: Mapping[int, tuple[Instance, ...]]
    missing: tuple[int, ...]
    stopping: tuple[ObservedContainer, ...]
    healthy: int
    calm: bool
    alive: int
    owed: int
    beyond: int = 0
    gives_way: Mapping[int, str] = field(default_factory=dict)
    between: frozenset[int] = frozenset()
    succeeds: Mapping[int, str] = field(default_factory=dict)


def containers_by_workload(observed: ObservedState) -> dict[WorkloadId, list[ObservedContainer]]:
    """The containers of each workload, in an order that does not depend on how its hosts list them."""
    groups: dict[WorkloadId, list[ObservedContainer]] = defaultdict(list)
    for container in observed.containers():
        groups[container.workload].append(container)
    for group in groups.values():
        group.sort(key=_PLACE)
    return groups


_PLACE = attrgetter("host", "slot", "id")


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
    groups, stopping = _by_slot(containers, Judge(service, scene), scene)
    released = groups.keys() & gives_way.keys()
    excess = len(groups) - len(released) - wanted
    if excess > 0:
        staying = {slot: group for slot, group in groups.items() if slot not in released}
        released |= _choose_released(staying, excess, scene)
    kept = {slot: group for slot, group in groups.items() if slot not in released} if released else groups
    stopped = _stopped_first(service.id, scene)
    missing = _free_numbers(kept, min(wanted - len(kept), MOST_STARTS), sorted(stopped))
    asked = {slot for slot in missing if (service.id, slot, service.spec_hash) in scene.queued}
    surplus = [*_surplus(groups, released), *stopping]
    return Roster(
        service=service,
        wanted=wanted,
        kept=kept,
        released={slot: groups[slot] for slot in sorted(released)},
        missing=missing,
        beyond=max(wanted - len(kept) - MOST_STARTS, 0),
        stopping=tuple(stopping),
        healthy=_healthy(kept.values(), service, scene.now),
        calm=not (missing or released or stopping) and all(map(_at_rest, kept.values())),
        alive=len(kept) + sum(scene.posts[one.host].reachable for one in surplus),
        owed=wanted if owed is None else owed,
        gives_way=gives_way,
        between=(stopped | asked).intersection(missing),
        succeeds={
            slot: scene.ledger.successions[service.id, slot]
            for slot in missing
            if (service.id, slot) in scene.ledger.successions
        },
    )


def first_to_go(one: Roster, keeps: int, scene: Scene) -> frozenset[int]:
    """The slots that would be released of those that stay now, if no more than `keeps` were wanted."""
    excess = len(one.kept) - keeps
    return frozenset(_choose_released(one.kept, excess, scene)) if excess > 0 else frozenset()


Slots = dict[int, tuple[Instance, ...]]
"""The instances of each slot, best first."""


def _by_slot(
    containers: Iterable[ObservedContainer], judge: Judge, scene: Scene
) -> tuple[Slots, list[ObservedContainer]]:
    """The instances that stay up by slot, in the order of the numbers, and what is being stopped."""
    stopping = []
    slots: dict[int, list[Instance]] = defaultdict(list)
    for container in containers:
        post = scene.posts[container.host]
        if container.id in post.stopping:
            stopping.append(container)
        else:
            slots[container.slot].append(judge.instance(container, post))
    for slot, group in slots.items():
        if len(group) > 1:
            group.sort(key=best_first)
            if not group[0].abandoned:  # what a lost host still has of it is settled when that host is back
                slots[slot] = [one for one in group if not one.abandoned]
    return {slot: tuple(slots[slot]) for slot in sorted(slots)}, stopping


def _surplus(
    groups: Mapping[int, tuple[Instance, ...]], released: Container[int]
) -> Iterator[ObservedContainer]:
    """What no slot needs: all but the best of a slot that is kept, all of one that goes."""
    for slot, group in groups.items():
        if slot in released:
            yield from (one.container for one in group)
        elif len(group) > 1:
            yield from (one.container for one in group[1:])


def _healthy(groups: Iterable[tuple[Instance, ...]], service: Service, now: Now) -> int:
    soak = service.update.min_healthy_time
    return sum(
        group[0].soaked(now, soak) or (len(group) > 1 and any(one.soaked(now, soak) for one in group))
        for group in groups
    )


def _at_rest(group: tuple[Instance, ...]) -> bool:
    """Whether a slot has the one instance that it should have."""
    return len(group) == 1 and group[0].container.ready and group[0].fit


def _choose_released(groups: Mapping[int, tuple[Instance, ...]], excess: int, scene: Scene) -> set[int]:
    """The worst placed slots: not ready, then unfit, then in the zone and on the host that has most of
    them; what packs leaves the hosts that have least of it, so that these become empty."""
    packs = any(group[0].packs for group in groups.values())
    by_host: dict[str, list[_Rank]] = defaultdict(list)
    for rank in sorted(itertools.starmap(_release_rank, groups.items()), reverse=True):
        by_host[groups[rank.slot][0].container.host].append(rank)  # the worst last
    zones = {host: "" if packs else _zone(scene.posts[host].host) for host in by_host}
    sizes = Counter(zones[host] for host, slots in by_host.items() for _ in slots)
    queues: dict[str, list[tuple[bool, bool, int, int, str]]] = defaultdict(list)

    def enqueue(host: str) -> None:
        """A host among those of its zone, by the worst of its slots and how many it has."""
        serves, fit, tie, _ = by_host[host][-1]
        many = len(by_host[host])
        heappush(queues[zones[host]], (serves, fit, many if packs else -many, tie, host))

    def worst(zone: str) -> tuple[bool, bool, int, int, int]:
        serves, fit, many, tie, _ = queues[zone][0]
        return serves, fit, -sizes[zone], many, tie

    for host in by_host:
        enqueue(host)
    released: set[int] = set()
    for _ in range(excess):
        zone = min((one for one, queue in queues.items() if queue), key=worst)
        *_, host = heappop(queues[zone])
        released.add(by_host[host].pop().slot)
        sizes[zone] -= 1
        if by_host[host]:
            enqueue(host)
    return released


class _Rank(NamedTuple):
    """Of a slot when too many run, the first to go first; `tie` is a number that depends on its name only."""

    serves: bool
    fit: bool
    tie: int
    slot: int


def _zone(host: Host | None) -> str:
    return host.labels.get(ZONE, "") if host is not None else ""


def _release_rank(slot: int, group: tuple[Instance, ...]) -> _Rank:
    best = group[0]
    serves = any(one.container.ready and one.reachable for one in group)
    return _Rank(serves, best.fit, stable_hash(f"{best.container.workload}/{slot}"), slot)


def _stopped_first(workload: WorkloadId, scene: Scene) -> frozenset[int]:
    """The slots whose instance was stopped first and has no successor yet: these keep their numbers."""
    return frozenset(
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
