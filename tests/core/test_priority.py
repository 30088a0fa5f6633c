"""Higher priority gets its room: from whom, within which budget, and who must not profit from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger, Reservation
from rota.core.model import Amount, Fill, Order, Service, UpdateRules
from rota.core.observed import ObservedState
from rota.core.planning.actions import StopInstance
from rota.core.rules import Affinity, PlacementRules
from tests import builders
from tests.builders import fleet, host, pinned, service
from tests.core.placement.course import Course
from tests.core.scenes import NOW, actions, change_view, changes, decide, later, refusals, running, seen

ONE = Amount(value=1)


def low(name: str = "low", count: int = 4, **fields: object) -> Service:
    fields = {"cpu": 1000, "priority": 50, "max_unavailable": ONE, **fields}
    return service(name, count, **fields)  # type: ignore[arg-type]


def full(*ones: Service, fills: dict[str, Fill] | None = None) -> Course:
    """A host of four cores that `ones` have filled."""
    course = Course(_fleet(*ones, fills=fills))
    course.settle()
    return course


def _fleet(*ones: Service, fills: dict[str, Fill] | None = None) -> object:
    base = {WorkloadId("shop", name): fill for name, fill in (fills or {}).items()}
    return fleet([host("a", memory=65536)], list(ones), (builders.policy(base=base),) if base else ())


def counts(course: Course, *names: str) -> list[int]:
    return [course.count(name) for name in names]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((low(),), [1, 3]),
        ((low(max_unavailable=Amount(value=0)),), [0, 4]),
        ((low(priority=100),), [0, 4]),
        ((low(priority=200),), [0, 4]),
        ((low("low", 2), low("mid", 2, priority=70)), [1, 1, 2]),
        ((low("low", 2, max_unavailable=Amount(value=0)), low("mid", 2, priority=70)), [1, 2, 1]),
        ((low("low", 2, container=pinned(), spec_hash="v1:p"), low("mid", 2, priority=70)), [1, 2, 1]),
    ],
    ids=["lower", "no-budget", "equal", "higher", "lowest-first", "next-with-a-budget", "not-pinned"],
)
def test_who_is_stopped_for_one_of_higher_priority(others: tuple[Service, ...], expected: list[int]) -> None:
    course = full(*others)
    high = service("high", 1, cpu=1000, priority=100)
    course.fleet = replace(_fleet(high, *others), revision="2" * 40)  # type: ignore[type-var]
    course.settle()
    assert counts(course, "high", *(one.id.name for one in others)) == expected
    assert not course.final_problems()


def test_what_fills_yields_before_anybody_is_stopped() -> None:
    ones = (low("low", 2), low("pool", priority=500))
    course = full(*ones, fills={"pool": Fill(min=1)})
    assert counts(course, "low", "pool") == [2, 2]
    for more, expected in ((1, [2, 1]), (2, [1, 1])):
        high = service("high", more, cpu=1000)
        course.fleet = replace(  # type: ignore[type-var]
            _fleet(high, *ones, fills={"pool": Fill(min=1)}), revision=f"{more}" * 40
        )
        course.settle()
        assert counts(course, "high", "low", "pool") == [more, *expected]


def test_no_more_are_stopped_than_the_budget_allows_at_any_time() -> None:
    course = full(low(max_unavailable=Amount(value=2)))
    course.fleet = replace(  # type: ignore[type-var]
        _fleet(service("high", 4, cpu=1000), low(max_unavailable=Amount(value=2))), revision="2" * 40
    )
    course.settle()
    assert counts(course, "high", "low") == [2, 2]


def stopping(observed: ObservedState, *stops: StopInstance) -> ObservedState:
    for one in stops:
        view = observed.hosts[one.host]
        observed = change_view(observed, one.host, stopping=view.stopping | {one.container_id})
    return observed


def gone(observed: ObservedState) -> ObservedState:
    for name, view in observed.hosts.items():
        left = tuple(one for one in view.containers if one.id not in view.stopping)
        observed = change_view(observed, name, containers=left, stopping=frozenset())
    return observed


@pytest.mark.parametrize("rival", [100, 50, 20])
def test_freed_room_is_kept_for_whom_it_is_freed(rival: int) -> None:
    """While the victim takes its grace, a newcomer that is served first by name or not does not get it."""
    victims, high = low(), service("high", 1, cpu=1000)
    observed = seen(_fleet(victims), *(running(victims, slot, "a") for slot in range(4)))  # type: ignore[arg-type]
    of = _fleet(high, victims)
    first = decide(of, observed, Ledger(), NOW)  # type: ignore[arg-type]
    stops = [one for one in first.actions if isinstance(one, StopInstance)]
    assert len(stops) == len(first.actions) == 1
    assert list(first.ledger.reservations) == [(high.id, 0)]
    observed = stopping(observed, *stops)
    crowded = _fleet(high, victims, service("aaa", 1, cpu=1000, priority=rival))
    second = decide(crowded, observed, first.ledger, later(2))  # type: ignore[arg-type]
    assert second.actions == ()
    third = decide(crowded, gone(observed), second.ledger, later(4))  # type: ignore[arg-type]
    assert actions(third) == ["start high/0 on a v1:web:1"]


def test_what_was_stopped_for_another_stops_nobody_itself() -> None:
    lowest, mid = low("lowest", 2, priority=10), low("mid", 2, priority=50)
    course = full(lowest, mid)
    high = service("high", 3, cpu=1000)
    course.fleet = replace(_fleet(high, lowest, mid), revision="2" * 40)  # type: ignore[type-var]
    course.settle()
    assert counts(course, "high", "mid", "lowest") == [2, 1, 1]
    assert not any("mid" in line and "room" in line and "lowest" in line for line in course.log)


def test_the_displaced_comes_back_when_there_is_room_again() -> None:
    course = full(low())
    course.fleet = replace(_fleet(service("high", 1, cpu=1000), low()), revision="2" * 40)  # type: ignore[type-var]
    course.settle()
    course.fleet = replace(_fleet(low()), revision="3" * 40)  # type: ignore[type-var]
    course.fleet = replace(course.fleet, max_removals=Amount(value=100, percent=True))
    course.settle()
    assert counts(course, "high", "low") == [0, 4]
    assert course.ledger.displaced == frozenset()


def test_a_reservation_that_nobody_claims_expires() -> None:
    """The victim never goes; after ten minutes the room that it leaves is anybody's."""
    victims, high = low(), service("high", 1, cpu=1000)
    observed = seen(_fleet(victims), *(running(victims, slot, "a") for slot in range(4)))  # type: ignore[arg-type]
    of = _fleet(high, victims)
    first = decide(of, observed, Ledger(), NOW)  # type: ignore[arg-type]
    stops = [one for one in first.actions if isinstance(one, StopInstance)]
    hung = stopping(observed, *stops)
    ledger, until = first.ledger, first.ledger.reservations[high.id, 0].until
    for seconds in range(60, 600, 60):
        ledger = decide(of, hung, ledger, later(seconds)).ledger  # type: ignore[arg-type]
        assert ledger.reservations[high.id, 0].until == until


# --- who must not be stopped, and what must not be given away


def test_nobody_stops_what_it_needs_beside_itself() -> None:
    """Without its partner the newcomer could not stand there at all."""
    partner = low("partner", 1)
    rules = PlacementRules(affinity=(Affinity(workload=partner.id, required=True),))
    high = service("high", 1, cpu=3500, priority=200, placement=rules)
    course = full(partner)
    course.fleet = replace(_fleet(high, partner), revision="2" * 40)  # type: ignore[type-var]
    course.settle()
    assert counts(course, "high", "partner") == [0, 1]


def test_the_room_of_what_stops_first_is_its_successors() -> None:
    """A lower priority that waits for room does not get what a rollout frees for a moment."""
    update = UpdateRules(order=Order.STOP_FIRST, min_healthy_time=1.0)
    old = service("db", 1, cpu=4000, memory=100, priority=200, update=update, max_unavailable=ONE)
    new = replace(old, spec_hash="v1:web:2", container=replace(old.container, image="web:2"))
    waiting = low(count=1, max_unavailable=Amount(value=0))
    course = full(old, waiting)
    course.fleet = replace(_fleet(new, waiting), revision="2" * 40)  # type: ignore[type-var]
    decision = course.settle()
    assert counts(course, "db", "low") == [1, 0]
    assert changes(decision) == ["start low/0 - > -: commit 1111111 [no host admits it]"]


def test_every_host_is_heard_once_however_an_instance_came_to_ask() -> None:
    """One slot had room promised that is not there, the other never had."""
    web = service("web", 2, cpu=3000)
    of = fleet([host("a", cpu=2000)], [web])
    promised = Ledger(reservations={(web.id, 0): Reservation(host="a", until=NOW.mono + 60)})
    decision = decide(of, seen(of), promised, NOW)
    assert refusals(decision) == ["web x2 a: cpu: cpu short by 1000m"]


def test_an_instance_makes_room_for_one_only() -> None:
    """What was asked to go for the first newcomer is not counted again for the second."""
    rules = PlacementRules(max_per_host=1)
    others = low(count=2, cpu=4000, max_unavailable=Amount(value=2), placement=rules)
    hosts = [host("a", memory=65536), host("b", memory=65536, unschedulable=True)]
    newcomers = [service(name, 1, cpu=3000, priority=200) for name in ("high", "tall")]
    of = fleet(hosts, [others, *newcomers])
    course = Course(of, seen(of, running(others, 0, "a"), running(others, 1, "b")))
    decision = course.step()
    assert [line for line in changes(decision) if line.startswith("start")] == [
        "start high/0 - > a: commit 1111111 [room on a is being freed]",
        "start low/0 - > -: commit 1111111 [no host admits it]",
        "start tall/0 - > -: commit 1111111 [no host admits it]",
    ]


def test_of_two_that_others_need_beside_them_one_may_go() -> None:
    """One partner is left on the host, which is all that who follows it asks for."""
    partner = low("partner", 2)
    rules = PlacementRules(affinity=(Affinity(workload=partner.id, required=True),))
    mate = service("mate", 1, cpu=1000, placement=rules, priority=200)
    course = full(partner, mate)
    high = service("high", 1, cpu=2000, priority=100)
    course.fleet = replace(_fleet(high, partner, mate), revision="2" * 40)  # type: ignore[type-var]
    course.settle()
    assert counts(course, "high", "mate", "partner") == [1, 1, 1]


def test_who_waits_until_others_have_soaked_is_thought_of_then() -> None:
    """One may be stopped once the others have served for a second: that instant is waited for."""
    victims, high = low(), service("high", 1, cpu=1000)
    young = [running(victims, slot, "a", ready_for=0.2) for slot in range(4)]
    decision = decide(_fleet(high, victims), seen(_fleet(victims), *young), Ledger(), NOW)  # type: ignore[arg-type]
    assert decision.actions == ()
    assert decision.requeue_after == pytest.approx(0.8)


# --- what fills, and what was displaced


@pytest.mark.parametrize(("least", "expected"), [(4, [0, 4]), (3, [1, 3]), (0, [1, 3])])
def test_what_fills_without_a_budget_keeps_its_least(least: int, expected: list[int]) -> None:
    """It states maxUnavailable 0: below its least nobody of it is stopped, whatever the priority."""
    pool = low("pool", max_unavailable=Amount(value=0))
    course = full(pool, fills={"pool": Fill(min=least)})
    high = service("high", 1, cpu=1000, priority=200)
    fills = {"pool": Fill(min=least)}
    course.fleet = replace(_fleet(high, pool, fills=fills), revision="2" * 40)  # type: ignore[type-var]
    course.settle()
    assert counts(course, "high", "pool") == expected


@pytest.mark.parametrize(
    ("pool", "lowest", "expected"),
    [(4, 0, [1, 2, 0]), (0, 4, [0, 0, 4]), (2, 2, [1, 0, 2]), (1, 3, [0, 1, 3])],
    ids=["fills", "lower-priority", "both", "fills-too-little"],
)
def test_the_displaced_takes_room_of_what_fills_and_of_nobody_else(
    pool: int, lowest: int, expected: list[int]
) -> None:
    mid = service("mid", 1, cpu=2000, priority=50)
    others = low("pool", priority=500), low("lowest", lowest, priority=10, max_unavailable=Amount(value=4))
    of = _fleet(mid, *others, fills={"pool": Fill()})
    there = [running(others[0], slot, "a") for slot in range(pool)]
    there += [running(others[1], slot, "a") for slot in range(lowest)]
    displaced = Ledger(displaced=frozenset({(mid.id, 0)}))
    course = Course(of, seen(of, *there), displaced)  # type: ignore[arg-type]
    course.settle()
    assert counts(course, "mid", "pool", "lowest") == expected
    assert course.ledger.displaced == (frozenset() if expected[0] else displaced.displaced)


def test_the_displaced_leaves_what_fills_its_least() -> None:
    mid, pool = service("mid", 1, cpu=2000, priority=500), low("pool", 4, priority=10)
    of = _fleet(mid, pool, fills={"pool": Fill(min=3)})
    there = [running(pool, slot, "a") for slot in range(4)]
    course = Course(of, seen(of, *there), Ledger(displaced=frozenset({(mid.id, 0)})))  # type: ignore[arg-type]
    course.settle()
    assert counts(course, "mid", "pool") == [0, 4]
