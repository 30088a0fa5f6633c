"""Hosts that do not answer: doubted, given up, disbelieved, called dead by a person, and back again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rota.core.decide import Decision, decide
from rota.core.ledger import Ledger
from rota.core.model import (
    Amount,
    FailureSettings,
    Fill,
    Fleet,
    Order,
    Override,
    Service,
    Singleton,
    UpdateRules,
)
from rota.core.observed import HostState, ObservedContainer, ObservedState
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
    homes,
    later,
    lose,
    running,
    seen,
    settle,
)

HOSTS = [host(name) for name in "abcd"]
WEB = service("web", 3)
STOP_FIRST = UpdateRules(order=Order.STOP_FIRST, min_healthy_time=1.0)
ONE = Amount(value=1)


def commit(*services: Service, number: str = "1", **fields: object) -> Fleet:
    return replace(fleet(HOSTS, list(services), revision=number * 40), **fields)  # type: ignore[arg-type]


def three(of: Service = WEB) -> list[ObservedContainer]:
    return [running(of, slot, home) for slot, home in enumerate("abc")]


def plan(of: Fleet, observed: ObservedState, ledger: Ledger | None = None) -> Decision:
    return decide(of, observed, ledger or Ledger(), NOW)


def dead(name: str, *, lost: bool = True) -> Override:
    """A person's word that a host is dead."""
    return Override(
        namespace="shop",
        name=f"{name}-is-dead",
        target_kind="Host",
        target_name=name,
        until=NOW.wall + timedelta(hours=8),
        start=None,
        reason="its power supply burnt",
        lost=lost,
    )


# --- doubted, and given up


@pytest.mark.parametrize("state", [HostState.SUSPECT, HostState.REFUSED, HostState.UNKNOWN])
def test_what_is_only_doubted_loses_nothing(state: HostState) -> None:
    of = commit(WEB)
    observed = seen(of, *three())
    views = {**observed.hosts, "b": replace(observed.hosts["b"], state=state)}
    decision = plan(of, replace(observed, hosts=views))
    assert (decision.changes, decision.actions) == ((), ())


def test_what_a_lost_host_ran_is_replaced_elsewhere_at_once() -> None:
    of = commit(WEB)
    decision = plan(of, lose(seen(of, *three()), "b"))
    assert changes(decision) == ["move web/1 b > d: b is lost"]
    assert actions(decision) == ["start web/1 on d v1:web:1"]
    assert decision.brake == ""


def test_all_of_them_are_replaced_at_once_whatever_the_surge() -> None:
    web = service("web", 6)
    of = commit(web)
    there = [running(web, slot, "b" if slot < 4 else "c") for slot in range(6)]
    assert len(plan(of, lose(seen(of, *there), "b")).actions) == 4


def test_once_replaced_a_lost_host_is_at_rest() -> None:
    course = Course(commit(WEB), lose(seen(commit(WEB), *three()), "b"))
    course.settle()
    assert homes(course.observed, "web") == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert decide(course.fleet, course.observed, course.ledger, later(900, course.now)).changes == ()


def test_what_is_lost_elsewhere_counts_against_the_disruption_budget() -> None:
    """One may be missing, and one is missing: the rollout stops none besides. With the host it goes on."""
    old = service("web", 3, update=STOP_FIRST, max_unavailable=ONE)
    new = replace(old, spec_hash="v1:web:2")
    of = commit(new, number="2", hosts={one.name: one for one in HOSTS[:3]})
    observed = seen(of, *three(old))
    views = {name: replace(view, images=frozenset({"web:1"})) for name, view in observed.hosts.items()}
    observed = replace(observed, hosts=views)
    assert actions(plan(of, observed))[0] == "stop web/0 on a v1:web:1"
    assert [line for line in actions(plan(of, lose(observed, "c"))) if line.startswith("stop")] == []


def test_what_has_its_volumes_on_a_lost_host_stays() -> None:
    db = service("db", 1, container=builders.pinned(), spec_hash="v1:db", update=STOP_FIRST)
    of = commit(db)
    observed = lose(seen(of, running(db, 0, "b")), "b")
    decision = plan(of, observed, Ledger(pins={(db.id, 0): "b"}))
    assert (decision.changes, decision.actions) == ((), ())
    newer = commit(replace(db, spec_hash="v1:new"), number="2")
    waits = plan(newer, observed, Ledger(pins={(db.id, 0): "b"}))
    assert changes(waits) == ["replace db/0 b > b: commit 2222222 [b does not answer]"]


def test_what_fills_is_not_moved_and_fills_what_is_left_over_elsewhere() -> None:
    etl = service("etl", 0, cpu=1000)
    base = {etl.id: Fill(max=6)}
    of = commit(etl, policies=(builders.policy(base=base),), hosts={one.name: one for one in HOSTS[:3]})
    observed, ledger, now = settle(of)
    assert homes(observed, "etl") == {"a": 2, "b": 2, "c": 2}
    decision = decide(of, lose(observed, "b"), ledger, now)
    assert not any(one.kind == "move" for one in decision.changes)
    assert [line.split()[3] for line in actions(decision) if line.startswith("start")].count("b") == 0
    gone = [line for line in changes(decision) if line.startswith("stop")]
    assert len(gone) == 2
    assert all(line.endswith("b > -: b is lost [b does not answer]") for line in gone)
    course = Course(of, lose(observed, "b"), ledger)
    course.now = now
    course.run(60)
    assert homes(course.observed, "etl") == {"a": 3, "b": 2, "c": 3}


def test_what_filled_a_host_that_left_and_is_silent_is_told_as_stops_that_wait() -> None:
    etl = service("etl", 0, cpu=2000)
    before = commit(etl, policies=(builders.policy(base={etl.id: Fill()}),))
    observed, ledger, now = settle(before)
    of = replace(before, hosts={one.name: one for one in HOSTS[:3]}, revision="2" * 40)
    decision = decide(of, doubt(observed, "d"), ledger, now)
    assert [line.split(" ", 2)[2] for line in changes(decision)] == [
        "d > -: its host left the fleet [d does not answer]"
    ] * 2
    assert decision.actions == ()


def test_nothing_is_placed_on_a_host_that_does_not_answer() -> None:
    of = commit(service("web", 8))
    for silence in (doubt, lose):
        decision = plan(of, silence(seen(of), "c"))
        assert {line.split()[3] for line in actions(decision)} == {"a", "b", "d"}


def test_what_a_lost_host_has_of_a_workload_that_goes_is_told_and_not_stopped() -> None:
    of = commit(service("web", 0), number="2")
    decision = plan(of, lose(seen(of, *three()), "b"))
    assert changes(decision)[1] == "stop web/1 b > -: commit 2222222 [b does not answer]"
    assert {line.split()[3] for line in actions(decision)} == {"a", "c"}


# --- the brake


def cut_off(hosts: str, since: float = NOW.mono) -> ObservedState:
    of = commit(WEB)
    return lose(seen(of, *three()), hosts, since)


def test_more_hosts_at_once_than_the_brake_believes_are_not_believed() -> None:
    decision = plan(commit(WEB), cut_off("a b c"))
    assert (decision.changes, decision.actions) == ((), ())
    assert decision.brake == (
        "3 of 4 hosts went silent at about one time (a, b, c): more than the brake, 50%, believes. Rather "
        "this operator is cut off. Nothing of theirs is started elsewhere until enough of them are back. "
        "Where they are dead, commit an Override with lost: true on each."
    )
    assert decision.ledger.braked


def test_of_hosts_that_vanish_together_the_first_that_is_given_up_counts_for_all() -> None:
    """They are lost within moments of each other, and the first must not be replaced on two hosts."""
    first = doubt(cut_off("a"), "b c")
    for name in "bc":
        first = change_view(first, name, since=NOW.mono - 2)
    decision = plan(commit(WEB), first)
    assert decision.actions == ()
    assert decision.brake.startswith("3 of 4 hosts went silent at about one time (a, b, c)")
    assert plan(commit(WEB), doubt(seen(commit(WEB), *three()), "a b c")).brake == "", "none is lost"
    long_before = change_view(doubt(cut_off("a"), "b"), "b", since=NOW.mono - 300)
    assert plan(commit(WEB), long_before).brake == ""


def test_half_of_the_hosts_are_believed() -> None:
    decision = plan(commit(WEB), cut_off("a b"))
    assert decision.brake == ""
    assert len(decision.actions) == 2


@pytest.mark.parametrize(
    ("brake", "braked"), [(ONE, True), (Amount(value=2), False), (Amount(value=49, percent=True), True)]
)
def test_the_brake_is_a_number_or_a_share_of_the_hosts(brake: Amount, braked: bool) -> None:
    of = commit(WEB, failure=FailureSettings(brake=brake))
    assert bool(plan(of, cut_off("a b")).brake) is braked


def test_one_host_alone_is_always_believed() -> None:
    of = commit(WEB, failure=FailureSettings(brake=Amount(value=0)))
    assert plan(of, cut_off("a")).brake == ""


def test_hosts_that_were_lost_one_after_the_other_are_believed() -> None:
    observed = cut_off("a")
    for number, name in enumerate("bc", 1):
        observed = lose(observed, name, NOW.mono - 61 * number)
    assert plan(commit(WEB), observed).brake == ""
    together = lose(cut_off("a b"), "c", NOW.mono - 60)
    assert plan(commit(WEB), together).brake != ""


def test_the_brake_holds_until_enough_are_back_although_some_are() -> None:
    """What was lost together once is in doubt as long as too many are missing, however long that is."""
    of, ledger = commit(WEB), Ledger(braked=True)
    spread = lose(cut_off("a"), "b c", NOW.mono - 500)
    spread = lose(spread, "c", NOW.mono - 300)
    assert plan(of, spread, ledger).brake != ""
    released = plan(of, bring_back(spread, "c"), ledger)
    assert (released.brake, released.ledger.braked) == ("", False)
    after = replace(NOW, mono=NOW.mono + of.failure.lost_after)
    assert len(decide(of, bring_back(spread, "c"), released.ledger, after).actions) == 2


def test_a_persons_word_releases_the_brake_host_by_host() -> None:
    of = commit(WEB, overrides=(dead("a"),))
    decision = plan(of, cut_off("a b c"), Ledger(braked=True))
    assert decision.brake == "", "two of four are missing then, and one is known to be dead"
    five = {one.name: one for one in [*HOSTS, host("e")]}
    of = commit(WEB, overrides=(dead("a"),), hosts=five)
    observed = lose(seen(of, *three()), "a b c d")
    decision = plan(of, observed)
    assert decision.brake != ""
    assert actions(decision) == ["start web/0 on e v1:web:1"], "a is dead, of the others nobody knows"


def test_a_braked_fleet_goes_on_where_it_sees_something() -> None:
    of = commit(WEB, service("api", 2), number="2")
    decision = plan(of, cut_off("a b c"))
    assert [line.split()[3] for line in actions(decision)] == ["d", "d"]


# --- what must not run twice


def only(mode: Singleton) -> Service:
    return service("cron", 1, singleton=mode, update=STOP_FIRST, max_unavailable=ONE)


@pytest.mark.parametrize("overrides", [(), (dead("a"),), (dead("b", lost=False),)])
def test_a_strict_singleton_is_never_replaced_unless_its_host_is_called_dead(
    overrides: tuple[Override, ...],
) -> None:
    cron = only(Singleton.STRICT)
    of = commit(cron, overrides=overrides)
    observed = lose(seen(of, running(cron, 0, "b")), "b")
    for number in "12":
        decision = plan(replace(of, revision=number * 40), observed)
        assert (decision.changes, decision.actions) == ((), ())
    newer = commit(replace(cron, spec_hash="v1:new"), number="2", overrides=overrides)
    assert plan(newer, observed).actions == ()


def test_a_strict_singleton_is_not_replaced_where_a_commit_lets_its_silent_host_go() -> None:
    cron = only(Singleton.STRICT)
    of = commit(cron, hosts={"a": HOSTS[0]}, number="2")
    decision = plan(of, lose(seen(of, running(cron, 0, "b")), "b"))
    assert changes(decision) == ["move cron/0 b > -: its host left the fleet [b does not answer]"]
    assert decision.actions == ()


def test_a_strict_singleton_is_replaced_once_its_host_is_called_dead() -> None:
    cron = only(Singleton.STRICT)
    of = commit(cron, overrides=(dead("b"),))
    observed = seen(of, running(cron, 0, "b"))
    for silence in (doubt, lose):
        decision = plan(of, silence(observed, "b"))
        assert [line.rsplit(" ", 1)[0][:-2] for line in actions(decision)] == ["start cron/0 on"]
    assert plan(of, observed).changes == (), "it answers: who called it dead was mistaken"


def test_a_best_effort_singleton_is_replaced_once_its_host_is_lost_and_not_before() -> None:
    cron = only(Singleton.BEST_EFFORT)
    of = commit(cron)
    observed = seen(of, running(cron, 0, "b"))
    assert plan(of, doubt(observed, "b")).actions == ()
    assert len(plan(of, lose(observed, "b")).actions) == 1


def test_a_singleton_waits_for_the_one_before_it_to_be_gone() -> None:
    cron = only(Singleton.STRICT)
    of, leaver = commit(cron), running(cron, 0, "b")
    observed = seen(of, leaver)
    views = {**observed.hosts, "b": replace(observed.hosts["b"], stopping=frozenset({leaver.id}))}
    decision = plan(of, replace(observed, hosts=views))
    assert decision.actions == ()
    assert [one.waits for one in decision.changes] == ["the instance before it is stopping on b"]


# --- it is back


def returned(*containers: ObservedContainer, of: Fleet | None = None) -> list[str]:
    of = of or commit(service("web", 1))
    return actions(plan(of, seen(of, *containers)))


def test_of_what_runs_twice_the_wanted_spec_then_the_healthy_then_the_older_stays() -> None:
    web = service("web", 1)
    first = running(web, 0, "a", created=100, seen_since=900.0)
    second = running(web, 0, "b", created=200, seen_since=100.0)
    assert returned(second, first) == ["stop web/0 on b v1:web:1"], (
        "older by its Engine, not by when it was seen"
    )
    sick = replace(first, ready_since=None)
    assert returned(second, sick) == ["stop web/0 on a v1:web:1"]
    outdated = running(service("web", 1, image="web:0"), 0, "c", created=1)
    assert returned(second, outdated) == ["stop web/0 on c v1:web:0"]


def test_a_host_that_returns_has_its_own_back_and_the_substitute_goes() -> None:
    there = [replace(one, created=100) for one in three()]
    course = Course(commit(WEB), lose(seen(commit(WEB), *there), "b"))
    course.settle()
    course.observed = bring_back(course.observed, "b")
    decision = course.step()
    assert changes(decision)[0].startswith("stop web/1 d > -: duplicate of web.1.v1:web:1 on b")
    assert course.log[-1] == ["stop web/1 on d v1:web:1"]
    course.settle()
    assert homes(course.observed, "web") == {"a": 1, "b": 1, "c": 1}


def test_the_loser_stays_until_the_keeper_has_soaked() -> None:
    web = service("web", 1, update=UpdateRules(min_healthy_time=10.0))
    keeper = running(web, 0, "a", created=100, ready_for=3.0)
    loser = running(web, 0, "b", created=200)
    of = commit(web)
    decision = plan(of, seen(of, keeper, loser))
    assert changes(decision) == [
        "stop web/0 b > -: duplicate of web.0.v1:web:1 on a [its successor on a is not yet healthy for 10s]"
    ]
    assert decision.actions == ()
    assert decision.requeue_after == 7.0
    assert actions(decide(of, seen(of, keeper, loser), Ledger(), later(7))) == ["stop web/0 on b v1:web:1"]


def test_a_host_that_returns_after_a_new_commit_loses_what_is_outdated() -> None:
    new = service("web", 3, image="web:2")
    course = Course(commit(WEB), lose(seen(commit(WEB), *three()), "b"))
    course.settle()
    course.fleet = commit(new, number="2")
    course.settle()
    assert course.specs("web").count("b v1:web:1") == 1
    course.observed = bring_back(course.observed, "b")
    course.settle()
    assert [line.split()[1] for line in course.specs("web")] == ["v1:web:2"] * 3


def test_a_host_that_returns_after_a_shrink_has_nothing_started_for_it() -> None:
    course = Course(commit(WEB), lose(seen(commit(WEB), *three()), "b"))
    course.settle()
    course.fleet = commit(service("web", 1), number="2")
    course.run(30)
    course.observed = bring_back(course.observed, "b")
    course.log.clear()
    course.settle()
    assert sum(homes(course.observed, "web").values()) == 1
    assert not any("start" in line for lines in course.log for line in lines)


def test_while_it_was_lost_nothing_of_it_was_ever_stopped() -> None:
    """`Course` fails at once where anything is asked of a host that does not answer."""
    course = Course(commit(WEB), lose(seen(commit(WEB), *three()), "b"))
    for number, count, image in (("1", 3, "web:1"), ("2", 5, "web:2"), ("3", 1, "web:3"), ("4", 0, "web:4")):
        web = service("web", count, image=image)
        course.fleet = commit(web, number=number, max_removals=Amount(value=100))
        course.run(60)
    assert homes(course.observed, "web") == {"b": 1}


def test_when_the_brake_goes_off_the_last_ones_have_time_to_come_back() -> None:
    """Most of them answer again, and the others are about to."""
    of, observed, ledger = commit(WEB), cut_off("a"), Ledger(braked=True)
    first = plan(of, observed, ledger)
    assert (first.brake, first.actions, first.ledger.braked) == ("", (), False)
    assert first.requeue_after is not None and first.requeue_after <= of.failure.lost_after
    later = replace(NOW, mono=NOW.mono + of.failure.lost_after - 0.1)
    assert decide(of, observed, first.ledger, later).actions == ()
    over = decide(of, observed, first.ledger, replace(NOW, mono=NOW.mono + of.failure.lost_after))
    assert len(over.actions) > 0
    assert over.ledger.brake_released is None
