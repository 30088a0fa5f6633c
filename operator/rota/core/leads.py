"""Ahead of an edge: what is to be healthy when it comes has to begin before it.

Growth that an edge brings begins its lead earlier, beside what runs now. What the same edge takes away
from lower priorities may make room for it meanwhile; all else that shrinks does so after the edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil, inf
from typing import NamedTuple

from rota.core.edges import edges
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fill, Fleet, Service
from rota.core.observed import Now
from rota.core.windows import Ahead, Want, next_edge, wanted

LONGEST = timedelta(minutes=30)
"""A learnt lead is at most so long, and at most half the time since the count changed before. On a clock that
runs faster it is as much longer as the clock is faster, up to `HALF_A_DAY`."""
HALF_A_DAY = timedelta(hours=12)

FIRST_START = 15.0
"""Seconds for a pull, a create and a start that were never measured; what its check takes comes on top."""
UNKNOWN_CHECK = 30.0
"""Docker's own interval between checks, where the image or the default says it."""
SPARE = 1.25
"""Starts take longer where many happen at once than the longest one that was measured."""
REACTION = 2.0
"""Seconds until an exit or a healthy check is noticed and acted on."""
LANES = 8
"""Starts that a host works on at a time."""
MOST_EDGES = 32
"""Edges that are looked at ahead; where more than these are near, the later ones come into view in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """One workload that grows at an edge. `count` are wanted then, at least where it fills (`elastic`).

    `begins` is when its lead begins.
    """

    at: datetime
    workload: WorkloadId
    rule: str
    count: int
    elastic: bool
    begins: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What is wanted now with what an edge to come asks for already; the growth that is in sight; and the
    next instant at which any of this changes, None where it never does."""

    wants: Mapping[WorkloadId, Want]
    growth: tuple[Growth, ...] = ()
    wake: datetime | None = None


class _Bounds(NamedTuple):
    """The least and the most that a want allows."""

    least: int
    most: float


def _bounds(want: Want) -> _Bounds:
    if want.fill is None:
        return _Bounds(want.count, want.count)
    return _Bounds(want.count, inf if want.fill.max is None else want.fill.max)


@dataclass(frozen=True)
class _Edge:
    """One edge: what was wanted before it, and from it on."""

    fleet: Fleet
    at: datetime
    before: Mapping[WorkloadId, Want]
    after: Mapping[WorkloadId, Want]

    @cached_property
    def growing(self) -> Sequence[WorkloadId]:
        """Those that the edge allows or asks for more."""
        return [
            workload for workload, old, new in self._changed if new.least > old.least or new.most > old.most
        ]

    @cached_property
    def shrinking(self) -> Sequence[WorkloadId]:
        """Those that the edge asks or allows fewer."""
        return [
            workload for workload, old, new in self._changed if new.least < old.least or new.most < old.most
        ]

    @cached_property
    def giving_way(self) -> Sequence[Service]:
        """Those that something of a higher priority may stop: they may be unavailable, or go anyway."""
        shrinking = frozenset(self.shrinking)
        running = (one for one in self.fleet.services.values() if self.before[one.id].count > 0)
        return [one for one in running if one.max_unavailable.value > 0 or one.id in shrinking]

    @cached_property
    def filling(self) -> Sequence[Service]:
        """Those that fill until then."""
        return [self.fleet.services[workload] for workload, want in self.before.items() if want.fill]

    @cached_property
    def _changed(self) -> Sequence[tuple[WorkloadId, _Bounds, _Bounds]]:
        both = ((workload, self.before[workload], want) for workload, want in self.after.items())
        return [(workload, _bounds(old), _bounds(new)) for workload, old, new in both if old != new]


def prospect(fleet: Fleet, ledger: Ledger, now: Now) -> Prospect:
    """What is wanted at `now`, edges in sight included."""
    current = wanted(fleet, now.wall)
    first = next_edge(fleet, now.wall)
    if first is None:
        return Prospect(wants=current)
    line = _edges_in_sight(fleet, current, now, first)
    begun_before = {(one.at, one.workload): one.begun for one in ledger.edges if one.begun is not None}
    growth = []
    for number, edge in enumerate(line):
        if edge.at <= now.wall:
            continue
        for workload in edge.growing:
            begins = begun_before.get((edge.at, workload))
            if begins is None:
                begins = edge.at - _lead(fleet, ledger, now, line[: number + 1], workload)
            after = edge.after[workload]
            growth.append(
                Growth(
                    at=edge.at,
                    workload=workload,
                    rule=after.rule,
                    count=after.count,
                    elastic=after.fill is not None,
                    begins=begins,
                )
            )
    wake = min([first, *(one.begins for one in growth if one.begins > now.wall)])
    wants = _joined(current, line, [one for one in growth if one.begins <= now.wall], fleet)
    return Prospect(wants=wants, growth=tuple(growth), wake=wake)


def _edges_in_sight(
    fleet: Fleet, current: Mapping[WorkloadId, Want], now: Now, first: datetime
) -> list[_Edge]:
    """The edges whose leads could have begun, or begin before `first`; and those just before them."""
    at, longest = now.wall, _longest(now)
    stated = (window.lead for policy in fleet.policies for window in policy.windows)
    farthest = max([longest, *(timedelta(seconds=lead) for lead in stated if lead is not None)])
    start = min(at, first - 2 * longest)
    instants = edges(fleet, start, first + farthest)
    ahead = [one for one in instants if one > at][:MOST_EDGES]
    behind = [one for one in instants if one <= at][-MOST_EDGES:]
    result = []
    before = wanted(fleet, start) if behind else current
    for instant in (*behind, *ahead):
        after = wanted(fleet, instant)
        result.append(_Edge(fleet, instant, before, after))
        before = after
    return result


# --- how long a lead is


def _lead(fleet: Fleet, ledger: Ledger, now: Now, line: Sequence[_Edge], workload: WorkloadId) -> timedelta:
    """How long before the last edge of `line` the growth of `workload` begins."""
    edge = line[-1]
    after = edge.after[workload]
    if after.lead is not None:
        return timedelta(seconds=after.lead)
    service = fleet.services[workload]
    count = max(after.count - edge.before[workload].count, 1)
    seconds = _seconds_to_start(service, ledger) * ceil(count / (LANES * max(len(fleet.hosts), 1)))
    seconds += REACTION + service.update.min_healthy_time + _grace(edge, service)
    changed = [one.at for one in line[:-1] if _bounds(one.before[workload]) != _bounds(one.after[workload])]
    longest = _longest(now)
    half = (edge.at - changed[-1]) / 2 if changed else longest
    return min(timedelta(seconds=seconds * now.speed), longest, half)


def _longest(now: Now) -> timedelta:
    return min(LONGEST * now.speed, HALF_A_DAY)


def _seconds_to_start(service: Service, ledger: Ledger) -> float:
    """Pull, start and first healthy check of one instance: the longest of those measured, and some more."""
    measured = ledger.start_times.get(service.id)
    return SPARE * max(measured) if measured else FIRST_START + _check_takes(service)


def _check_takes(service: Service) -> float:
    """The first value, from the settings of its health check: how long it takes to say healthy."""
    check = service.container.healthcheck
    if check is None:
        return UNKNOWN_CHECK
    if check.disabled:
        return 0.0
    return (check.start_period or 0.0) + (UNKNOWN_CHECK if check.interval is None else check.interval)


def _grace(edge: _Edge, service: Service) -> float:
    """The longest grace among those that may have to stop for `service`."""
    if edge.after[service.id].fill is not None:
        return 0.0  # what fills stops nobody
    stopped = [one for one in edge.giving_way if one.priority < service.priority]
    stopped += [one for one in edge.filling if one.id != service.id]
    return max((one.container.stop_grace_period for one in stopped), default=0.0)


# --- what is wanted while it lasts


def _joined(
    current: Mapping[WorkloadId, Want], line: Sequence[_Edge], begun: Sequence[Growth], fleet: Fleet
) -> Mapping[WorkloadId, Want]:
    """`current`, with the growth that has begun, and with what may make room for it."""
    if not begun:
        return current
    result = dict(current)
    by_instant: dict[datetime, list[Growth]] = {}
    for one in begun:
        by_instant.setdefault(one.at, []).append(one)
    for edge in (one for one in line if one.at in by_instant):
        growing = by_instant[edge.at]
        highest = max(fleet.services[one.workload].priority for one in growing)
        lasting = -1
        for workload in edge.shrinking:
            want, priority = result[workload], fleet.services[workload].priority
            leaves = max(want.leaves, current[workload].count - edge.after[workload].count)
            yields = leaves > 0 and priority < highest and want.fill is None
            keeps = edge.after[workload].count if yields else None
            if want.fill is not None:
                most = _bounds(edge.after[workload]).most
                keeps = int(most) if most < inf else None
            yields_at = want.yields_at or (edge.at if yields else None)
            result[workload] = replace(want, leaves=leaves, yields_at=yields_at, keeps=keeps)
            if want.fill is None:
                lasting = max(lasting, priority)
            elif leaves > 0:
                lasting = highest  # its least makes room for nobody before the edge
        for one in growing:
            if result[one.workload].yields_at is not None:
                continue  # what makes room does not grow into it
            patient = lasting >= fleet.services[one.workload].priority
            result[one.workload] = _grown(result[one.workload], edge, one, patient=patient)
    return result


def _grown(want: Want, edge: _Edge, growth: Growth, *, patient: bool) -> Want:
    """`want` with what the edge asks for beyond it."""
    after = edge.after[growth.workload]
    least = max(want.count, after.count)
    ahead = Ahead(count=least - want.due, rule=growth.rule, at=edge.at, patient=patient)
    fill = None
    if want.fill is not None or after.fill is not None:
        most = max(_bounds(want).most, _bounds(after).most, least)
        weights = [one.fill.weight for one in (after, want) if one.fill is not None]
        fill = Fill(min=least, max=None if most == inf else int(most), weight=weights[0])
    return replace(want, count=least, fill=fill, ahead=ahead)
