"""What people are told after a pass: one word per workload with its reason, and the conditions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rota.core.decide import decide
from rota.core.ledger import FailedSpec, Failure, HostRecord, Ledger
from rota.core.model import Drain, Fleet, Loss, Override, Service, Singleton
from rota.core.observed import (
    ContainerState,
    Deaths,
    Foreign,
    Health,
    Hold,
    HostState,
    HostView,
    Now,
    ObservedContainer,
    ObservedState,
)
from rota.core.status import FleetStatus, SourceStatus, summarise
from rota.core.survival import Survival
from rota.core.workload_status import MOST_LINES, HealthWord, worst
from tests import builders
from tests.builders import fleet, host, service
from tests.core.scenes import NOW, change_view, good_of, later, lose, running, seen, settle

HOSTS = [host("a"), host("b"), host("c")]
WEB = service("web", 3)
SOURCE = SourceStatus(attempted="1" * 40, applied="1" * 40)


def commit(*services: Service, number: str = "1", **fields: object) -> Fleet:
    return replace(fleet(HOSTS, list(services), revision=number * 40), **fields)  # type: ignore[arg-type]


def status(
    of: Fleet,
    observed: ObservedState,
    ledger: Ledger | None = None,
    now: Now = NOW,
    source: SourceStatus = SOURCE,
) -> FleetStatus:
    decision = decide(of, observed, ledger or Ledger(), now)
    return summarise(of, observed, decision, source, decision.ledger)


def words(of: FleetStatus) -> list[str]:
    """`WORKLOAD READY/DESIRED by RULE: HEALTH REASON`."""
    return [
        f"{one.name} {one.ready}/{one.desired} by {one.rule}: {one.health} {one.reason}".rstrip()
        for one in of.workloads
    ]


def conditions(of: FleetStatus) -> list[str]:
    return [f"{one.type}={one.status} {one.reason}: {one.message}" for one in of.conditions]


def three(**fields: object) -> list:
    return [running(WEB, slot, home, **fields) for slot, home in enumerate("abc")]  # type: ignore[arg-type]


def test_a_fleet_that_is_as_asked_is_healthy_and_ready() -> None:
    of = status(commit(WEB), seen(commit(WEB), *three()))
    assert words(of) == ["web 3/3 by replicas: Healthy"]
    assert conditions(of) == [
        "Ready=True ReconciliationSucceeded: 3 instances of 1 workloads are ready",
    ]
    assert (of.ready, of.health) == (True, HealthWord.HEALTHY)


def test_a_spec_is_not_ready_before_it_is_known_to_be_good() -> None:
    """Who waits for Ready can count on a spec to return to when the next commit fails."""
    of, fresh = commit(WEB), three(ready_for=0.2)
    soak = WEB.update.min_healthy_time
    assert words(status(of, seen(of, *fresh))) == [
        f"web 3/3 by replicas: Progressing its spec is new, and not yet healthy everywhere for {soak:g}s"
    ]
    assert decide(of, seen(of, *fresh), Ledger(), NOW).requeue_after == pytest.approx(soak - 0.2, abs=0.01)
    assert words(status(of, seen(of, *fresh), good_of(WEB))) == ["web 3/3 by replicas: Healthy"]
    none = commit(replace(WEB, replicas=0))
    assert words(status(none, seen(none))) == ["web 0/0 by replicas: Healthy"]


def test_nothing_that_runs_is_missing_and_the_fleet_is_reconciling() -> None:
    of = status(commit(WEB), seen(commit(WEB)))
    assert words(of) == ["web 0/3 by replicas: Missing"]
    assert conditions(of) == [
        "Ready=False Missing: shop/web 0/3",
        "Reconciling=True Progressing: 3 instances to change",
    ]


def test_what_is_on_its_way_is_progressing_with_what_it_waits_for() -> None:
    new = service("web", 3, image="web:2")
    of = status(commit(new, number="2"), seen(commit(new), *three()))
    assert words(of) == ["web 3/3 by replicas: Progressing maxSurge is 25%"]


def test_what_has_no_place_is_degraded_with_every_hosts_answer_the_same_ones_joined() -> None:
    web = service("web", 4, cpu=3000)
    there = [running(web, slot, home) for slot, home in enumerate("abc")]
    of = status(commit(web), seen(commit(web), *there))
    assert words(of) == ["web 3/4 by replicas: Degraded 1 unplaced: a, b, c: cpu short by 2000m"]
    assert conditions(of)[-1].startswith("Degraded=True WorkloadDegraded: shop/web: 1 unplaced")


def test_without_any_host_it_says_so() -> None:
    of = fleet([], [WEB])
    assert words(status(of, seen(of))) == ["web 0/3 by replicas: Missing 3 unplaced: there is no host"]


def test_a_sick_instance_degrades_its_workload() -> None:
    there = three()
    there[0] = running(WEB, 0, "a", ready_for=None, health=Health.UNHEALTHY)
    of = status(commit(WEB), seen(commit(WEB), *there))
    assert words(of) == ["web 2/3 by replicas: Degraded unhealthy: web.0.v1:web:1 on a"]


def test_failed_starts_degrade_while_something_is_missing_and_not_after() -> None:
    failures = {(WEB.id, "a", WEB.spec_hash): Failure(count=1, until=NOW.mono + 5, message="no such image")}
    ledger = Ledger(failures=failures)
    of = commit(WEB)
    assert words(status(of, seen(of, *three()[1:]), ledger)) == [
        "web 2/3 by replicas: Degraded a: no such image"
    ]
    assert words(status(of, seen(of, *three()), ledger)) == ["web 3/3 by replicas: Healthy"]


def test_a_silent_host_makes_its_workloads_unknown_and_the_fleet_degraded() -> None:
    of = status(commit(WEB), seen(commit(WEB), *three(), silent="b"))
    assert words(of) == ["web 3/3 by replicas: Unknown b does not answer; what it ran is presumed to run"]
    assert conditions(of) == [
        "Ready=False Unknown: shop/web 3/3",
        "Degraded=True HostUnreachable: b is suspect: no answer",
    ]


def test_what_the_guard_withholds_is_degraded_with_the_numbers_and_not_reconciling() -> None:
    observed, ledger, now = settle(commit(service("web", 6), service("gone", 6)))
    of = status(commit(service("web", 6), number="2"), observed, ledger, now)
    assert words(of) == ["web 6/6 by replicas: Healthy"]
    assert [line.split(":")[0] for line in conditions(of)] == [
        "Ready=True ReconciliationSucceeded",
        "Degraded=True PruneBlocked",
    ]


def test_orphans_that_are_being_removed_are_reconciling() -> None:
    of = commit(WEB)
    observed = seen(of, *three(), running(service("gone"), 0, "a"))
    assert conditions(status(of, observed))[1] == "Reconciling=True Progressing: 1 instance to change"


@pytest.mark.parametrize("outside", [True, False])
def test_a_hold_is_stalled_with_its_reason(outside: bool) -> None:
    until = NOW.wall + timedelta(hours=1)
    pause = Override(
        namespace="shop",
        name="pause",
        target_kind="Fleet",
        target_name="test",
        until=until,
        start=None,
        reason="maintenance",
        suspend=True,
    )
    of = commit(WEB) if outside else commit(WEB, overrides=(pause,))
    observed = seen(of)
    if outside:
        observed = replace(observed, held=Hold("Paused", "the file PAUSE exists"))
    why = (
        "the file PAUSE exists"
        if outside
        else ("suspended until 2026-06-01T13:00:00+00:00 by override pause: maintenance")
    )
    made = status(of, observed)
    reason = "Paused" if outside else "Suspended"
    assert words(made) == [f"web 0/3 by replicas: Suspended {why}"]
    assert conditions(made) == [f"Ready=False {reason}: {why}", f"Stalled=True {reason}: {why}"]


def test_trouble_with_the_repository_is_stalled_while_the_last_good_commit_holds() -> None:
    trouble = replace(SOURCE, reason="InvalidCommit", message="commit 2 has 1 problem")
    of = status(commit(WEB), seen(commit(WEB), *three()), source=trouble)
    assert words(of) == ["web 3/3 by replicas: Healthy"]
    assert conditions(of) == [
        "Ready=False InvalidCommit: commit 2 has 1 problem",
        "Stalled=True InvalidCommit: commit 2 has 1 problem",
    ]


def test_without_a_valid_revision_it_says_why() -> None:
    source = SourceStatus(attempted="", reason="GitUnreachable", message="no route")
    of = summarise(None, ObservedState(), None, source, Ledger())
    assert conditions(of) == [
        "Ready=Unknown GitUnreachable: no route",
        "Stalled=True GitUnreachable: no route",
    ]
    assert of.health is HealthWord.UNKNOWN


def test_a_foreign_container_in_the_way_is_named() -> None:
    of = commit(WEB)
    observed = change_view(seen(of, *three()), "b", foreign=(Foreign("x", "is not Rota's"),))
    assert conditions(status(of, observed))[-1] == "Degraded=True NameTaken: x on b: is not Rota's"


def test_hosts_tell_what_they_offer_what_is_asked_and_why_nothing_new_comes() -> None:
    of = replace(commit(WEB), hosts={"a": host("a", unschedulable=True), "b": host("b"), "c": host("c")})
    ledger = Ledger(hosts={"old": HostRecord(endpoint="tcp://old:2375", address="old")})
    observed = seen(of, *three())
    old = HostView(name="old", state=HostState.SUSPECT)
    observed = replace(observed, hosts={**observed.hosts, "old": old})
    rows = [
        (one.view.name, one.requested.cpu, one.cordon, one.departing, one.endpoint)
        for one in status(of, observed, ledger).hosts
    ]
    assert rows == [
        ("a", 100, "cordoned by its manifest", False, "tcp://a:2375"),
        ("b", 100, "", False, "tcp://b:2375"),
        ("c", 100, "", False, "tcp://c:2375"),
        ("old", 0, "left the fleet: being drained", True, "tcp://old:2375"),
    ]


def test_the_window_in_force_is_told_with_its_end_in_its_own_zone() -> None:
    day = builders.window("08:00", "20:00", {"web": 3})
    of = commit(WEB, policies=(builders.policy(windows=(day,)),))
    assert status(of, seen(of, *three())).windows == (
        ("shop/day-night", "day", "2026-06-01T20:00:00+02:00", "base"),
    )


def test_stopping_instances_neither_run_nor_serve_any_more() -> None:
    of, leaver = commit(WEB), running(WEB, 3, "a")
    observed = change_view(seen(of, *three(), leaver), "a", stopping=frozenset({leaver.id}))
    (web,) = status(of, observed).workloads
    assert (web.running, web.ready) == (3, 3)


def test_two_containers_of_one_slot_are_one_instance() -> None:
    of = commit(service("web", 1))
    (web,) = status(of, seen(of, running(WEB, 0, "a"), running(WEB, 0, "b"))).workloads
    assert (web.running, web.ready, web.desired) == (1, 1, 1)


def test_the_status_of_an_unchanged_fleet_does_not_change_with_time() -> None:
    of = commit(WEB)
    observed, ledger, now = settle(of)
    assert status(of, observed, ledger, now) == status(of, observed, ledger, later(100_000, now))


def test_the_worst_word_wins() -> None:
    order = ["Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown"]
    assert [str(word) for word in HealthWord] == order
    assert worst([]) is HealthWord.HEALTHY
    assert worst([HealthWord.MISSING, HealthWord.SUSPENDED]) is HealthWord.MISSING


def test_a_paused_container_runs_and_does_not_serve() -> None:
    of = commit(service("web", 1))
    paused = running(WEB, 0, "a", ready_for=None, state=ContainerState.PAUSED, health=Health.NONE)
    (web,) = status(of, seen(of, paused)).workloads
    assert (web.running, web.ready, web.health) == (1, 0, HealthWord.PROGRESSING)


def test_what_would_not_survive_a_loss_is_told_and_is_no_condition() -> None:
    large = service("web", 3, cpu=3000)
    of = replace(commit(large), survive=Loss.HOST)
    there = [running(large, slot, home) for slot, home in enumerate("abc")]
    found = status(of, seen(of, *there))
    assert found.ready
    assert [one.type for one in found.conditions] == ["Ready"]
    assert found.survival is not None
    assert (found.survival.loss, len(found.survival.shortfalls)) == ("hosts", 3)
    assert found.survival.shortfalls[0].startswith("without a, 1 of shop/web: ")


def test_a_loss_that_is_survived_and_one_that_nobody_asked_about() -> None:
    of = replace(commit(WEB), survive=Loss.ZONE)
    assert status(of, seen(of, *three())).survival == Survival(loss="zones", shortfalls=())
    assert status(commit(WEB), seen(commit(WEB), *three())).survival is None


# --- convergence


def failed(**fields: object) -> FailedSpec:
    made = FailedSpec(
        spec="v1:web:2", document="", revision="2" * 40, reason="no progress within 600s", reverts=True
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def after_failure(record: FailedSpec) -> FleetStatus:
    """`web:2` failed, and `web:1` is everywhere."""
    of = commit(service("web", 3, image="web:2"), number="2")
    return status(of, seen(of, *three()), replace(good_of(WEB), failed={WEB.id: record}))


def test_a_workload_that_was_returned_is_a_failure_of_its_commit() -> None:
    of = after_failure(failed())
    why = (
        "RolledBack: commit 2222222 failed: no progress within 600s; "
        "the spec before holds until its document changes"
    )
    assert words(of) == [f"web 3/3 by replicas: Degraded {why}"]
    assert conditions(of) == [
        "Ready=False Degraded: shop/web 3/3",
        f"Degraded=True RolledBack: shop/web: {why}",
    ]
    (web,) = of.workloads
    assert web.rollout is not None
    assert (web.spec, web.revision, web.rollout.phase) == ("v1:web:1", "1" * 40, "ROLLED_BACK")


def test_a_rollout_that_waits_for_people_says_so() -> None:
    of = after_failure(failed(reverts=False))
    (web,) = of.workloads
    assert web.health is HealthWord.DEGRADED
    assert web.reason == "RolloutFailed: commit 2222222 failed: no progress within 600s"
    assert web.rollout is not None
    assert (web.rollout.phase, web.rollout.message) == ("FAILED", "no progress within 600s")
    assert conditions(of)[-1].startswith("Degraded=True WorkloadDegraded: ")


def test_a_lost_host_is_named_and_its_workloads_count_without_it() -> None:
    of = status(commit(WEB), lose(seen(commit(WEB), *three()), "b"))
    (web,) = of.workloads
    assert (web.running, web.ready, web.desired) == (2, 2, 3)
    assert conditions(of)[-1] == "Degraded=True HostLost: b is lost: no answer"


def test_what_was_replaced_is_well_again_although_its_host_is_still_lost() -> None:
    observed, ledger, now = settle(commit(WEB), lose(seen(commit(WEB), *three()), "b"))
    of = status(commit(WEB), observed, ledger, now)
    assert words(of) == ["web 3/3 by replicas: Healthy"]
    assert [line.split(":")[0] for line in conditions(of)] == [
        "Ready=True ReconciliationSucceeded",
        "Degraded=True HostLost",
    ]


def test_a_revision_is_that_of_the_spec_and_not_of_what_was_replaced() -> None:
    there = [*three()[:2], running(WEB, 2, "c", revision="0" * 40)]
    (of,) = status(commit(WEB, number="3"), seen(commit(WEB), *there), good_of(WEB)).workloads
    assert of.revision == "1" * 40


def test_a_strict_singleton_on_a_host_that_was_deleted_says_how_to_end_the_wait() -> None:
    one = replace(WEB, replicas=1, singleton=Singleton.STRICT)
    of = commit(one)
    left = replace(of, hosts={name: host for name, host in of.hosts.items() if name != "c"})
    ledger = Ledger(hosts={"c": HostRecord(endpoint="tcp://c:2375", address="c")})
    for fleet_, word in (
        (of, "an Override with lost: true on the host ends the wait"),
        (left, "commit c again, with an Override that says lost: true, to end the wait"),
    ):
        (told,) = status(fleet_, lose(seen(of, running(one, 0, "c")), "c"), ledger).workloads
        assert told.reason == f"waits for c, which is lost: it must never run twice ({word})"


def test_a_lost_host_that_a_commit_let_go_is_no_trouble_any_more() -> None:
    """A dead machine whose Host was deleted must not leave the fleet Degraded for ever."""
    of = commit(replace(WEB, replicas=2))
    of = replace(of, hosts={name: one for name, one in of.hosts.items() if name != "c"})
    ledger = Ledger(hosts={"c": HostRecord(endpoint="tcp://c:2375", address="c")})
    observed = lose(seen(of, *three()), "c")
    told = status(of, observed, ledger)
    assert conditions(told)[-1] == "Ready=True ReconciliationSucceeded: 2 instances of 1 workloads are ready"
    gone = next(one for one in told.hosts if one.view.name == "c")
    assert gone.cordon == "left the fleet: let go once it answers and is empty"


def test_a_brake_is_told_before_the_hosts_that_it_is_about() -> None:
    of = status(commit(WEB), lose(seen(commit(WEB), *three()), "a b"))
    assert conditions(of)[-1].startswith(
        "Degraded=True Brake: 2 of 3 hosts went silent at about one time (a, b)"
    )
    assert "Override with lost: true" in conditions(of)[-1]


def draining(drain: Drain) -> Fleet:
    return replace(commit(WEB), hosts={"a": host("a", drain=drain), "b": host("b"), "c": host("c")})


@pytest.mark.parametrize(
    ("there", "text"),
    [
        (three(), "1 instance left"),
        (three()[1:], "empty"),
        ([*three(), running(WEB, 3, "a")], "2 instances left"),
    ],
)
def test_a_drain_tells_how_many_are_left(there: list[ObservedContainer], text: str) -> None:
    of = draining(Drain())
    of = replace(of, services={WEB.id: replace(WEB, replicas=len(there))})
    hosts = status(of, seen(of, *there)).hosts
    assert [one.drain for one in hosts] == [text, "", ""]


@pytest.mark.parametrize(
    ("deadline", "text"),
    [
        (None, "1 instance left; these have nowhere to go, and there is no deadline: "),
        (3600.0, "1 instance left; stopped by force at 2026-06-01T13:00:00+00:00: "),
    ],
)
def test_what_a_drain_would_stop_by_force_is_said_before(deadline: float | None, text: str) -> None:
    db = service("db", 1, container=builders.pinned(), spec_hash="v1:db")
    of = replace(draining(Drain(deadline=deadline)), services={db.id: db})
    ledger = Ledger(pins={(db.id, 0): "a"})
    (first, *_) = status(of, seen(of, running(db, 0, "a")), ledger).hosts
    assert first.drain == f"{text}shop/db/0 (its volumes are on a)"


def test_what_dies_again_and_again_is_degraded_with_its_last_words_and_no_secret() -> None:
    secret = replace(WEB.container, environment={"DB_PASSWORD": "hunter2"})
    web = replace(WEB, container=secret)
    of = commit(web)
    said = ("cannot log in as app:hunter2", "token=abc", "exit")
    observed = change_view(
        seen(of, *three()),
        "b",
        deaths={(WEB.id, 1, WEB.spec_hash): Deaths(tuple(NOW.mono - at for at in (9, 8, 7, 6, 5)), "exit 1")},
        last_words={(WEB.id, 1): said},
    )
    (told,) = status(of, observed).workloads
    assert (told.health, told.reason) == (
        HealthWord.DEGRADED,
        "shop/web/1 died 5 times or more within 5 minutes on b: exit 1",
    )
    assert told.last_words == (
        "web/1 on b | cannot log in as app:***",
        "web/1 on b | token=***",
        "web/1 on b | exit",
    )


def test_last_words_tell_no_secret_of_another_spec_either() -> None:
    """What speaks was started with the one before, or with the one that failed and was returned from."""
    before = replace(WEB, container=replace(WEB.container, environment={"DB_PASSWORD": "hunter2"}))
    web = service("web", 3, image="web:2")
    web = replace(web, container=replace(web.container, environment={"DB_PASSWORD": "swordfish"}))
    there = three()
    there[1] = running(before, 1, "b", ready_for=None, health=Health.UNHEALTHY)
    said = {(WEB.id, 1): ("app:hunter2 refused", "app:swordfish refused")}
    of = commit(web)
    observed = change_view(seen(of, *there), "b", last_words=said)
    for ledger in (good_of(before), replace(good_of(before), failed={WEB.id: failed(spec=web.spec_hash)})):
        (told,) = status(of, observed, ledger).workloads
        assert told.last_words == ("web/1 on b | app:*** refused",) * 2


def test_last_words_are_told_while_it_is_degraded_and_are_bounded() -> None:
    of = commit(WEB)
    lines = tuple(f"line {number}" for number in range(99))
    observed = change_view(seen(of, *three()), "b", last_words={(WEB.id, 1): lines})
    (well,) = status(of, observed).workloads
    assert well.last_words == ()
    there = three()
    there[1] = running(WEB, 1, "b", ready_for=None, health=Health.UNHEALTHY)
    (sick,) = status(of, change_view(seen(of, *there), "b", last_words={(WEB.id, 1): lines})).workloads
    assert len(sick.last_words) == MOST_LINES
