"""Hosts that are closed by will: cordoned, and drained with and without a deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rota.core.decide import Decision, decide
from rota.core.ledger import Ledger
from rota.core.model import Amount, Drain, Fleet, Order, Override, Service, UpdateRules
from rota.core.observed import Hold, Now, ObservedState
from tests import builders
from tests.builders import fleet, host, service
from tests.core.scenes import NOW, Course, actions, changes, homes, later, lose, running, seen

WEB = service("web", 4)
STOP_FIRST = UpdateRules(order=Order.STOP_FIRST, min_healthy_time=1.0)
ONE = Amount(value=1)
WHENEVER = Drain()
HOUR = Drain(deadline=3600.0)


def commit(*services: Service, drain: Drain | None = WHENEVER, **fields: object) -> Fleet:
    """Three hosts, of which `b` is to be empty."""
    hosts = [host("a"), host("b", drain=drain), host("c")]
    return replace(fleet(hosts, list(services)), **fields)  # type: ignore[arg-type]


def by_override(**effect: object) -> Override:
    made = Override(
        namespace="shop",
        name="maintenance",
        target_kind="Host",
        target_name="b",
        until=NOW.wall + timedelta(hours=8),
        start=None,
        reason="new disks",
    )
    return replace(made, **effect)  # type: ignore[arg-type]


def on_b(of: Service, count: int | None = None) -> ObservedState:
    return seen(commit(of), *(running(of, slot, "b") for slot in range(count or of.replicas)))


def plan(of: Fleet, observed: ObservedState, ledger: Ledger | None = None, now: Now = NOW) -> Decision:
    return decide(of, observed, ledger or Ledger(), now)


# --- cordon


@pytest.mark.parametrize(
    "overrides", [(by_override(unschedulable=True),), (by_override(drain=WHENEVER), by_override(name="x"))]
)
def test_nothing_new_comes_to_a_host_that_is_closed(overrides: tuple[Override, ...]) -> None:
    of = commit(service("web", 8), drain=None, overrides=overrides)
    assert {line.split()[3] for line in actions(plan(of, seen(of)))} == {"a", "c"}


def test_a_cordon_moves_nothing_away() -> None:
    of = commit(WEB, drain=None, overrides=(by_override(unschedulable=True),))
    observed = seen(of, *(running(WEB, slot, "abcb"[slot]) for slot in range(4)))
    assert plan(of, observed).changes == ()


def test_a_drain_is_a_cordon_even_where_an_override_opens_the_host() -> None:
    of = commit(service("web", 8), overrides=(by_override(unschedulable=False),))
    decision = plan(of, seen(of))
    assert "b" not in {line.split()[3] for line in actions(decision)}
    assert decision.cordons == {"b": "drained by its manifest"}


# --- everything leaves


def test_all_moves_make_before_break_within_the_surge() -> None:
    decision = plan(commit(WEB), on_b(WEB))
    assert changes(decision)[0].startswith("move web/0 b > ")
    assert changes(decision)[0].endswith(": b is drained by its manifest")
    assert changes(decision)[1].endswith("[maxSurge is 25%]")
    assert [line.split()[0] for line in actions(decision)] == ["start"]
    course = Course(commit(WEB), on_b(WEB))
    for _ in range(40):
        course.step()
        assert 4 <= len(list(course.observed.containers())) <= 5
    assert homes(course.observed, "web") == {"a": 2, "c": 2}
    assert course.decision.drains[0].left == 0


def test_what_stops_first_leaves_one_at_a_time() -> None:
    web = service("web", 3, update=STOP_FIRST, max_unavailable=ONE)
    course = Course(commit(web), on_b(web))
    for _ in range(40):
        course.step()
        assert 2 <= len(list(course.observed.containers())) <= 3
    assert "b" not in homes(course.observed, "web")
    causes = {one.cause for decision in course.past for one in decision.actions}
    assert causes == {"b is drained by its manifest"}, "starts included"


def test_without_a_budget_what_stops_first_waits() -> None:
    web = service("web", 2, update=STOP_FIRST)
    decision = plan(commit(web), on_b(web))
    assert decision.actions == ()
    assert {one.waits for one in decision.changes} == {"maxUnavailable is reached"}


def test_a_rollout_and_a_drain_share_one_budget() -> None:
    old = service("web", 4, update=STOP_FIRST, max_unavailable=ONE)
    new = replace(old, spec_hash="v1:web:2")
    there = [running(old, slot, "ab"[slot % 2]) for slot in range(4)]
    observed = seen(commit(new), *there)
    views = {name: replace(view, images=frozenset({"web:1"})) for name, view in observed.hosts.items()}
    decision = plan(commit(new), replace(observed, hosts=views))
    assert len([line for line in actions(decision) if line.startswith("stop")]) == 1


def test_what_finds_no_room_elsewhere_stays_and_is_named() -> None:
    huge = service("web", 1, cpu=3000)
    of = commit(huge, service("api", 2, cpu=3000))
    api = of.services[service("api").id]
    observed = seen(of, running(huge, 0, "b"), running(api, 0, "a"), running(api, 1, "c"))
    decision = plan(of, observed)
    assert decision.actions == ()
    (drain,) = decision.drains
    assert (drain.host, drain.left, drain.deadline) == ("b", 1, None)
    assert [(str(one.workload), one.slot) for one in drain.stuck] == [("shop/web", 0)]
    assert drain.stuck[0].why.startswith("no host admits its successor: ")


def pinned() -> tuple[Service, Ledger]:
    db = service(
        "db", 1, container=builders.pinned(), spec_hash="v1:db", update=STOP_FIRST, max_unavailable=ONE
    )
    return db, Ledger(pins={(db.id, 0): "b"})


def test_what_has_its_volumes_there_stays_and_is_named() -> None:
    db, ledger = pinned()
    decision = plan(commit(db), on_b(db), ledger)
    assert (decision.changes, decision.actions) == ((), ())
    assert [one.why for one in decision.drains[0].stuck] == ["its volumes are on b"]


# --- the deadline


def test_the_time_runs_from_the_decision_that_saw_the_drain_first() -> None:
    of = commit(WEB, drain=HOUR)
    first = plan(of, on_b(WEB))
    assert first.ledger.drains == {"b": NOW.wall}
    again = plan(of, on_b(WEB), first.ledger, later(600))
    assert again.drains[0].deadline == NOW.wall + timedelta(hours=1)
    assert again.ledger.drains == {"b": NOW.wall}


def test_what_is_left_at_the_deadline_is_stopped_all_the_same() -> None:
    db, ledger = pinned()
    of = commit(db, drain=HOUR)
    ledger = plan(of, on_b(db), ledger).ledger
    before = plan(of, on_b(db), ledger, later(3599))
    assert before.actions == ()
    assert before.requeue_after == 1.0
    at = plan(of, on_b(db), ledger, later(3600))
    assert changes(at) == ["stop db/0 b > -: b is drained by its manifest"]
    assert actions(at) == ["stop db/0 on b v1:db"]
    gone = plan(of, seen(of), at.ledger, later(3700))
    assert gone.actions == (), "its volumes are where they were, and its host is closed"


def test_at_the_deadline_no_budget_and_no_successor_is_asked() -> None:
    of = commit(WEB, drain=HOUR)
    ledger = Ledger(drains={"b": NOW.wall - timedelta(hours=2)})
    assert len([line for line in actions(plan(of, on_b(WEB), ledger)) if line.startswith("stop")]) == 4


def test_nothing_is_stopped_on_a_drained_host_that_does_not_answer() -> None:
    of = commit(WEB, drain=HOUR)
    ledger = Ledger(drains={"b": NOW.wall - timedelta(hours=2)})
    decision = plan(of, lose(on_b(WEB), "b"), ledger)
    assert not any(line.startswith("stop") for line in actions(decision))
    assert {line.split()[0] for line in actions(decision)} == {"start"}


def test_without_a_deadline_nothing_is_ever_forced() -> None:
    db, ledger = pinned()
    ledger = replace(ledger, drains={"b": NOW.wall - timedelta(days=30)})
    assert plan(commit(db), on_b(db), ledger).actions == ()


def test_a_clock_that_is_set_back_forces_nothing_and_prolongs_nothing() -> None:
    db, ledger = pinned()
    of = commit(db, drain=HOUR)
    ledger = plan(of, on_b(db), ledger).ledger
    back = Now(wall=NOW.wall - timedelta(hours=1), mono=NOW.mono + 60)
    decision = plan(of, on_b(db), ledger, back)
    assert decision.actions == ()
    assert decision.drains[0].deadline == NOW.wall + timedelta(hours=1)


# --- whose word, and its end


def test_an_override_drains_and_goes_before_the_manifest() -> None:
    of = commit(WEB, drain=None, overrides=(by_override(drain=WHENEVER),))
    assert changes(plan(of, on_b(WEB)))[0].endswith("b is drained by override maintenance")
    both = commit(WEB, drain=WHENEVER, overrides=(by_override(drain=HOUR),))
    assert plan(both, on_b(WEB)).drains[0].deadline == NOW.wall + timedelta(hours=1)


@pytest.mark.parametrize("ends", ["commit", "override"])
def test_what_has_not_moved_when_a_drain_is_called_off_stays(ends: str) -> None:
    lasting = by_override(drain=WHENEVER, until=NOW.wall + timedelta(seconds=17))
    of = commit(WEB) if ends == "commit" else commit(WEB, drain=None, overrides=(lasting,))
    course = Course(of, on_b(WEB))
    course.run(20)
    left = homes(course.observed, "web")["b"]
    assert 0 < left < 4
    course.fleet = commit(WEB, drain=None, overrides=course.fleet.overrides, max_moves_per_hour=0)
    course.log.clear()
    course.settle()
    assert homes(course.observed, "web")["b"] >= left
    assert not any(line.startswith("start") for lines in course.log for line in lines)
    assert course.ledger.drains == {}


def test_a_drain_that_is_called_off_and_asked_again_has_its_whole_time() -> None:
    of = commit(WEB, drain=HOUR)
    ledger = plan(of, on_b(WEB)).ledger
    ledger = plan(commit(WEB, drain=None), on_b(WEB), ledger, later(1800)).ledger
    again = plan(of, on_b(WEB), ledger, later(3500))
    assert again.drains[0].deadline == later(7100).wall


def test_a_deadline_stands_still_while_nothing_may_be_changed() -> None:
    """Else all that is left would be stopped in the moment in which the hold ends."""
    db, ledger = pinned()
    of = commit(db, drain=HOUR)
    ledger = plan(of, on_b(db), ledger).ledger
    held = replace(on_b(db), held=Hold("Paused", "maintenance"))
    for passed in (600, 5000):
        ledger = plan(of, held, ledger, later(passed)).ledger
    assert plan(of, on_b(db), ledger, later(5001)).actions == ()
    ledger = plan(of, on_b(db), ledger, later(5001)).ledger
    assert plan(of, on_b(db), ledger, later(5001 + 2998)).actions == ()
    assert actions(plan(of, on_b(db), ledger, later(5001 + 3001))) == ["stop db/0 on b v1:db"]
