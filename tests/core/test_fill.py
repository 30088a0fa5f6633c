"""What fills takes what is left over: bounds, shares, and who it yields to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from rota.core.ids import WorkloadId
from rota.core.model import Amount, Fill, Fleet, Override, Quota, Service
from rota.core.placement.board import Board
from rota.core.placement.fill import Elastic, share_out
from rota.core.planning.allow import QuotaBook
from rota.core.resources import Resources
from rota.core.rules import Strategy
from tests import builders
from tests.builders import fleet, host, service
from tests.core.placement.course import Course
from tests.core.scenes import actions, change_view, changes, homes, running, seen

PACK = replace(service("x").placement, strategy=Strategy.PACK)


def filling(hosts: int, *ones: Service, cpu: int = 4000, **fills: Fill) -> Fleet:
    """Hosts of `cpu` in three zones; `fills` are the fills of the base, by workload."""
    base = {WorkloadId("shop", name): fill for name, fill in fills.items()}
    of = [host(f"h{at}", cpu=cpu, memory=65536, labels={"zone": "abc"[at % 3]}) for at in range(hosts)]
    return fleet(of, list(ones), (builders.policy(base=base),))


def counts(course: Course, *names: str) -> list[int]:
    return [course.count(name) for name in names]


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        (Fill(), 8),
        (Fill(max=5), 5),
        (Fill(min=3, max=3), 3),
        (Fill(min=8), 8),
        (Fill(min=2, max=100), 8),
        (Fill(max=0), 0),
    ],
)
def test_it_takes_what_is_left_between_its_bounds(fill: Fill, expected: int) -> None:
    course = Course(filling(2, service("web", 4, cpu=1000), service("pool", cpu=500), pool=fill))
    course.settle()
    assert counts(course, "web", "pool") == [4, expected]


def test_its_least_is_wanted_like_any_count_and_refused_with_reasons() -> None:
    course = Course(filling(1, service("pool", cpu=3000), pool=Fill(min=3)))
    decision = course.settle()
    assert counts(course, "pool") == [1]
    assert [(one.count, [each.detail for each in one.refusals]) for one in decision.unplaced] == [
        (2, ["cpu short by 2000m"])
    ]


@pytest.mark.parametrize("strategy", [Strategy.SPREAD, Strategy.PACK])
@pytest.mark.parametrize("hosts", [1, 2, 3, 6])
def test_room_is_shared_by_weight(hosts: int, strategy: Strategy) -> None:
    rules = replace(PACK, strategy=strategy)
    ones = [service(name, cpu=500, placement=rules) for name in ("ant", "bee", "cow")]
    course = Course(filling(hosts, *ones, ant=Fill(weight=1), bee=Fill(weight=2), cow=Fill(weight=3)))
    course.settle()
    whole = hosts * 8
    got = counts(course, "ant", "bee", "cow")
    assert sum(got) == whole
    assert all(abs(have - whole * weight / 6) <= 1 for have, weight in zip(got, (1, 2, 3), strict=True)), got


def test_shares_are_of_the_dominant_dimension() -> None:
    """Of 8 cores and 8 Gi: what takes much cpu and what takes much memory get equal dominant shares."""
    thinker, keeper = service("thinker", cpu=1000, memory=512), service("keeper", cpu=250, memory=2048)
    of = [host(name, cpu=4000, memory=8192) for name in "ab"]
    base = {thinker.id: Fill(), keeper.id: Fill()}
    course = Course(fleet(of, [thinker, keeper], (builders.policy(base=base),)))
    course.settle()
    shares = [course.count("thinker") * 1000 / 8000, course.count("keeper") * 2048 / 16384]
    assert abs(shares[0] - shares[1]) <= 1 / 8


def test_two_that_fill_and_no_room_at_all() -> None:
    ones = [service("web", 4, cpu=1000), service("ant", cpu=500), service("bee", cpu=500)]
    course = Course(filling(1, *ones, ant=Fill(), bee=Fill(weight=2)))
    decision = course.settle()
    assert counts(course, "web", "ant", "bee") == [4, 0, 0]
    assert decision.unplaced == ()


def test_a_newcomer_that_fills_gets_its_share_of_one_that_has_all() -> None:
    ant, bee = service("ant", cpu=500), service("bee", cpu=500)
    alone = filling(2, ant, ant=Fill())
    course = Course(alone)
    course.settle()
    assert counts(course, "ant") == [16]
    course.fleet = filling(2, ant, bee, ant=Fill(), bee=Fill())
    course.settle()
    assert counts(course, "ant", "bee") == [8, 8]


@pytest.mark.parametrize(("more", "stopped"), [(1, 2), (2, 4), (3, 6), (-1, 0)])
def test_a_small_change_of_a_service_costs_no_more_than_the_room_it_needs(more: int, stopped: int) -> None:
    web, pool = service("web", 4, cpu=1000), service("pool", cpu=500)
    course = Course(filling(3, web, pool, pool=Fill()))
    course.settle()
    assert counts(course, "web", "pool") == [4, 16]
    course.fleet = replace(filling(3, replace(web, replicas=4 + more), pool, pool=Fill()), revision="2" * 40)
    course.settle()
    assert counts(course, "web", "pool") == [4 + more, 16 - 2 * more]
    assert sum(one.workload.name == "pool" for one in course.stopped) == stopped
    assert course.moved == []


@pytest.mark.parametrize("priorities", [(100, 100), (50, 200), (200, 50)])
def test_nothing_that_is_wanted_waits_while_something_fills_beyond_its_least(
    priorities: tuple[int, int],
) -> None:
    web = service("web", 1, cpu=1500, priority=priorities[0])
    pool = service("pool", cpu=500, priority=priorities[1])
    course = Course(filling(2, pool, pool=Fill(min=1)))
    course.settle()
    assert counts(course, "pool") == [16]
    course.fleet = replace(filling(2, web, pool, pool=Fill(min=1)), revision="2" * 40)
    course.settle()
    assert counts(course, "web", "pool") == [1, 13]


def test_a_surge_that_finds_no_room_displaces_what_fills() -> None:
    web, pool = service("web", 2, cpu=1000), service("pool", cpu=500)
    course = Course(filling(1, web, pool, pool=Fill(min=1)))
    course.settle()
    assert counts(course, "web", "pool") == [2, 4]
    new = replace(web, spec_hash="v1:web:2", container=replace(web.container, image="web:2"))
    course.fleet = replace(filling(1, new, pool, pool=Fill(min=1)), revision="2" * 40)
    course.settle()
    assert {one.spec for one in course.observed.containers() if one.workload == web.id} == {"v1:web:2"}
    assert counts(course, "web", "pool") == [2, 4]


@pytest.mark.parametrize("room", [1, 2, 3])
def test_a_new_image_of_what_fills_reaches_all_of_it(room: int) -> None:
    """Stop-first, one after the other: the room of a predecessor is its successor's, not one more's."""
    pool = service("pool", cpu=4000 // room)
    course = Course(filling(2, pool, pool=Fill()))
    course.settle()
    new = replace(pool, spec_hash="v1:web:2", container=replace(pool.container, image="web:2"))
    course.fleet = replace(filling(2, new, pool=Fill()), revision="2" * 40)
    course.settle()
    assert {one.spec for one in course.observed.containers()} == {"v1:web:2"}
    assert counts(course, "pool") == [2 * room]


@pytest.mark.parametrize("image", ["web:1", "web:2"])
def test_from_a_fixed_count_to_filling_and_back(image: str) -> None:
    web, pool = service("web", 2, cpu=1000), service("pool", 3, cpu=500)
    course = Course(filling(2, web, pool))
    course.settle()
    before = homes(course.observed, "pool")
    course.fleet = replace(filling(2, web, pool, pool=Fill()), revision="2" * 40)
    course.settle()
    assert counts(course, "pool") == [12]
    assert all(homes(course.observed, "pool")[name] >= count for name, count in before.items())
    back = replace(pool, spec_hash=f"v1:{image}", container=replace(pool.container, image=image))
    course.fleet = replace(filling(2, web, back), revision="3" * 40)
    course.fleet = replace(course.fleet, max_removals=replace(course.fleet.max_removals, value=100))
    course.settle()
    assert counts(course, "web", "pool") == [2, 3]


def test_a_quota_bounds_what_fills() -> None:
    pool = service("pool", cpu=500)
    of = filling(2, pool, pool=Fill())
    course = Course(replace(of, quotas=(Quota(namespace="shop", name="q", hard={"cpu": 2600}),)))
    course.settle()
    assert counts(course, "pool") == [5]


def test_an_override_lets_a_service_fill_for_a_while() -> None:
    pool = service("pool", 2, cpu=500)
    until = datetime(2026, 6, 1, 12, 1, tzinfo=UTC)
    override = Override(
        namespace="shop",
        name="all-hands",
        target_kind="Service",
        target_name="pool",
        start=None,
        until=until,
        reason="backlog",
        replicas=Fill(min=1, max=6),
    )
    course = Course(replace(filling(1, pool), overrides=(override,)))
    course.settle()
    assert counts(course, "pool") == [6]
    course.step(60.0)
    course.settle()
    assert counts(course, "pool") == [2]


def test_what_fills_leaves_a_window_and_comes_back_without_a_restart_of_the_rest() -> None:
    web, pool = service("web", 2, cpu=1000), service("pool", cpu=500)
    day = builders.window("14:01", "14:02", {"web": 6}, lead=0.0)
    course = Course(
        replace(
            filling(2, web, pool, pool=Fill()),
            policies=(builders.policy(base={pool.id: Fill()}, windows=(day,)),),
        )
    )
    course.settle()
    assert counts(course, "web", "pool") == [2, 12]
    course.step(60.0)
    course.settle(10)
    assert counts(course, "web", "pool") == [6, 4]
    assert len(course.stopped) == 8
    course.step(60.0)
    course.settle(10)
    assert counts(course, "web", "pool") == [2, 12]
    assert len(course.stopped) == 12
    assert course.decision is not None
    assert changes(course.decision) == actions(course.decision) == []


def test_what_was_preempted_and_has_another_place_counts_once() -> None:
    pool = service("pool", cpu=2000, priority=20, max_unavailable=Amount(value=1))
    base = (builders.policy(base={pool.id: Fill(min=1, max=1)}),)
    hosts = [host("a", memory=65536), host("b", cpu=2000, memory=65536, unschedulable=True)]
    course = Course(fleet(hosts, [pool], base))
    course.settle()
    hosts[1] = replace(hosts[1], unschedulable=False)
    high = service("high", 1, cpu=4000)
    course.fleet = replace(fleet(hosts, [pool, high], base), revision="2" * 40, max_moves_per_hour=0)
    for _ in range(4):
        decision = course.step()
        assert decision.wants[pool.id].count == 1
        assert decision.unplaced == ()
    assert [homes(course.observed, name) for name in ("high", "pool")] == [{"a": 1}, {"b": 1}]


@pytest.mark.parametrize("slow", [0, 1])
def test_a_smaller_request_of_what_fills_reaches_all_of_it_and_then_it_grows(slow: int) -> None:
    """Growth into the room that a rollout is to free must not use up the budget to free it."""
    pool = service("pool", cpu=2000)
    course = Course(filling(1, pool, pool=Fill(max=3)), slow=slow)
    course.settle()
    assert counts(course, "pool") == [2]
    small = service("pool", cpu=500, spec_hash="v1:small")
    course.fleet = replace(filling(1, small, pool=Fill(max=3)), revision="2" * 40)
    course.settle()
    assert {one.spec for one in course.observed.containers()} == {"v1:small"}
    assert counts(course, "pool") == [3]


@pytest.mark.parametrize("cordoned", [0, 1, 4])
def test_a_least_that_is_only_being_placed_is_not_given_up(cordoned: int) -> None:
    """What starts in this decision cannot be stopped in it."""
    ant, bee = (service(name, cpu=100, memory=0, priority=50) for name in ("ant", "bee"))
    of = [host(f"h{at}", cpu=1000, unschedulable=at > 0) for at in range(1 + cordoned)]
    base = {ant.id: Fill(min=1), bee.id: Fill(max=5)}
    course = Course(fleet(of, [ant, bee], (builders.policy(base=base),)))
    course.settle()
    assert sum(counts(course, "ant", "bee")) == 10


@pytest.mark.parametrize("first", [0, 5])
@pytest.mark.parametrize("slow", [1, 6])
def test_a_rollout_of_what_fills_keeps_its_budget_whatever_the_slots(first: int, slow: int) -> None:
    """Gaps below the slots are not instances that serve; what stops slowly does not serve either."""
    old, new = service("pool", cpu=1000), service("pool", cpu=1000, image="web:2")
    before, of = filling(2, old, pool=Fill()), filling(2, new, pool=Fill())
    observed = seen(before, *(running(old, first + at, f"h{at // 4}") for at in range(8)))
    for name in of.hosts:
        observed = change_view(observed, name, images=frozenset({"web:2"}))
    course = Course(replace(of, revision="2" * 40), observed, slow=slow)
    fewest = 8
    for _ in range(8 * (2 * slow + 3)):
        course.step()
        serving = [
            one for one in course.observed.containers() if one.ready and not course.observed.is_stopping(one)
        ]
        fewest = min(fewest, len(serving))
    assert fewest == 7
    assert {one.spec for one in course.observed.containers()} == {"v1:web:2"}
    assert counts(course, "pool") == [8]


def test_nobody_gives_up_what_runs_for_what_is_only_on_its_way() -> None:
    """Two of `rich` run, four more wait for somebody to leave: the two stay, for they are its least."""
    rich, poor = service("rich", cpu=1000), service("poor", cpu=1000)
    capacity = Resources(cpu=2000, memory=1 << 40)
    board = Board.of([host("a", cpu=2000)], {rich.id: rich, poor.id: poor}, {"a": capacity}, {}, {})
    board.seat(rich, np.array([0]), np.array([2]))
    giver = Elastic(service=rich, fill=Fill(min=2), count=6, standing={0: 2})
    taker = Elastic(service=poor, fill=Fill(), count=0)
    share_out([giver, taker], board, QuotaBook(()))
    assert giver.given_up == []


def test_what_yields_and_what_the_budget_lets_go_do_not_add_up() -> None:
    """Eleven run, two are its least, a quarter may be unavailable: one of two, and not three of eleven."""
    pool = service("pool", cpu=1000, priority=50, max_unavailable=Amount(value=25, percent=True))
    course = Course(filling(3, pool, pool=Fill(min=2)))
    course.settle()
    web = service("web", 30, cpu=1000)
    course.fleet = replace(course.fleet, revision="2" * 40, services={**course.fleet.services, web.id: web})
    course.settle()
    assert counts(course, "web", "pool") == [11, 1]
