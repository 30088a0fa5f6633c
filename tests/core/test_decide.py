"""The whole decision: causes, holds, what is requeued, and that it depends on nothing else."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from rota.core.decide import decide
from rota.core.ledger import Failure, HostRecord, Ledger
from rota.core.model import Amount, Fleet, Override, Service
from rota.core.observed import (
    ContainerState,
    Health,
    Hold,
    HostState,
    HostView,
    Now,
    ObservedState,
    Outcome,
    Result,
)
from rota.core.planning.back_off import LONGEST_SECONDS, delay, fold
from tests import builders
from tests.builders import fleet, host, service
from tests.core.scenes import (
    NOW,
    act,
    actions,
    change_view,
    changes,
    good_of,
    later,
    running,
    seen,
    settle,
)

HOSTS = [host("a"), host("b"), host("c")]
WEB = service("web", 3)


def commit(*services: Service, number: str = "1", **fields: object) -> Fleet:
    return replace(fleet(HOSTS, list(services), revision=number * 40), **fields)  # type: ignore[arg-type]


def override(kind: str, name: str, **effect: object) -> Override:
    made = Override(
        namespace="shop",
        name="exception",
        target_kind=kind,
        target_name=name,
        until=NOW.wall + timedelta(hours=1),
        start=None,
        reason="maintenance",
    )
    return replace(made, **effect)  # type: ignore[arg-type]


# --- nothing to do


def test_a_second_pass_over_an_unchanged_world_changes_nothing() -> None:
    of = commit(WEB, service("db", 2, container=builders.pinned(), spec_hash="v1:db"))
    observed, ledger, now = settle(of)
    for wait in (0, 1, 100, 100_000):
        decision = decide(of, observed, ledger, later(wait, now))
        assert (decision.changes, decision.actions, decision.unplaced) == ((), (), ())
        assert decision.requeue_after is None
        assert decision.ledger == ledger


def test_an_empty_fleet_has_nothing_to_do() -> None:
    of = fleet([], [])
    decision = decide(of, seen(of), Ledger(), NOW)
    assert (decision.changes, decision.actions, decision.requeue_after) == ((), (), None)


@pytest.mark.parametrize("seed", range(12))
def test_the_order_of_the_inputs_does_not_matter(seed: int) -> None:
    choose = random.Random(seed)
    services = [
        service(
            name, choose.randrange(5), image=choose.choice(("web:1", "web:2")), priority=choose.choice((1, 2))
        )
        for name in ("web", "api", "pool", "late")
    ]
    there = [
        running(
            service(choose.choice(("web", "api", "pool", "gone")), image=choose.choice(("web:1", "web:2"))),
            choose.randrange(4),
            choose.choice("abcd"),
            ready_for=choose.choice((None, 0.5, 50.0)),
            id=str(number),
        )
        for number in range(14)
    ]
    ledger = Ledger(hosts={"d": HostRecord(endpoint="tcp://d:2375", address="d")})

    def shuffled() -> str:
        hosts, of_services, containers = HOSTS[:], services[:], there[:]
        for each in (hosts, of_services, containers):
            choose.shuffle(each)
        of = fleet(hosts, of_services)
        views = list(seen(of, *containers, silent=silent).hosts.items())
        choose.shuffle(views)
        decision = decide(of, ObservedState(hosts=dict(views)), ledger, NOW)
        return "\n".join(
            [*map(repr, decision.changes), *map(repr, decision.actions), *map(repr, decision.unplaced)]
        )

    silent = choose.choice(("", "a"))
    assert len({shuffled() for _ in range(6)}) == 1


# --- causes


def cause_of(of: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> set[str]:
    return {change.cause for change in decide(of, observed, ledger, now).changes}


def test_growth_by_a_commit_names_the_commit_until_it_is_there() -> None:
    of = commit(replace(WEB, replicas=5), number="2")
    observed, ledger, now = settle(commit(WEB))
    first = decide(of, observed, ledger, now)
    half = act(observed, first.actions[:1], now)
    assert cause_of(of, observed, ledger, now) == {"commit 2222222"}
    assert cause_of(of, half, first.ledger, later(1, now)) == {"commit 2222222"}


def test_growth_at_an_edge_names_the_window() -> None:
    day = builders.window("08:00", "20:00", {"web": 1})
    of = commit(WEB, policies=(builders.policy(windows=(day,), base=builders.amounts({"web": 2})),))
    observed, ledger, _ = settle(of)
    evening = Now(wall=NOW.wall + timedelta(hours=9), mono=NOW.mono + 9 * 3600)
    decision = decide(of, observed, ledger, evening)
    assert {change.cause for change in decision.changes} == {"window day-night/base"}
    assert cause_of(of, observed, decision.ledger, later(1, evening)) == {"window day-night/base"}


def test_growth_by_an_override_names_the_override() -> None:
    of = commit(WEB)
    observed, ledger, now = settle(of)
    surge = replace(of, overrides=(override("Service", "web", replicas=Amount(value=4)),))
    assert cause_of(surge, observed, ledger, now) == {"override exception"}


def test_an_instance_that_is_gone_is_missing_not_committed() -> None:
    of = commit(WEB)
    observed, ledger, now = settle(of)
    gone = change_view(observed, "a", containers=())
    assert cause_of(of, gone, ledger, now) == {"an instance is missing"}


def test_a_new_spec_names_the_commit_and_a_sick_instance_its_sickness() -> None:
    of = commit(replace(service("web", 2, image="web:2")), number="2")
    old = running(WEB, 0, "a")
    sick = running(of.services[WEB.id], 1, "b", ready_for=None, health=Health.UNHEALTHY)
    assert cause_of(of, seen(of, old, sick), Ledger(), NOW) == {"commit 2222222", "unhealthy"}


# --- what holds everything back


def test_suspend_shows_what_it_would_do_and_does_nothing() -> None:
    of = commit(WEB, overrides=(override("Fleet", "test", suspend=True),))
    decision = decide(of, seen(of), Ledger(), NOW)
    assert len(decision.changes) == 3
    assert decision.actions == ()
    assert decision.held is not None
    assert decision.held.message == (
        "suspended until 2026-06-01T13:00:00+00:00 by override exception: maintenance"
    )
    assert decision.ledger == Ledger(held_since=NOW.mono), "nothing is recorded as applied"
    assert len(decide(of, seen(of), Ledger(), later(3600)).actions) == 3


def test_a_hold_from_outside_does_the_same() -> None:
    of = commit(WEB)
    held = replace(seen(of), held=Hold("Paused", "another operator writes"))
    decision = decide(of, held, Ledger(), NOW)
    assert (len(decision.changes), decision.actions) == (3, ())
    assert decision.ledger == Ledger(held_since=NOW.mono)


def test_nothing_is_done_before_every_host_was_asked_once() -> None:
    of = commit(WEB)
    unseen = replace(seen(of), hosts={**seen(of).hosts, "c": HostView(name="c")})
    decision = decide(of, unseen, Ledger(), NOW)
    assert decision.actions == ()
    assert decision.held is not None
    assert decision.held.message == "waiting for the first answer of c"
    failed = change_view(unseen, "c", state=HostState.LOST)
    assert len(decide(of, failed, Ledger(), NOW).actions) == 3


def test_a_cordon_by_override_is_said_and_one_can_be_lifted() -> None:
    cordoned = commit(WEB, overrides=(override("Host", "a", unschedulable=True),))
    assert decide(cordoned, seen(cordoned), Ledger(), NOW).cordons == {
        "a": "cordoned until 2026-06-01T13:00:00+00:00 by override exception"
    }
    lifted = replace(
        commit(WEB, overrides=(override("Host", "a", unschedulable=False),)),
        hosts={"a": host("a", unschedulable=True)},
    )
    assert decide(lifted, seen(lifted), Ledger(), NOW).cordons == {}


# --- orphans and hosts that left


def test_containers_of_a_workload_that_git_does_not_have_are_stopped() -> None:
    of = commit(WEB)
    gone = running(service("gone"), 0, "b")
    decision = decide(of, seen(of, gone), Ledger(), NOW)
    assert "stop gone/0 b > -: commit 1111111 does not have shop/gone" in changes(decision)
    assert "stop gone/0 on b v1:web:1" in actions(decision)


@pytest.mark.parametrize("silent", ["", "b"])
def test_an_orphan_that_is_stopping_or_unknown_is_not_told_again(silent: str) -> None:
    of = commit(service("web", 0))
    gone = running(service("gone"), 0, "b")
    observed = seen(of, gone, silent=silent)
    if not silent:
        observed = change_view(observed, "b", stopping=frozenset({gone.id}))
    assert decide(of, observed, Ledger(), NOW).actions == ()


def test_a_host_that_left_is_remembered_until_it_is_seen_to_be_empty() -> None:
    of = commit(WEB)
    record = HostRecord(endpoint="tcp://old:2375", address="old", engine_id="id-old")
    ledger = Ledger(hosts={"old": record})
    full = seen(of, running(WEB, 0, "old"))
    silent = change_view(change_view(full, "old", containers=()), "old", state=HostState.LOST)
    empty = change_view(full, "old", containers=())
    assert decide(of, full, ledger, NOW).ledger.hosts["old"] == record
    assert decide(of, silent, ledger, NOW).ledger.hosts["old"] == record
    assert "old" not in decide(of, empty, ledger, NOW).ledger.hosts


# --- back-off


def outcome(verb: str, result: Result, *, sick: bool = False, message: str = "refused") -> Outcome:
    return Outcome(
        action="x",
        verb=verb,
        host="a",
        workload=WEB.id,
        slot=0,
        spec=WEB.spec_hash,
        result=result,
        cause="commit 1111111",
        message=message,
        sick=sick,
    )


KEY = (WEB.id, "a", WEB.spec_hash)


@pytest.mark.parametrize(
    ("made", "counts"),
    [
        (outcome("start", Result.FAILED), True),
        (outcome("restart", Result.FAILED), True),
        (outcome("image", Result.FAILED), True),
        (outcome("start", Result.UNKNOWN), False),
        (outcome("start", Result.DONE), False),
        (outcome("stop", Result.DONE), False),
        (outcome("stop", Result.FAILED, sick=True), False),
        (outcome("stop", Result.DONE, sick=True), True),
    ],
)
def test_failed_starts_and_sick_instances_back_off(made: Outcome, counts: bool) -> None:
    assert (KEY in fold({}, [made], NOW)) is counts


def test_the_back_off_doubles_up_to_its_limit_within_its_jitter() -> None:
    for count, base in ((1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (50, 60), (5000, 60)):
        assert base * 0.8 <= delay(count, "seed") <= base * 1.2 <= LONGEST_SECONDS * 1.2
    assert delay(3, "one") == delay(3, "one") != delay(3, "another")


def test_failures_in_a_row_wait_longer_and_the_next_pass_comes_when_the_wait_ends() -> None:
    of, ledger = commit(service("web", 1), hosts={"a": HOSTS[0]}), Ledger()
    counts = []
    for _ in range(4):
        failed = replace(seen(of), outcomes=(outcome("start", Result.FAILED),))
        decision = decide(of, failed, ledger, NOW)
        ledger = decision.ledger
        counts.append(ledger.failures[KEY].count)
        assert decision.actions == ()
        assert decision.requeue_after == ledger.failures[KEY].until - NOW.mono
    assert counts == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("of", "ready_since", "age", "forgiven"),
    [
        (commit(WEB), None, 1, False),
        (commit(WEB), NOW.mono - 50, 1, False),  # it was ready before: no proof
        (commit(WEB), NOW.mono + 3, 3.5, False),  # not yet soaked
        (commit(WEB), NOW.mono + 3, 4, True),
        (commit(WEB), None, 1000, True),
        (commit(service("web", 3, image="web:2")), None, 1, True),  # another spec
        (commit(WEB, hosts={"b": HOSTS[1]}), None, 1, True),  # another host
    ],
)
def test_a_record_is_forgiven_by_an_instance_that_soaked_since_or_when_it_is_of_no_use(
    of: Fleet, ready_since: float | None, age: float, forgiven: bool
) -> None:
    ledger = Ledger(failures={KEY: Failure(count=2, until=NOW.mono + 2, message="no")})
    there = running(WEB, 0, "a", ready_since=ready_since, seen_since=NOW.mono + 2)
    decision = decide(of, seen(of, there), ledger, later(age))
    assert (KEY not in decision.ledger.failures) is forgiven


# --- when to come back


def test_the_next_pass_comes_for_the_earliest_soak_deadline_or_back_off() -> None:
    of = commit(WEB)
    there = [
        running(WEB, 0, "a", ready_for=None, seen_since=NOW.mono - 290),
        running(WEB, 1, "b", ready_for=None, seen_since=NOW.mono - 280),
        running(WEB, 2, "c"),
    ]
    assert decide(of, seen(of, *there), Ledger(), NOW).requeue_after == 10.001


def test_the_next_edge_is_that_of_the_windows() -> None:
    day = builders.window("08:00", "20:00", {"web": 3})
    of = commit(WEB, policies=(builders.policy(windows=(day,)),))
    assert decide(of, seen(of), Ledger(), NOW).next_edge == NOW.wall + timedelta(hours=6)


def test_a_container_that_exited_is_not_waited_for() -> None:
    of = commit(service("web", 1))
    exited = running(WEB, 0, "a", ready_for=None, state=ContainerState.EXITED, health=Health.NONE)
    ledger = good_of(of.services[WEB.id])
    assert decide(of, seen(of, exited), ledger, NOW).requeue_after is None


# --- a commit that changes whose fleet it is, a dead host that a commit lets go


def test_a_commit_that_renames_the_fleet_starts_nothing_anew() -> None:
    of = fleet([host("a")], [WEB])
    observed, ledger, now = settle(of)
    for other in (replace(of, uid="u2", revision="2" * 40), replace(of, name="other", revision="2" * 40)):
        decision = decide(other, observed, ledger, now)
        assert decision.held is not None
        assert (decision.held.reason, decision.actions) == ("AnotherFleet", ())
        assert decision.ledger == replace(ledger, held_since=now.mono)


def test_a_silent_host_that_a_commit_removes_is_waited_for_no_more() -> None:
    both = fleet([host("a"), host("b")], [replace(WEB, replicas=2)])
    observed, ledger, now = settle(both)
    silent = change_view(observed, "b", state=HostState.SUSPECT)
    assert decide(both, silent, ledger, now).actions == (), "doubt alone moves nothing"
    one = fleet([host("a")], [replace(WEB, replicas=2)], revision="2" * 40)
    assert [line.rsplit(" ", 1)[0] for line in actions(decide(one, silent, ledger, now))] == [
        f"start web/{next(c.slot for c in silent.containers() if c.host == 'b')} on a"
    ]
