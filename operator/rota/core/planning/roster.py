"""Who is on duty: the containers of one workload by slot, and which slots stay, go or are missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rota.core.ledger import Ledger
from rota.core.model import Fleet, Service, WorkloadId
from rota.core.observed import (
    ContainerState,
    Health,
    HostState,
    Now,
    ObservedContainer,
    ObservedState,
)
from rota.core.placement.feasibility import must_move
from rota.core.placement.rank import stable_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One container of a workload, judged: all that is text is a reason, or empty.

    `misplaced`: it has to move. `failed`: it had its chance. `untouchable`: it cannot be stopped now.
    `stranded`: it must not be replaced, for its successor could have no place. `abandoned`: its host does
    not answer, and a commit let it go, which is a person's word that it need not be waited for.
    """

    container: ObservedContainer
    current: bool
    misplaced: str
    failed: str
    reachable: bool
    untouchable: str
    stranded: str
    abandoned: bool

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
    but what a silent host keeps from being removed holds nobody up.
    """

    service: Service
    wanted: int
    kept: Mapping[int, tuple[Instance, ...]]
    released: Mapping[int, tuple[Instance, ...]]
    missing: tuple[int, ...]
    stopping: tuple[ObservedContainer, ...]
    alive: int


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


def roster(service: Service, wanted: int, containers: Iterable[ObservedContainer], scene: Scene) -> Roster:
    """Sort the containers of `service` into slots, and choose which slots go when there are too many."""
    stopping = []
    slots: dict[int, list[Instance]] = defaultdict(list)
    for container in containers:
        if scene.observed.is_stopping(container):
            stopping.append(container)
        else:
            slots[container.slot].append(_judge(container, service, scene))
    groups = {slot: tuple(sorted(slots[slot], key=_best_first)) for slot in sorted(slots)}
    released = _choose_released(groups, len(groups) - wanted)
    kept = {slot: group for slot, group in groups.items() if slot not in released}
    return Roster(
        service=service,
        wanted=wanted,
        kept=kept,
        released={slot: groups[slot] for slot in released},
        missing=_lowest_free(kept, wanted - len(kept)),
        stopping=tuple(stopping),
        alive=len(kept) + sum(_reachable(one, scene) for one in (*_surplus(groups, kept), *stopping)),
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
    return Instance(
        container=container,
        current=container.spec == service.spec_hash,
        misplaced=must_move(service, scene.fleet.hosts.get(container.host), pinned_to) or "",
        failed=_failure(container, service, scene) if reachable else "",
        reachable=reachable,
        untouchable=untouchable(container, scene.observed),
        stranded=_stranded(container, pinned_to, scene),
        abandoned=not reachable and pinned_to is None and container.host not in scene.fleet.hosts,
    )


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


def _choose_released(groups: Mapping[int, tuple[Instance, ...]], excess: int) -> list[int]:
    """The worst placed slots: not ready, then unfit, then on the host that has the most of them."""
    per_host: dict[str, int] = defaultdict(int)
    for group in groups.values():
        per_host[group[0].container.host] += 1
    remaining = dict(groups)
    released = []
    for _ in range(max(excess, 0)):
        slot = min(remaining, key=lambda one: _release_rank(remaining[one], per_host))
        per_host[remaining.pop(slot)[0].container.host] -= 1
        released.append(slot)
    return sorted(released)


def _release_rank(group: tuple[Instance, ...], per_host: Mapping[str, int]) -> tuple[bool, bool, int, int]:
    best = group[0]
    serves = any(one.container.ready and one.reachable for one in group)
    tie = stable_hash(f"{best.container.workload}/{best.container.slot}")
    return (serves, best.fit, -per_host[best.container.host], tie)


def _lowest_free(kept: Mapping[int, object], count: int) -> tuple[int, ...]:
    missing: list[int] = []
    number = 0
    while len(missing) < count:
        if number not in kept:
            missing.append(number)
        number += 1
    return tuple(missing)
