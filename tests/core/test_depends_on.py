"""Who waits for whom: starts and renewals after what they depend on, removals before it."""

from __future__ import annotations

from dataclasses import replace

from rota.core.decide import Decision, decide
from rota.core.ledger import Ledger
from rota.core.model import Amount, Fleet, Order, Service, UpdateRules
from rota.core.observed import Health, ObservedContainer, ObservedState
from tests import builders
from tests.builders import fleet, host, pinned, service
from tests.core.scenes import (
    NOW,
    Course,
    actions,
    change_view,
    changes,
    good_of,
    homes,
    lose,
    running,
    seen,
    settle,
)

HOSTS = [host(name) for name in "abc"]
DB = service("db", 2)
WEB = service("web", 2, depends_on=(DB.id,))
STOP_FIRST = UpdateRules(order=Order.STOP_FIRST, min_healthy_time=1.0)


def commit(*services: Service, number: str = "1") -> Fleet:
    return replace(fleet(HOSTS, list(services), revision=number * 40), max_removals=Amount(value=100))


def plan(of: Fleet, *containers: ObservedContainer, observed: ObservedState | None = None) -> Decision:
    return decide(of, observed or seen(of, *containers), Ledger(), NOW)


def two(of: Service, **fields: object) -> list[ObservedContainer]:
    return [running(of, slot, "ab"[slot], **fields) for slot in range(2)]  # type: ignore[arg-type]


def web_of(decision: Decision) -> list[str]:
    return [line for line in actions(decision) if " web/" in line]


def newer(of: Service) -> Service:
    return replace(of, spec_hash="v1:web:2")


# --- on the way up


def test_nothing_starts_before_what_it_depends_on_is_healthy() -> None:
    decision = plan(commit(DB, WEB))
    assert {line.split()[1].split("/")[0] for line in actions(decision)} == {"db"}
    assert [one.waits for one in decision.changes if one.workload == WEB.id] == [
        "shop/db, which it depends on, is not healthy"
    ] * 2


def test_what_waits_has_its_place_already() -> None:
    decision = plan(commit(DB, WEB))
    assert all(one.host for one in decision.changes)


def test_a_new_spec_starts_once_as_many_of_them_as_are_owed_are_healthy() -> None:
    assert web_of(plan(commit(DB, WEB), running(DB, 0, "a"))) == []
    assert len(web_of(plan(commit(DB, WEB), *two(DB)))) == 2
    spare = replace(DB, max_unavailable=Amount(value=1))
    assert len(web_of(plan(commit(spare, WEB), running(DB, 0, "a")))) == 2


def test_nothing_starts_before_one_of_them_has_soaked() -> None:
    fresh = two(DB, ready_for=0.5)
    assert web_of(plan(commit(DB, WEB), *fresh)) == []


def test_what_is_missing_of_a_good_spec_needs_one_of_them() -> None:
    """A dependency that lacks an instance, for ever where its volumes are lost, keeps nobody else down."""
    of, observed = commit(DB, WEB), seen(commit(DB, WEB), running(DB, 0, "a"), running(WEB, 0, "a"))
    assert len(web_of(decide(of, observed, good_of(WEB), NOW))) == 1
    assert web_of(decide(of, seen(of), good_of(WEB), NOW)) == []


def test_what_a_lost_host_ran_is_replaced_although_its_dependency_cannot_be() -> None:
    db = service("db", 2, container=builders.pinned(), spec_hash="v1:db")
    of = commit(db, WEB)
    there = [running(db, 0, "a"), running(db, 1, "b"), running(WEB, 0, "a"), running(WEB, 1, "b")]
    ledger = replace(good_of(db, WEB), pins={(db.id, 0): "a", (db.id, 1): "b"})
    decision = decide(of, lose(seen(of, *there), "b"), ledger, NOW)
    assert [line.rsplit(" ", 1)[0] for line in actions(decision)] == ["start web/1 on c"]


def test_a_chain_comes_up_link_by_link() -> None:
    edge = service("edge", 1, depends_on=(WEB.id,))
    course = Course(commit(DB, WEB, edge))
    course.settle()
    order = [line.split()[1].split("/")[0] for lines in course.log for line in lines]
    assert order == ["db", "db", "web", "web", "edge"]


def test_what_is_wanted_nowhere_is_not_waited_for() -> None:
    none = service("db", 0)
    assert len(plan(commit(none, WEB)).actions) == 2


def test_what_the_fleet_does_not_have_is_not_waited_for() -> None:
    """A dependency that is not there is a problem of validation, and no reason to stand still."""
    assert len(plan(commit(WEB)).actions) == 2


# --- renewal


def test_a_new_spec_comes_after_that_of_what_it_depends_on() -> None:
    of = commit(newer(DB), newer(WEB), number="2")
    decision = plan(of, *two(DB), *two(WEB))
    assert {line.split()[1].split("/")[0] for line in actions(decision)} == {"db"}
    waits = [one.waits for one in decision.changes if one.workload == WEB.id]
    assert waits == ["shop/db, which it depends on, has 0 of 2 healthy as they are to be"] * 2
    course = Course(of, seen(of, *two(DB), *two(WEB)))
    course.settle()
    done = [line for lines in course.log for line in lines]
    first = min(at for at, line in enumerate(done) if line.startswith("start web"))
    last = max(at for at, line in enumerate(done) if line.startswith("start db"))
    assert last < first


def test_what_is_lost_meanwhile_is_replaced_all_the_same() -> None:
    """Its spec before, where that was good, or the new one: it is not left missing for the sake of order."""
    observed, ledger, now = settle(commit(DB, WEB))
    of = commit(newer(DB), newer(WEB), number="2")
    (victim,) = [one for one in observed.containers() if one.workload == WEB.id and one.slot == 0]
    view = observed.hosts[victim.host]
    left = tuple(one for one in view.containers if one != victim)
    decision = decide(of, change_view(observed, victim.host, containers=left), ledger, now)
    (start,) = [line for line in actions(decision) if line.startswith("start web")]
    assert start.endswith(" v1:web:1")


def test_a_dependency_that_is_not_renewed_holds_up_nothing() -> None:
    of = commit(DB, newer(WEB), number="2")
    assert [line.split()[:2] for line in actions(plan(of, *two(DB), *two(WEB)))] == [["start", "web/0"]]


# --- a dependency that is lost


def test_what_runs_stays_when_its_dependency_is_lost_and_is_replaced_after_it() -> None:
    one = service("db", 1)
    of = commit(one, WEB)
    there = [running(one, 0, "c"), running(WEB, 0, "a"), running(WEB, 1, "c")]
    decision = plan(of, observed=lose(seen(of, *there), "c"))
    assert [line.split()[:2] for line in actions(decision)] == [["start", "db/0"]]
    course = Course(of, lose(seen(of, *there), "c"))
    course.settle()
    answering = [one for one in course.observed.containers() if one.host != "c"]
    assert len([one for one in answering if one.workload == WEB.id]) == 2


def test_a_sick_dependency_stops_nobody_who_depends_on_it() -> None:
    sick = two(DB, ready_for=None, health=Health.UNHEALTHY)
    decision = plan(commit(DB, WEB), *sick, *two(WEB))
    assert not any(" web/" in line for line in actions(decision))


def test_nobody_makes_room_for_what_waits_for_another() -> None:
    """Least of all what it waits for."""
    db = service("db", 1, cpu=2000, priority=10, max_unavailable=Amount(value=1))
    web = service("web", 1, cpu=3000, priority=1000, depends_on=(db.id,))
    of = fleet([host("a", cpu=4000)], [db, web])
    decision = plan(of, running(db, 0, "a", ready_for=None))
    assert decision.actions == ()


def test_what_may_start_is_placed_before_what_waits() -> None:
    db = service("db", 1, cpu=2000, priority=10)
    web = service("web", 1, cpu=3000, priority=1000, depends_on=(db.id,))
    of = fleet([host("a", cpu=4000)], [db, web])
    assert [line.split()[:2] for line in actions(plan(of))] == [["start", "db/0"]]


def test_a_new_spec_does_not_wait_for_what_nobody_can_renew() -> None:
    """Data on a host that is lost stays there."""
    db = service("db", 3, container=pinned(), update=STOP_FIRST)
    web = service("web", 1, depends_on=(db.id,))
    of = commit(db, newer(web), number="2")
    there = [*(running(db, slot, home) for slot, home in enumerate("abc")), running(web, 0, "a")]
    ledger = good_of(db, web, ledger=Ledger(pins={(db.id, slot): "abc"[slot] for slot in range(3)}))
    assert web_of(decide(of, lose(seen(of, *there), "c"), ledger, NOW)) == ["start web/0 on a v1:web:2"]
    sick = [running(db, 2, "c", ready_for=None) if one.id == there[2].id else one for one in there]
    assert web_of(decide(of, seen(of, *sick), ledger, NOW)) == []


# --- on the way down


def test_removed_workloads_go_in_reverse() -> None:
    of = commit(DB, WEB)
    there = [*two(DB), *(replace(one, depends_on=(DB.id,)) for one in two(WEB))]
    gone = replace(commit(number="2"), hosts=of.hosts)
    decision = plan(gone, *there)
    assert [line.split()[:2] for line in actions(decision)] == [["stop", "web/0"], ["stop", "web/1"]]
    waits = [one.waits for one in decision.changes if one.workload == DB.id]
    assert waits == ["shop/web, which depends on it, is still there"] * 2
    course = Course(gone, seen(of, *there))
    course.settle()
    assert list(course.observed.containers()) == []


def test_counts_that_go_to_zero_go_in_reverse() -> None:
    of = commit(replace(DB, replicas=0), replace(WEB, replicas=0), number="2")
    decision = plan(of, *two(DB), *two(WEB))
    assert [line.split()[:2] for line in actions(decision)] == [["stop", "web/0"], ["stop", "web/1"]]


def test_what_is_still_wanted_holds_up_nobody_that_goes() -> None:
    """The dependency leaves and the dependent stays: that is what was asked for."""
    of = commit(replace(DB, replicas=0), WEB, number="2")
    assert {line.split()[0] for line in actions(plan(of, *two(DB), *two(WEB)))} == {"stop"}


def test_what_a_silent_host_keeps_holds_up_nobody() -> None:
    there = [*two(DB), replace(running(WEB, 0, "c"), depends_on=(DB.id,))]
    decision = plan(commit(number="2"), observed=lose(seen(commit(), *there), "c"))
    assert [line.split()[:2] for line in actions(decision)] == [["stop", "db/0"], ["stop", "db/1"]]


def test_rings_of_different_commits_do_not_wait_for_each_other() -> None:
    """An orphan depends on another by its label, and that one on it by its own: both go."""
    there = [
        replace(running(DB, 0, "a"), depends_on=(WEB.id,)),
        replace(running(WEB, 0, "b"), depends_on=(DB.id,)),
    ]
    decision = plan(commit(number="2"), *there)
    assert [line.split()[:2] for line in actions(decision)] == [["stop", "db/0"], ["stop", "web/0"]]


def test_a_ring_beside_a_chain_is_dissolved_as_well() -> None:
    """Somebody is free to go at first, and when only the ring is left, that goes too."""
    api = service("api", 1)
    there = [
        replace(running(DB, 0, "a"), depends_on=(WEB.id,)),
        replace(running(WEB, 0, "b"), depends_on=(DB.id,)),
        replace(running(api, 0, "c"), depends_on=(DB.id,)),
    ]
    course = Course(commit(number="2"), seen(commit(), *there))
    course.settle()
    assert homes(course.observed, "web") == homes(course.observed, "db") == {}


def test_a_ring_is_dissolved_at_once_and_what_it_depends_on_keeps_its_turn() -> None:
    api, log = service("api", 1), service("log", 1)
    there = [
        replace(running(DB, 0, "a"), depends_on=(WEB.id, log.id)),
        replace(running(WEB, 0, "b"), depends_on=(DB.id,)),
        replace(running(api, 0, "c"), depends_on=(DB.id,)),
        running(log, 0, "c"),
    ]
    decision = plan(commit(number="2"), *there)
    waits = {one.workload.name: one.waits for one in decision.changes}
    assert (waits["api"], waits["db"], waits["web"]) == ("", "", "")
    assert waits["log"] == "shop/db, which depends on it, is still there"


def test_a_ring_of_a_new_spec_and_what_runs_comes_to_an_end() -> None:
    """What was started depended on `web`; by the new commit `web` depends on it."""
    turned = replace(newer(DB), depends_on=())
    of = commit(turned, newer(WEB), number="2")
    there = [replace(one, depends_on=(WEB.id,)) for one in two(DB)]
    course = Course(of, seen(of, *there, *two(WEB)))
    course.settle()
    assert {one.spec for one in course.observed.containers()} == {"v1:web:2"}


def test_the_order_is_told_in_changes() -> None:
    lines = changes(plan(commit(DB, WEB)))
    assert sum("which it depends on" in line for line in lines) == 2
