"""What one commit may remove at once: the limit, the consent, and what never counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rota.core.decide import Decision, decide
from rota.core.ledger import Ledger
from rota.core.model import Amount, CapacityPolicy, Fleet, Override, Service
from rota.core.observed import HostState, Now, ObservedState
from tests import builders
from tests.builders import fleet, host, service
from tests.core.scenes import NOW, actions, change_view, changes, later, running, seen, settle

HOSTS = [host(name, cpu=16000, memory=16384) for name in "abc"]
EVENING = Now(wall=NOW.wall + timedelta(hours=9), mono=NOW.mono + 9 * 3600)
"""23:00 in Berlin."""


def commit(*services: Service, number: str = "2", **fields: object) -> Fleet:
    return replace(fleet(HOSTS, list(services), revision=number * 40), **fields)  # type: ignore[arg-type]


def consent(count: int) -> Override:
    return Override(
        namespace="shop",
        name="yes",
        target_kind="Fleet",
        target_name="test",
        until=NOW.wall + timedelta(hours=1),
        start=None,
        reason="it is meant",
        allow_removals=count,
    )


def after(first: Fleet, then: Fleet, at: Now | None = None) -> Decision:
    """What follows from `then` when `first` is applied and settled."""
    observed, ledger, now = settle(first)
    return decide(then, observed, ledger, at or now)


TEN = [service("web", 6), service("api", 4)]


@pytest.mark.parametrize(
    ("web", "api", "limit", "stopped"),
    [
        (4, 3, "30%", 3),  # 3 of 10: at the limit
        (3, 3, "30%", 0),  # 4 of 10: over it
        (2, 4, "30%", 0),
        (2, 4, "40%", 4),
        (3, 4, "0%", 3),  # so few need no consent
        (2, 4, "4", 4),
        (6, 0, "30%", 0),
    ],
)
def test_counts_that_a_commit_lowers_are_withheld_over_the_limit(
    web: int, api: int, limit: str, stopped: int
) -> None:
    most = Amount(value=int(limit.rstrip("%")), percent=limit.endswith("%"))
    decision = after(
        commit(*TEN, number="1"), commit(service("web", web), service("api", api), max_removals=most)
    )
    assert len(actions(decision)) == stopped
    assert bool(decision.guard.blocked) is (stopped == 0)


def test_a_workload_that_is_absent_is_withheld_and_the_numbers_are_said() -> None:
    decision = after(commit(*TEN, number="1"), commit(service("web", 6)))
    assert decision.actions == ()
    assert changes(decision)[0].endswith("commit 2222222 does not have shop/api [PruneBlocked]")
    assert decision.guard.message == (
        "the commit removes 4 of 10 instances (shop/api 4); the limit is 3. Nothing of this is removed. "
        "If it is meant, commit an Override on the Fleet with allowRemovals: 4."
    )


def test_only_the_removals_are_withheld_everything_else_goes_on() -> None:
    changed = [service("web", 6, image="web:2"), service("new", 1)]
    decision = after(commit(*TEN, number="1"), commit(*changed))
    assert {line.split()[0] for line in actions(decision)} == {"start"}
    assert {line.split("/")[0] for line in actions(decision)} == {"start web", "start new"}


@pytest.mark.parametrize(("count", "blocked"), [(3, True), (4, False), (100, False)])
def test_an_override_consents_to_so_many(count: int, blocked: bool) -> None:
    decision = after(commit(*TEN, number="1"), commit(service("web", 6), overrides=(consent(count),)))
    assert bool(decision.guard.blocked) is blocked


def test_what_is_withheld_is_still_withheld_by_the_next_pass_and_the_next_commit() -> None:
    observed, ledger, now = settle(commit(*TEN, number="1"))
    for number in "2345":
        decision = decide(commit(service("web", 6), number=number), observed, ledger, now)
        assert decision.guard.blocked
        ledger, now = decision.ledger, later(5, now)
    assert ledger.applied is not None
    assert ledger.applied.revision == "1" * 40


def test_removals_within_the_limit_do_not_add_up_with_the_next_commit() -> None:
    observed, ledger, now = settle(commit(*TEN, number="1"))
    for number, left in (("2", 5), ("3", 4), ("4", 3)):
        of = commit(service("web", left), service("api", 4), number=number)
        assert not decide(of, observed, ledger, now).guard.blocked
        observed, ledger, now = settle(of, observed, ledger, now)


def test_putting_it_back_settles_what_was_withheld() -> None:
    observed, ledger, now = settle(commit(*TEN, number="1"))
    blocked = decide(commit(service("web", 6), number="2"), observed, ledger, now)
    decision = decide(commit(*TEN, number="3"), observed, blocked.ledger, now)
    assert (decision.guard.blocked, decision.changes) == ({}, ())


# --- what never counts


def day_policy(**fields: object) -> CapacityPolicy:
    day = builders.window("08:00", "20:00", {"web": 10})
    return builders.policy(windows=(day,), base=builders.amounts({"web": 1}), **fields)


def test_an_edge_never_counts() -> None:
    of = commit(service("web", 10), policies=(day_policy(),))
    decision = after(of, of, EVENING)
    assert not decision.guard.blocked
    assert len(actions(decision)) == 9


def test_an_edge_between_two_revisions_never_counts() -> None:
    """The daemon was away over the evening, and meanwhile a commit changed something else."""
    first = commit(service("web", 10), policies=(day_policy(),), number="1")
    then = commit(service("web", 10), service("api", 1), policies=(day_policy(),))
    decision = after(first, then, EVENING)
    assert not decision.guard.blocked
    assert [line.split()[0] for line in actions(decision)].count("stop") == 9


def test_what_a_commit_removes_counts_also_after_an_edge() -> None:
    first = commit(service("web", 10), service("api", 9), policies=(day_policy(),), number="1")
    then = commit(service("web", 10), policies=(day_policy(),))
    decision = after(first, then, EVENING)
    assert [str(workload) for workload in decision.guard.blocked] == ["shop/api"]
    assert {line.split("/")[0] for line in actions(decision)} == {"stop web"}


def test_an_override_that_begins_or_ends_never_counts() -> None:
    few = Override(
        namespace="shop",
        name="few",
        target_kind="Service",
        target_name="web",
        until=EVENING.wall,
        start=None,
        reason="quiet",
        replicas=Amount(value=0),
    )
    ten = service("web", 10)
    begins = after(commit(ten, number="1"), commit(ten, overrides=(few,)))
    assert len(actions(begins)) == 10
    many = replace(few, replicas=Amount(value=20))
    ends = after(commit(ten, overrides=(many,), number="1"), commit(ten))
    assert len(actions(ends)) == 10


def test_hosts_that_leave_git_never_count() -> None:
    observed, ledger, now = settle(commit(*TEN, number="1"))
    smaller = replace(commit(*TEN), hosts={"a": HOSTS[0]})
    assert not decide(smaller, observed, ledger, now).guard.blocked


def test_instances_that_are_not_there_cannot_be_removed() -> None:
    _, ledger, now = settle(commit(*TEN, number="1"))
    of = commit(service("web", 6))
    assert not decide(of, seen(of), ledger, now).guard.blocked


# --- a lost ledger


def orphans(count: int) -> tuple[Fleet, ObservedState]:
    gone, web = service("gone", count), service("web", 4)
    there = [running(gone, slot, "a") for slot in range(count)]
    there += [running(web, slot, "abc"[slot % 3]) for slot in range(4)]
    of = commit(web)
    return of, seen(of, *there)


@pytest.mark.parametrize(("count", "blocked"), [(3, False), (4, True), (9, True)])
def test_without_a_ledger_what_runs_stands_for_what_was_applied(count: int, blocked: bool) -> None:
    of, observed = orphans(count)
    decision = decide(of, observed, Ledger(), NOW)
    assert bool(decision.guard.blocked) is blocked
    assert [line.split()[0] for line in actions(decision)] == ([] if blocked else ["stop"] * count)


def test_removals_that_have_begun_are_not_blocked_half_way() -> None:
    first = [service("gone", 6), service("web", 14)]
    observed, ledger, now = settle(commit(*first, number="1"))
    of = commit(first[1])
    settled, _, _ = settle(of, observed, ledger, now)
    assert sum(1 for _ in settled.containers()) == 14


def test_what_was_accepted_and_still_runs_on_a_silent_host_counts_no_more() -> None:
    observed, ledger, now = settle(commit(*TEN, number="1"))
    of = commit(service("web", 6), number="2", max_removals=Amount(value=50, percent=True))
    ledger = decide(of, observed, ledger, now).ledger
    silent = change_view(observed, "a", state=HostState.LOST)
    decision = decide(commit(service("web", 4), number="3"), silent, ledger, later(60, now))
    assert not decision.guard.blocked


def test_a_lost_instance_of_a_workload_that_is_withheld_comes_back() -> None:
    observed, ledger, now = settle(commit(*TEN, number="1"))
    view = next(view for view in observed.hosts.values() if view.containers)
    lost = next(one for one in view.containers if one.workload.name == "web")
    left = tuple(one for one in view.containers if one is not lost)
    observed = change_view(observed, view.name, containers=left)
    decision = decide(commit(service("web", 1), service("api", 4), number="2"), observed, ledger, now)
    assert [line.split()[:2] for line in actions(decision)] == [["start", f"web/{lost.slot}"]]
