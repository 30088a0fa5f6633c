"""Leads: when growth begins before its edge, who makes room for it, and what is told of it afterwards."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rota.core.container import ContainerSpec, HealthCheck
from rota.core.edge_lines import edge_lines
from rota.core.ids import WorkloadId
from rota.core.leads import prospect
from rota.core.ledger import Ledger
from rota.core.model import Amount, CapacityPolicy, Fill, Fleet, Override, Quota, Service
from rota.core.observed import Now
from rota.core.planning.waits import AFTER_ROOM
from rota.core.rules import PlacementRules, Strategy
from rota.core.status import SourceStatus, summarise
from rota.report.state import ledger_document, read_ledger
from tests import builders
from tests.builders import fleet, host, service
from tests.core.placement.course import Course
from tests.core.scenes import NOW, seen

WEB, ETL = WorkloadId("shop", "web"), WorkloadId("shop", "etl")
EDGE = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
"""14:30 in Berlin, half an hour after `NOW`."""
GUESS = 15 + 30 + 2 + 1
"""Seconds: a start that was never measured, Docker's own interval of checks, a reaction, and the soak."""


def at(edge: datetime, seconds: float) -> Now:
    """So many seconds after `edge`, or before it."""
    wall = edge + timedelta(seconds=seconds)
    return Now(wall=wall, mono=NOW.mono + (wall - NOW.wall).total_seconds())


def afternoon(
    day: Mapping[str, int | Fill], base: Mapping[str, int | Fill], **fields: object
) -> CapacityPolicy:
    """A window from 14:30, and what holds before it."""
    window = builders.window("14:30", "18:00", replicas=None, **fields)
    return builders.policy(base=stated(base), windows=(replace(window, replicas=stated(day)),))


def stated(counts: Mapping[str, int | Fill]) -> dict[WorkloadId, Amount | Fill]:
    return {
        WorkloadId("shop", name): amount if isinstance(amount, Fill) else Amount(value=amount)
        for name, amount in counts.items()
    }


def begins(one: Fleet, workload: WorkloadId = WEB, ledger: Ledger | None = None, now: Now = NOW) -> float:
    """How many seconds before the edge the growth of a workload begins."""
    growth = prospect(one, ledger or Ledger(), now).growth
    found = [each for each in growth if (each.at, each.workload) == (EDGE, workload)]
    return (found[0].at - found[0].begins).total_seconds()


def counts(course: Course) -> dict[str, int]:
    return dict(Counter(one.workload.name for one in course.observed.containers()))


def started(one: Fleet, **fields: object) -> Course:
    """The fleet as it is long before the edge; every start took so long that a lead is `GUESS` seconds."""
    course = Course(one, **fields)  # type: ignore[arg-type]
    course.settle()
    course.ledger = replace(course.ledger, start_times=dict.fromkeys(one.services, (36.0,)))
    assert course.now.wall < EDGE - timedelta(minutes=20)
    return course


def go_to(course: Course, seconds: float) -> Course:
    """Go on at so many seconds after the edge, and pass until nothing happens."""
    course.now = at(EDGE, seconds)
    course.settle()
    return course


def lines(course: Course) -> list[str]:
    return [one.text for one in edge_lines(course.fleet, course.ledger.edges)]


# --- how long it is


def small(web: Service | None = None, **fields: object) -> Fleet:
    return fleet([host("a")], [web or service("web")], (afternoon({"web": 4}, {"web": 2}, **fields),))


def checked(**fields: object) -> Service:
    check = HealthCheck(test=("CMD", "true"), **fields)  # type: ignore[arg-type]
    return service("web", container=ContainerSpec(image="web:1", healthcheck=check))


LENGTHS = {
    "the first value is from the health check": (small(), {}, GUESS),
    "its interval is known": (small(checked(interval=2.0)), {}, 15 + 2 + 2 + 1),
    "its start period": (small(checked(interval=2.0, start_period=20.0)), {}, 15 + 22 + 2 + 1),
    "no check at all": (small(checked(interval=None)), {}, GUESS),
    "the image's own check, or none": (
        small(service("web", container=ContainerSpec(image="web:1"))),
        {},
        GUESS,
    ),
    "measured: the longest start, and something more": (small(), {WEB: (3.0, 8.0, 4.0)}, 10 + 2 + 1),
    "at most half an hour": (small(), {WEB: (4000.0,)}, 1800),
    "stated": (small(lead=600.0), {WEB: (4000.0,)}, 600),
    "stated as none": (small(lead=0.0), {}, 0),
    "in two rounds: a host works on eight at a time": (
        fleet([host("a")], [service("web")], (afternoon({"web": 11}, {"web": 2}),)),
        {WEB: (8.0,)},
        2 * 10 + 2 + 1,
    ),
    "with the grace of those that make room": (
        fleet(
            [host("a")],
            [
                service("web"),
                service("etl", priority=50, container=ContainerSpec(image="e", stop_grace_period=90.0)),
            ],
            (afternoon({"web": 4, "etl": 0}, {"web": 2, "etl": 3}),),
        ),
        {WEB: (8.0,)},
        10 + 2 + 1 + 90,
    ),
}


@pytest.mark.parametrize("case", LENGTHS)
def test_a_lead_is_as_long_as_growth_takes(case: str) -> None:
    one, times, seconds = LENGTHS[case]
    assert begins(one, ledger=Ledger(start_times=times)) == seconds


def test_a_learnt_lead_takes_at_most_half_the_time_since_the_count_changed_before() -> None:
    windows = (
        builders.window("14:20", "14:30", {"web": 3}, name="low"),
        builders.window("14:30", "18:00", {"web": 8}, name="day"),
    )
    one = fleet([host("a")], [service("web")], (builders.policy(base={}, windows=windows),))
    assert begins(one, ledger=Ledger(start_times={WEB: (4000.0,)}), now=at(EDGE, -700)) == 300
    assert begins(one, ledger=Ledger(start_times={WEB: (4000.0,)}), now=at(EDGE, -400)) == 300


def test_an_edge_of_others_shortens_no_lead() -> None:
    windows = (
        builders.window("14:29", "14:30", {"api": 3}, name="other"),
        builders.window("14:30", "18:00", {"web": 8}, name="day"),
    )
    one = fleet([host("a")], [service("web"), service("api")], (builders.policy(base={}, windows=windows),))
    assert begins(one, ledger=Ledger(start_times={WEB: (80.0,)}), now=at(EDGE, -700)) == 103


def test_on_a_faster_clock_a_learnt_lead_is_longer_and_a_stated_one_is_not() -> None:
    now = replace(NOW, speed=20.0)
    assert begins(small(), ledger=Ledger(start_times={WEB: (8.0,)}), now=now) == 13 * 20
    assert begins(small(lead=60.0), now=now) == 60


def test_the_next_instant_is_the_beginning_of_the_lead_then_the_edge() -> None:
    one, ledger = small(), Ledger(start_times={WEB: (8.0,)})
    assert prospect(one, ledger, NOW).wake == EDGE - timedelta(seconds=13)
    assert prospect(one, ledger, at(EDGE, -13)).wake == EDGE
    assert prospect(one, ledger, at(EDGE, -13)).wants[WEB].count == 4
    assert prospect(one, ledger, at(EDGE, -14)).wants[WEB].count == 2


def test_a_lead_of_a_later_edge_may_begin_before_an_edge_that_comes_first() -> None:
    windows = (
        builders.window("14:20", "18:00", {"api": 2}, name="first"),
        builders.window("14:30", "18:00", {"web": 4}, name="second", lead=1200.0),
    )
    one = fleet([host("a")], [service("web"), service("api")], (builders.policy(base={}, windows=windows),))
    assert prospect(one, Ledger(), at(EDGE, -1500)).wake == EDGE - timedelta(seconds=1200)


# --- who grows, who makes room


def test_what_grows_is_healthy_at_the_edge_and_what_shrinks_does_so_after_it() -> None:
    one = fleet(
        [host("a"), host("b")],
        [service("web"), service("etl")],
        (afternoon({"web": 6, "etl": 1}, {"web": 2, "etl": 4}),),
    )
    course = started(one)
    assert counts(course) == {"web": 2, "etl": 4}
    assert counts(go_to(course, -60)) == {"web": 2, "etl": 4}
    assert counts(go_to(course, -GUESS)) == {"web": 6, "etl": 4}
    assert counts(go_to(course, 0)) == {"web": 6, "etl": 1}
    assert lines(course) == ["edge day: 6/6 web healthy 48 s before 14:30"]


def full(web_priority: int, etl_priority: int, **fields: object) -> Fleet:
    """Two hosts that hold four instances each: what runs before the edge fills them."""
    return fleet(
        [host("a", cpu=4000), host("b", cpu=4000)],
        [
            service("web", cpu=1000, priority=web_priority),
            service("etl", cpu=1000, priority=etl_priority, **fields),
        ],
        (afternoon({"web": 6, "etl": 2}, {"web": 2, "etl": 6}),),
    )


def test_lower_priority_that_the_edge_takes_away_makes_room_before_it() -> None:
    course = started(full(100, 50))
    go_to(course, -GUESS - 10)
    assert counts(course) == {"web": 6, "etl": 2}
    assert len(course.stopped) == 4
    assert {one.workload for one in course.stopped} == {ETL}
    go_to(course, 0)
    assert lines(course) == ["edge day: 6/6 web healthy 53 s before 14:30"]


@pytest.mark.parametrize("etl_priority", [100, 150])
def test_who_has_no_lower_priority_shrinks_after_the_edge_and_the_growth_follows(etl_priority: int) -> None:
    course = started(full(100, etl_priority))
    go_to(course, -GUESS)
    assert course.decision is not None
    assert counts(course) == {"web": 2, "etl": 6}
    assert course.decision.unplaced == ()
    assert {(one.workload, one.waits) for one in course.decision.changes} == {(WEB, AFTER_ROOM.text)}
    go_to(course, 0)
    assert counts(course) == {"web": 6, "etl": 2}
    assert lines(course) == ["edge day: 6/6 web healthy 5 s after 14:30, after-room"]


def test_what_a_later_edge_takes_away_makes_no_room_before_it() -> None:
    windows = (
        builders.window("14:30", "18:00", {"web": 6}, name="day"),
        builders.window("14:32", "18:00", {"etl": 2}, name="late"),
        builders.window("14:32", "18:00", {"api": 1}, name="other"),
    )
    base = builders.amounts({"web": 2, "etl": 6, "api": 0})
    one = fleet(
        [host("a", cpu=4000), host("b", cpu=4000)],
        [
            service("web", cpu=1000),
            service("etl", cpu=1000, priority=50),
            service("api", cpu=1000, priority=100),
        ],
        (builders.policy(base=base, windows=windows),),
    )
    course = started(one)
    course.ledger = replace(course.ledger, start_times=dict.fromkeys(one.services, (400.0,)))
    go_to(course, -100)
    assert counts(course) == {"web": 2, "etl": 5, "api": 1}, (
        "the one of 14:32 has its room, those of 14:30 wait"
    )
    go_to(course, 0)
    assert counts(course) == {"web": 2, "etl": 5, "api": 1}
    go_to(course, 120)
    assert counts(course) == {"web": 5, "etl": 2, "api": 1}


def test_nobody_else_is_stopped_for_growth_whose_room_the_edge_frees() -> None:
    low = service("low", cpu=1000, priority=10, max_unavailable=Amount(value=2))
    before = full(100, 100)
    one = replace(
        before,
        hosts={**before.hosts, "c": host("c", cpu=4000)},
        services={**before.services, low.id: replace(low, replicas=4)},
    )
    course = started(one)
    go_to(course, -GUESS)
    assert counts(course) == {"web": 2, "etl": 6, "low": 4}
    go_to(course, 0)
    assert counts(course) == {"web": 6, "etl": 2, "low": 4}


def test_who_is_outranked_at_the_edge_is_stopped_before_it() -> None:
    low = service("low", 4, cpu=1000, priority=10, max_unavailable=Amount(value=4))
    one = fleet(
        [host("a", cpu=4000), host("b", cpu=4000)],
        [service("web", cpu=1000), low],
        (afternoon({"web": 6}, {"web": 4}),),
    )
    course = started(one)
    assert counts(go_to(course, -GUESS - 10)) == {"web": 6, "low": 2}


def test_what_fills_makes_room_before_the_edge_and_never_grows_back_into_it() -> None:
    one = fleet(
        [host("a", cpu=4000), host("b", cpu=4000)],
        [service("web", cpu=1000), service("etl", cpu=500, priority=50)],
        (afternoon({"web": 5, "etl": 2}, {"web": 1, "etl": Fill(min=2)}),),
    )
    course = started(one)
    assert counts(course) == {"web": 1, "etl": 14}
    go_to(course, -GUESS - 10)
    assert counts(course) == {"web": 5, "etl": 6}
    assert len(course.stopped) == 8
    assert counts(go_to(course, 0)) == {"web": 5, "etl": 2}
    assert len(course.stopped) == 12


def test_what_grows_before_the_edge_stands_where_it_would_after_it() -> None:
    zones = [host(name, cpu=4000) for name in ("a", "b", "c")]
    one = fleet(
        zones,
        [
            service("web", cpu=1000),
            service("etl", cpu=1000, priority=50, placement=PlacementRules(strategy=Strategy.PACK)),
        ],
        (afternoon({"web": 9, "etl": 0}, {"web": 3, "etl": 7}),),
    )
    course = started(one)
    go_to(course, -GUESS - 10)
    per_host = Counter(each.host for each in course.observed.containers() if each.workload == WEB)
    assert dict(per_host) == {"a": 3, "b": 3, "c": 3}
    go_to(course, 600)
    assert course.moved == []


def test_what_will_fill_grows_into_what_is_free_before_the_edge_and_into_the_rest_after_it() -> None:
    one = fleet(
        [host("a", cpu=4000), host("b", cpu=4000)],
        [service("web", cpu=1000), service("etl", cpu=500, priority=50)],
        (
            builders.policy(
                base=builders.amounts({"web": 6, "etl": 2}),
                windows=(
                    replace(
                        builders.window("14:30", "18:00", {"web": 2}),
                        replicas={**builders.amounts({"web": 2}), ETL: Fill(min=2)},
                    ),
                ),
            ),
        ),
    )
    course = started(one)
    assert counts(course) == {"web": 6, "etl": 2}
    assert counts(go_to(course, -GUESS)) == {"web": 6, "etl": 4}
    assert counts(go_to(course, 0)) == {"web": 2, "etl": 12}
    assert lines(course) == ["edge day: 12/12 etl healthy 5 s after 14:30, after-room"]


def test_growth_that_never_finds_room_is_unplaced_from_the_edge_on_and_not_before() -> None:
    one = fleet([host("a", cpu=3000)], [service("web", cpu=1000)], (afternoon({"web": 5}, {"web": 2}),))
    course = started(one)
    go_to(course, -GUESS)
    assert course.decision is not None
    assert course.decision.unplaced == ()
    assert counts(course) == {"web": 3}
    go_to(course, 0)
    assert [(each.workload, each.count) for each in course.decision.unplaced] == [(WEB, 2)]


def test_what_is_due_now_comes_before_what_is_due_at_the_edge() -> None:
    low = service("low", 2, cpu=1000, priority=10)
    one = fleet([host("a", cpu=4000)], [service("web", cpu=1000), low], (afternoon({"web": 4}, {"web": 1}),))
    course = Course(one, now=at(EDGE, -GUESS))
    course.step()
    assert counts(course) == {"web": 2, "low": 2}


def test_growth_before_the_edge_may_have_what_of_a_quota_the_edge_frees() -> None:
    one = fleet(
        [host("a"), host("b")],
        [service("web"), service("etl", priority=100)],
        (afternoon({"web": 6, "etl": 1}, {"web": 2, "etl": 5}),),
    )
    one = replace(one, quotas=(Quota(namespace="shop", name="q", hard={"instances": 7}),))
    course = started(one)
    assert counts(go_to(course, -GUESS)) == {"web": 6, "etl": 5}
    assert counts(go_to(course, 0)) == {"web": 6, "etl": 1}


def test_growth_before_the_edge_gets_nothing_of_a_quota_that_refuses_what_is_due() -> None:
    one = fleet(
        [host("a"), host("b")],
        [service("web"), service("etl", priority=100)],
        (afternoon({"web": 6, "etl": 1}, {"web": 2, "etl": 5}),),
    )
    one = replace(one, quotas=(Quota(namespace="shop", name="q", hard={"instances": 6}),))
    course = started(one)
    before = counts(course)
    assert sum(before.values()) == 6, "seven are due"
    assert counts(go_to(course, -GUESS)) == before


def test_growth_that_no_edge_makes_room_for_is_late_and_not_after_room() -> None:
    one = fleet([host("a", cpu=3000)], [service("web", cpu=1000)], (afternoon({"web": 5}, {"web": 2}),))
    course = started(one)
    go_to(course, -GUESS)
    go_to(course, 0)
    course.fleet = replace(course.fleet, hosts={**course.fleet.hosts, "b": host("b")})
    course.observed = replace(course.observed, hosts={**seen(course.fleet).hosts, **course.observed.hosts})
    go_to(course, 120)
    assert lines(course) == ["edge day: 5/5 web healthy 2 min after 14:30, late"]


def test_an_override_has_a_lead_as_well() -> None:
    override = Override(
        namespace="shop",
        name="friday",
        target_kind="Service",
        target_name="web",
        start=EDGE,
        until=EDGE + timedelta(hours=2),
        reason="sale",
        replicas=Amount(value=5),
    )
    course = started(fleet([host("a")], [service("web", 2)], overrides=(override,)))
    assert counts(go_to(course, -GUESS)) == {"web": 5}
    go_to(course, 0)
    assert lines(course) == ["edge override friday: 5/5 web healthy 48 s before 12:30 UTC"]


# --- what it keeps to


def test_a_lead_that_has_begun_stays_begun_whatever_is_learnt_since() -> None:
    course = started(small())
    go_to(course, -GUESS)
    assert counts(course) == {"web": 4}
    course.ledger = replace(course.ledger, start_times={WEB: (0.1,)})
    course.step()
    assert course.decision is not None
    assert course.decision.changes == ()
    assert course.decision.wants[WEB].count == 4


def test_a_daemon_that_starts_within_a_lead_goes_on_with_it() -> None:
    course = started(small())
    go_to(course, -GUESS)
    ledger = read_ledger(json.dumps(ledger_document(course.ledger)).encode())
    assert ledger.edges == course.ledger.edges
    assert ledger.start_times == course.ledger.start_times
    course.ledger = replace(ledger, start_times={WEB: (0.1,)})
    course.step()
    assert counts(course) == {"web": 4}
    assert course.decision is not None
    assert course.decision.changes == ()


def test_a_commit_that_takes_the_window_away_takes_its_growth_back() -> None:
    course = started(small())
    go_to(course, -GUESS)
    course.fleet = replace(
        course.fleet,
        revision="2" * 40,
        policies=(builders.policy(base=builders.amounts({"web": 2})),),
    )
    course.settle()
    assert counts(course) == {"web": 2}
    assert lines(course) == []


def test_the_budget_before_the_edge_is_that_of_what_is_due() -> None:
    stop_first = service("web", cpu=1000, max_unavailable=Amount(value=1))
    one = fleet([host("a", cpu=5000)], [stop_first], (afternoon({"web": 4}, {"web": 2}),))
    course = started(one)
    go_to(course, -GUESS)
    assert course.decision is not None
    want = course.decision.wants[WEB]
    assert (want.count, want.due) == (4, 2)


def test_a_fleet_that_waits_for_an_edge_is_ready() -> None:
    course = started(full(100, 100))
    go_to(course, -GUESS)
    assert course.decision is not None
    status = summarise(
        course.fleet, course.observed, course.decision, SourceStatus(applied="1"), course.ledger
    )
    assert status.ready
    assert {one.name: (one.ready, one.desired) for one in status.workloads} == {"web": (2, 2), "etl": (6, 6)}


def test_a_fleet_is_ready_while_what_will_fill_comes_early() -> None:
    one = fleet(
        [host("a", cpu=4000)],
        [service("web", cpu=1000), service("etl", cpu=500, priority=50)],
        (afternoon({"web": 2, "etl": Fill(min=1)}, {"web": 2, "etl": 1}),),
    )
    course = started(one, slow=2)
    course.now = at(EDGE, -GUESS)
    for _ in range(5):
        before = course.observed
        decision = course.step(2.0)
        status = summarise(course.fleet, before, decision, SourceStatus(applied="1"), course.ledger)
        assert status.ready, status.conditions
    assert counts(course) == {"web": 2, "etl": 4}


def test_growth_that_no_quota_allows_says_so_before_the_edge() -> None:
    one = replace(small(), quotas=(Quota(namespace="shop", name="q", hard={"instances": 3}),))
    course = started(one)
    go_to(course, -GUESS)
    assert course.decision is not None
    assert [each.waits for each in course.decision.changes] == [
        "ahead of its edge: quota shop/q: instances 3 of 3 taken, one more asks for 1"
    ]


def test_growth_that_began_late_is_late_and_says_so() -> None:
    course = started(small(lead=0.0), slow=2)
    course.now = at(EDGE, 0)
    for _ in range(6):
        course.step(2.0)
    assert lines(course) == ["edge day: 4/4 web healthy 4 s after 14:30, late"]
    assert [one.late for one in edge_lines(course.fleet, course.ledger.edges)] == [True]


def test_growth_that_another_edge_overtakes_says_that_it_was_never_complete() -> None:
    windows = (
        builders.window("14:30", "14:31", {"web": 5}, name="day"),
        builders.window("14:31", "18:00", {"web": 1}, name="low"),
    )
    one = fleet(
        [host("a", cpu=3000)],
        [service("web", 2, cpu=1000)],
        (builders.policy(base={}, windows=windows),),
    )
    course = started(one)
    go_to(course, 0)
    course.now = at(EDGE, 60)
    course.settle()
    assert lines(course) == ["edge day: 3/5 web healthy, never all of them"]


def test_start_times_are_learnt_from_what_this_daemon_started() -> None:
    course = Course(small(), slow=2)
    course.settle()
    assert set(course.ledger.start_times) == {WEB}
    assert len(course.ledger.start_times[WEB]) == 2
    assert course.ledger.starting == {}
