"""What placement is asked for and what it answers, by (workload, host) counts, never by container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import groupby

from rota.core.ids import WorkloadId
from rota.core.model import Service


class Claim(IntEnum):
    """How much may be asked of others for a demand that finds no room: each includes those before it.

    `NOTHING`: it takes what is free. `ELASTIC`: what fills beyond its least yields. `MOVES`: others may
    move. `PREEMPTION`: others of strictly lower priority may be stopped.
    """

    NOTHING = 0
    ELASTIC = 1
    MOVES = 2
    PREEMPTION = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """`count` instances of one workload that need hosts.

    `prefer` says how many should go to which host where it admits them: the host whose predecessor they
    replace, or the one that an earlier decision promised. `pinned_to` is the host that holds the volumes
    of the one instance asked for. `barred` are hosts that are out of the question, with the reason, `shunned`
    those that come last.
    `new`: they are not successors of instances that run; `replaces` says how many predecessors stand on
    which host: for these instances, they do not count. `patient`: where it should stay is worth waiting for.
    """

    service: Service
    count: int
    prefer: Mapping[str, int] = field(default_factory=dict)
    replaces: Mapping[str, int] = field(default_factory=dict)
    pinned_to: str | None = None
    barred: Mapping[str, str] = field(default_factory=dict)
    shunned: frozenset[str] = frozenset()
    claim: Claim = Claim.PREEMPTION
    new: bool = True
    patient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why some hosts were refused: the filter's name, the hosts, and the reason in words.

    No hosts: the reason holds for the whole fleet.
    """

    filter: str
    hosts: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """The answer to one demand: instances per host that fit `now`, those that fit `later`, once what
    leaves those hosts has left, and how many are `unplaced`, with what every host said."""

    demand: Demand
    now: Mapping[str, int] = field(default_factory=dict)
    later: Mapping[str, int] = field(default_factory=dict)
    unplaced: int = 0
    refusals: tuple[Refusal, ...] = ()


def precedence(service: Service) -> tuple[int, int, int, WorkloadId]:
    """The order in which workloads are served: priority, then size, then name."""
    return (-service.priority, -service.requests.memory, -service.requests.cpu, service.id)


def tiers(demands: Sequence[Demand]) -> list[list[int]]:
    """The order of service: places in `demands` by priority, the highest first, and in each by precedence.

    Whom others must be with comes before them, and has their priority where that is higher.
    """
    needs = {
        demand.service.id: {one.workload for one in demand.service.placement.affinity if one.required}
        for demand in demands
    }
    priority = {demand.service.id: demand.service.priority for demand in demands}
    depth = dict.fromkeys(needs, 0)
    for _ in needs:
        before = (dict(priority), dict(depth))
        for follower, partners in needs.items():
            for partner in partners & needs.keys():
                priority[partner] = max(priority[partner], priority[follower])
                depth[follower] = min(max(depth[follower], depth[partner] + 1), len(needs))
        if before == (priority, depth):
            break

    def rank(at: int) -> tuple[int, int, tuple[int, int, int, WorkloadId]]:
        workload = demands[at].service.id
        return (-priority[workload], depth[workload], precedence(demands[at].service))

    ordered = sorted(range(len(demands)), key=rank)
    return [list(tier) for _, tier in groupby(ordered, key=lambda at: rank(at)[0])]
