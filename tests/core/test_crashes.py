"""What dies again and again where it is: moved elsewhere with back-off, unless a second one could do harm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rota.core.decide import Decision, decide
from rota.core.ledger import Failure, Ledger
from rota.core.model import Amount, Fleet, Order, Service, Singleton, UpdateRules
from rota.core.observed import ContainerState, Deaths, Health, ObservedState
from rota.core.planning.back_off import FIRST_MOVE_SECONDS, LONGEST_MOVE_SECONDS, delay
from tests import builders
from tests.builders import fleet, host, service
from tests.core.scenes import (
    NOW,
    Course,
    actions,
    bring_back,
    change_view,
    changes,
    doubt,
    good_of,
    homes,
    later,
    running,
    seen,
)

WEB = service("web", 2)
STOP_FIRST = UpdateRules(order=Order.STOP_FIRST, min_healthy_time=1.0)
ONE = Amount(value=1)
CAUSE = "died 5 times within 5 minutes on a: exit 1"


def commit(*services: Service, hosts: str = "abc") -> Fleet:
    return fleet([host(name) for name in hosts], list(services))


def dying(
    observed: ObservedState,
    of: Service,
    slot: int = 0,
    home: str = "a",
    times: int = 5,
    cause: str = "exit 1",
) -> ObservedState:
    at = tuple(NOW.mono - 10 * number for number in reversed(range(times)))
    deaths = {**observed.hosts[home].deaths, (of.id, slot, of.spec_hash): Deaths(at, cause)}
    return change_view(observed, home, deaths=deaths)


def two(of: Service = WEB, hosts: str = "abc") -> ObservedState:
    return seen(commit(of, hosts=hosts), running(of, 0, "a"), running(of, 1, "b"))


def plan(of: Fleet, observed: ObservedState, ledger: Ledger | None = None) -> Decision:
    return decide(of, observed, ledger or Ledger(), NOW)


# --- moved elsewhere


@pytest.mark.parametrize("times", [0, 4])
def test_a_few_deaths_are_left_to_its_engine(times: int) -> None:
    assert plan(commit(WEB), dying(two(), WEB, times=times)).changes == ()


def test_five_deaths_within_minutes_move_it_elsewhere_make_before_break() -> None:
    decision = plan(commit(WEB), dying(two(), WEB))
    assert changes(decision) == [f"move web/0 a > c: {CAUSE}"]
    assert actions(decision) == ["start web/0 on c v1:web:1"]
    of, beside = commit(WEB), running(WEB, 0, "c")
    observed = dying(seen(of, running(WEB, 0, "a"), running(WEB, 1, "b"), beside), WEB)
    settling = plan(of, observed, decision.ledger)
    assert actions(settling) == ["stop web/0 on a v1:web:1"]


def test_what_stops_first_has_its_successor_first_all_the_same() -> None:
    """It goes to another host, and what keeps dying is not taken away for nothing."""
    web = replace(WEB, update=STOP_FIRST)
    assert actions(plan(commit(web), dying(two(web), web))) == ["start web/0 on c v1:web:1"]


def test_only_the_slot_that_dies_is_moved() -> None:
    decision = plan(commit(WEB), dying(two(), WEB, 1, "b"))
    assert [line.split()[:3] for line in changes(decision)] == [["move", "web/1", "b"]]


def test_the_host_where_it_died_comes_last_for_others_of_it() -> None:
    web = service("web", 4)
    of = commit(web, hosts="ab")
    observed = dying(seen(of, running(web, 1, "b"), running(web, 0, "b")), web, 9, "a", times=5)
    first = actions(plan(of, observed))
    assert {line.split()[3] for line in first} == {"b"}


def test_where_no_other_host_takes_it_it_stays() -> None:
    of = commit(WEB, hosts="a")
    observed = dying(seen(of, running(WEB, 0, "a"), running(WEB, 1, "a")), WEB)
    decision = plan(of, observed)
    assert decision.actions == ()
    assert [one.waits for one in decision.changes] == [
        "no host admits its successor: a: it moves away from there"
    ]
    assert decision.ledger.crashes == {}, "a move that nobody takes is none"


@pytest.mark.parametrize("mode", [Singleton.BEST_EFFORT, Singleton.STRICT])
def test_a_singleton_stays(mode: Singleton) -> None:
    one = service("web", 1, singleton=mode, update=STOP_FIRST, max_unavailable=ONE)
    of = commit(one)
    assert plan(of, dying(seen(of, running(one, 0, "a")), one)).changes == ()


def test_what_has_its_volumes_there_stays() -> None:
    db = service("db", 1, container=builders.pinned(), spec_hash="v1:db", update=STOP_FIRST)
    of = commit(db)
    ledger = Ledger(pins={(db.id, 0): "a"})
    assert plan(of, dying(seen(of, running(db, 0, "a")), db), ledger).changes == ()


def test_deaths_on_a_host_that_does_not_answer_move_nothing() -> None:
    silent = doubt(dying(two(), WEB), "a")
    assert plan(commit(WEB), silent).changes == ()
    assert len(plan(commit(WEB), bring_back(silent, "a")).changes) == 1


def test_deaths_of_the_spec_before_are_the_rollouts_affair() -> None:
    new = service("web", 2, image="web:2")
    decision = plan(commit(new), dying(two(), WEB))
    assert {one.cause for one in decision.changes} == {"commit 1111111"}


def test_what_a_spec_died_of_bars_no_host_to_the_next_and_moves_none_of_it() -> None:
    """Every host has killed the old one; the new one is the mend."""
    mend = service("web", 3, image="web:2")
    of = commit(mend)
    killed = seen(of)
    for slot, home in enumerate("abc"):
        killed = dying(killed, WEB, slot, home)
    assert len(actions(plan(of, killed))) == 3
    there = seen(of, *(running(mend, slot, home) for slot, home in enumerate("abc")))
    assert plan(of, dying(there, WEB), good_of(mend)).changes == ()


@pytest.mark.parametrize(("times", "restarts"), [(0, 1), (1, 1), (2, 0), (5, 0)])
def test_what_ends_again_and_again_is_started_again_after_a_back_off(times: int, restarts: int) -> None:
    """Its Engine may not bring back a strict singleton: each start of it is asked for here."""
    one = service("web", 1, singleton=Singleton.STRICT, update=STOP_FIRST, max_unavailable=ONE)
    of = commit(one)
    ended = running(one, 0, "a", ready_for=None, state=ContainerState.EXITED, health=Health.NONE)
    observed = dying(seen(of, ended), one, times=times) if times else seen(of, ended)
    decision = plan(of, observed, good_of(one))
    assert len(decision.actions) == restarts
    if not restarts:
        assert decision.requeue_after is not None
        assert [line.split()[0] for line in actions(decide(of, observed, good_of(one), later(20)))] == [
            "restart"
        ]


# --- back-off


def test_between_two_moves_there_is_a_back_off_and_its_engine_goes_on_meanwhile() -> None:
    ledger = good_of(WEB, ledger=plan(commit(WEB), dying(two(), WEB)).ledger)
    key = (WEB.id, WEB.spec_hash)
    moved = ledger.crashes[key]
    assert (moved.count, moved.message) == (1, CAUSE)
    assert FIRST_MOVE_SECONDS * 0.8 <= moved.until - NOW.mono <= FIRST_MOVE_SECONDS * 1.2
    of = commit(WEB)
    elsewhere = dying(seen(of, running(WEB, 0, "c"), running(WEB, 1, "b")), WEB, 0, "c")
    waiting = decide(of, elsewhere, ledger, later(10))
    assert waiting.actions == ()
    assert [one.waits for one in waiting.changes] == [
        "it kept dying elsewhere, too: backing off after 1 move"
    ]
    assert waiting.requeue_after == moved.until - later(10).mono
    again = decide(of, elsewhere, ledger, later(40))
    assert [line.split()[0] for line in actions(again)] == ["start"]
    assert again.ledger.crashes[key].count == 2


@pytest.mark.parametrize(
    ("count", "seconds"), [(1, 30.0), (2, 60.0), (3, 120.0), (7, 1920.0), (8, 3600.0), (99, 3600.0)]
)
def test_the_back_off_doubles_up_to_an_hour(count: int, seconds: float) -> None:
    waited = delay(count, "shop/web v1", FIRST_MOVE_SECONDS, LONGEST_MOVE_SECONDS)
    assert seconds * 0.8 <= waited <= seconds * 1.2


def test_the_record_goes_with_its_spec() -> None:
    ledger = Ledger(crashes={(WEB.id, "v1:other"): Failure(count=3, until=NOW.mono, message=CAUSE)})
    assert plan(commit(WEB), two(), ledger).ledger.crashes == {}


def test_the_record_is_forgotten_after_calm() -> None:
    ledger = Ledger(crashes={(WEB.id, WEB.spec_hash): Failure(count=3, until=NOW.mono, message=CAUSE)})
    ledger = good_of(WEB, ledger=ledger)
    assert decide(commit(WEB), two(), ledger, later(3599)).ledger.crashes != {}
    assert decide(commit(WEB), two(), ledger, later(3601)).ledger.crashes == {}


# --- the flap guard


def test_what_is_removed_by_hand_again_and_again_is_not_started_there_again() -> None:
    of = commit(service("web", 1), hosts="ab")
    removed = dying(seen(of), WEB, cause="removed by hand")
    assert actions(plan(of, removed)) == ["start web/0 on b v1:web:1"]
    (before,) = actions(plan(of, dying(seen(of), WEB, times=4, cause="removed by hand")))
    assert before.startswith("start web/0 on ")
    everywhere = dying(removed, WEB, home="b", cause="removed by hand")
    decision = plan(of, everywhere)
    assert decision.actions == ()
    said = {each.detail for one in decision.unplaced for each in one.refusals}
    assert said == {"lost it 5 times within 5 minutes: removed by hand"}


def test_when_its_deaths_are_forgotten_it_is_started_again() -> None:
    of = commit(service("web", 1), hosts="a")
    course = Course(of, dying(seen(of), WEB, cause="removed by hand"))
    course.step()
    assert homes(course.observed, "web") == {}
    course.observed = change_view(course.observed, "a", deaths={})
    course.settle()
    assert homes(course.observed, "web") == {"a": 1}
