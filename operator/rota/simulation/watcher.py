"""What a person wants to know of a simulation, gathered from its passes and its Engines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from zoneinfo import ZoneInfo

from rota.core.decide import Decision
from rota.core.ids import WorkloadId
from rota.core.ledger import EdgeRecord
from rota.core.model import Amount, Fleet, Service
from rota.core.observed import HostState, Outcome, Result
from rota.core.planning.actions import StopInstance
from rota.core.windows import Want
from rota.reconcile import Pass
from rota.simulation.driver import Simulation
from rota.simulation.report import (
    Below,
    BrokenBudget,
    Counts,
    EdgeMet,
    Event,
    HostRun,
    SimulationReport,
    Verdict,
    WorkloadRun,
)
from rota.simulation.serving import Serving

SECONDS_PER_HOUR = 3600.0
RECOVERY_SECONDS = 600.0
"""So long after a host is back what it had may still be missing: pulls, starts, and their health."""


@dataclass(slots=True)
class _Workload:
    """What is known of one workload so far. `reached` is the count that its floor is taken from."""

    reached: int | None = None
    serving: int = 0
    floor: int = 0
    seconds: float = 0.0
    worst: tuple[int, int, int, datetime] | None = None
    since: tuple[datetime, float] | None = None
    faulty: bool = False
    deepest: tuple[int, int] = (0, 0)
    below: list[Below] = field(default_factory=list)
    least: int | None = None
    fills: bool = False


@dataclass(slots=True)
class _Host:
    seconds: float = 0.0
    empty: float = 0.0
    rate: float = 0.0
    losses: int = 0


class Watcher:
    """Call `passed` after each pass and `stepped` when an instant is over; then ask for the `report`.

    Nothing counts before `begin`. What serves is judged on the Engines, what Rota did on its decisions.
    """

    def __init__(self, zone: ZoneInfo, progress: Callable[[datetime], None] | None = None) -> None:
        self._zone = zone
        self._progress = progress
        self._simulation: Simulation | None = None
        self._start: datetime | None = None
        self._last_mono = 0.0
        self._workloads: dict[WorkloadId, _Workload] = defaultdict(_Workload)
        self._hosts: dict[str, _Host] = defaultdict(_Host)
        self._edges: dict[tuple[datetime, WorkloadId], EdgeRecord] = {}
        self._roomless: dict[tuple[datetime, WorkloadId], bool] = {}
        self._down: set[str] = set()
        self._faults = 0
        self._well_at = -inf
        self._broken: list[BrokenBudget] = []
        self._events: list[Event] = []
        self._counts: Counter[str] = Counter()
        self._states: dict[str, HostState] = {}
        self._windows: dict[str, str] = {}
        self._moves: frozenset[object] = frozenset()
        self._stopped: set[str] = set()
        self._serving = Serving()
        self._latest: Pass | None = None

    def begin(self, simulation: Simulation) -> None:
        """What comes from now on counts."""
        self._simulation = simulation
        self._start, self._last_mono = simulation.clock.wall, simulation.clock.mono
        self._look(simulation)

    def fails(self, host: str) -> None:
        """A host is made to fail, now."""
        self._faults += 1
        self._down.add(host)
        self.note(f"host {host} fails")

    def recovers(self, host: str) -> None:
        """It is there again, and what ran on it starts."""
        assert self._simulation is not None
        self._down.discard(host)
        self._well_at = self._simulation.clock.mono + RECOVERY_SECONDS
        self.note(f"host {host} has started again")

    @property
    def _faulty(self) -> bool:
        """Whether a host is down, or so lately back that what it had cannot be expected to serve."""
        assert self._simulation is not None
        return bool(self._down) or self._simulation.clock.mono < self._well_at

    def note(self, text: str) -> None:
        """Something that happens from outside, now."""
        if self._simulation is not None:
            self._events.append(Event(self._simulation.clock.wall, text))

    def passed(self, last: Pass) -> None:
        """Take in one pass."""
        self._latest = last
        if last.decision is None or last.fleet is None:
            return
        if self._start is not None:
            self._counts["passes"] += 1
            self._follow_actions(last.fleet, last, last.decision)
            self._follow_edges(last.decision)
            self._follow_outcomes(last.outcomes)
        self._follow_hosts(last)
        self._follow_windows(last.decision)
        moves = frozenset(last.decision.ledger.moves.items())
        self._counts["moves"] += len(moves - self._moves) if self._start is not None else 0
        self._moves = moves

    def stepped(self) -> None:
        """The instant is over: what was before it lasted until now."""
        simulation = self._simulation
        if simulation is not None and self._progress is not None:
            self._progress(simulation.clock.wall)
        if simulation is None or self._latest is None or self._latest.fleet is None:
            return
        passed = simulation.clock.mono - self._last_mono
        self._last_mono = simulation.clock.mono
        if passed > 0:
            self._account(passed, self._latest.fleet)
        self._look(simulation)

    def report(self, seed: int) -> SimulationReport:
        """What was found from `begin` until now."""
        assert self._simulation is not None
        assert self._start is not None
        assert self._latest is not None
        assert self._latest.fleet is not None
        self.stepped()
        fleet, end = self._latest.fleet, self._simulation.clock.wall
        for one in self._workloads.values():
            self._close(one)
        hours = (end - self._start).total_seconds() / SECONDS_PER_HOUR
        return SimulationReport(
            fleet=fleet.name,
            revision=fleet.revision,
            start=self._start,
            end=end,
            zone=self._zone,
            seed=seed,
            edges=tuple(
                edge_met(one, roomless=self._roomless.get(key))
                for key, one in sorted(self._edges.items())
                if self._start <= one.at < end
            ),
            workloads=tuple(
                _workload_run(name, one, hours) for name, one in sorted(self._workloads.items()) if one.worst
            ),
            hosts=tuple(_host_run(name, one) for name, one in sorted(self._hosts.items())),
            broken=tuple(self._broken),
            counts=Counts(**{name: self._counts[name] for name in Counts.__dataclass_fields__}),
            events=tuple(self._events),
            faults=self._faults,
        )

    # --- after a pass

    def _follow_actions(self, fleet: Fleet, last: Pass, decision: Decision) -> None:
        """Stops that Rota chose, judged by what it saw: do enough serve without them?"""
        stops = {one.container_id for one in decision.actions if isinstance(one, StopInstance)}
        fresh = stops - self._stopped
        self._stopped = stops
        if not fresh:
            return
        for name in {one.workload for one in decision.actions if isinstance(one, StopInstance)}:
            service = fleet.services.get(name)
            if service is None:
                continue
            live = [
                one
                for one in last.observed.containers()
                if one.workload == name and not last.observed.is_stopping(one)
            ]
            serving = {one.slot for one in live if one.ready}
            left = {one.slot for one in live if one.ready and one.id not in stops}
            ends = any(one.id in fresh and one.ready for one in live)
            floor = floor_of(service, decision.wants[name], self._workloads[name].reached)
            if ends and len(left) < min(floor, len(serving)):
                broken = BrokenBudget(at=last.now.wall, workload=name, left=len(left), floor=floor)
                self._broken.append(broken)
                self.note(f"BUDGET BROKEN: {name} is left with {len(left)}, at least {floor} must serve")

    def _follow_edges(self, decision: Decision) -> None:
        unplaced = {one.workload for one in decision.unplaced}
        for one in decision.ledger.edges:
            if one.at <= self._now and one.workload in unplaced:
                before_this = self._roomless.get((one.at, one.workload), True)
                self._roomless[one.at, one.workload] = before_this and self._faulty
            key = (one.at, one.workload)
            before = self._edges.get(key)
            self._edges[key] = one
            if one.offset is not None and one.at <= self._now and (before is None or before.offset is None):
                met = edge_met(one)
                when = f"{met.rule} of {one.at.astimezone(self._zone):%a %H:%M}"
                self.note(f"{one.workload} {one.ready}/{one.wanted} for {when}: {met.verdict}")

    def _follow_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        for one in outcomes:
            if one.result is Result.DONE and one.verb in ("start", "restart"):
                self._counts["starts"] += 1
            elif one.result is Result.DONE and one.verb == "stop":
                self._counts["stops"] += 1
            elif one.result is Result.FAILED:
                self._counts["failures"] += 1
            if one.verb != "image" or one.result is not Result.DONE:
                ended = "" if one.result is Result.DONE else f" {one.result}: {one.message}"
                self.note(f"{one.verb} {one.workload}/{one.slot} on {one.host}{ended} ({one.cause})")

    def _follow_hosts(self, last: Pass) -> None:
        for name, view in last.observed.hosts.items():
            before = self._states.get(name)
            self._states[name] = view.state
            if before in (None, view.state) or self._start is None:
                continue
            self._hosts[name].losses += view.state is HostState.LOST
            self.note(f"host {name} is {view.state}")

    def _follow_windows(self, decision: Decision) -> None:
        for one in decision.windows:
            name = str(one.policy)
            if self._windows.get(name) not in (None, one.window) and self._start is not None:
                self.note(f"window {one.window} of {name} begins")
            self._windows[name] = one.window

    # --- at an instant

    @property
    def _now(self) -> datetime:
        assert self._simulation is not None
        return self._simulation.clock.wall

    def _account(self, passed: float, fleet: Fleet) -> None:
        for one in self._workloads.values():
            one.seconds += one.serving * passed
        for name, host in fleet.hosts.items():
            run = self._hosts[name]
            run.rate = host.cost_per_hour
            run.seconds += passed
            run.empty += passed if self._serving.is_empty(name) else 0.0

    def _look(self, simulation: Simulation) -> None:
        """How many serve now, and whether that is enough."""
        last = self._latest
        if last is None or last.fleet is None or last.decision is None:
            return
        counts = self._serving.look(simulation.hosts, last.fleet.uid)
        for name in self._workloads.keys() - last.fleet.services.keys():
            self._workloads[name].serving = 0
            self._close(self._workloads[name])
        for name, service in last.fleet.services.items():
            self._judge(self._workloads[name], service, last.decision.wants[name], counts.get(name, 0))

    def _judge(self, one: _Workload, service: Service, want: Want, serving: int) -> None:
        lowest = least_of(want)
        one.serving = serving
        one.least = lowest if one.least is None else min(one.least, lowest)
        one.fills = one.fills or want.fill is not None
        one.reached = reached(one.reached, lowest, serving)
        one.floor = floor_of(service, want, one.reached)
        worst = (serving - one.floor, serving, one.floor, self._now)
        if one.worst is None or worst[0] < one.worst[0]:
            one.worst = worst
        if serving >= one.floor:
            self._close(one)
            return
        if one.since is None:
            one.since, one.deepest = (self._now, self._last_mono), (serving, one.floor)
            one.faulty = self._faulty
        one.deepest = min(one.deepest, (serving, one.floor), key=lambda pair: pair[0] - pair[1])

    def _close(self, one: _Workload) -> None:
        """A time below the floor is over."""
        if one.since is not None:
            since, mono = one.since
            faulty = one.faulty and self._faulty
            one.below.append(Below(since, self._last_mono - mono, *one.deepest, faulty=faulty))
            one.since = None


def least_of(want: Want) -> int:
    """What is to serve in any case: of what fills, its least."""
    return want.fill.min if want.fill is not None else want.count


def reached(before: int | None, wanted: int, serving: int) -> int:
    """The count that a floor is taken from: lowered at once, raised only once so many serve.

    What grows is not short of anything while it grows; whether it was there in time, the edge tells.
    """
    if before is None or wanted < before or serving >= wanted:
        return wanted
    return before


def floor_of(service: Service, want: Want, count: int | None) -> int:
    """The fewest that Rota may leave: `count` less what may be unavailable, of what fills always one."""
    whole = least_of(want) if count is None else min(count, least_of(want))
    budget = service.max_unavailable
    if want.fill is not None and budget.of(whole) == 0:
        budget = Amount(value=1)
    return max(whole - budget.of(whole), 0)


def edge_met(one: EdgeRecord, roomless: bool | None = None) -> EdgeMet:
    """What came of an edge. `roomless` is None where there was room for all, else whether for a fault."""
    in_time = one.offset is not None and one.offset <= 0
    if in_time:
        verdict = Verdict.MET
    elif roomless is not None and one.offset is None:
        verdict = Verdict.NO_ROOM
    elif one.after_room:
        verdict = Verdict.AFTER_ROOM
    elif one.begun is None:
        verdict = Verdict.NO_LEAD
    else:
        verdict = Verdict.LATE
    return EdgeMet(
        at=one.at,
        policy=one.policy,
        window=one.window,
        workload=one.workload,
        wanted=one.wanted,
        ready=one.ready,
        offset=one.offset,
        verdict=verdict,
        faulty=bool(roomless),
    )


def _workload_run(name: WorkloadId, one: _Workload, hours: float) -> WorkloadRun:
    assert one.worst is not None
    _, lowest, floor, at = one.worst
    fixed = one.least if one.fills else None
    served = one.seconds / SECONDS_PER_HOUR
    return WorkloadRun(
        workload=name,
        lowest=lowest,
        floor=floor,
        lowest_at=at,
        below=tuple(one.below),
        hours=served,
        fixed=fixed,
        gained=served - fixed * hours if fixed is not None else 0.0,
    )


def _host_run(name: str, one: _Host) -> HostRun:
    hours, empty = one.seconds / SECONDS_PER_HOUR, one.empty / SECONDS_PER_HOUR
    return HostRun(
        name=name,
        hours=hours,
        empty_hours=empty,
        cost=hours * one.rate,
        empty_cost=empty * one.rate,
        losses=one.losses,
    )
