"""What an image is beyond its name: found out once, brought everywhere, and only then anything is stopped."""

from __future__ import annotations

from dataclasses import replace

from rota.core.decide import Decision, decide
from rota.core.ledger import Failure, Ledger, Rollout
from rota.core.model import Amount, Drain, Fleet, Order, Service, UpdateRules
from rota.core.observed import ObservedContainer, ObservedState, Outcome, Result
from rota.core.planning.actions import PrepareImage, ResolveImage, StartInstance
from tests.builders import fleet, host, pinned, service
from tests.core.scenes import (
    NOW,
    Course,
    actions,
    change_view,
    good_of,
    later,
    lose,
    running,
    seen,
)

HOSTS = [host(name) for name in "abc"]
WEB = service("web", 3, image="web:latest")
NEW = service("web", 3, image="web:2")
DIGEST = "web:latest@sha256:1"
STOP_FIRST = UpdateRules(order=Order.STOP_FIRST, min_healthy_time=1.0)
ONE = Amount(value=1)


def commit(*services: Service, number: str = "1") -> Fleet:
    return fleet(HOSTS, list(services), revision=number * 40)


def daemon(of: Fleet, *containers: ObservedContainer, images: str = "") -> ObservedState:
    """As a daemon sees it; `images` are on every host."""
    observed = seen(of, *containers, resolves=True)
    for name in of.hosts:
        observed = change_view(observed, name, images=frozenset(images.split()))
    return observed


def three(of: Service = WEB) -> list[ObservedContainer]:
    return [running(of, slot, home) for slot, home in enumerate("abc")]


def plan(of: Fleet, observed: ObservedState, ledger: Ledger | None = None) -> Decision:
    return decide(of, observed, ledger or Ledger(), NOW)


def answer(image: str, of: Service = WEB, host_name: str = "a", **fields: object) -> Outcome:
    made = Outcome(
        action="resolve",
        verb="resolve",
        host=host_name,
        workload=of.id,
        slot=0,
        spec=of.spec_hash,
        result=Result.DONE,
        cause="",
        image=image,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


KNOWN = Ledger(images={(WEB.id, WEB.spec_hash): DIGEST})


# --- found out once


def test_a_plan_goes_by_names() -> None:
    decision = plan(commit(WEB), seen(commit(WEB)))
    assert {type(one) for one in decision.actions} == {StartInstance}


def test_one_host_is_asked_what_an_image_is_and_all_starts_wait() -> None:
    decision = plan(commit(WEB), daemon(commit(WEB)))
    (asked,) = decision.actions
    assert isinstance(asked, ResolveImage)
    assert (asked.image, asked.spec) == ("web:latest", WEB.spec_hash)
    assert {one.waits for one in decision.changes} == {"image web:latest is being resolved"}


def test_the_answer_is_kept_and_brought_to_every_host_that_needs_it() -> None:
    observed = replace(daemon(commit(WEB)), outcomes=(answer(DIGEST),))
    decision = plan(commit(WEB), observed)
    assert decision.ledger.images == KNOWN.images
    prepared = [one for one in decision.actions if isinstance(one, PrepareImage)]
    assert [(one.host, one.image, one.stated) for one in prepared] == [
        (name, DIGEST, "web:latest") for name in "abc"
    ]
    assert {one.waits for one in decision.changes} == {"image web:latest is being prepared"}


def test_starts_are_made_from_what_was_found_out() -> None:
    decision = plan(commit(WEB), daemon(commit(WEB), images=DIGEST), KNOWN)
    starts = [one for one in decision.actions if isinstance(one, StartInstance)]
    assert {one.image for one in starts} == {DIGEST}
    assert len(starts) == 3


def test_a_host_that_has_only_the_name_has_not_the_image() -> None:
    """`:latest` of last week is there; what was found out is another one."""
    decision = plan(commit(WEB), daemon(commit(WEB), images="web:latest"), KNOWN)
    assert {type(one) for one in decision.actions} == {PrepareImage}


def test_the_first_answer_holds() -> None:
    observed = replace(daemon(commit(WEB)), outcomes=(answer("web:latest@sha256:2"),))
    assert plan(commit(WEB), observed, KNOWN).ledger.images == KNOWN.images


def test_an_answer_that_failed_is_none() -> None:
    failed = answer("", result=Result.FAILED, message="no such image")
    observed = replace(daemon(commit(WEB)), outcomes=(failed,))
    decision = plan(commit(WEB), observed)
    assert decision.ledger.images == {}
    assert list(decision.ledger.failures) == [(WEB.id, "a", WEB.spec_hash)]


def test_an_unrelated_commit_changes_no_image() -> None:
    of = commit(WEB, service("api", 1), number="2")
    decision = plan(of, daemon(of, *three(), images=DIGEST), KNOWN)
    assert not any(" web/" in line for line in actions(decision))
    assert decision.ledger.images == KNOWN.images


def test_an_image_of_a_spec_that_is_wanted_no_more_is_forgotten_but_for_the_good_one() -> None:
    of = commit(NEW, number="2")
    assert plan(of, daemon(of), KNOWN).ledger.images == {}
    assert plan(of, daemon(of), good_of(WEB, ledger=KNOWN)).ledger.images == KNOWN.images


# --- brought before anything is stopped


def test_an_image_is_asked_for_on_all_hosts_before_any_predecessor_is_stopped() -> None:
    ledger = replace(KNOWN, images={(NEW.id, NEW.spec_hash): "web:2@sha256:1"})
    of = commit(NEW, number="2")
    observed = daemon(of, *three(), running(NEW, 0, "a"))
    observed = change_view(observed, "a", images=frozenset({"web:2@sha256:1"}))
    decision = plan(of, observed, ledger)
    assert sorted({line.split()[3] for line in actions(decision) if line.startswith("image")}) == ["b", "c"]
    assert not any(line.startswith("stop") for line in actions(decision))
    assert decision.changes[0].waits == "its image is not on b, c yet"
    ready = daemon(of, *three(), running(NEW, 0, "a"), images="web:2@sha256:1")
    assert "stop web/0 on a v1:web:latest" in actions(plan(of, ready, ledger))


def test_what_stops_first_has_it_everywhere_before() -> None:
    old = replace(WEB, update=STOP_FIRST, max_unavailable=Amount(value=1))
    new = replace(NEW, update=STOP_FIRST, max_unavailable=Amount(value=1))
    ledger = Ledger(images={(new.id, new.spec_hash): "web:2"})
    of = commit(new, number="2")
    observed = change_view(daemon(of, *three(old)), "a", images=frozenset({"web:2"}))
    assert not any(line.startswith("stop") for line in actions(plan(of, observed, ledger)))
    everywhere = daemon(of, *three(old), images="web:2")
    assert actions(plan(of, everywhere, ledger)) == ["stop web/0 on a v1:web:latest"]


def test_a_predecessor_goes_for_a_surge_without_room_only_once_its_host_has_the_image() -> None:
    web = service("web", 3, cpu=1000, image="web:2", max_unavailable=ONE)
    of = fleet([host("a", cpu=3000)], [web], revision="2" * 40)
    ledger = Ledger(images={(web.id, web.spec_hash): "web:2"})
    there = [running(service("web", 3, cpu=1000, image="web:latest"), slot, "a") for slot in range(3)]
    for known in (Ledger(), ledger):
        decision = plan(of, daemon(of, *there), known)
        assert {line.split()[0] for line in actions(decision)} <= {"resolve", "image"}
        assert decision.actions != ()
    ready = plan(of, daemon(of, *there, images="web:2"), ledger)
    assert actions(ready) == ["stop web/0 on a v1:web:latest"]


def test_nobody_makes_room_for_what_may_not_exist() -> None:
    low = service("low", 4, cpu=1000, image="low:1", max_unavailable=Amount(value=2))
    high = service("high", 1, cpu=1000, image="high:1", priority=1000)
    of = fleet([host("a", cpu=4000)], [low, high])
    there = [running(low, slot, "a") for slot in range(4)]
    known = {(low.id, low.spec_hash): "low:1"}
    unknown = plan(of, daemon(of, *there, images="low:1"), Ledger(images=known))
    assert actions(unknown) == ["resolve high/0 on a v1:high:1"]
    ledger = Ledger(images={**known, (high.id, high.spec_hash): "high:1@sha256:1"})
    asked = plan(of, daemon(of, *there, images="low:1"), ledger)
    assert actions(asked) == ["image high/0 on a v1:high:1"]
    ready = plan(of, daemon(of, *there, images="low:1 high:1@sha256:1"), ledger)
    assert [line.split()[0] for line in actions(ready)] == ["stop"]


def test_data_begins_on_a_host_only_once_its_image_is_there() -> None:
    """Else it would belong to a host that can never start it."""
    db = service("db", 1, container=pinned(), image="db:1", update=STOP_FIRST, max_unavailable=ONE)
    of = commit(db)
    ledger = Ledger(images={(db.id, db.spec_hash): "db:1"})
    asked = plan(of, daemon(of), ledger)
    assert [line.split()[0] for line in actions(asked)] == ["image"]
    assert asked.ledger.pins == {}
    home = asked.actions[0].host
    ready = plan(of, change_view(daemon(of), home, images=frozenset({"db:1"})), ledger)
    assert ready.ledger.pins == {(db.id, 0): home}
    full = Failure(count=1, until=NOW.mono + 5, message="no space left on device")
    elsewhere = plan(of, daemon(of), replace(ledger, failures={(db.id, home, db.spec_hash): full}))
    assert elsewhere.actions[0].host != home


def test_a_host_that_does_not_answer_is_not_waited_for() -> None:
    ledger = Ledger(images={(NEW.id, NEW.spec_hash): "web:2"})
    of = commit(NEW, number="2")
    observed = daemon(of, *three(), running(NEW, 0, "a"), images="web:2")
    observed = lose(change_view(observed, "c", images=frozenset()), "c")
    assert "stop web/0 on a v1:web:latest" in actions(plan(of, observed, ledger))


def test_a_host_where_the_image_cannot_be_had_is_left_out_for_a_while() -> None:
    failure = Failure(count=1, until=NOW.mono + 5, message="no space left on device")
    ledger = replace(KNOWN, failures={(WEB.id, "a", WEB.spec_hash): failure})
    decision = plan(commit(WEB), daemon(commit(WEB)), ledger)
    assert {line.split()[3] for line in actions(decision)} == {"b", "c"}
    again = decide(commit(WEB), daemon(commit(WEB)), ledger, later(6))
    assert {line.split()[3] for line in actions(again)} == {"a", "b", "c"}


def test_an_image_that_cannot_be_found_out_on_one_host_is_asked_of_another() -> None:
    failure = Failure(count=1, until=NOW.mono + 5, message="registry is down")
    ledger = Ledger(failures={(WEB.id, "a", WEB.spec_hash): failure})
    (asked,) = plan(commit(WEB), daemon(commit(WEB)), ledger).actions
    assert asked.host != "a"


def test_a_whole_rollout_with_images_ends_and_asks_once() -> None:
    course = Course(commit(WEB), daemon(commit(WEB)))
    course.settle()
    course.fleet = commit(NEW, number="2")
    course.settle()
    done = [line for lines in course.log for line in lines]
    assert sum(line.startswith("resolve") for line in done) == 2
    assert sum(line.startswith("image") for line in done) == 6
    assert {one.spec for one in course.observed.containers()} == {NEW.spec_hash}
    first = min(at for at, line in enumerate(done) if line.startswith("stop"))
    assert max(at for at, line in enumerate(done) if line.startswith("image")) < first


# --- an image that cannot be had


NOT_FOUND = "no such image: web:2"
KNOWN_BEFORE = good_of(WEB, ledger=KNOWN)


def without_new(host_names: str, until: float = NOW.mono + 9.0) -> Ledger:
    """`WEB` is good, and the image of `NEW` was looked for in vain on the hosts named."""
    failures = {
        (NEW.id, name, NEW.spec_hash): Failure(count=1, until=until, message=NOT_FOUND)
        for name in host_names.split()
    }
    return replace(KNOWN_BEFORE, failures=failures)


def test_what_goes_missing_meanwhile_gets_the_spec_before() -> None:
    of, there = commit(NEW, number="2"), three()[:2]
    decision = plan(of, daemon(of, *there, images=DIGEST), without_new("a b c"))
    assert actions(decision) == [f"start web/2 on c {WEB.spec_hash}"]
    assert {one.waits for one in decision.changes if one.waits} == {
        f"its image cannot be had: a: {NOT_FOUND}"
    }


def test_while_nothing_speaks_against_the_image_what_is_missing_waits_for_it() -> None:
    of = commit(NEW, number="2")
    decision = plan(of, daemon(of, *three()[:2], images=DIGEST), KNOWN_BEFORE)
    assert [type(one) for one in decision.actions] == [ResolveImage]


def test_a_registry_that_hangs_is_not_waited_for_by_what_is_lost() -> None:
    of, there = commit(NEW, number="2"), three()[:2]
    for seconds, starts in ((59.0, []), (60.0, [f"start web/2 on c {WEB.spec_hash}"])):
        rollout = Rollout(spec=NEW.spec_hash, best=0, since=NOW.mono - seconds)
        ledger = replace(KNOWN_BEFORE, rollouts={NEW.id: rollout})
        decision = plan(of, daemon(of, *there, images=DIGEST), ledger)
        assert [line for line in actions(decision) if line.startswith("start")] == starts
        assert any(isinstance(one, ResolveImage) for one in decision.actions)


def test_once_one_host_has_the_image_the_others_get_it_from_there() -> None:
    of, found = commit(NEW, number="2"), "web:2@sha256:1"
    ledger = without_new("b")
    ledger = replace(ledger, images={**ledger.images, (NEW.id, NEW.spec_hash): found})
    observed = change_view(daemon(of, *three()[:2], images=DIGEST), "c", images=frozenset({DIGEST, found}))
    assert f"start web/2 on c {NEW.spec_hash}" in actions(plan(of, observed, ledger))


def test_what_has_to_leave_or_is_sick_meanwhile_is_replaced_by_the_spec_before() -> None:
    of = fleet([HOSTS[0], HOSTS[1], host("c", drain=Drain()), host("d")], [NEW], revision="2" * 40)
    sick = running(WEB, 0, "a", ready_for=None, seen_since=NOW.mono - 9999)
    decision = plan(of, daemon(of, sick, *three()[1:], images=DIGEST), without_new("a b c d"))
    assert sorted(actions(decision)) == [
        f"start web/2 on d {WEB.spec_hash}",
        f"stop web/0 on a {WEB.spec_hash}",
    ]


def test_the_image_is_tried_again_all_the_while() -> None:
    of = commit(NEW, number="2")
    decision = plan(of, daemon(of, *three(), images=DIGEST), without_new("a b c", until=NOW.mono - 1.0))
    assert [type(one) for one in decision.actions] == [ResolveImage]
    assert decision.ledger.rollouts[NEW.id].idle is False


def test_a_first_deployment_waits_for_its_image() -> None:
    of = commit(NEW, number="2")
    decision = plan(of, daemon(of), replace(without_new("a b c"), good={}))
    assert decision.actions == ()


def test_a_start_of_the_spec_before_that_fails_is_backed_off() -> None:
    of = commit(NEW, number="2")
    observed = daemon(of, *three()[:2], images=DIGEST)
    failed = answer("", host_name="c", verb="start", result=Result.FAILED, message="no space left")
    decision = plan(of, replace(observed, outcomes=(failed,)), without_new("a b c"))
    assert decision.ledger.failures[WEB.id, "c", WEB.spec_hash].count == 1
    assert [(one.host, one.spec) for one in decision.actions] == [("a", WEB.spec_hash)]
