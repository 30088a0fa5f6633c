"""What a simulation found, as one value, and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from rota.core.ids import WorkloadId
from rota.core.quantities import format_time


class Verdict(StrEnum):
    """How an edge went. `late`, and `no room` without a fault, are failures: the others kept what was
    promised."""

    MET = "met"
    """All were healthy at the edge."""
    LATE = "late"
    """They were to be healthy at the edge, and were not."""
    AFTER_ROOM = "after room"
    """They needed room that only the edge frees, and followed it."""
    NO_LEAD = "no lead"
    """Nothing was to begin before the edge."""
    NO_ROOM = "no room"
    """No host had a place for all of them, at the edge or later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeMet:
    """One edge at which a workload grew: `ready` of `wanted`; `offset` is by how many seconds all of them
    were healthy after it (before it: negative), None where they never were. `faulty`: a host was down, or
    just back, when there was no room. `policy` is empty where an Override begins, which `window` then is."""

    at: datetime
    policy: str
    window: str
    workload: WorkloadId
    wanted: int
    ready: int
    offset: float | None
    verdict: Verdict
    faulty: bool = False

    @property
    def rule(self) -> str:
        """Who asked for it: `hours/day`, `override black-friday`."""
        return f"{self.policy}/{self.window}" if self.policy else self.window


@dataclass(frozen=True, slots=True)
class Below:
    """A time in which fewer served than the floor: `lowest` at the worst of it. `faulty`: it began while a
    host was down or just back, and did not outlast that."""

    since: datetime
    seconds: float
    lowest: int
    floor: int
    faulty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenBudget:
    """Rota itself stopped instances although `left` of them, fewer than `floor`, serve without them."""

    at: datetime
    workload: WorkloadId
    left: int
    floor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRun:
    """One workload. `lowest` instances served at the worst moment, when `floor` had to: what is wanted less
    what may be unavailable, where growth counts once it was reached. `hours` are instance-hours that served.
    `fixed` is the number that a fixed split would give one that fills, None for all others.
    """

    workload: WorkloadId
    lowest: int
    floor: int
    lowest_at: datetime
    below: tuple[Below, ...]
    hours: float
    fixed: int | None
    gained: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRun:
    """One host: hours in the fleet and hours without an instance, what both cost, how often it was lost."""

    name: str
    hours: float
    empty_hours: float
    cost: float
    empty_cost: float
    losses: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a person may want to know of."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much happened: what ended well of starts and stops, actions that failed, moves that were begun."""

    passes: int = 0
    starts: int = 0
    stops: int = 0
    failures: int = 0
    moves: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationReport:
    """A stretch of time in [start, end), simulated with `seed`; instants are shown in `zone`. `faults` is how
    many times a host was made to fail."""

    fleet: str
    revision: str
    start: datetime
    end: datetime
    zone: ZoneInfo
    seed: int
    edges: tuple[EdgeMet, ...]
    workloads: tuple[WorkloadRun, ...]
    hosts: tuple[HostRun, ...]
    broken: tuple[BrokenBudget, ...]
    counts: Counts
    events: tuple[Event, ...]
    faults: int = 0

    @property
    def late(self) -> tuple[EdgeMet, ...]:
        return tuple(one for one in self.edges if one.verdict is Verdict.LATE)

    @property
    def roomless(self) -> tuple[EdgeMet, ...]:
        """Edges for which there was no room although every host was there."""
        return tuple(one for one in self.edges if one.verdict is Verdict.NO_ROOM and not one.faulty)

    @property
    def short(self) -> tuple[WorkloadRun, ...]:
        """The workloads that were below their floor without a fault."""
        return tuple(one for one in self.workloads if not all(each.faulty for each in one.below))

    @property
    def kept(self) -> bool:
        """Every edge met, nothing below its floor without a fault, no budget broken by Rota itself."""
        return not (self.late or self.roomless or self.short or self.broken)


def document(report: SimulationReport, *, events: bool) -> dict[str, Any]:
    """`rota simulate -o json`."""

    def at(when: datetime) -> str:
        return format_time(when.astimezone(report.zone))

    found: dict[str, Any] = {
        "apiVersion": "rota/v1",
        "kind": "Simulation",
        "fleet": report.fleet,
        "revision": report.revision,
        "from": at(report.start),
        "to": at(report.end),
        "timeZone": report.zone.key,
        "seed": report.seed,
        "kept": report.kept,
        "edges": [
            {
                "at": at(one.at),
                "policy": one.policy,
                "window": one.window,
                "workload": str(one.workload),
                "wanted": one.wanted,
                "ready": one.ready,
                "offsetSeconds": None if one.offset is None else round(one.offset, 1),
                "verdict": str(one.verdict),
            }
            for one in report.edges
        ],
        "workloads": [_workload(one, at) for one in report.workloads],
        "hosts": [
            {
                "name": one.name,
                "hours": round(one.hours, 2),
                "emptyHours": round(one.empty_hours, 2),
                "cost": round(one.cost, 2),
                "emptyCost": round(one.empty_cost, 2),
                "losses": one.losses,
            }
            for one in report.hosts
        ],
        "brokenBudgets": [
            {"at": at(one.at), "workload": str(one.workload), "left": one.left, "floor": one.floor}
            for one in report.broken
        ],
        "counts": {
            "passes": report.counts.passes,
            "starts": report.counts.starts,
            "stops": report.counts.stops,
            "failures": report.counts.failures,
            "moves": report.counts.moves,
        },
    }
    if events:
        found["events"] = [{"at": at(one.at), "text": one.text} for one in report.events]
    return found


def _workload(one: WorkloadRun, at: Any) -> dict[str, Any]:
    return {
        "workload": str(one.workload),
        "lowest": {"healthy": one.lowest, "floor": one.floor, "at": at(one.lowest_at)},
        "below": [
            {
                "since": at(each.since),
                "seconds": round(each.seconds, 1),
                "lowest": each.lowest,
                "floor": each.floor,
                "faulty": each.faulty,
            }
            for each in one.below
        ],
        "instanceHours": round(one.hours, 2),
        "elastic": None if one.fixed is None else {"fixed": one.fixed, "gainedHours": round(one.gained, 2)},
    }
