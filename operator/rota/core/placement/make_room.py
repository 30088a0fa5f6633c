"""Room for what finds none: what fills yields, others move, or lower priority is stopped.

In that order, each only where the one before it does not help; always the fewest, then the smallest.
A move is made before it breaks: its new seat must be free now. The search is bounded: it looks at the
hosts that lack least.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import combinations
from typing import NamedTuple

import numpy as np

from rota.core.ids import WorkloadId
from rota.core.model import Service
from rota.core.placement.board import Board
from rota.core.placement.demand import Claim, Demand
from rota.core.placement.domains import can_spare, together
from rota.core.placement.feasibility import admitted
from rota.core.placement.fill import dominant_share
from rota.core.placement.rank import spread_keys
from rota.core.placement.seat import seat
from rota.core.placement.terrain import Ints
from rota.core.rules import Strategy

MOST_HOSTS = 64
"""Hosts that are looked at for one instance, those that lack least first."""

MOST_SEARCHES = 200
"""Instances that room is searched for in one decision; the rest wait for the next."""

MOST_MOVES = 3
"""Instances that may move for one other."""

MOST_TENANTS = 36
"""Instances of a host that are thought of for a move: half as many where two have to, and so on."""


class Way(StrEnum):
    """How an instance makes room: `yield`, it fills what is left over; `move`; `preempt`, it is stopped."""

    YIELD = "yield"
    MOVE = "move"
    PREEMPT = "preempt"


class Tenant(NamedTuple):
    """One instance that stands on a host, in which ways it may be asked to make room, and where it could
    not go, with the reasons."""

    service: Service
    slot: int
    ways: frozenset[Way]
    barred: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """One instance that makes room on `host` for `claimant`; `target` is where it moves."""

    way: Way
    tenant: Tenant
    host: str
    claimant: WorkloadId
    target: str | None = None


@dataclass(slots=True)
class Allowance:
    """What may still be asked for in this decision: moves of the whole fleet, and by workload how many
    of it may yield, move, or be stopped within its disruption budget. `weights` are of what fills, `gone`
    the slots that were evicted already."""

    moves: int
    weights: dict[WorkloadId, int] = field(default_factory=dict)
    left: dict[tuple[WorkloadId, Way], int] = field(default_factory=dict)
    searches: int = MOST_SEARCHES
    gone: set[tuple[WorkloadId, int]] = field(default_factory=set)

    def allows(self, tenant: Tenant, way: Way) -> bool:
        enough = way is not Way.MOVE or self.moves > 0
        if (tenant.service.id, tenant.slot) in self.gone:
            return False
        return way in tenant.ways and enough and self.left.get((tenant.service.id, way), 0) > 0

    def copy(self) -> Allowance:
        """One that can be spent without spending this one."""
        return replace(self, left=dict(self.left), gone=set(self.gone))

    def spend(self, eviction: Eviction) -> None:
        self.left[eviction.tenant.service.id, eviction.way] -= 1
        self.moves -= eviction.way is Way.MOVE
        self.gone.add((eviction.tenant.service.id, eviction.tenant.slot))


TenantsOf = Callable[[str], Sequence[Tenant]]
"""Who stands on a host and is there to stay. Asked only for the hosts that are looked at."""


def make_room(
    demand: Demand, count: int, board: Board, tenants_of: TenantsOf, allowance: Allowance
) -> list[tuple[str, tuple[Eviction, ...]]]:
    """Seats for up to `count` instances of `demand` with what has to give way for each: (host, evictions).

    The board is changed by all of them, the allowance spent.
    """
    result = []
    for _ in range(count):
        if allowance.searches <= 0:
            break
        allowance.searches -= 1
        found = _one(demand, board, tenants_of, allowance)
        if found is None:
            break
        host, evictions = found
        for eviction in evictions:
            allowance.spend(eviction)
            _apply(eviction, board)
        board.seat(demand.service, np.array([board.rows[host]]), np.array([1]))
        result.append(found)
    return result


Found = tuple[str, tuple[Eviction, ...]]


def _one(demand: Demand, board: Board, tenants_of: TenantsOf, allowance: Allowance) -> Found | None:
    ways = [
        (Claim.ELASTIC, Way.YIELD, _yielding),
        (Claim.MOVES, Way.MOVE, _moving),
        (Claim.PREEMPTION, Way.PREEMPT, _stopping),
    ]
    rows = _nearest_hosts(demand, board)
    for claim, way, search in ways:
        if demand.claim < claim:
            break
        best: tuple[tuple[int, ...], Found] | None = None
        for row, standing in rows:
            host = board.hosts[row].name
            tenants = [
                one
                for one in tenants_of(host)
                if allowance.allows(one, way)
                and one.service.id != demand.service.id
                and can_spare(one.service, row, board, demand) > 0
            ]
            found = search(demand, row, tenants, board, allowance) if tenants else None
            if found is None:
                continue
            # What yields is meant to: there an even spread counts first, elsewhere the fewest and smallest.
            cost = (*standing, *found[0]) if way is Way.YIELD else (*found[0], *standing)
            if best is None or cost < best[0]:
                best = (cost, (host, found[1]))
        if best is not None:
            return best[1]
    return None


def _nearest_hosts(demand: Demand, board: Board) -> list[tuple[int, tuple[int, ...]]]:
    """Hosts that admit the demand but for their room, those that lack the smallest share of it first,
    each with how many of the workload stand in its domains and on it, where that is to be even."""
    one = replace(demand, count=1)
    open_to_it = np.flatnonzero(admitted(one, board, after=True) > 0)
    needs = board.vector(demand.service.requests)
    free = np.maximum(board.free(after=True)[open_to_it], 0)
    missing = (np.maximum(needs - free, 0) / np.maximum(needs, 1)).sum(axis=1)
    holds = np.asarray(board.capacity[open_to_it] >= needs).all(axis=1)
    ties = board.ties(demand.service.id)[open_to_it]
    order = np.lexsort((ties, missing))
    nearest = open_to_it[order][np.asarray(holds)[order]][:MOST_HOSTS]
    standing = [together(board, demand.service.id, key)[nearest] for key in spread_keys(demand.service)]
    if demand.service.placement.strategy is Strategy.SPREAD:
        standing.append(board.counts(demand.service.id)[nearest])
    return [(int(row), tuple(int(one[at]) for one in standing)) for at, row in enumerate(nearest)]


Cost = tuple[tuple[int, ...], tuple[Eviction, ...]]


def _yielding(
    demand: Demand, row: int, tenants: Sequence[Tenant], board: Board, allowance: Allowance
) -> Cost | None:
    """Instances that fill, one after the other of the workload that has the largest share by then; and of
    what an edge takes away soon, those of lower priority."""
    tenants = [
        one
        for one in tenants
        if one.service.id in allowance.weights or one.service.priority < demand.service.priority
    ]
    left = {one.service.id: allowance.left[one.service.id, Way.YIELD] for one in tenants}
    unit = {
        one.service.id: dominant_share(one.service, allowance.weights.get(one.service.id, 1), board)
        for one in tenants
    }
    waiting = sorted(tenants, key=lambda one: (one.service.id, -one.slot))
    ordered = []
    while waiting:
        following = max(waiting, key=lambda one: left[one.service.id] * unit[one.service.id])
        waiting.remove(following)
        left[following.service.id] -= 1
        ordered.append(following)
    return _fewest(demand, row, ordered, Way.YIELD, (board, allowance))


def _stopping(
    demand: Demand, row: int, tenants: Sequence[Tenant], board: Board, allowance: Allowance
) -> Cost | None:
    """The lowest priorities first, and none that is not strictly lower."""
    lower = [one for one in tenants if one.service.priority < demand.service.priority]
    ordered = sorted(lower, key=lambda one: (one.service.priority, _size(one), one.service.id, one.slot))
    return _fewest(demand, row, ordered, Way.PREEMPT, (board, allowance))


def _fewest(
    demand: Demand, row: int, ordered: Sequence[Tenant], way: Way, ground: tuple[Board, Allowance]
) -> Cost | None:
    """Take tenants in order until the demand fits, then leave those that it would fit without."""
    board, allowance = ground
    chosen: list[Tenant] = []
    asked: dict[WorkloadId, int] = {}
    for tenant in ordered:
        spare = min(allowance.left[tenant.service.id, way], can_spare(tenant.service, row, board, demand))
        if asked.get(tenant.service.id, 0) >= spare:
            continue
        asked[tenant.service.id] = asked.get(tenant.service.id, 0) + 1
        chosen.append(tenant)
        if _fits_without(demand, row, chosen, board):
            break
    else:
        return None
    for tenant in sorted(chosen, key=lambda one: (-one.service.priority, _size(one))):
        others = [one for one in chosen if one is not tenant]
        if _fits_without(demand, row, others, board):
            chosen = others
    host = board.hosts[row].name
    evictions = tuple(Eviction(way=way, tenant=one, host=host, claimant=demand.service.id) for one in chosen)
    highest = max((one.service.priority for one in chosen), default=0)
    return (highest if way is Way.PREEMPT else 0, len(chosen), sum(map(_size, chosen))), evictions


def _moving(
    demand: Demand, row: int, tenants: Sequence[Tenant], board: Board, allowance: Allowance
) -> Cost | None:
    """The fewest and smallest instances that have a free seat elsewhere, and without which it fits."""
    for count in range(1, min(MOST_MOVES, allowance.moves) + 1):
        kinds = _at_most_of_each(tenants, count)[: MOST_TENANTS // count]
        sets = sorted(combinations(kinds, count), key=lambda ones: (sum(map(_size, ones)), _names(ones)))
        for chosen in sets:
            if not _fits_without(demand, row, chosen, board):
                continue
            evictions = _rehouse(demand, row, chosen, board, allowance)
            if evictions is not None:
                return (count, sum(map(_size, chosen))), evictions
    return None


def _at_most_of_each(tenants: Sequence[Tenant], count: int) -> list[Tenant]:
    """Up to `count` instances of each workload, the largest first: its others would make the same room."""
    seen: dict[WorkloadId, int] = {}
    result = []
    for tenant in sorted(tenants, key=lambda one: (-_size(one), one.service.id, one.slot)):
        seen[tenant.service.id] = seen.get(tenant.service.id, 0) + 1
        if seen[tenant.service.id] <= count:
            result.append(tenant)
    return result


def _names(tenants: Iterable[Tenant]) -> list[tuple[WorkloadId, int]]:
    return [(one.service.id, one.slot) for one in tenants]


def _rehouse(
    demand: Demand, row: int, chosen: Sequence[Tenant], board: Board, allowance: Allowance
) -> tuple[Eviction, ...] | None:
    """New seats for `chosen`, free now, on other hosts; None where one of them has none."""
    trial, host = board.checkpoint(), board.hosts[row].name
    asked: dict[WorkloadId, int] = {}
    evictions = []
    for tenant in chosen:
        asked[tenant.service.id] = asked.get(tenant.service.id, 0) + 1
        spare = can_spare(tenant.service, row, board, demand)
        if asked[tenant.service.id] > min(spare, allowance.left[tenant.service.id, Way.MOVE]):
            return None
        trial.add(tenant.service.id, np.array([row]), np.array([-1]))
        barred = {**tenant.barred, host: "it makes room there"}
        move = Demand(service=tenant.service, count=1, barred=barred)
        given = np.flatnonzero(seat(move, trial, 1, after=False))
        if not len(given):
            return None
        trial.seat(tenant.service, given, np.ones(1, np.int64))
        target = board.hosts[int(given[0])].name
        evictions.append(
            Eviction(way=Way.MOVE, tenant=tenant, host=host, claimant=demand.service.id, target=target)
        )
    return tuple(evictions)


def _fits_without(demand: Demand, row: int, leaving: Sequence[Tenant], board: Board) -> bool:
    """Whether one instance fits on a host once `leaving` have left it."""
    free = board.free_after[row].copy()
    for tenant in leaving:
        free += board.vector(tenant.service.requests)
    return bool((free >= board.vector(demand.service.requests)).all())


def _apply(eviction: Eviction, board: Board) -> None:
    one: Ints = np.ones(1, np.int64)
    board.unseat(eviction.tenant.service, np.array([board.rows[eviction.host]]), one)
    if eviction.target is not None:
        board.seat(eviction.tenant.service, np.array([board.rows[eviction.target]]), one)


def _size(tenant: Tenant) -> int:
    """How large an instance is, for the sake of comparison: memory and cpu alike, a core as 4 Gi."""
    requests = tenant.service.requests
    return requests.memory + requests.cpu * ((4 << 30) // 1000)
