"""Rollouts that get on, that do not, and what follows: the spec before, or waiting for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import pytest

from rota.core.container import ContainerSpec, HealthCheck, Mount, Port
from rota.core.decide import Decision, decide
from rota.core.ledger import FailedSpec, Failure, GoodSpec, Ledger, Rollout
from rota.core.model import Amount, Canary, Drain, Fleet, OnFailure, Order, Service, UpdateRules
from rota.core.observed import Hold, ObservedState
from rota.core.planning.actions import StartInstance
from rota.core.resources import Resources
from rota.core.rules import ANYWHERE
from rota.report.documents import encode
from rota.report.state import ledger_document, read_ledger
from tests.builders import fleet, host, pinned, service
from tests.core.scenes import (
    NOW,
    Course,
    actions,
    change_view,
    changes,
    good_of,
    later,
    lose,
    running,
    seen,
)

HOSTS = [host(name) for name in "abc"]
UPDATE = UpdateRules(min_healthy_time=1.0, healthy_deadline=30.0, progress_deadline=100.0)
OLD = service("web", 3, update=UPDATE, document_hash="d1")
BAD = replace(service("web", 3, image="web:2", update=UPDATE), document_hash="d2")
SICK = (BAD.spec_hash,)
CANARY = replace(UPDATE, canary=Canary(count=1, hold=60.0))


def commit(*services: Service, number: str = "1", **fields: object) -> Fleet:
    return replace(fleet(HOSTS, list(services), revision=number * 40), **fields)  # type: ignore[arg-type]


def with_old(**update: object) -> Course:
    """`OLD` is everywhere, and known to be good."""
    course = Course(commit(replace(OLD, update=replace(UPDATE, **update))))  # type: ignore[arg-type]
    course.settle()
    course.never = SICK
    return course


def failing(**update: object) -> Course:
    """`BAD` was committed after `OLD`, and its time is over."""
    course = with_old(**update)
    course.fleet = commit(replace(BAD, update=replace(UPDATE, **update)), number="2")  # type: ignore[arg-type]
    course.run(110)
    return course


def served(course: Course) -> int:
    return len({one.slot for one in course.observed.containers() if one.ready})


# --- done


def test_a_spec_that_is_everywhere_and_has_soaked_is_good() -> None:
    ledger = with_old().ledger
    assert ledger.good == {
        OLD.id: GoodSpec(
            spec=OLD.spec_hash, revision="1" * 40, container=OLD.container, requests=OLD.requests
        )
    }
    assert (ledger.rollouts, ledger.failed) == ({}, {})


def test_it_is_not_good_while_one_is_missing_has_not_soaked_or_has_another_beside_it() -> None:
    of = commit(OLD)
    there = [running(OLD, slot, home) for slot, home in enumerate("abc")]
    fresh = [*there[:2], running(OLD, 2, "c", ready_for=0.5)]
    beside = [*there, running(service("web", image="web:0"), 2, "a")]
    for containers in (there[:2], fresh, beside):
        assert decide(of, seen(of, *containers), Ledger(), NOW).ledger.good == {}
    assert decide(of, seen(of, *there), Ledger(), NOW).ledger.good != {}


def test_what_has_no_place_says_nothing_against_a_spec() -> None:
    """Else a fleet that always lacks a place would return to a spec of months ago."""
    of = fleet([host("a", cpu=200)], [OLD])
    decision = decide(of, seen(of, running(OLD, 0, "a"), running(OLD, 1, "a")), Ledger(), NOW)
    assert decision.ledger.good[OLD.id].spec == OLD.spec_hash


def test_what_cannot_leave_a_lost_host_says_nothing_against_a_spec() -> None:
    web = replace(OLD, container=pinned())
    of, pins = commit(web), {(web.id, slot): "abc"[slot] for slot in range(3)}
    before = replace(running(web, 2, "c"), spec="v1:web:0")
    there = [running(web, 0, "a"), running(web, 1, "b"), before]
    assert decide(of, seen(of, *there), Ledger(pins=pins), NOW).ledger.good == {}
    lost = decide(of, lose(seen(of, *there), "c"), Ledger(pins=pins), NOW)
    assert lost.ledger.good[web.id].spec == web.spec_hash


def test_what_finds_no_place_because_its_starts_fail_is_not_good() -> None:
    of = fleet(HOSTS[:1], [OLD])
    failure = {(OLD.id, "a", OLD.spec_hash): Failure(count=1, until=NOW.mono + 9, message="no such image")}
    there = seen(of, running(OLD, 0, "a"), running(OLD, 1, "a"))
    assert decide(of, there, Ledger(failures=failure), NOW).ledger.good == {}


def test_what_is_wanted_nowhere_proves_nothing() -> None:
    of = commit(replace(OLD, replicas=0))
    assert decide(of, seen(of), Ledger(), NOW).ledger.good == {}


def test_the_good_spec_of_what_left_the_fleet_is_forgotten() -> None:
    course = with_old()
    course.fleet = commit(number="2")
    course.settle()
    assert course.ledger.good == {}


def test_while_nothing_may_be_changed_nothing_is_judged() -> None:
    of = commit(OLD)
    there = [running(OLD, slot, home) for slot, home in enumerate("abc")]
    ledger = Ledger(fleet="another u9")
    decision = decide(of, seen(of, *there), ledger, NOW)
    assert (decision.ledger.good, decision.ledger.rollouts) == ({}, {})


# --- back to the spec before


def test_without_progress_the_spec_before_comes_back() -> None:
    course = failing()
    assert course.ledger.failed[OLD.id] == FailedSpec(
        spec=BAD.spec_hash,
        document="d2",
        revision="2" * 40,
        reason=course.ledger.failed[OLD.id].reason,
        reverts=True,
    )
    assert course.ledger.failed[OLD.id].reason.startswith("no progress within 100s")
    course.settle()
    assert course.specs("web") == ["a v1:web:1", "b v1:web:1", "c v1:web:1"]
    assert course.decision.fleet.services[OLD.id].spec_hash == OLD.spec_hash


def test_it_comes_back_with_the_counts_and_rules_of_the_commit_that_failed() -> None:
    course = with_old()
    course.fleet = commit(replace(BAD, replicas=5), number="2")
    course.run(110)
    course.settle()
    assert [line.split()[1] for line in course.specs("web")] == [OLD.spec_hash] * 5


def test_the_decision_that_finds_it_failed_is_followed_by_another_at_once() -> None:
    course = with_old()
    course.fleet = commit(BAD, number="2")
    for _ in range(40):
        if course.step().ledger.failed:
            break
    assert course.decision.requeue_after == 0.0


def test_it_fails_after_its_deadline_and_not_before() -> None:
    course = with_old()
    course.fleet = commit(BAD, number="2")
    began = course.now.mono
    while not course.step().ledger.failed:
        assert course.now.mono - began <= 110
    assert course.now.mono - began > 100


def test_the_deadline_is_waited_for() -> None:
    record = Rollout(spec=BAD.spec_hash, best=0, since=NOW.mono - 90)
    of = commit(BAD, number="2")
    there = [running(OLD, slot, home) for slot, home in enumerate("abc")]
    decision = decide(of, seen(of, *there), replace(good_of(OLD), rollouts={OLD.id: record}), NOW)
    assert decision.requeue_after == pytest.approx(10.001)


def test_one_more_that_has_soaked_is_progress() -> None:
    slow = replace(UPDATE, progress_deadline=12.0)
    course = with_old()
    course.never = ()
    course.fleet = commit(replace(BAD, update=slow), number="2")
    began = course.now.mono
    course.settle()
    assert course.now.mono - began > 12
    assert course.ledger.failed == {}
    assert course.ledger.good[OLD.id].spec == BAD.spec_hash


def test_capacity_is_there_all_the_while() -> None:
    course = with_old()
    course.fleet = commit(BAD, number="2")
    for _ in range(60):
        course.step()
        assert served(course) == 3


def test_nothing_is_returned_to_itself() -> None:
    """What was good falls sick: there is nothing better to go back to."""
    course = with_old()
    for name in "abc":
        course.observed = change_view(course.observed, name, containers=())
    course.never = (OLD.spec_hash,)
    course.run(400)
    assert (course.ledger.failed, course.ledger.rollouts) == ({}, {})
    assert any(line.startswith("stop") for lines in course.log for line in lines), "it is tried again"


def test_a_return_that_fails_is_not_returned_from() -> None:
    course = failing()
    for name in "abc":
        course.observed = change_view(course.observed, name, containers=())
    course.never = (OLD.spec_hash, BAD.spec_hash)
    course.log.clear()
    course.run(400)
    tried = {line.split()[-1] for lines in course.log for line in lines if line.startswith("start")}
    assert tried == {OLD.spec_hash}
    assert course.ledger.failed[OLD.id].stuck, "and that is said"
    course.never = ()
    course.run(400)
    assert (course.ledger.failed[OLD.id].stuck, course.ledger.failed[OLD.id].returned) == (False, True)
    assert [line.split()[1] for line in course.specs("web")] == [OLD.spec_hash] * 3


def test_the_way_back_is_followed_until_everybody_is_there() -> None:
    course = failing()
    course.run(400)
    found = course.ledger.failed[OLD.id]
    assert (found.returned, found.stuck) == (True, False)
    assert OLD.id not in course.ledger.rollouts


def test_other_workloads_go_on() -> None:
    api = service("api", 2, update=UPDATE)
    course = with_old()
    course.fleet = commit(BAD, api, number="2")
    course.run(200)
    assert course.specs("api") != []
    assert course.ledger.good[api.id].revision == "2" * 40
    assert set(course.ledger.failed) == {OLD.id}


# --- what is tried again


def test_another_commit_that_states_the_same_changes_nothing() -> None:
    course = failing()
    course.settle()
    course.fleet = commit(BAD, service("api", 1), number="3")
    course.run(60)
    assert [line.split()[1] for line in course.specs("web")] == [OLD.spec_hash] * 3
    assert course.ledger.failed[OLD.id].revision == "2" * 40


def test_another_count_is_no_new_try() -> None:
    course = failing()
    course.settle()
    course.fleet = commit(replace(BAD, replicas=4), number="3")
    course.run(60)
    assert [line.split()[1] for line in course.specs("web")] == [OLD.spec_hash] * 4


def test_another_spec_supersedes_a_failed_one_at_once() -> None:
    course = failing()
    third = replace(BAD, spec_hash="v1:web:3", document_hash="d3")
    course.fleet = commit(third, number="3")
    decision = course.step()
    assert decision.ledger.failed == {}
    course.settle()
    assert {one.spec for one in course.observed.containers()} == {"v1:web:3"}


def test_another_spec_supersedes_one_that_is_under_way() -> None:
    course = with_old()
    course.fleet = commit(BAD, number="2")
    course.run(50)
    third = replace(BAD, spec_hash="v1:web:3", document_hash="d3")
    course.fleet = commit(third, number="3")
    decision = course.step()
    assert decision.ledger.rollouts[OLD.id].spec == "v1:web:3"
    assert decision.ledger.rollouts[OLD.id].since == course.now.mono - 5
    course.settle()
    assert course.ledger.good[OLD.id].spec == "v1:web:3"


@pytest.mark.parametrize("on_failure", OnFailure)
def test_another_document_is_a_new_try_with_its_whole_time(on_failure: OnFailure) -> None:
    """Somebody mended what is not in the spec: its deadline, its placement."""
    course = failing(on_failure=on_failure)
    course.never = ()
    rules = replace(UPDATE, on_failure=on_failure)
    course.fleet = commit(replace(BAD, document_hash="d3", update=rules), number="3")
    assert course.step().ledger.failed == {}
    course.settle()
    assert [line.split()[1] for line in course.specs("web")] == [BAD.spec_hash] * 3


def test_another_document_forgets_what_died() -> None:
    dead = Failure(count=3, until=NOW.mono, message="exit 1")
    failed = FailedSpec(spec=BAD.spec_hash, document="d2", revision="2" * 40, reason="exit 1", reverts=False)
    of = commit(replace(BAD, document_hash="d3"), number="3")
    there = [running(OLD, slot, home) for slot, home in enumerate("abc")]
    ledger = replace(good_of(OLD), failed={OLD.id: failed}, crashes={(BAD.id, BAD.spec_hash): dead})
    decision = decide(of, seen(of, *there), ledger, NOW)
    assert (decision.ledger.failed, decision.ledger.crashes) == ({}, {})
    assert len(decision.actions) == 1


# --- waiting for people


def test_paused_it_stays_where_it_is() -> None:
    course = failing(on_failure=OnFailure.PAUSE)
    course.run(100)
    found = course.ledger.failed[OLD.id]
    assert (found.reverts, found.spec) == (False, BAD.spec_hash)
    assert served(course) == 3
    assert course.decision.fleet.services[OLD.id].spec_hash == BAD.spec_hash
    waits = {one.waits for one in course.decision.changes if one.waits}
    assert any(one.startswith("the rollout has failed: no progress within 100s") for one in waits)


def test_paused_what_goes_missing_gets_the_spec_before() -> None:
    course = failing(on_failure=OnFailure.PAUSE)
    course.run(100)
    (victim,) = [one for one in course.observed.containers() if one.slot == 2 and one.ready]
    left = tuple(one for one in course.observed.hosts[victim.host].containers if one != victim)
    course.observed = change_view(course.observed, victim.host, containers=left)
    course.run(20)
    assert served(course) == 3


def test_a_first_deployment_has_nothing_to_go_back_to_and_goes_on_trying() -> None:
    course = Course(commit(BAD))
    course.never = SICK
    course.run(400)
    found = course.ledger.failed[OLD.id]
    assert not found.reverts
    course.never = ()
    course.run(400)
    assert course.specs("web") == ["a v1:web:2", "b v1:web:2", "c v1:web:2"]
    assert (course.ledger.failed, course.ledger.good[OLD.id].spec) == ({}, BAD.spec_hash)


def test_a_spec_before_whose_secret_is_gone_cannot_come_back_and_it_goes_on_trying() -> None:
    """The daemon was started anew, and the new spec has not the variable any more."""
    course = with_old()
    good = replace(course.ledger.good[OLD.id], withheld=("TOKEN",))
    course.ledger = replace(course.ledger, good={OLD.id: good})
    course.fleet = commit(BAD, number="2")
    course.run(200)
    assert OLD.id in course.ledger.failed
    assert course.decision.fleet.services[OLD.id].spec_hash == BAD.spec_hash
    assert course.decision.requeue_after is None or course.decision.requeue_after > 0.01, "it does not spin"
    assert served(course) == 3
    course.never = ()
    course.settle()
    assert course.ledger.good[OLD.id].spec == BAD.spec_hash


# --- what is not its fault


def record_of(decision: Decision) -> Rollout:
    return decision.ledger.rollouts[OLD.id]


def stuck_since(seconds: float, of: Fleet, observed: ObservedState, **ledger: object) -> Decision:
    """A rollout without progress for so long."""
    record = Rollout(spec=BAD.spec_hash, best=0, since=NOW.mono - seconds)
    before = replace(good_of(OLD), rollouts={OLD.id: record}, **ledger)  # type: ignore[arg-type]
    return decide(of, observed, before, NOW)


def full(of: Service) -> tuple[Fleet, ObservedState]:
    """A host that holds exactly the three old ones."""
    made = fleet([host("a", cpu=300)], [of], revision="2" * 40)
    return made, seen(made, *(running(OLD, slot, "a") for slot in range(3)))


def test_no_room_for_a_surge_pauses_the_deadline() -> None:
    decision = stuck_since(5000, *full(BAD))
    assert any("NoRoomForSurge" in line for line in changes(decision))
    assert record_of(decision).since == NOW.mono
    assert decision.ledger.failed == {}


def test_no_room_because_its_starts_fail_does_not() -> None:
    failures = {
        (BAD.id, name, BAD.spec_hash): Failure(count=3, until=NOW.mono + 9, message="no such image")
        for name in "abc"
    }
    of = commit(BAD, number="2")
    there = [running(OLD, slot, home) for slot, home in enumerate("abc")]
    decision = stuck_since(101, of, seen(of, *there), failures=failures)
    assert decision.ledger.failed[OLD.id].reason == "no progress within 100s: c: no such image"


def test_a_host_that_does_not_answer_pauses_it() -> None:
    of = commit(BAD, number="2")
    there = [running(OLD, slot, home) for slot, home in enumerate("abc")]
    decision = stuck_since(5000, of, seen(of, *there, silent="b"))
    assert (record_of(decision).since, decision.ledger.failed) == (NOW.mono, {})


def test_while_nothing_may_be_changed_no_time_counts() -> None:
    course = with_old()
    course.fleet = commit(BAD, number="2")
    course.run(90)
    course.observed = replace(course.observed, held=Hold("Paused", "maintenance"))
    course.run(600, 60)
    course.observed = replace(course.observed, held=None)
    course.step(9)
    assert course.ledger.failed == {}
    course.run(20)
    assert course.ledger.failed[OLD.id].reverts, "and it counts on where it stood"


def test_what_is_lost_is_no_step_back_when_it_comes_again() -> None:
    """Two had soaked, one of them is lost: its substitute is progress, or nothing ever would be."""
    of = commit(BAD, number="2")
    record = Rollout(spec=BAD.spec_hash, best=2, since=NOW.mono)
    ledger = replace(good_of(OLD), rollouts={OLD.id: record})
    there = [running(BAD, 0, "a"), running(BAD, 1, "b"), running(OLD, 2, "c")]
    lost = decide(of, lose(seen(of, *there), "b"), ledger, NOW).ledger
    assert lost.rollouts[OLD.id].best == 1
    again = decide(of, seen(of, *there), lost, later(50)).ledger
    assert again.rollouts[OLD.id] == replace(record, since=later(50).mono)


def test_what_it_depends_on_pauses_it() -> None:
    db = service("db", 1)
    of = commit(replace(BAD, depends_on=(db.id,)), replace(db, spec_hash="v1:db:2"), number="2")
    there = [running(OLD, slot, home) for slot, home in enumerate("abc")]
    decision = stuck_since(5000, of, seen(of, *there, running(db, 0, "a")))
    assert (record_of(decision).since, decision.ledger.failed) == (NOW.mono, {})


def test_what_keeps_dying_has_failed_before_its_deadline() -> None:
    crashes = {(BAD.id, BAD.spec_hash): Failure(count=3, until=NOW.mono + 100, message="exit 1")}
    of = commit(BAD, number="2")
    there = [running(OLD, slot, home) for slot, home in enumerate("abc")]
    decision = stuck_since(1, of, seen(of, *there), crashes=crashes)
    assert decision.ledger.failed[OLD.id].reason == "its instances keep dying: exit 1"
    twice = {key: replace(one, count=2) for key, one in crashes.items()}
    assert stuck_since(1, of, seen(of, *there), crashes=twice).ledger.failed == {}


def test_a_daemon_that_starts_anew_gives_it_its_whole_time_again() -> None:
    course = with_old()
    course.fleet = commit(BAD, number="2")
    course.run(90)
    course.ledger = read_ledger(encode(ledger_document(course.ledger)))
    course.run(50)
    assert course.ledger.failed == {}
    course.run(70)
    assert course.ledger.failed[OLD.id].reverts


# --- canaries


def with_canary(**fields: object) -> Course:
    course = with_old()
    course.never = ()
    course.fleet = commit(replace(BAD, update=replace(CANARY, **fields)), number="2")  # type: ignore[arg-type]
    return course


def updated(course: Course) -> int:
    return sum(one.spec == BAD.spec_hash for one in course.observed.containers())


def test_canaries_come_first_and_are_watched_before_others_follow() -> None:
    course = with_canary(max_surge=Amount(value=3))
    course.run(50)
    assert updated(course) == 1
    assert {one.waits for one in course.decision.changes} == {"1 canary is tried first"}
    assert course.ledger.failed == {}
    course.run(60)
    course.settle()
    assert updated(course) == 3


def test_the_hold_begins_when_all_canaries_are_healthy_and_is_waited_for() -> None:
    course = with_canary(canary=Canary(count=2, hold=60.0), max_surge=Amount(value=3))
    course.run(30)
    assert updated(course) == 2
    since = course.ledger.rollouts[OLD.id].canary_since
    assert since is not None
    assert course.decision.requeue_after == pytest.approx(since + 60.001 - (course.now.mono - 5))


def test_a_canary_that_falls_sick_begins_its_hold_anew() -> None:
    course = with_canary()
    course.run(40)
    (canary,) = [one for one in course.observed.containers() if one.spec == BAD.spec_hash]
    sick = replace(canary, ready_since=None)
    view = course.observed.hosts[canary.host]
    others = tuple(one for one in view.containers if one != canary)
    course.observed = change_view(course.observed, canary.host, containers=(*others, sick))
    assert course.step().ledger.rollouts[OLD.id].canary_since is None
    course.run(25)
    assert updated(course) == 1


def test_a_canary_that_never_becomes_healthy_fails_the_rollout_and_no_other_is_touched() -> None:
    course = with_canary()
    course.never = SICK
    for _ in range(40):
        course.step()
        assert served(course) == 3
        assert updated(course) <= 1
    assert course.ledger.failed[OLD.id].reverts


def test_the_hold_is_no_lack_of_progress() -> None:
    course = with_canary(progress_deadline=20.0)
    course.run(150)
    course.settle()
    assert course.ledger.failed == {}
    assert updated(course) == 3


def test_what_goes_missing_meanwhile_gets_the_spec_before() -> None:
    course = with_canary()
    course.run(30)
    (victim,) = [one for one in course.observed.containers() if one.slot == 2]
    left = tuple(one for one in course.observed.hosts[victim.host].containers if one != victim)
    course.observed = change_view(course.observed, victim.host, containers=left)
    course.run(20)
    assert updated(course) == 1
    assert served(course) == 3


def test_what_is_lost_meanwhile_gets_the_spec_before() -> None:
    course = with_canary()
    course.run(30)
    (canary,) = [one for one in course.observed.containers() if one.spec == BAD.spec_hash]
    other = next(name for name in "abc" if name != canary.host)
    course.observed = lose(course.observed, other, course.now.mono)
    course.run(20)
    answering = [one for one in course.observed.containers() if one.host != other]
    assert sum(one.spec == BAD.spec_hash for one in answering) == 1
    assert len({one.slot for one in answering}) == 3


def test_what_has_to_leave_its_host_meanwhile_takes_the_spec_before_along() -> None:
    """With its predecessor still beside it, neither is what is wanted: the one that may stay is kept."""
    course = with_canary()
    course.run(30)
    (canary,) = [one for one in course.observed.containers() if one.spec == BAD.spec_hash]
    drained = next(name for name in "abc" if name != canary.host)
    hosts = {**course.fleet.hosts, drained: host(drained, drain=Drain())}
    course.fleet = replace(course.fleet, hosts=hosts)
    course.log.clear()
    course.run(25)
    (moved,) = [line.split()[1:] for lines in course.log for line in lines if line.startswith("start")]
    assert moved[-1] == OLD.spec_hash
    assert drained not in {one.host for one in course.observed.containers()}
    assert (updated(course), served(course)) == (1, 3)


def test_what_has_to_leave_serves_until_the_one_with_the_spec_before_does() -> None:
    of = commit(replace(BAD, update=CANARY), number="2")
    of = replace(of, hosts={**of.hosts, "b": host("b", drain=Drain())})
    there = [running(BAD, 0, "a"), running(OLD, 1, "b"), running(OLD, 2, "c")]
    coming = running(OLD, 1, "a", ready_for=None, seen_since=NOW.mono - 5)
    decision = decide(of, seen(of, *there, coming), good_of(OLD), NOW)
    assert decision.actions == ()
    waits = [one.waits for one in decision.changes if one.source == "b"]
    assert waits == ["its successor on a is not yet healthy for 1s"]
    soaked = running(OLD, 1, "a", ready_for=5.0)
    assert actions(decide(of, seen(of, *there, soaked), good_of(OLD), NOW)) == ["stop web/1 on b v1:web:1"]


def test_growth_meanwhile_gets_the_spec_before() -> None:
    course = with_canary()
    course.run(30)
    course.fleet = commit(replace(BAD, replicas=5, update=CANARY), number="3")
    course.run(20)
    assert (updated(course), served(course)) == (1, 5)


def test_canaries_that_were_watched_are_not_watched_again_by_a_new_daemon() -> None:
    """What is lost then is not started with the spec before."""
    course = with_canary(canary=Canary(count=1, hold=60.0), max_surge=Amount(value=1))
    while updated(course) < 2:
        course.step()
    course.ledger = read_ledger(encode(ledger_document(course.ledger)))
    there = {one.host for one in course.observed.containers() if one.spec == BAD.spec_hash}
    course.observed = lose(course.observed, min(there), course.now.mono)
    course.log.clear()
    course.run(10)
    started = [line for lines in course.log for line in lines if line.startswith("start")]
    assert started != []
    assert {line.split()[-1] for line in started} == {BAD.spec_hash}


def test_what_passed_its_canaries_under_another_daemon_can_still_fail() -> None:
    before = Ledger(rollouts={OLD.id: Rollout(spec=BAD.spec_hash, best=2, since=0.0, passed=True)})
    course = with_old()
    known = read_ledger(encode(ledger_document(before))).rollouts
    course.ledger = replace(course.ledger, rollouts=known)
    course.fleet = commit(replace(BAD, update=CANARY), number="2")
    course.run(110)
    assert course.ledger.failed[OLD.id].reverts


def test_a_first_deployment_has_no_canaries() -> None:
    course = Course(commit(replace(BAD, update=CANARY)))
    course.run(10)
    assert updated(course) == 3


# --- kept


EVERYTHING = ContainerSpec(
    image="web:2",
    command=("serve", "--all"),
    entrypoint=("/bin/sh", "-c"),
    environment={"A": "1", "B": ""},
    labels={"team": "shop"},
    user="1000:1000",
    working_dir="/srv",
    hostname="web",
    init=True,
    read_only=True,
    tmpfs=("/tmp:size=1m",),
    shm_size=1 << 20,
    cap_drop=("ALL",),
    ulimits={"nofile": (1024, 2048)},
    sysctls={"net.core.somaxconn": "1024"},
    extra_hosts=("db:10.0.0.1",),
    dns=("10.0.0.2",),
    logging_driver="json-file",
    logging_options={"max-size": "1m"},
    healthcheck=HealthCheck(test=("CMD", "true"), interval=5.0, timeout=1.0, retries=3, start_period=0.5),
    ports=(Port(name="http", target=8080, protocol="udp", published=80), Port(name="x", target=1)),
    volumes=(
        Mount(kind="volume", target="/data", source="data", read_only=True),
        Mount(kind="tmpfs", target="/run", size=1 << 20),
    ),
    stop_grace_period=1.5,
    stop_signal="SIGINT",
    pull_policy="always",
    cpu_limit=1500,
    memory_limit=1 << 28,
)


def test_everything_that_a_container_is_made_from_is_tried_here() -> None:
    plain = ContainerSpec(image="")
    same = [one.name for one in fields(plain) if getattr(plain, one.name) == getattr(EVERYTHING, one.name)]
    assert same == []


@pytest.mark.parametrize(
    "container", [EVERYTHING, ContainerSpec(image="web:1"), ContainerSpec(image="", command=())]
)
def test_a_good_spec_survives_the_daemon_with_every_field(container: ContainerSpec) -> None:
    requests = Resources(cpu=100, memory=1 << 20, extended=(("gpu", 1),))
    good = GoodSpec(spec="v1:x", revision="2" * 40, container=container, requests=requests)
    failed = FailedSpec(
        spec="v1:y", document="d", revision="3" * 40, reason="no: progress", reverts=True, stuck=True
    )
    ledger = Ledger(
        good={OLD.id: good},
        failed={OLD.id: failed},
        images={(OLD.id, "v1:x"): "web@sha256:1"},
        drains={"a": later(1).wall},
    )
    again = read_ledger(encode(ledger_document(ledger)))
    assert again == ledger
    kept = again.good[OLD.id].container
    assert isinstance(kept.environment, Mapping)
    assert all(isinstance(one, Port) for one in kept.ports)
    assert again.good[OLD.id] == good


def test_a_return_goes_on_after_the_daemon_was_started_anew() -> None:
    course = failing()
    course.ledger = read_ledger(encode(ledger_document(course.ledger)))
    course.settle()
    assert [line.split()[1] for line in course.specs("web")] == [OLD.spec_hash] * 3
    assert actions(course.decision) == []


def test_a_missing_slot_without_a_place_does_not_use_up_the_canary() -> None:
    """The one that runs is renewed; else both would wait for ever (found by a random day)."""
    alone = replace(ANYWHERE, max_per_host=1)
    old = replace(OLD, replicas=2, placement=alone)
    new = replace(BAD, replicas=2, placement=alone, update=replace(CANARY, max_surge=Amount(value=1)))
    of = fleet([host("a"), host("b", unschedulable=True)], [replace(new, max_unavailable=Amount(value=1))])
    decision = decide(of, seen(of, running(old, 0, "a")), good_of(old), NOW)
    assert [one.waits for one in decision.changes if one.slot == 0] == [""]


def test_what_was_stopped_to_be_the_canary_gets_the_new_spec() -> None:
    """Else it would get the one before, be stopped again, and so on for ever (found by a random day)."""
    course = with_canary(order=Order.STOP_FIRST)
    course.fleet = commit(
        replace(BAD, update=replace(CANARY, order=Order.STOP_FIRST), max_unavailable=Amount(value=1)),
        number="2",
    )
    course.never = ()
    course.run(30)
    assert sorted(one.spec for one in course.observed.containers()) == [OLD.spec_hash] * 2 + [BAD.spec_hash]
    course.run(120)
    assert {one.spec for one in course.observed.containers()} == {BAD.spec_hash}


def test_a_canary_that_was_asked_for_and_has_not_begun_is_asked_for_again() -> None:
    of = commit(replace(BAD, update=CANARY), number="2")
    there = [running(OLD, 0, "a"), running(OLD, 1, "b")]
    queued = frozenset({(BAD.id, 2, BAD.spec_hash)})
    decision = decide(of, change_view(seen(of, *there), "c", queued=queued), good_of(OLD), NOW)
    assert [one.spec for one in decision.actions if isinstance(one, StartInstance)] == [BAD.spec_hash]


def test_what_waited_for_others_has_its_whole_time_afterwards_and_wakes_nobody_meanwhile() -> None:
    of = commit(BAD, number="2")
    there = [running(OLD, slot, home) for slot, home in enumerate("abc")]
    long_ago = Rollout(spec=BAD.spec_hash, best=0, since=NOW.mono - 5000)
    ledger = replace(good_of(OLD), rollouts={OLD.id: replace(long_ago, idle=True)})
    silent = decide(of, seen(of, *there, silent="b"), ledger, NOW)
    assert silent.ledger.rollouts[OLD.id].idle
    assert silent.requeue_after is None, "nothing but an answer of b can change it"
    back = decide(of, seen(of, *there), silent.ledger, later(3600))
    assert (back.ledger.failed, back.ledger.rollouts[OLD.id].idle) == ({}, False)
    assert OLD.id in decide(of, seen(of, *there), back.ledger, later(3600 + 101)).ledger.failed
