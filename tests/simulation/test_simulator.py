"""The simulator itself: how it steps time, and what its watcher makes of small cases worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from rota.clock import Clock
from rota.core.container import ContainerSpec
from rota.core.decide import Decision, decide
from rota.core.ids import WorkloadId
from rota.core.ledger import EdgeRecord, Ledger
from rota.core.model import Amount, Fill, Fleet
from rota.core.observed import HostState, Now, ObservedState
from rota.core.placement.puzzle import Solver
from rota.core.planning.actions import stop_of
from rota.core.windows import Want
from rota.engine.memory import MemoryEngine
from rota.simulation.driver import Brains, Simulation
from rota.simulation.report import SimulationReport, Verdict, document
from rota.simulation.run import Fault, Setup, simulate
from rota.simulation.times import Span, Times, machines
from rota.simulation.watcher import Watcher, edge_met, floor_of, reached
from tests import builders

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 6, 1, 0, 0, tzinfo=BERLIN)
WEB = WorkloadId("shop", "web")
EXACT = Times(
    start={"": Span(1.0, 1.0)},
    pull={"": Span(10.0, 10.0)},
    healthy={"": Span(4.0, 4.0)},
    stop={"": Span(2.0, 2.0)},
)


def machine(name: str, clock: Clock) -> MemoryEngine:
    engine = MemoryEngine(name, clock)
    engine.behaviour = EXACT.behaviour(0, name)
    return engine


def fleet(replicas: int = 2, hosts: int = 2, **fields: object) -> Fleet:
    web = builders.service("web", replicas, **fields)
    return builders.fleet([builders.host(f"h{number}") for number in range(hosts)], [web])


class Seconds:
    """When the first pass saw every instance ready, in seconds; and all instants that were stepped."""

    def __init__(self) -> None:
        self.ready: float | None = None
        self.instants: list[float] = []
        self.simulation: Simulation | None = None

    def passed(self, last: object) -> None:
        pass

    def stepped(self) -> None:
        assert self.simulation is not None
        self.instants.append(self.simulation.clock.mono - 1000.0)
        last = self.simulation.last
        if self.ready is None and last is not None and last.status.ready:
            self.ready = self.instants[-1]


def play(of: Fleet, seconds: float) -> tuple[Simulation, Seconds]:
    told = Seconds()
    simulation = Simulation(of, START, machines=machine, observer=told)
    told.simulation = simulation
    simulation.run(seconds)
    return simulation, told


def test_pull_creation_and_health_take_the_time_that_they_are_given() -> None:
    _, told = play(fleet(), 60.0)
    assert told.ready is not None
    assert 15.0 <= told.ready <= 17.5  # pull 10, create 1, healthy 4; soaked for a second


def test_a_quiet_fleet_is_not_stepped() -> None:
    simulation, told = play(fleet(), 86400.0)
    assert simulation.clock.wall == START + timedelta(days=1)
    assert len([at for at in told.instants if at > 120.0]) < 60
    assert simulation.last is not None
    assert simulation.last.status.ready


def test_a_silent_host_is_noticed_by_heartbeats_as_the_daemon_would() -> None:
    simulation, _ = play(fleet(), 600.0)
    simulation.hosts.engines["h1"].cut()
    simulation.run(4.5)
    assert simulation.hosts.views()["h1"].state is HostState.SUSPECT
    simulation.run(8.0)
    assert simulation.hosts.views()["h1"].state is HostState.LOST
    simulation.run(60.0)  # what ran there has started elsewhere
    assert simulation.hosts.calm
    simulation.run(3600.0)
    simulation.hosts.engines["h1"].heal()
    simulation.run(10.0)
    assert simulation.hosts.views()["h1"].state is HostState.REACHABLE


def test_a_commit_is_acted_on_and_a_clock_that_jumps_is_noticed_within_half_a_minute() -> None:
    web = builders.service("web", 2)
    window = builders.window("01:00", "02:00", {"web": 4}, lead=0.0)
    of = builders.fleet([builders.host("h0")], [web], (builders.policy(windows=(window,)),))
    simulation, _ = play(of, 600.0)
    simulation.jump(3600.0)
    simulation.run(60.0)
    assert simulation.last is not None
    assert [one.ready for one in simulation.last.status.workloads] == [4]
    simulation.repository.commit(replace(of, revision="2" * 40, policies=()))
    simulation.run(60.0)
    assert simulation.last.status.source.applied == "2" * 40
    assert [one.ready for one in simulation.last.status.workloads] == [2]


def test_a_restarted_daemon_adopts_what_runs() -> None:
    simulation, _ = play(fleet(), 600.0)
    writes = [engine.writes for engine in simulation.hosts.engines.values()]
    simulation.restart()
    simulation.run(600.0)
    assert simulation.last is not None
    assert simulation.last.status.ready
    assert [engine.writes for engine in simulation.hosts.engines.values()] == writes


def test_draws_depend_on_nothing_but_seed_host_image_and_container() -> None:
    times = Times(healthy={"": Span(2.0, 20.0), "fast:1": Span(0.0, 0.0)})
    first, again, other = (times.behaviour(seed, "h1") for seed in (1, 1, 2))
    again("web:1", "b")
    assert first("web:1", "a") == again("web:1", "a") != other("web:1", "a")
    drawn = [first("web:1", str(number)).healthy_after or 0.0 for number in range(400)]
    assert all(2.0 <= one <= 20.0 for one in drawn)
    assert (
        0.4 < sum(one < 6.32 for one in drawn) / 400 < 0.6
    )  # the middle of a log-uniform range: sqrt(2 * 20)
    assert first("fast:1", "a").healthy_after == 0.0


def test_engines_are_as_large_as_declared_else_as_they_were_seen() -> None:
    of = builders.fleet([builders.host("h0", cpu=64000, memory=1 << 18), builders.host("h1", cpu=None)], [])
    clock = Simulation(of, START).clock
    facts = [machines(of, Times(), 0, {})(name, clock).facts() for name in ("h0", "h1", "later")]
    assert [(one.cpu, one.memory >> 30) for one in facts] == [(64000, 256), (4000, 4), (4000, 8)]


# --- the watcher


def setup(of: Fleet, hours: float = 24.0, faults: Iterable[Fault] = ()) -> Setup:
    return Setup(
        fleet=of,
        start=START,
        end=START + timedelta(hours=hours),
        zone=BERLIN,
        times=EXACT,
        faults=tuple(faults),
    )


def test_hours_costs_and_the_gain_of_what_fills_are_those_of_a_sheet_of_paper() -> None:
    window = builders.window("06:00", "18:00", {"pool": 1})
    policy = builders.policy(base={WorkloadId("shop", "pool"): Fill(min=1, max=3)}, windows=(window,))
    pool = builders.service("pool", 1, container=ContainerSpec(image="pool:1"))
    hosts = [
        builders.host("h0", cost_per_hour=0.5),
        builders.host("h1", cost_per_hour=2.0, unschedulable=True),
    ]
    report = simulate(setup(builders.fleet(hosts, [builders.service("web", 2), pool], (policy,))))
    runs = {str(one.workload): one for one in report.workloads}
    assert runs["shop/web"].hours == pytest.approx(48.0)
    assert (runs["shop/web"].fixed, runs["shop/web"].gained) == (None, 0.0)
    assert runs["shop/pool"].hours == pytest.approx(3 * 12 + 1 * 12, abs=0.1)
    assert runs["shop/pool"].fixed == 1
    assert runs["shop/pool"].gained == pytest.approx(24.0, abs=0.1)
    costs = [(one.name, one.hours, one.empty_hours, one.cost, one.empty_cost) for one in report.hosts]
    assert costs == [
        ("h0", pytest.approx(24), 0, pytest.approx(12), 0),
        ("h1", *[pytest.approx(24)] * 2, *[pytest.approx(48)] * 2),
    ]
    assert (report.counts.starts, report.counts.stops, report.counts.moves) == (2, 2, 0)


def test_a_lost_host_is_below_the_floor_but_no_broken_budget() -> None:
    fault = Fault("h1", START + timedelta(hours=2), 600.0)
    report = simulate(setup(fleet(), faults=[fault]))
    (run,) = report.workloads
    (below,) = run.below
    assert (run.lowest, run.floor, run.lowest_at) == (1, 2, fault.at)
    # lost after 10 s; then its successor is created and becomes healthy
    assert (below.since, below.seconds) == (fault.at, pytest.approx(15.0, abs=1.0))
    assert run.hours == pytest.approx(48.0 - 15 / 3600, abs=0.001)
    assert [one.losses for one in report.hosts] == [0, 1]
    assert report.kept


def test_what_came_back_with_a_lost_host_is_settled() -> None:
    report = simulate(setup(fleet(), 3.0, [Fault("h1", START + timedelta(hours=1), 600.0)]))
    texts = [one.text for one in report.events]
    back = texts.index("host h1 is reachable")
    assert texts.index("host h1 fails") < texts.index("host h1 is lost") < back
    (duplicate,) = [one for one in texts if "duplicate of" in one]
    assert duplicate.startswith("stop shop/web/1 on h1 (duplicate of ")
    assert texts.index(duplicate) > back


def states_of_h1(report: SimulationReport) -> list[tuple[float, str]]:
    """What was thought of it when, in minutes; that it was suspect in between is left out."""
    told = [(one.at, one.text) for one in report.events if one.text.startswith("host h1 is ")]
    return [
        (round((at - START).total_seconds() / 60.0), text.removeprefix("host h1 is "))
        for at, text in told
        if "suspect" not in text
    ]


def test_faults_that_overlap_are_one_outage_and_one_without_an_end_lasts() -> None:
    first, second = (Fault("h1", START + timedelta(minutes=at), 600.0) for at in (60, 65))
    report = simulate(setup(fleet(), 3.0, [first, second]))
    assert states_of_h1(report) == [(60, "lost"), (75, "reachable")]
    assert [round(one.seconds) for one in report.workloads[0].below] == [15]
    report = simulate(setup(fleet(), 3.0, [Fault("h1", START + timedelta(hours=2))]))
    assert states_of_h1(report) == [(120, "lost")]


def test_without_room_elsewhere_a_lost_host_is_missed_until_it_is_back() -> None:
    fault = Fault("h1", START + timedelta(hours=2), 600.0)
    report = simulate(setup(fleet(cpu=3000), 4.0, [fault]))
    assert [round(one.seconds) for one in report.workloads[0].below] == [604]
    assert report.kept


def test_an_edge_that_was_promised_and_missed_is_late_and_said_in_every_form() -> None:
    windows = (builders.window("07:00", "20:00", {"web": 4}, lead=5.0),)
    of = replace(fleet(), policies=(builders.policy(windows=windows),))
    report = simulate(setup(of))
    (edge,) = report.edges
    assert (edge.workload, edge.wanted, edge.verdict) == (WEB, 4, Verdict.LATE)
    assert edge.offset is not None
    assert 0.0 < edge.offset < 20.0
    assert not report.kept
    assert document(report, events=False)["kept"] is False
    prompt = replace(of, policies=(builders.policy(windows=(replace(windows[0], lead=60.0),)),))
    assert [one.verdict for one in simulate(setup(prompt)).edges] == [Verdict.MET]
    without = replace(of, policies=(builders.policy(windows=(replace(windows[0], lead=0.0),)),))
    report = simulate(setup(without))
    assert [one.verdict for one in report.edges] == [Verdict.NO_LEAD]
    assert report.kept
    assert report.workloads[0].below == ()  # what grows is not short of anything while it does


def test_a_stop_of_its_own_below_the_floor_breaks_the_budget() -> None:
    planted: list[float] = []

    def brain(of: Fleet, observed: ObservedState, ledger: Ledger, now: Now, _: Solver | None) -> Decision:
        """For a minute, from the first pass half an hour later on."""
        decision = decide(of, observed, ledger, now)
        if now.wall < START + timedelta(minutes=30) or ledger.targets[WEB].settled is False:
            return decision
        planted.append(now.mono)
        if now.mono > planted[0] + 60.0:
            return decision
        return replace(decision, actions=tuple(stop_of(one, "planted") for one in observed.containers())[:1])

    watcher = Watcher(BERLIN)
    simulation = Simulation(fleet(), START, brains=Brains(brain=brain), machines=machine, observer=watcher)
    simulation.run(600.0)
    watcher.begin(simulation)
    simulation.run(3600.0)
    report = watcher.report(0)
    assert report.broken
    assert (report.broken[0].workload, report.broken[0].left, report.broken[0].floor) == (WEB, 1, 2)
    assert not report.kept


@pytest.mark.parametrize(
    ("before", "wanted", "serving", "after"),
    [(None, 4, 0, 4), (4, 12, 4, 4), (4, 12, 11, 4), (4, 12, 12, 12), (12, 4, 12, 4), (12, 12, 3, 12)],
)
def test_a_floor_is_raised_when_growth_was_reached_and_lowered_at_once(
    before: int | None, wanted: int, serving: int, after: int
) -> None:
    assert reached(before, wanted, serving) == after


def test_a_floor_is_what_is_wanted_less_what_may_be_unavailable() -> None:
    web = builders.service("web", max_unavailable=Amount(value=25, percent=True))
    assert floor_of(web, Want(count=12, rule=""), 12) == 9
    assert floor_of(web, Want(count=12, rule=""), 4) == 3
    pool = builders.service("pool")
    assert floor_of(pool, Want(count=9, rule="", fill=Fill(min=2)), 2) == 1
    assert floor_of(pool, Want(count=9, rule="", fill=Fill()), 0) == 0


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"offset": -3.0, "begun": START}, Verdict.MET),
        ({"offset": 0.0}, Verdict.MET),
        ({"offset": 3.0, "begun": START}, Verdict.LATE),
        ({"offset": None, "begun": START}, Verdict.LATE),
        ({"offset": 3.0, "begun": START, "after_room": True}, Verdict.AFTER_ROOM),
        ({"offset": 3.0}, Verdict.NO_LEAD),
    ],
)
def test_the_verdict_on_an_edge(fields: dict[str, object], verdict: Verdict) -> None:
    record = EdgeRecord(at=START, policy="p", window="w", workload=WEB, wanted=4)
    assert edge_met(replace(record, **fields)).verdict is verdict  # type: ignore[arg-type]


def test_a_service_that_has_no_place_is_not_kept_although_nothing_failed() -> None:
    report = simulate(setup(builders.fleet([], [builders.service("web", 2)]), 2.0))
    assert not report.kept
    assert [(str(one.workload), one.below[0].seconds) for one in report.short] == [("shop/web", 7200.0)]


def test_what_a_fault_takes_away_breaks_no_promise() -> None:
    report = simulate(setup(fleet(), 2.0, [Fault("h1", START + timedelta(hours=1), 600.0)]))
    assert (report.faults, report.kept, report.short) == (1, True, ())
    assert [each.faulty for one in report.workloads for each in one.below] == [True]
    for_good = simulate(setup(fleet(), 2.0, [Fault("h1", START + timedelta(hours=1))]))
    assert for_good.kept


def test_an_edge_without_room_is_neither_late_nor_without_a_lead() -> None:
    """4 cores: 5 of web ask for 5, so that one has no place from 01:00 on."""
    for lead in (0.0, 600.0):
        window = builders.window("01:00", "03:00", {"web": 5}, lead=lead)
        of = builders.fleet(
            [builders.host("h0")],
            [builders.service("web", 2, cpu=1000)],
            (builders.policy(windows=(window,)),),
        )
        report = simulate(setup(of, 2.0))
        assert [(one.ready, one.verdict, one.faulty) for one in report.edges] == [(4, Verdict.NO_ROOM, False)]
        assert (len(report.roomless), report.kept) == (1, False)
