"""Who gives way to a workload that found no room, and who could but for its disruption budget."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from rota.core.decide import Decision
from rota.core.ids import WorkloadId
from rota.core.model import Service
from rota.core.observed import ObservedContainer, ObservedState
from rota.core.placement.board import Board
from rota.core.placement.demand import Demand
from rota.core.placement.terrain import Ints
from rota.core.planning.actions import OUTRANKED, Change, ChangeKind, makes_room_for


def makes_way(workload: WorkloadId, decision: Decision) -> tuple[str, ...]:
    """What the decision has others do to make room for `workload`, in words."""
    return tuple(
        f"{_words(one)} (waits: {one.waits})" if one.waits else _words(one)
        for one in decision.changes
        if one.cause.partition(OUTRANKED)[0] == makes_room_for(workload)
    )


def _words(change: Change) -> str:
    name = f"{change.workload}/{change.slot}"
    if change.kind is not ChangeKind.STOP:
        return f"{name} moves from {change.source} to {change.host}"
    how = "is preempted" if OUTRANKED in change.cause else "gives up what it filled"
    return f"{name} on {change.source} {how}"


def held_back(
    demand: Demand, hosts: Iterable[str], board: Board, observed: ObservedState, decision: Decision
) -> tuple[str, ...]:
    """Who of lower priority on `hosts`, which lack nothing but room, would be stopped for `demand` if its
    disruption budget let it."""
    leaving = {(one.workload, one.slot, one.source) for one in decision.changes if one.host != one.source}
    found: dict[tuple[WorkloadId, str], list[str]] = defaultdict(list)
    for host in hosts:
        lower = [
            (board.services[one.workload], one)
            for one in observed.hosts[host].containers
            if one.workload in board.services
            and not observed.is_stopping(one)
            and (one.workload, one.slot, host) not in leaving
        ]
        chosen = _enough(demand, board.free(after=True)[board.rows[host]], lower, board)
        for service, count in chosen.items():
            why = _budget(board.services[service], count, decision)
            if why:
                found[service, why].append(host)
    return tuple(
        f"{workload} on {', '.join(names)} could make room, but {why}"
        for (workload, why), names in sorted(found.items())
    )


def _enough(
    demand: Demand, free: Ints, tenants: Sequence[tuple[Service, ObservedContainer]], board: Board
) -> Mapping[WorkloadId, int]:
    """How many of whom would have to go, the lowest priority first; nobody where that is not enough."""
    needs = board.vector(demand.service.requests)
    chosen: Counter[WorkloadId] = Counter()
    for service, one in sorted(tenants, key=lambda each: (each[0].priority, each[0].id, each[1].slot)):
        if service.priority >= demand.service.priority or service.container.pinned:
            continue
        chosen[service.id] += 1
        free = free + board.vector(one.requests)
        if (free >= needs).all():
            return chosen
    return {}


def _budget(service: Service, count: int, decision: Decision) -> str:
    """Why `count` of `service` may not be stopped; empty where its budget is not what forbids it."""
    want = decision.wants[service.id]
    if want.fill is not None or count <= decision.spare[service.id]:
        return ""
    allowed = service.max_unavailable.of(want.count)
    stated = f"its disruption.maxUnavailable is {service.max_unavailable}"
    if count > allowed > 0:
        return f"{stated}, and {count} would have to be stopped"
    return f"{stated}, and is used up" if allowed else stated
