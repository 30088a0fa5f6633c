"""How instances are replaced: order, budgets, and who is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rota.core.decide import Decision, decide
from rota.core.ledger import Failure, Ledger
from rota.core.model import Amount, Fleet, Order, Service, UpdateRules
from rota.core.observed import ContainerState, Health, ObservedContainer, ObservedState, PublishedPort
from rota.core.planning.actions import StartInstance, StopInstance
from rota.core.rules import Operator, PlacementRules, Requirement
from tests import builders
from tests.builders import fleet, host, service
from tests.core.scenes import (
    NOW,
    Course,
    act,
    actions,
    change_view,
    changes,
    homes,
    later,
    running,
    seen,
    settle,
)

HOSTS = [host("a"), host("b"), host("c")]
OLD = service("web", 3)
NEW = service("web", 3, image="web:2")
STOP_FIRST = UpdateRules(order=Order.STOP_FIRST, min_healthy_time=1.0)
ONE = Amount(value=1)


def surge(count: int, **fields: object) -> UpdateRules:
    return replace(UpdateRules(max_surge=Amount(value=count), min_healthy_time=1.0), **fields)  # type: ignore[arg-type]


def commit(*services: Service, number: str = "2") -> Fleet:
    return fleet(HOSTS, list(services), revision=number * 40)


def plan(of: Fleet, *containers: ObservedContainer, silent: str = "", **fields: object) -> Decision:
    return decide(of, seen(of, *containers, silent=silent, **fields), Ledger(), NOW)


def three(of: Service = OLD, **fields: object) -> list[ObservedContainer]:
    return [running(of, slot, home, **fields) for slot, home in enumerate("abc")]  # type: ignore[arg-type]


# --- counts


def test_a_commit_that_changes_only_counts_restarts_nothing() -> None:
    observed, ledger, now = settle(fleet(HOSTS, [OLD]))
    decision = decide(commit(replace(OLD, replicas=5)), observed, ledger, now)
    assert [line.split()[:2] for line in changes(decision)] == [["start", "web/3"], ["start", "web/4"]]
    assert [line.split()[:2] for line in actions(decision)] == [["start", "web/3"], ["start", "web/4"]]


def test_a_commit_that_changes_nothing_of_a_workload_does_nothing() -> None:
    observed, ledger, now = settle(fleet(HOSTS, [OLD]))
    decision = decide(commit(OLD), observed, ledger, now)
    assert (decision.changes, decision.actions) == ((), ())


def test_a_shrink_takes_the_worst_placed_and_restarts_nothing() -> None:
    web = service("web", 2)
    crowded = [running(web, 0, "a"), running(web, 1, "b"), running(web, 2, "b")]
    decision = plan(commit(web), *crowded)
    assert [line.split()[0] for line in actions(decision)] == ["stop"]
    assert actions(decision)[0].split()[3] == "b"


@pytest.mark.parametrize(
    ("worst", "fields"),
    [
        (1, {"ready_for": None}),
        (2, {"health": Health.UNHEALTHY, "ready_for": None}),
        (0, {"state": ContainerState.EXITED, "ready_for": None}),
    ],
)
def test_a_shrink_takes_first_what_serves_nobody(worst: int, fields: dict[str, object]) -> None:
    web = service("web", 2)
    there = three()
    there[worst] = running(web, worst, "abc"[worst], **fields)  # type: ignore[arg-type]
    assert actions(plan(commit(web), *there)) == [f"stop web/{worst} on {'abc'[worst]} v1:web:1"]


def test_a_shrink_keeps_a_slot_that_serves_although_its_best_is_still_starting() -> None:
    """Slot 0 has left its host and its successor is coming; slot 1 serves nobody at all."""
    web = service("web", 1)
    there = [
        running(web, 0, "gone"),
        running(web, 0, "a", ready_for=None),
        running(web, 1, "b", ready_for=None),
    ]
    assert actions(plan(commit(web), *there)) == ["stop web/1 on b v1:web:1"]


def test_growth_takes_the_lowest_free_numbers() -> None:
    web = service("web", 4)
    decision = plan(commit(web), running(web, 1, "a"), running(web, 3, "b"))
    assert [line.split()[1] for line in actions(decision)] == ["web/0", "web/2"]


def test_a_shrink_to_nothing_needs_no_budget() -> None:
    decision = plan(commit(service("web", 0)), *three())
    assert [line.split()[0] for line in actions(decision)] == ["stop"] * 3


# --- start-first


def test_an_image_change_starts_its_successors_within_max_surge() -> None:
    decision = plan(commit(NEW), *three())
    assert changes(decision) == [
        "replace web/0 a > a: commit 2222222",
        "replace web/1 b > b: commit 2222222 [maxSurge is 25%]",
        "replace web/2 c > c: commit 2222222 [maxSurge is 25%]",
    ]
    assert actions(decision) == ["start web/0 on a v1:web:2"]


@pytest.mark.parametrize(("most", "expected"), [(1, 1), (2, 2), (9, 3)])
def test_max_surge_is_how_many_come_at_once(most: int, expected: int) -> None:
    decision = plan(commit(replace(NEW, update=surge(most))), *three())
    assert len(decision.actions) == expected


def test_a_predecessor_stays_until_its_successor_has_soaked() -> None:
    of = commit(replace(NEW, update=surge(1, min_healthy_time=10.0)))
    fresh = running(NEW, 0, "a", ready_for=4.0)
    decision = plan(of, *three(), fresh)
    assert changes(decision)[0] == (
        "replace web/0 a > a: replaced by web.0.v1:web:2 [its successor on a is not yet healthy for 10s]"
    )
    assert decision.actions == ()
    assert decision.requeue_after == 6.0
    soaked = replace(fresh, ready_since=NOW.mono - 10)
    assert actions(plan(of, *three(), soaked)) == ["stop web/0 on a v1:web:1"]


def test_stopping_predecessors_count_against_the_surge() -> None:
    old = three()
    of = commit(replace(NEW, update=surge(1)))
    observed = seen(of, running(NEW, 0, "a"), *old)
    stopping = change_view(observed, "a", stopping=frozenset({old[0].id}))
    assert decide(of, stopping, Ledger(), NOW).actions == ()
    assert actions(plan(of, running(NEW, 0, "a"), *old[1:])) == ["start web/1 on b v1:web:2"]


def test_a_whole_rollout_never_has_fewer_ready_than_wanted_nor_more_than_the_surge() -> None:
    observed, ledger, now = settle(fleet(HOSTS, [OLD]))
    of = commit(NEW)
    for _ in range(20):
        decision = decide(of, observed, ledger, now)
        observed, ledger, now = act(observed, decision.actions, now), decision.ledger, later(5, now)
        there = sum(homes(observed, "web").values())
        assert 3 <= there <= 4
        if not decision.changes:
            break
    assert decision.changes == ()
    assert {one.spec for one in observed.containers()} == {NEW.spec_hash}


def test_unready_predecessors_go_first() -> None:
    sick = [running(OLD, 0, "a"), running(OLD, 1, "b"), running(OLD, 2, "c", ready_for=None)]
    observed = change_view(seen(commit(NEW), *sick), "c", images=frozenset({"web:2"}))
    decision = decide(commit(NEW), observed, Ledger(), NOW)
    assert actions(decision)[0] == "stop web/2 on c v1:web:1"


def test_an_overtaken_rollout_gives_its_surge_back() -> None:
    """The second commit's instance beside the first's: the third would wait for its surge for ever."""
    third = replace(service("web", 3, image="web:3"), update=surge(1))
    decision = plan(commit(third, number="3"), *three(), running(NEW, 0, "a", ready_for=50.0))
    assert changes(decision)[-1] == "stop web/0 a > -: commit 3333333"
    assert actions(decision) == ["stop web/0 on a v1:web:2"]


def test_a_sick_successor_gives_its_surge_back() -> None:
    sick = running(NEW, 0, "a", ready_for=None, health=Health.UNHEALTHY)
    decision = plan(commit(NEW), *three(), sick)
    assert actions(decision) == ["stop web/0 on a v1:web:2"]


def test_a_rollout_goes_on_beside_a_host_that_does_not_answer() -> None:
    of = commit(NEW)
    decision = plan(of, *three(), silent="a")
    assert changes(decision) == [
        "replace web/0 a > a: commit 2222222 [a does not answer]",
        "replace web/1 b > b: commit 2222222",
        "replace web/2 c > c: commit 2222222 [maxSurge is 25%]",
    ]
    left_over = plan(of, *three(), running(NEW, 0, "b"), silent="a")
    assert actions(left_over) == ["start web/1 on b v1:web:2"], "what is stuck on a holds up nobody"


# --- stop-first


def stop_first(of: Service) -> Service:
    return replace(of, update=STOP_FIRST, max_unavailable=ONE)


def with_images(observed: ObservedState, image: str) -> ObservedState:
    for name in observed.hosts:
        observed = change_view(observed, name, images=frozenset({image}))
    return observed


def test_stop_first_brings_the_image_before_it_stops_anything() -> None:
    decision = plan(commit(stop_first(NEW)), *three())
    assert changes(decision)[0] == "replace web/0 a > a: commit 2222222 [its image is not on the host yet]"
    assert actions(decision) == [f"image web/{slot} on {home} v1:web:2" for slot, home in enumerate("abc")]


def test_stop_first_stops_one_slot_at_a_time() -> None:
    of = commit(stop_first(NEW))
    decision = decide(of, with_images(seen(of, *three()), "web:2"), Ledger(), NOW)
    assert changes(decision) == [
        "replace web/0 a > a: commit 2222222",
        "replace web/1 b > b: commit 2222222 [maxUnavailable is reached]",
        "replace web/2 c > c: commit 2222222 [maxUnavailable is reached]",
    ]
    assert actions(decision) == ["stop web/0 on a v1:web:1"]


def test_the_next_slot_stops_only_when_the_one_before_has_soaked() -> None:
    of = commit(replace(stop_first(NEW), update=replace(STOP_FIRST, min_healthy_time=10.0)))
    fresh = running(NEW, 0, "a", ready_for=4.0)
    there = with_images(seen(of, fresh, *three()[1:]), "web:2")
    decision = decide(of, there, Ledger(), NOW)
    assert decision.actions == ()
    assert decision.requeue_after == 6.0
    assert actions(decide(of, there, Ledger(), later(6))) == ["stop web/1 on b v1:web:1"]


def test_a_pinned_slot_starts_only_after_the_one_before_is_gone() -> None:
    old = service("db", 1, container=builders.pinned("mysql:8"), spec_hash="v1:8")
    new = stop_first(service("db", 1, container=builders.pinned("mysql:9"), spec_hash="v1:9"))
    of, leaver = commit(new), running(old, 0, "a")
    ledger = Ledger(pins={(new.id, 0): "a"})
    observed = change_view(seen(of, leaver), "a", stopping=frozenset({leaver.id}))
    decision = decide(of, observed, ledger, NOW)
    assert changes(decision) == ["start db/0 - > a: commit 2222222 [the instance before it is stopping on a]"]
    assert decision.actions == ()
    assert actions(decide(of, seen(of), ledger, NOW)) == ["start db/0 on a v1:9"]


def test_a_back_off_holds_the_image_back() -> None:
    of = commit(stop_first(NEW))
    failures = {
        (NEW.id, home, NEW.spec_hash): Failure(count=1, until=NOW.mono + 2, message="no") for home in "abc"
    }
    decision = decide(of, seen(of, *three()), Ledger(failures=failures), NOW)
    assert decision.actions == ()
    assert decision.requeue_after == 2


# --- what failed


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"health": Health.UNHEALTHY}, "unhealthy"),
        ({"seen_since": NOW.mono - 301}, "not healthy within 300s"),
        ({"state": ContainerState.DEAD, "health": Health.NONE}, "its Engine could not remove it"),
    ],
)
def test_what_has_failed_is_replaced(fields: dict[str, object], cause: str) -> None:
    there = three()
    there[1] = running(OLD, 1, "b", ready_for=None, **fields)  # type: ignore[arg-type]
    decision = plan(commit(OLD), *there)
    assert changes(decision) == [f"replace web/1 b > b: {cause}"]
    assert actions(decision) == ["stop web/1 on b v1:web:1"]


def test_what_is_slow_is_given_until_its_deadline() -> None:
    slow = running(OLD, 1, "b", ready_for=None, seen_since=NOW.mono - 100)
    decision = plan(commit(OLD), running(OLD, 0, "a"), slow, running(OLD, 2, "c"))
    assert (decision.changes, decision.requeue_after) == ((), 200.001)


@pytest.mark.parametrize("state", [ContainerState.EXITED, ContainerState.CREATED])
def test_what_does_not_run_is_started_where_it_is(state: ContainerState) -> None:
    there = three()
    there[1] = running(OLD, 1, "b", ready_for=None, state=state, health=Health.NONE)
    decision = plan(commit(OLD), *there)
    assert changes(decision) == ["start web/1 b > b: it does not run"]
    assert actions(decision) == ["restart web/1 on b v1:web:1"]


def test_what_could_not_be_started_is_replaced_elsewhere() -> None:
    stuck = running(OLD, 0, "a", ready_for=None, state=ContainerState.CREATED, health=Health.NONE)
    failure = Failure(count=1, until=NOW.mono + 9, message="port is taken")
    of = commit(service("web", 1))
    ledger = Ledger(failures={(OLD.id, "a", OLD.spec_hash): failure})
    decision = decide(of, seen(of, stuck), ledger, NOW)
    assert changes(decision) == ["replace web/0 a > a: could not be started: port is taken"]
    (stop,) = decision.actions
    assert isinstance(stop, StopInstance)
    assert not stop.sick, "that its start failed is counted once"
    assert actions(decide(of, seen(of), ledger, NOW))[0].split()[3] != "a"


def test_a_successor_says_why_the_one_before_it_was_stopped() -> None:
    """Not that an instance is missing, which would be drift."""
    update = UpdateRules(order=Order.STOP_FIRST, min_healthy_time=1.0)
    old = service("web", 1, update=update, max_unavailable=Amount(value=1))
    new = replace(old, spec_hash="v1:web:2")
    course = Course(commit(old))
    course.settle()
    course.fleet = commit(new, number="2")
    course.run(30)
    (stop, start) = [one for decision in course.past for one in decision.actions][-2:]
    assert (type(stop), type(start)) == (StopInstance, StartInstance)
    assert (stop.cause, start.cause) == ("commit 2222222", "commit 2222222")
    assert course.ledger.successions == {}


def test_what_somebody_paused_is_replaced_and_said() -> None:
    paused = running(OLD, 0, "a", ready_for=None, state=ContainerState.PAUSED)
    decision = plan(commit(service("web", 1)), paused)
    assert changes(decision) == ["replace web/0 a > a: paused by hand"]


# --- duplicates, and hosts that left


def test_of_duplicates_the_wanted_spec_then_the_healthy_then_the_older_stays() -> None:
    web = service("web", 1)
    of = commit(web)
    older = running(web, 0, "a", seen_since=1.0)
    younger = running(web, 0, "b", seen_since=2.0)
    unready = running(web, 0, "c", ready_for=None, seen_since=0.5)
    other = running(service("web", 1, image="web:0"), 0, "c", seen_since=0.1)
    assert actions(plan(of, younger, older)) == ["stop web/0 on b v1:web:1"]
    assert actions(plan(of, unready, younger)) == ["stop web/0 on c v1:web:1"]
    assert actions(plan(of, other, younger)) == ["stop web/0 on c v1:web:0"]
    assert changes(plan(of, younger, older)) == ["stop web/0 b > -: duplicate of web.0.v1:web:1 on a"]


def test_a_duplicate_stays_until_the_keeper_has_soaked() -> None:
    web = service("web", 1, update=surge(1, min_healthy_time=10.0))
    older = running(web, 0, "a", seen_since=1.0, ready_for=3.0)
    younger = running(web, 0, "b", seen_since=2.0, ready_for=3.0)
    assert plan(commit(web), younger, older).actions == ()


def test_a_duplicate_on_a_silent_host_is_left_alone_and_said() -> None:
    web = service("web", 1)
    there = [running(web, 0, "a", seen_since=1.0), running(web, 0, "b", seen_since=2.0)]
    decision = plan(commit(web), *there, silent="b")
    assert decision.actions == ()
    assert changes(decision) == ["stop web/0 b > -: duplicate of web.0.v1:web:1 on a [b does not answer]"]


def test_a_host_removed_from_git_is_drained_start_first() -> None:
    there = [running(OLD, 0, "a"), running(OLD, 1, "b"), running(OLD, 2, "old")]
    of = commit(OLD)
    decision = plan(of, *there)
    assert changes(decision) == ["move web/2 old > c: its host left the fleet"]
    assert actions(decision) == ["start web/2 on c v1:web:1"]
    moved = plan(of, *there, running(OLD, 2, "c"))
    assert changes(moved) == ["move web/2 old > c: its host left the fleet"]
    assert actions(moved) == ["stop web/2 on old v1:web:1"]


def test_a_host_that_no_longer_meets_the_selector_is_left_start_first() -> None:
    on_ssd = Requirement(key="disk", operator=Operator.IN, values=("ssd",))
    web = service("web", 1, placement=PlacementRules(host_selector=(on_ssd,)))
    of = fleet([host("a"), host("b", labels={"disk": "ssd"})], [web])
    assert changes(plan(of, running(web, 0, "a"))) == ["move web/0 a > b: label disk=ssd is not met"]


# --- what is unknown


def test_a_host_that_does_not_answer_loses_and_gains_nothing() -> None:
    decision = plan(commit(OLD), *three(), silent="a b")
    assert (decision.changes, decision.actions) == ((), ())


def test_a_shrink_prefers_silent_hosts_and_waits_for_them() -> None:
    web = service("web", 2)
    decision = plan(commit(web), *three(web), silent="c")
    assert changes(decision) == ["stop web/2 c > -: commit 2222222 [c does not answer]"]
    assert decision.actions == ()


def test_an_instance_that_is_still_being_started_is_not_stopped_yet() -> None:
    web = service("web", 0)
    pending = running(web, 0, "a", ready_for=None, state=ContainerState.PENDING, id="pending:web")
    of = commit(web)
    observed = change_view(seen(of), "a", pending=(pending,))
    decision = decide(of, observed, Ledger(), NOW)
    assert changes(decision) == ["stop web/0 a > -: commit 2222222 [it is being started]"]
    assert decision.actions == ()


def test_a_name_that_is_still_in_use_on_the_host_is_not_given_again() -> None:
    of = commit(service("web", 1))
    (first,) = plan(of).actions
    assert isinstance(first, StartInstance)
    leaver = running(OLD, 0, first.host, name=first.name)
    observed = change_view(seen(of, leaver), first.host, stopping=frozenset({leaver.id}))
    only_there = replace(of, hosts={first.host: of.hosts[first.host]})
    (again,) = decide(only_there, observed, Ledger(), NOW).actions
    assert isinstance(again, StartInstance)
    assert (again.host, again.name != first.name) == (first.host, True)


def test_ports_of_the_predecessor_are_not_given_to_its_successor() -> None:
    old = running(OLD, 0, "a", ports=(PublishedPort(8080, 20500),))
    decision = plan(commit(service("web", 1, image="web:2")), old)
    (start,) = decision.actions
    assert isinstance(start, StartInstance)
    assert start.ports[0].published != 20500


# --- no room, everybody sick, a host that left


def full() -> tuple[Fleet, ObservedState]:
    """One host that holds exactly two instances of `web`."""
    of = fleet([host("a", cpu=200)], [service("web", 2, image="web:2")], revision="2" * 40)
    return of, seen(of, running(service("web", 2), 0, "a"), running(service("web", 2), 1, "a"))


def test_a_surge_without_room_waits_and_says_how_much_is_short() -> None:
    of, observed = full()
    decision = decide(of, observed, Ledger(), NOW)
    assert actions(decision) == []
    assert decision.unplaced == (), "what runs is placed; only its successor is not"
    assert changes(decision)[0] == (
        "replace web/0 a > a: commit 2222222 [NoRoomForSurge: a: cpu short by 100m]"
    )


def test_a_surge_without_room_takes_the_place_of_its_predecessor_where_the_budget_allows() -> None:
    of, observed = full()
    web = replace(service("web", 2, image="web:2"), max_unavailable=ONE)
    of = fleet([host("a", cpu=200)], [web], revision="2" * 40)
    assert actions(decide(of, observed, Ledger(), NOW)) == ["stop web/0 on a v1:web:1"]
    settled, _, _ = settle(of, observed)
    assert {one.spec for one in settled.containers()} == {"v1:web:2"}


def test_a_predecessor_is_never_stopped_for_a_successor_that_lacks_more_than_room() -> None:
    web = replace(service("web", 2, image="web:2"), max_unavailable=ONE)
    of = fleet([host("a")], [web], revision="2" * 40)
    observed = seen(of, running(service("web", 2), 0, "a"), running(service("web", 2), 1, "a"))
    failure = Failure(count=1, until=NOW.mono + 9, message="no such image")
    failing = Ledger(failures={(web.id, "a", web.spec_hash): failure})
    assert actions(decide(of, observed, failing, NOW)) == []


def test_where_all_are_sick_no_more_are_replaced_at_a_time_than_the_surge() -> None:
    web = replace(service("web", 8), update=surge(2))
    sick = [running(web, slot, "abc"[slot % 3], ready_for=None, health=Health.UNHEALTHY) for slot in range(8)]
    decision = plan(commit(web), *sick)
    assert [line.split()[0] for line in actions(decision)] == ["stop", "stop"]
    assert changes(decision)[-1].endswith("[others that are sick are replaced before it]")


def test_where_all_of_the_spec_before_are_sick_no_more_are_replaced_at_a_time_either() -> None:
    """They may be sick by what the new ones would be sick by as well."""
    web = replace(service("web", 8, image="web:2"), update=surge(2))
    before = service("web", 8)
    sick = [
        running(before, slot, "abc"[slot % 3], ready_for=None, health=Health.UNHEALTHY) for slot in range(8)
    ]
    of = commit(web)
    observed = seen(of, *sick)
    for name in of.hosts:
        observed = change_view(observed, name, images=frozenset({"web:2"}))
    decision = decide(of, observed, Ledger(), NOW)
    assert [line.split()[0] for line in actions(decision)] == ["stop", "stop"]


def test_what_has_its_volumes_on_a_host_that_left_stays_and_is_not_replaced() -> None:
    data = service("db", 1, container=builders.pinned(), update=STOP_FIRST, max_unavailable=ONE)
    newer = replace(data, spec_hash="v1:other")
    pins = Ledger(pins={(data.id, 0): "z"})
    for wanted, waits in ((data, []), (newer, ["z left the fleet and holds its volumes"])):
        of = commit(wanted)
        observed = change_view(seen(of, running(data, 0, "z")), "z", images=frozenset({"mysql:8", "web:1"}))
        decision = decide(of, observed, pins, NOW)
        assert actions(decision) == []
        assert [one.waits for one in decision.changes] == waits
