"""Quotas where instances are placed: who is admitted, and what the refusal says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rota.core.ids import WorkloadId
from rota.core.model import Amount, Fill, Fleet, Quota, Service
from tests import builders
from tests.builders import MEBIBYTE, fleet, host, service
from tests.core.placement.course import Course


def limited(*ones: Service, fills: dict[str, Fill] | None = None, **hard: int) -> Fleet:
    base = {WorkloadId("shop", name): fill for name, fill in (fills or {}).items()}
    of = [host("a", cpu=64000, memory=65536), host("b", cpu=64000, memory=65536)]
    made = fleet(of, list(ones), (builders.policy(base=base),) if base else ())
    return replace(made, quotas=(Quota(namespace="shop", name="q", hard=hard),))


@pytest.mark.parametrize(
    ("hard", "placed", "words"),
    [
        ({"cpu": 1000}, 4, "quota shop/q: cpu 1 of 1 taken, one more asks for 250m"),
        ({"cpu": 1100}, 4, "quota shop/q: cpu 1 of 1100m taken, one more asks for 250m"),
        ({"memory": 300 * MEBIBYTE}, 2, "quota shop/q: memory 256Mi of 300Mi taken, one more asks for 128Mi"),
        ({"instances": 3}, 3, "quota shop/q: instances 3 of 3 taken, one more asks for 1"),
        ({"gpu": 0}, 6, ""),
        ({"instances": 0}, 0, "quota shop/q: instances 0 of 0 taken, one more asks for 1"),
    ],
)
def test_as_many_as_the_quota_allows_and_the_rest_with_the_numbers(
    hard: dict[str, int], placed: int, words: str
) -> None:
    course = Course(limited(service("web", 6, cpu=250), **hard))
    decision = course.settle()
    assert course.count("web") == placed
    told = [each.detail for one in decision.unplaced for each in one.refusals]
    assert told == ([words] if words else [])
    assert sum(one.count for one in decision.unplaced) == 6 - placed


def test_higher_priority_is_admitted_first() -> None:
    ones = [service("aaa", 3, priority=50), service("web", 3, priority=100)]
    course = Course(limited(*ones, instances=4))
    course.settle()
    assert [course.count(name) for name in ("web", "aaa")] == [3, 1]


def test_a_rollout_and_its_surge_need_no_quota() -> None:
    web = service("web", 4)
    course = Course(limited(web, instances=4))
    course.settle()
    new = replace(service("web", 4, image="web:2"))
    course.fleet = replace(limited(new, instances=4), revision="2" * 40)
    course.settle()
    assert {one.spec for one in course.observed.containers()} == {"v1:web:2"}
    assert course.count("web") == 4


def test_a_quota_that_shrinks_stops_nothing_that_runs() -> None:
    web = service("web", 4)
    course = Course(limited(web, instances=4))
    course.settle()
    course.fleet = replace(limited(web, instances=2), revision="2" * 40)
    course.settle()
    assert course.count("web") == 4
    assert course.stopped == []


def test_a_lost_host_does_not_lose_its_instances_their_quota() -> None:
    web = service("web", 4)
    course = Course(limited(web, instances=4))
    course.settle()
    kept = {name: one for name, one in course.fleet.hosts.items() if name != "b"}
    course.fleet = replace(
        course.fleet, hosts=kept, revision="2" * 40, max_removals=Amount(value=100, percent=True)
    )
    course.settle()
    assert course.count("web") == 4
    assert {one.host for one in course.observed.containers()} == {"a"}


@pytest.mark.parametrize("least", [0, 1, 3])
def test_the_least_of_what_fills_counts_before_what_it_fills_beyond(least: int) -> None:
    """What fills beyond its least never keeps a service from its count."""
    web, pool = service("web", 2, priority=50), service("pool", cpu=100)
    fills = {"pool": Fill(min=least)}
    course = Course(limited(pool, instances=6, fills=fills))
    course.settle()
    assert course.count("pool") == 6
    course.fleet = replace(limited(web, pool, instances=6, fills=fills), revision="2" * 40)
    course.settle()
    assert [course.count(name) for name in ("web", "pool")] == [2, 4]


def test_two_that_fill_share_a_quota_by_weight() -> None:
    ones = [service(name, cpu=100) for name in ("ant", "bee")]
    fills = {"ant": Fill(weight=1), "bee": Fill(weight=2)}
    course = Course(limited(*ones, instances=9, fills=fills))
    course.settle()
    assert [course.count(name) for name in ("ant", "bee")] == [3, 6]


@pytest.mark.parametrize("least", [1, 2])
def test_the_least_of_what_fills_is_refused_where_services_have_all_of_the_quota(least: int) -> None:
    web, pool = service("web", 3), service("pool", cpu=100, priority=50)
    course = Course(limited(web, pool, instances=3, fills={"pool": Fill(min=least)}))
    decision = course.settle()
    assert [course.count(name) for name in ("web", "pool")] == [3, 0]
    assert [(one.workload.name, one.count) for one in decision.unplaced] == [("pool", least)]
