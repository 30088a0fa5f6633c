"""What a quota counts, when the coming year breaks it, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota.core.edges import edges
from rota.core.ids import WorkloadId
from rota.core.model import Amount, CapacityPolicy, Fill, Fleet, Override, Quota
from rota.core.quotas import breaches, in_words, usage
from rota.core.resources import Resources
from rota.core.rules import Operator, Requirement
from rota.core.windows import wanted
from tests import builders
from tests.core.test_windows import local, override, policies, utc

WEB, WORKER = WorkloadId("shop", "web"), WorkloadId("shop", "worker")
GIBIBYTE = 1 << 30
WORKDAYS = frozenset(range(5))
MONDAY_NOON = local("2026-06-01T12:00")
NIGHT = local("2026-06-01T23:00")
DAY = builders.window("07:00", "20:00", {"web": 12, "worker": 2}, days=WORKDAYS)
DAY_NIGHT = builders.policy(base=builders.amounts({"web": 4}), windows=(DAY,))


def quota(hard: Mapping[str, int], **fields: object) -> Quota:
    return replace(Quota(namespace="shop", name="shop", hard=hard), **fields)  # type: ignore[arg-type]


def shop(
    *quotas: Quota, policies: tuple[CapacityPolicy, ...] = (DAY_NIGHT,), overrides: tuple[Override, ...] = ()
) -> Fleet:
    """web of 1 cpu and worker of 7, worker with a gpu each."""
    web = builders.service("web", 8, cpu=1000, memory=1024, labels={"team": "front"})
    gpu = Resources(cpu=7000, memory=2 * GIBIBYTE, extended=(("gpu", 1),))
    worker = builders.service("worker", 1, requests=gpu, labels={"team": "back"})
    fleet = builders.fleet([builders.host("a")], [web, worker], policies, overrides)
    return replace(fleet, quotas=quotas)


def one_line(text: str) -> str:
    """A long sentence as it is told."""
    return " ".join(text.split())


def told(fleet: Fleet, start: datetime = NIGHT, days: int = 365) -> list[str]:
    return [in_words(breach) for breach in breaches(fleet, start, days)]


def test_usage_sums_each_limited_dimension_over_what_is_wanted() -> None:
    every = quota({"cpu": 1, "memory": 1, "instances": 1, "gpu": 1, "licence": 1})
    fleet = shop(every)
    assert usage(every, fleet, wanted(fleet, MONDAY_NOON)) == {
        "cpu": 12 * 1000 + 2 * 7000,
        "memory": 12 * GIBIBYTE + 2 * 2 * GIBIBYTE,
        "instances": 14,
        "gpu": 2,
        "licence": 0,
    }
    assert usage(quota({"gpu": 5}), fleet, wanted(fleet, NIGHT)) == {"gpu": 1}


def test_usage_counts_a_fill_at_its_least() -> None:
    filling = replace(DAY, replicas={WORKER: Fill(min=3, max=40)})
    fleet = shop(policies=(replace(DAY_NIGHT, windows=(filling,)),))
    assert usage(quota({"gpu": 1}), fleet, wanted(fleet, MONDAY_NOON)) == {"gpu": 3}


def test_usage_leaves_out_other_namespaces_and_what_the_selector_does_not_meet() -> None:
    fleet = shop()
    stranger = builders.service("web", 50, cpu=1000)
    stranger = replace(stranger, id=WorkloadId("other", "web"))
    fleet = replace(fleet, services={**fleet.services, stranger.id: stranger})
    front = Requirement(key="team", operator=Operator.IN, values=("front",))
    wants = wanted(fleet, MONDAY_NOON)
    assert usage(quota({"instances": 1}), fleet, wants) == {"instances": 14}
    assert usage(quota({"instances": 1}, selector=(front,)), fleet, wants) == {"instances": 12}
    assert usage(quota({"instances": 1}, namespace="none"), fleet, wants) == {"instances": 0}


def test_a_breach_names_the_first_span_how_often_and_who() -> None:
    limit = quota({"cpu": 24_000, "memory": 96 * GIBIBYTE})
    (breach,) = breaches(shop(limit), NIGHT)
    assert (breach.at, breach.until) == (local("2026-06-02T07:00"), local("2026-06-02T20:00"))
    assert (breach.dimension, breach.wanted, breach.hard) == ("cpu", 26_000, 24_000)
    assert (breach.quota, breach.times) == (limit, 261)
    assert [(share.workload, share.count, share.amount) for share in breach.shares] == [
        (WORKER, 2, 14_000),
        (WEB, 12, 12_000),
    ]


def test_what_a_quota_allows_exactly_is_no_breach() -> None:
    assert breaches(shop(quota({"cpu": 26_000, "instances": 14})), NIGHT) == ()
    assert [breach.dimension for breach in breaches(shop(quota({"cpu": 25_999})), NIGHT)] == ["cpu"]


def test_without_quotas_nothing_is_looked_at() -> None:
    assert breaches(shop(), NIGHT) == ()


def test_the_instant_itself_is_judged_even_where_no_edge_follows() -> None:
    fleet = shop(quota({"gpu": 0}), policies=())
    (breach,) = breaches(fleet, MONDAY_NOON)
    assert (breach.at, breach.until, breach.times) == (MONDAY_NOON, None, 1)


def test_a_span_that_is_under_way_begins_with_the_instant_and_counts() -> None:
    (breach,) = breaches(shop(quota({"cpu": 24_000})), MONDAY_NOON)
    assert (breach.at, breach.until) == (MONDAY_NOON, local("2026-06-01T20:00"))
    # The last one is cut off at noon, a year later.
    assert breach.times == 262


def test_an_edge_that_leaves_the_shares_as_they_are_cuts_no_span() -> None:
    lunch = builders.window("12:00", "13:00", {"web": 99}, name="lunch", priority=-1)
    nights = builders.window("20:00", "24:00", {"other": 1}, name="late")
    fleet = shop(quota({"cpu": 24_000}), policies=(replace(DAY_NIGHT, windows=(DAY, lunch, nights)),))
    first = breaches(fleet, local("2026-06-01T00:00"))[0]
    assert (first.at, first.until) == (local("2026-06-01T07:00"), local("2026-06-01T20:00"))


def test_workloads_that_take_nothing_of_a_dimension_do_not_tell_its_spans_apart() -> None:
    always = builders.window("00:00", "24:00", {"worker": 3}, name="always")
    by_day = builders.window("07:00", "20:00", {"web": 12})
    fleet = shop(quota({"gpu": 2}), policies=(replace(DAY_NIGHT, windows=(always, by_day)),))
    (breach,) = breaches(fleet, NIGHT)
    assert (breach.times, breach.until, breach.shares[0].count) == (1, None, 3)


def test_each_distinct_want_is_a_breach_of_its_own_in_order() -> None:
    lunch = builders.window("12:00", "13:00", {"web": 15}, name="lunch", priority=1, days=WORKDAYS)
    fleet = shop(
        quota({"cpu": 24_000, "instances": 16}, name="b"),
        quota({"cpu": 28_000}, name="a"),
        policies=(replace(DAY_NIGHT, windows=(DAY, lunch)),),
    )
    assert [(one.quota.name, one.at, one.dimension, one.times) for one in breaches(fleet, NIGHT)] == [
        ("a", local("2026-06-02T12:00"), "cpu", 261),
        ("b", local("2026-06-02T07:00"), "cpu", 522),
        ("b", local("2026-06-02T12:00"), "cpu", 261),
        ("b", local("2026-06-02T12:00"), "instances", 261),
    ]


def test_an_override_in_force_counts_until_it_ends() -> None:
    rush = override("Service", "web", "2026-11-27T06:00", "2026-11-28T02:00", replicas=Amount(value=30))
    assert told(shop(quota({"cpu": 26_000}), overrides=(rush,))) == [
        one_line(
            """quota shop/shop: cpu 37 of 26 wanted from 2026-11-27T05:00Z until 06:00, 2 times in the
            coming year (11 over): shop/web 30 x 1 (override exception), shop/worker 1 x 7
            (replicas)"""
        ),
        one_line(
            """quota shop/shop: cpu 44 of 26 wanted from 2026-11-27T06:00Z until 19:00, once in the
            coming year (18 over): shop/web 30 x 1 (override exception), shop/worker 2 x 7 (window
            day-night/day)"""
        ),
    ]


@pytest.mark.parametrize(("window", "times"), [("day", 260), ("base", 259)])
def test_an_override_that_forces_a_window_counts(window: str, times: int) -> None:
    # From Thursday to Saturday night: two working days are out, or made one span together with the Saturday.
    forced = override("CapacityPolicy", "day-night", "2026-12-24T00:00", "2026-12-27T00:00", window=window)
    (breach,) = breaches(shop(quota({"cpu": 24_000}), overrides=(forced,)), NIGHT)
    assert breach.times == times


def test_overrides_of_others_matter_to_nobody() -> None:
    surge = override("Service", "web", None, "2027-01-01T00:00", replicas=Amount(value=90))
    host = override("Host", "web", None, "2027-01-01T00:00", unschedulable=True)
    fleet = shop(quota({"cpu": 26_000}), overrides=(replace(surge, namespace="other"), host))
    assert breaches(fleet, NIGHT) == ()


@pytest.mark.parametrize(
    ("hard", "start", "days", "expected"),
    [
        (
            {"cpu": 24_500},
            NIGHT,
            365,
            one_line(
                """quota shop/shop: cpu 26 of 24500m wanted from 2026-06-02T07:00+02:00 until 20:00,
                261 times in the coming year (1500m over): shop/worker 2 x 7 (window
                day-night/day), shop/web 12 x 1 (window day-night/day)"""
            ),
        ),
        (
            {"memory": 15 * GIBIBYTE},
            local("2026-11-23T21:00"),
            365,
            one_line(
                """quota shop/shop: memory 16Gi of 15Gi wanted from 2026-11-24T07:00+01:00 until
                20:00, 261 times in the coming year (1Gi over): shop/web 12 x 1Gi (window
                day-night/day), shop/worker 2 x 2Gi (window day-night/day)"""
            ),
        ),
        (
            {"instances": 13},
            NIGHT,
            1,
            one_line(
                """quota shop/shop: instances 14 of 13 wanted from 2026-06-02T07:00+02:00 until 20:00,
                once in the coming year (1 over): shop/web 12 (window day-night/day), shop/worker 2
                (window day-night/day)"""
            ),
        ),
        (
            {"gpu": 0},
            local("2026-06-05T21:00:05"),
            1,
            one_line(
                """quota shop/shop: gpu 1 of 0 wanted from 2026-06-05T19:00:05Z on (1 over):
                shop/worker 1 x 1 (replicas)"""
            ),
        ),
    ],
)
def test_a_breach_in_words(hard: dict[str, int], start: datetime, days: int, expected: str) -> None:
    assert told(shop(quota(hard)), start, days) == [expected]


def test_a_span_over_midnight_names_both_dates_each_with_its_offset() -> None:
    night = builders.window("22:00", "06:00", {"web": 20}, days=frozenset({5}), name="sale")
    fleet = shop(quota({"instances": 20}), policies=(builders.policy(name="night", windows=(night,)),))
    assert told(fleet, utc("2026-10-20T12:00"), 14) == [
        one_line(
            """quota shop/shop: instances 21 of 20 wanted from 2026-10-24T22:00+02:00 until
            2026-10-25T06:00+01:00, 2 times in the coming year (1 over): shop/web 20 (window
            night/sale), shop/worker 1 (replicas)"""
        ),
    ]


def test_the_zone_is_that_of_the_policy_that_rules_the_largest_share() -> None:
    tokyo = builders.window("09:00", "18:00", {"worker": 4}, priority=1)
    policy = builders.policy(name="tokyo", zone=ZoneInfo("Asia/Tokyo"), windows=(tokyo,))
    (sentence,) = told(shop(quota({"gpu": 3}), policies=(DAY_NIGHT, policy)), utc("2026-06-01T12:00"), 3)
    assert "from 2026-06-02T09:00+09:00 until 18:00, 3 times" in sentence


def test_of_many_workloads_only_the_largest_are_named() -> None:
    services = [builders.service(f"s{number}", number, cpu=500) for number in range(9)]
    fleet = replace(builders.fleet([], services), quotas=(quota({"cpu": 1000}),))
    assert told(fleet, utc("2026-06-01T12:00")) == [
        one_line(
            """quota shop/shop: cpu 18 of 1 wanted from 2026-06-01T12:00Z on (17 over): shop/s8 8 x
            500m (replicas), shop/s7 7 x 500m (replicas), shop/s6 6 x 500m (replicas), shop/s5 5 x
            500m (replicas), shop/s4 4 x 500m (replicas), shop/s3 3 x 500m (replicas), 2 others
            1500m together"""
        ),
    ]


SERVICES = (
    builders.service("web", 3, cpu=1000, labels={"team": "a"}),
    builders.service("api", 2, cpu=300, labels={"team": "b"}),
    builders.service("job", 1, cpu=700, labels={"team": "b"}),
)


@st.composite
def rules(draw: st.DrawFn) -> tuple[CapacityPolicy, ...]:
    made = draw(st.lists(policies(), max_size=3))
    names = st.sampled_from(["web", "api", "job", "gone"])
    counts = st.dictionaries(names, st.integers(0, 9), max_size=3)
    return tuple(
        replace(
            policy,
            name=f"p{number}",
            base=builders.amounts(draw(counts)),
            windows=tuple(replace(one, replicas=builders.amounts(draw(counts))) for one in policy.windows),
        )
        for number, policy in enumerate(made)
    )


@st.composite
def exceptions(draw: st.DrawFn, start: datetime) -> Override:
    kind, name, effect = draw(
        st.sampled_from(
            [
                ("Service", "web", {"replicas": Amount(value=7)}),
                ("Service", "api", {"replicas": Amount(value=150, percent=True)}),
                ("CapacityPolicy", "p0", {"window": "base"}),
                ("CapacityPolicy", "p0", {"window": "a"}),
                ("Host", "web", {"unschedulable": True}),
            ]
        )
    )
    begins = start + timedelta(hours=draw(st.integers(-500, 500)))
    made = override(kind, name, None, "2026-01-01T00:00", **effect)
    return replace(made, start=begins, until=begins + timedelta(hours=draw(st.integers(1, 500))))


def by_force(fleet: Fleet, limit: Quota, start: datetime, end: datetime) -> dict[tuple[object, ...], list]:
    """The spans of each over-use, found by asking at every edge."""
    spans: dict[tuple[object, ...], list] = {}
    for dimension, hard in limit.hard.items():
        held: tuple[object, ...] | None = None
        for at in (start, *(edge for edge in edges(fleet, start, end) if edge < end)):
            wants = wanted(fleet, at)
            now = None
            if usage(limit, fleet, wants)[dimension] > hard:
                shares = sorted(
                    (one.id, wants[one.id].count, wants[one.id].rule)
                    for one in fleet.services.values()
                    if limit.covers(one) and wants[one.id].count
                )
                now = (dimension, tuple(shares))
            if now != held and held is not None:
                spans[held][-1][1] = at
            if now != held and now is not None:
                spans.setdefault(now, []).append([at, None])
            held = now
    return spans


@settings(max_examples=150, deadline=None)
@given(
    found=rules(),
    data=st.data(),
    hour=st.integers(0, 9000),
    days=st.integers(1, 25),
    cpu=st.integers(0, 15),
    instances=st.integers(0, 15),
    team=st.sampled_from(["", "a", "b"]),
)
def test_breaches_are_those_that_one_finds_by_asking_at_every_edge(
    found: tuple[CapacityPolicy, ...],
    data: st.DataObject,
    hour: int,
    days: int,
    cpu: int,
    instances: int,
    team: str,
) -> None:
    start = utc("2026-01-01T00:00") + timedelta(hours=hour)
    only = (Requirement(key="team", operator=Operator.IN, values=(team,)),) if team else ()
    limit = quota({"cpu": 1000 * cpu, "instances": instances}, selector=only)
    overrides = tuple(data.draw(st.lists(exceptions(start), max_size=2)))
    overrides = tuple(replace(one, name=f"o{number}") for number, one in enumerate(overrides))
    fleet = replace(builders.fleet([], list(SERVICES), found, overrides), quotas=(limit,))
    told_by = {
        (one.dimension, tuple(sorted((each.workload, each.count, each.rule) for each in one.shares))): one
        for one in breaches(fleet, start, days)
    }
    expected = by_force(fleet, limit, start, start + timedelta(days=days))
    assert {key: (one.at, one.until, one.times) for key, one in told_by.items()} == {
        key: (*spans[0], len(spans)) for key, spans in expected.items()
    }
    assert all(one.wanted == sum(each.amount for each in one.shares) for one in told_by.values())
    assert all(in_words(one).startswith("quota shop/shop: ") for one in told_by.values())


def test_the_same_fleet_gives_the_same_breaches_whatever_the_order_of_its_parts() -> None:
    one, other = quota({"cpu": 24_000}, name="a"), quota({"instances": 5}, name="b")
    night = builders.policy(name="night", windows=(builders.window("22:00", "24:00", {"worker": 9}),))
    fleet = shop(one, other, policies=(DAY_NIGHT, night))
    turned = replace(
        fleet,
        quotas=(other, one),
        policies=(night, DAY_NIGHT),
        services=dict(reversed(list(fleet.services.items()))),
    )
    assert breaches(fleet, NIGHT) == breaches(turned, NIGHT)
