"""Forecasts worked out by hand: what fits when, what it lacks, who could be off, and what is survived."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from rota.core.forecast.days import days_of, stretch
from rota.core.forecast.instant import Forecast, Instant, Turn
from rota.core.forecast.settle import Snapshot
from rota.core.forecast.walk import forecast
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fill, Fleet, Host, Loss, Override, Quota, Service, Window
from rota.core.observed import HostState
from rota.core.planning.actions import ChangeKind
from tests import builders
from tests.builders import MEBIBYTE, fleet, host, service
from tests.core.scenes import running, seen

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = date(2026, 6, 1)
WEB, ETL = WorkloadId("shop", "web"), WorkloadId("shop", "etl")


def day_and_night(
    day: dict[str, int], night: dict[str, int], **fields: object
) -> tuple[Window, dict[str, int]]:
    """07:00 to 20:00 and the rest, without leads."""
    return builders.window("07:00", "20:00", day, lead=0.0, **fields), night


def shop(hosts: list[Host], services: list[Service], *windows: Window, night: dict[str, int]) -> Fleet:
    policy = builders.policy(base=builders.amounts(night), windows=windows)
    return fleet(hosts, services, (policy,))


def of_day(of: Fleet, day: date = MONDAY, *, days: int = 1, losses: int = 0) -> Forecast:
    """From nothing running on hosts that all answer."""
    span = stretch(day, days, BERLIN)
    return forecast(of, Snapshot(observed=seen(of), ledger=Ledger()), span, losses=losses)


def turning(made: Forecast) -> list[Instant]:
    """The start and the edges; growth into the night has a lead, for `base` states none."""
    return [one for one in made.instants if one.turns or one is made.instants[0]]


def told(one: Instant) -> tuple[str, dict[str, int]]:
    return f"{one.at:%H:%MZ}", {workload.name: count for workload, count in one.counts.items()}


def switching(hosts: int = 2, **fields: int) -> Fleet:
    """4 cores a host: by day 6 of web (1 core each), by night 2 of web and 4 of etl (1 core, 1 GiB)."""
    window, night = day_and_night({"web": 6, "etl": 0}, {"web": 2, "etl": fields.get("etl", 4)})
    return shop(
        [host(f"h{at}", cost_per_hour=0.5) for at in range(1, hosts + 1)],
        [
            service("web", cpu=1000),
            service("etl", cpu=1000, memory=512, priority=50),
        ],
        window,
        night=night,
    )


def test_every_edge_of_a_day_is_told() -> None:
    made = of_day(switching())
    assert [told(one) for one in turning(made)] == [
        ("22:00Z", {"etl": 4, "web": 2}),
        ("05:00Z", {"etl": 0, "web": 6}),
        ("18:00Z", {"etl": 4, "web": 2}),
    ]
    start, morning, evening = turning(made)
    assert (start.turns, start.changed) == ((), {ChangeKind.START: 6})
    assert morning.turns == (Turn(policy="shop/day-night", before="base", after="day"),)
    assert evening.turns == (Turn(policy="shop/day-night", before="day", after="base"),)
    assert morning.changed == {ChangeKind.START: 4, ChangeKind.STOP: 4}
    assert made.fits
    assert (made.start, made.end) == (
        datetime(2026, 5, 31, 22, tzinfo=UTC),
        datetime(2026, 6, 1, 22, tzinfo=UTC),
    )


def test_what_has_no_room_at_one_edge_says_what_it_lacks() -> None:
    """8 cores: by night 2 of web and 9 of etl ask for 11, so 3 of etl have no place."""
    made = of_day(switching(etl=9))
    lacks = [one.lacks for one in turning(made)]
    assert [len(one) for one in lacks] == [1, 0, 1]
    (lack,) = lacks[2]
    assert (lack.workload, lack.count, lack.wanted) == (ETL, 3, 9)
    assert lack.best == {"cpu": 1000}
    assert lack.total == {"cpu": 3000}
    assert lack.in_words() == f"cpu short by 1000m on the best host, {lack.nearest}; cpu by 3000m in sum"
    assert not made.fits


def test_pieces_that_are_too_small_are_short_on_the_best_host_only() -> None:
    """Two hosts with 1 core free each have no place for one that asks for 2, and nothing is short in sum."""
    window, night = day_and_night({"web": 2, "etl": 1}, {"web": 2, "etl": 0})
    of = shop(
        [host("h1"), host("h2")], [service("web", cpu=3000), service("etl", cpu=2000)], window, night=night
    )
    morning = of_day(of).instants[1]
    (lack,) = morning.lacks
    assert (lack.best, lack.total) == ({"cpu": 1000}, {})
    assert lack.in_words().startswith("cpu short by 1000m on the best host, h")


def test_what_no_label_admits_lacks_no_room() -> None:
    window, night = day_and_night({"web": 1}, {"web": 0})
    of = shop([replace(host("h1"), unschedulable=True)], [service("web")], window, night=night)
    (lack,) = of_day(of).instants[1].lacks
    assert (lack.best, lack.in_words()) == ({}, "")
    assert [one.detail for one in lack.refusals] == ["cordoned by its manifest"]


def test_growth_that_needs_the_room_of_an_edge_is_after_room() -> None:
    """8 cores, all in use at night and by day: nothing of web fits before etl has gone."""
    window, night = day_and_night({"web": 8, "etl": 0}, {"web": 0, "etl": 8})
    of = shop(
        [host("h1"), host("h2")],
        [service("web", cpu=1000), service("etl", cpu=1000)],
        replace(window, lead=600.0),
        night=night,
    )
    made = of_day(of)
    morning = next(one for one in made.instants if one.turns)
    assert morning.counts == {ETL: 0, WEB: 8}
    assert morning.after_room == {WEB: 8}
    assert made.fits


def test_a_lead_is_an_instant_of_its_own() -> None:
    window, night = day_and_night({"web": 4}, {"web": 1})
    of = shop([host("h1"), host("h2")], [service("web", cpu=1000)], replace(window, lead=480.0), night=night)
    made = of_day(of)
    lead, edge = made.instants[1], made.instants[2]
    assert told(lead) == ("04:52Z", {"web": 4})
    assert [(one.at, one.begun, one.window) for one in lead.leads] == [(edge.at, lead.at, "day")]
    assert (lead.wanted[WEB], edge.wanted[WEB]) == (1, 4)
    assert (edge.changed, edge.after_room) == ({}, {})


def test_leads_before_one_edge_are_told_as_one() -> None:
    """web begins 8 minutes before 07:00 and etl 2: from 04:52Z on, both are told."""
    early = builders.window("07:00", "20:00", {"web": 2}, lead=480.0)
    late = builders.window("07:00", "20:00", {"etl": 2}, lead=120.0, name="work")
    of = fleet(
        [host("h1")],
        [service("web"), service("etl")],
        (
            builders.policy(base=builders.amounts({"web": 1}), windows=(early,)),
            builders.policy(name="pool", base=builders.amounts({"etl": 1}), windows=(late,)),
        ),
    )
    leads = [one for one in of_day(of).instants if one.leads]
    assert [told(one) for one in leads] == [("04:52Z", {"etl": 2, "web": 2})]
    assert f"{leads[0].judged_at:%H:%MZ}" == "04:58Z"
    assert sorted(one.window for one in leads[0].leads) == ["day", "work"]


def test_a_quota_is_reached_at_an_edge() -> None:
    limited = replace(
        switching(), quotas=(Quota(namespace="shop", name="all", hard={"cpu": 6000, "memory": 1 << 40}),)
    )
    _, morning, _ = turning(of_day(limited))
    assert [(one.quota, one.dimension, one.wanted, one.hard, one.over) for one in morning.quotas] == [
        ("shop/all", "cpu", 6000, 6000, 0)
    ]
    tight = replace(limited, quotas=(Quota(namespace="shop", name="web", hard={"instances": 5}),))
    _, morning, _ = turning(of_day(tight))
    assert [(one.dimension, one.over) for one in morning.quotas] == [("instances", 1)]
    assert [(one.workload, one.count, one.in_words()) for one in morning.lacks] == [(WEB, 1, "")]


def test_cost_and_hosts_that_could_be_off() -> None:
    """Two hosts of 0.5 an hour; by night one web is all there is, so that one host is empty for 11 hours."""
    window, night = day_and_night({"web": 2}, {"web": 1})
    of = shop(
        [host("h1", cost_per_hour=0.5), host("h2", cost_per_hour=0.5)],
        [service("web", cpu=3000)],
        window,
        night=night,
    )
    made = of_day(of)
    assert [len(one.empty) for one in turning(made)] == [1, 0, 1]
    assert [(one.cost, one.cost_in_use) for one in turning(made)] == [(1.0, 0.5), (1.0, 1.0), (1.0, 0.5)]
    assert (made.cost, made.cost_in_use) == (24.0, 18.5)


def test_a_host_that_does_not_answer_could_not_be_off() -> None:
    of = shop([host("h1"), host("h2")], [service("web")], night={"web": 1})
    made = forecast(of, Snapshot(observed=seen(of, silent="h2"), ledger=Ledger()), stretch(MONDAY, 1, BERLIN))
    assert made.instants[0].empty == ()
    assert made.capacity.cpu == 4000


def test_one_host_lost_is_survived_by_day_and_not_by_night() -> None:
    """8 cores: 3 by day, which one host of 4 takes over; 6 by night, of which it takes 4."""
    window, night = day_and_night({"web": 3, "etl": 0}, {"web": 2, "etl": 4})
    of = shop(
        [host("h1"), host("h2")], [service("web", cpu=1000), service("etl", cpu=1000)], window, night=night
    )
    made = of_day(of, losses=10)
    assert [one.survives for one in turning(made)] == [False, True, False]
    verdict = made.instants[0].headroom
    assert verdict is not None
    assert sum(one.count for one in verdict.shortfalls if one.lost == "h1") == 2
    assert {one.survives for one in of_day(of).instants} == {None}
    asked = of_day(replace(of, survive=Loss.HOST))
    assert [one.survives for one in turning(asked)] == [False, True, False]


def test_hosts_of_one_class_are_lost_once() -> None:
    of = shop(
        [host(f"h{at}", labels={"zone": "a"}) for at in range(6)],
        [service("web", cpu=3000)],
        night={"web": 6},
    )
    verdict = of_day(of, losses=1).instants[0].headroom
    assert verdict is not None
    assert (verdict.checked, verdict.losses) == (6, 6)
    assert [(one.lost, one.count, len(one.alike)) for one in verdict.shortfalls] == [("h0", 1, 5)]


def test_what_fills_is_counted_as_what_it_comes_to() -> None:
    window, _ = day_and_night({"web": 4}, {})
    policy = builders.policy(
        base={WEB: builders.amounts({"web": 1})[WEB], ETL: Fill(min=1)}, windows=(window,)
    )
    made = of_day(fleet([host("h1")], [service("web", cpu=500), service("etl", cpu=500)], (policy,)))
    assert [told(one)[1] for one in turning(made)] == [
        {"etl": 7, "web": 1},
        {"etl": 4, "web": 4},
        {"etl": 7, "web": 1},
    ]


@pytest.mark.parametrize(
    ("day", "hours", "morning"),
    [
        (date(2026, 10, 25), 25, "2026-10-25T06:00:00+00:00"),
        (date(2027, 3, 28), 23, "2027-03-28T05:00:00+00:00"),
        (date(2026, 6, 1), 24, "2026-06-01T05:00:00+00:00"),
    ],
)
def test_days_of_23_and_25_hours(day: date, hours: int, morning: str) -> None:
    made = of_day(switching(), day)
    (only,) = days_of(made)
    assert (only.hours, only.whole, only.date) == (hours, True, day)
    assert made.instants[1].at.isoformat() == morning
    assert made.cost == hours * 1.0


def test_a_week_is_cut_at_local_midnights() -> None:
    days = list(days_of(of_day(switching(), date(2026, 10, 19), days=7)))
    assert [day.hours for day in days] == [24, 24, 24, 24, 24, 24, 25]
    assert all(sum(bool(one.turns) for one in day.instants) == 2 for day in days)
    assert {told(day.opening)[1]["etl"] for day in days} == {4}


def test_an_override_that_suspends_holds_until_it_ends() -> None:
    freeze = Override(
        namespace="shop",
        name="freeze",
        target_kind="Fleet",
        target_name="test",
        suspend=True,
        start=datetime(2026, 6, 1, 4, tzinfo=UTC),
        until=datetime(2026, 6, 1, 9, tzinfo=UTC),
        reason="stocktaking",
    )
    made = of_day(replace(switching(), overrides=(freeze,)))
    assert [(*told(one), bool(one.held)) for one in made.instants if not one.leads] == [
        ("22:00Z", {"etl": 4, "web": 2}, False),
        ("04:00Z", {"etl": 4, "web": 2}, True),
        ("05:00Z", {"etl": 4, "web": 2}, True),
        ("09:00Z", {"etl": 0, "web": 6}, False),
        ("18:00Z", {"etl": 4, "web": 2}, False),
    ]


def test_what_is_under_way_has_come_to_its_end() -> None:
    """One that starts is ready at the first edge, one that stops is gone, and nobody waits for either."""
    of = shop([host("h1"), host("h2")], [service("web")], night={"web": 2})
    web = of.services[WEB]
    going = running(web, 2, "h1")
    observed = seen(of, running(web, 0, "h1", ready_for=None), running(web, 1, "h2"), going)
    observed = replace(
        observed,
        hosts={**observed.hosts, "h1": replace(observed.hosts["h1"], stopping=frozenset({going.id}))},
    )
    made = forecast(of, Snapshot(observed=observed, ledger=Ledger()), stretch(MONDAY, 1, BERLIN))
    assert (made.instants[0].before, made.instants[0].counts) == ({WEB: 2}, {WEB: 2})
    assert made.instants[0].changed == {}


def test_a_silent_host_keeps_what_it_has() -> None:
    of = shop([host("h1"), host("h2")], [service("web")], night={"web": 2})
    web = of.services[WEB]
    observed = seen(of, running(web, 0, "h1"), running(web, 1, "h2"), silent="h2")
    made = forecast(of, Snapshot(observed=observed, ledger=Ledger()), stretch(MONDAY, 1, BERLIN))
    assert made.instants[0].counts == {WEB: 2}
    assert observed.hosts["h2"].state is HostState.SUSPECT, "a host that is only doubted loses nothing"


def test_a_new_image_is_rolled_out_at_the_start_of_a_forecast() -> None:
    of = shop([host("h1"), host("h2")], [service("web", image="web:2")], night={"web": 8})
    old = service("web", image="web:1")
    observed = seen(of, *(running(old, slot, "h1" if slot % 2 else "h2") for slot in range(8)))
    made = forecast(of, Snapshot(observed=observed, ledger=Ledger()), stretch(MONDAY, 1, BERLIN))
    assert made.instants[0].changed == {ChangeKind.REPLACE: 8}
    assert made.instants[0].counts == {WEB: 8}


def test_an_empty_fleet_has_a_day_too() -> None:
    made = of_day(fleet([], []))
    assert (len(made.instants), made.fits, made.cost) == (1, True, 0.0)
    assert [one.zone.key for one in (made,)] == ["UTC"]


def test_capacity_is_what_the_hosts_that_answer_offer() -> None:
    assert of_day(switching(3)).capacity.memory == 3 * 4096 * MEBIBYTE
