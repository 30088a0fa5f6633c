"""The state machine of one host, stepped by hand: no threads, no clock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rota.core.ids import WorkloadId
from rota.core.observed import ContainerState, HostState, Result
from rota.core.planning.actions import VolumeMount
from rota.engine.calls import (
    AskFacts,
    Create,
    CreateVolume,
    FindContainer,
    ListContainers,
    LookForImage,
    Ping,
    Pull,
    Remove,
    SetRestarts,
    Signal,
    Start,
)
from rota.engine.list_times import SETTLE_SECONDS
from rota.engine.port import EngineError, ListedContainer, Trouble
from rota.engine.worker import NAME_IS_TAKEN
from rota.engine.worker_events import (
    Answered,
    Failed,
    Lane,
    StreamBroke,
    StreamOpened,
    Submitted,
    Woke,
)
from tests.engine.desk import FACTS, Desk, listed, prepare, restart, start, stop


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def ready() -> Desk:
    """A host that was looked at and is empty."""
    made = Desk()
    made.be_reachable()
    return made


def states(desk: Desk) -> list[str]:
    return [str(one.state) for one in desk.worker.view.containers]


# --- looking


def test_the_first_look_is_facts_then_a_list(desk: Desk) -> None:
    desk.feed(Woke())
    assert desk.calls() == [AskFacts()]
    assert desk.worker.view.state is HostState.UNKNOWN
    step = desk.answer(AskFacts, FACTS)
    assert desk.calls() == [ListContainers("shop")]
    assert step.listen
    assert desk.worker.view.state is HostState.UNKNOWN, "without a list nothing is known"
    desk.answer(ListContainers, (listed(start()),))
    view = desk.worker.view
    assert (view.state, view.detail, view.listed, view.engine) == (HostState.REACHABLE, "", True, FACTS)
    assert states(desk) == ["running"]


def test_an_idle_host_is_listed_every_half_minute(ready: Desk) -> None:
    lists = []

    def listing() -> tuple[ListedContainer, ...]:
        lists.append(ready.now)
        return ()

    ready.live(120, listing)
    assert 3 <= len(lists) <= 5
    assert ready.steps < 300, "an idle host costs a ping a second"


def test_events_within_fifty_milliseconds_share_a_list(ready: Desk) -> None:
    for _ in range(1000):
        ready.stir()
        ready.now += 0.00004
    assert ready.calls(ListContainers) == []
    ready.pass_time(0.06)
    assert ready.calls(ListContainers) == [ListContainers("shop")]
    ready.answer(ListContainers, ())
    ready.pass_time(0.3)
    assert ready.calls(ListContainers) == []


def test_after_the_last_event_two_more_lists_look_for_what_the_engine_shows_late(ready: Desk) -> None:
    ready.stir()
    ready.pass_time(0.06)
    ready.answer(ListContainers, ())
    for seconds in SETTLE_SECONDS:
        ready.pass_time(seconds)
        ready.answer(ListContainers, ())
    ready.pass_time(10.0)
    assert ready.calls(ListContainers) == []


def test_an_event_during_a_list_is_not_lost(ready: Desk) -> None:
    ready.stir()
    ready.pass_time(0.06)
    ready.stir()
    ready.pass_time(0.2)
    assert len(ready.calls(ListContainers)) == 1, "one list at a time"
    ready.answer(ListContainers, ())
    assert ready.calls(ListContainers) == [ListContainers("shop")]


def test_a_stream_is_opened_again_and_followed_by_a_list(ready: Desk) -> None:
    assert ready.listens == 1
    ready.feed(StreamBroke(EngineError(Trouble.SILENT, "the event stream ended")))
    ready.answer(AskFacts, FACTS)
    assert ready.calls(ListContainers) == [ListContainers("shop")]
    ready.answer(ListContainers, ())
    assert ready.listens == 1
    ready.pass_time(1)
    assert ready.listens == 2
    ready.pass_time(0.5)
    ready.heartbeats()
    ready.feed(StreamOpened())
    assert ready.calls(ListContainers) == [ListContainers("shop")]


def test_after_a_stream_that_ended_it_may_be_another_engine_and_nothing_is_begun_before_that_is_known(
    ready: Desk,
) -> None:
    """A machine that was replaced between two probes."""
    ready.feed(StreamBroke(EngineError(Trouble.SILENT, "the event stream ended")))
    ready.submit(start())
    assert ready.calls(AskFacts) == [AskFacts()]
    assert not ready.calls(ListContainers)
    ready.answer(AskFacts, replace(FACTS, id="e2"))
    assert ready.worker.view.engine == replace(FACTS, id="e2")


def test_an_unchanged_list_keeps_the_view(desk: Desk) -> None:
    one = listed(start())
    desk.be_reachable(one)
    before = desk.worker.view
    desk.live(100, lambda: (one,))
    assert desk.worker.view is before


def test_a_listed_container_that_is_not_ours_is_foreign(ready: Desk) -> None:
    other = listed(start(fleet_uid="u2"))
    broken = replace(listed(start(1)), labels={**listed(start(1)).labels, "rota.requests": "much"})
    ready.stir()
    ready.show(other, broken)
    assert ready.worker.view.containers == ()
    assert [one.name for one in ready.worker.view.foreign] == [other.name, broken.name]


# --- working


def test_a_start_creates_and_starts(ready: Desk) -> None:
    volume = VolumeMount(name="data", target="/data", read_only=False)
    action = start(volumes=(volume,))
    ready.submit(action)
    assert isinstance(ready.take(CreateVolume).call, CreateVolume)
    ready.feed(Answered(ready.worker._number, None))
    assert ready.calls() == [Create(action)]
    assert [one.name for one in ready.worker.view.pending] == [action.name]
    ready.answer(Create, "id-1")
    assert ready.calls() == [Start("id-1")]
    ready.answer(Start)
    assert [(one.verb, one.result) for one in ready.outcomes] == [("start", Result.DONE)]
    assert [one.name for one in ready.worker.view.pending] == [action.name], "until a list shows it"
    ready.show(listed(action))
    assert ready.worker.view.pending == ()
    assert states(ready) == ["running"]
    assert "web:1" in ready.worker.view.images


def test_created_is_pending_while_its_start_is_under_way(ready: Desk) -> None:
    action = start()
    ready.submit(action)
    ready.answer(Create, f"id-{action.name}")
    ready.stir()
    ready.pass_time(0.06)
    ready.answer(ListContainers, (listed(action, "created"),))
    assert states(ready) == ["pending"]
    ready.answer(Start)
    ready.show(listed(action))
    assert states(ready) == ["running"]


def test_what_is_under_way_or_done_is_not_done_twice(ready: Desk) -> None:
    action = start()
    for _ in range(3):
        ready.submit(action)
    assert ready.calls() == [Create(action)]
    ready.answer(Create, "id-1")
    ready.submit(action)
    ready.answer(Start)
    ready.submit(action)
    assert ready.calls(Create) == []


def test_a_list_asked_for_before_the_end_does_not_end_an_action(ready: Desk) -> None:
    action = start()
    ready.stir()
    ready.submit(action)
    ready.pass_time(0.06)
    ready.answer(Create, "id-1")
    ready.answer(Start)
    ready.answer(ListContainers, ())
    assert [one.name for one in ready.worker.view.pending] == [action.name]
    ready.submit(action)
    assert ready.calls(Create) == []
    ready.show(listed(action))
    assert ready.worker.view.pending == ()


def test_an_action_that_a_newer_list_denies_may_be_asked_again(ready: Desk) -> None:
    action = start()
    ready.submit(action)
    ready.answer(Create, "id-1")
    ready.answer(Start)
    ready.show()
    assert ready.worker.view.pending == ()
    ready.submit(action)
    assert ready.calls(Create) == [Create(action)]


def test_at_most_eight_calls_and_the_rest_may_be_withdrawn(ready: Desk) -> None:
    actions = [start(slot) for slot in range(20)]
    ready.submit(*actions)
    assert ready.calls(Create) == [Create(action) for action in actions[:8]]
    assert len(ready.worker.view.pending) == 8
    ready.answer(Create, "id-0")
    assert len(ready.calls()) == 8
    ready.submit(actions[19])
    for slot in range(1, 8):
        ready.answer(Create, f"id-{slot}")
    for _ in range(8):
        ready.answer(Start)
    assert ready.calls(Create) == [Create(actions[19])], "what was withdrawn never begins"
    assert all(asked.lane is Lane.WORK for asked in ready.asked if isinstance(asked.call, Create))


def test_one_action_per_slot_at_a_time(ready: Desk) -> None:
    first, second = start(0), start(0, name="shop.shop.web.0.bbbbbbbb")
    ready.submit(first, second, start(1))
    assert ready.calls(Create) == [Create(first), Create(start(1))]
    ready.fail(Create, Trouble.REJECTED)
    assert Create(second) in ready.calls(Create)


def test_pulls_are_shared_and_at_most_two(ready: Desk) -> None:
    images = ("web:1", "web:1", "web:2", "web:3", "web:1")
    ready.submit(*(start(slot, spec={"image": image}) for slot, image in enumerate(images)))
    for _ in images:
        ready.fail(Create, Trouble.NO_IMAGE)
    assert ready.calls(Pull) == [Pull("web:1"), Pull("web:2")]
    assert all(asked.lane is Lane.PULL for asked in ready.asked if isinstance(asked.call, Pull))
    assert ready.worker.view.pulling == {"web:1", "web:2", "web:3"}
    ready.answer(Pull)
    assert len(ready.calls(Create)) == 3
    assert ready.calls(Pull) == [Pull("web:2"), Pull("web:3")]
    assert ready.worker.view.images == {"web:1"}


def test_pulls_do_not_hold_up_work(ready: Desk) -> None:
    ready.submit(*(prepare(f"image:{slot}", "always", slot) for slot in range(20)), start(30))
    assert len(ready.calls(Pull)) == 2
    assert len(ready.calls(Create)) == 1


def test_a_pull_that_fails_fails_all_that_wait_for_it(ready: Desk) -> None:
    ready.submit(start(0), start(1))
    ready.fail(Create, Trouble.NO_IMAGE)
    ready.fail(Create, Trouble.NO_IMAGE)
    ready.fail(Pull, Trouble.REJECTED, "pull of web:1: denied")
    assert [(one.result, one.message) for one in ready.outcomes] == [
        (Result.FAILED, "pull of web:1: denied")
    ] * 2
    assert ready.worker.view.pending == ()


def test_an_image_that_vanished_is_no_longer_known(ready: Desk) -> None:
    ready.submit(prepare("web:1"))
    ready.answer(LookForImage, True)
    assert ready.worker.view.images == {"web:1"}
    ready.submit(start(1))
    ready.fail(Create, Trouble.NO_IMAGE)
    assert ready.worker.view.images == frozenset()


@pytest.mark.parametrize(
    ("policy", "there", "calls"),
    [
        ("missing", True, [LookForImage]),
        ("missing", False, [LookForImage, Pull]),
        ("always", True, [Pull]),
        ("never", True, [LookForImage]),
    ],
)
def test_an_image_is_prepared_as_its_policy_says(
    policy: str, there: bool, calls: list[type], ready: Desk
) -> None:
    ready.submit(prepare("web:2", policy))
    for kind in calls:
        ready.answer(kind, there if kind is LookForImage else None)
    assert [(one.verb, one.result) for one in ready.outcomes] == [("image", Result.DONE)]
    assert "web:2" in ready.worker.view.images


def test_an_image_that_is_never_pulled_and_not_there(ready: Desk) -> None:
    ready.submit(prepare("web:2", "never"))
    ready.answer(LookForImage, False)
    assert ready.calls(Pull) == []
    assert ready.outcomes[0].result is Result.FAILED
    assert "pull_policy is never" in ready.outcomes[0].message
    ready.submit(start(spec={"pull_policy": "never"}))
    ready.fail(Create, Trouble.NO_IMAGE, "no such image: web:1")
    assert ready.calls(Pull) == []
    assert ready.outcomes[1].message == "no such image: web:1"


def test_always_pulls_before_it_creates(ready: Desk) -> None:
    ready.submit(start(spec={"pull_policy": "always"}))
    assert ready.calls() == [Pull("web:1")]
    ready.answer(Pull)
    assert isinstance(ready.calls()[0], Create)


def test_a_create_whose_answer_was_lost_is_found_by_its_name(ready: Desk) -> None:
    action = start()
    ready.submit(action)
    ready.fail(Create, Trouble.LOST, "no answer within 10s")
    assert ready.outcomes[-1].result is Result.UNKNOWN
    ready.submit(action)
    assert ready.calls(Create) == [], "first a list must tell"
    ready.show()
    ready.submit(action)
    ready.fail(Create, Trouble.NAME_TAKEN)
    assert ready.calls(FindContainer) == [FindContainer(action.name)]
    ready.answer(FindContainer, listed(action, "created"))
    assert ready.calls(Start) == [Start(f"id-{action.name}")]
    ready.answer(Start)
    assert ready.outcomes[-1].result is Result.DONE


@pytest.mark.parametrize("found", [None, "foreign", "of another fleet", "of another spec"])
def test_a_name_that_somebody_else_has_is_foreign(found: str | None, ready: Desk) -> None:
    action = start()
    others = {
        None: None,
        "foreign": ListedContainer(id="x", name=action.name, labels={}, state=ContainerState.RUNNING),
        "of another fleet": listed(start(fleet_uid="u2")),
        "of another spec": listed(start(spec={}, cause="x")),
    }
    other = others[found]
    if found == "of another spec":
        assert other is not None
        other = replace(other, labels={**other.labels, "rota.spec": "v1:other"})
    ready.submit(action)
    ready.fail(Create, Trouble.NAME_TAKEN)
    ready.answer(FindContainer, other)
    assert ready.outcomes[-1].result is Result.FAILED
    assert f"the name {action.name} is taken" in ready.outcomes[-1].message
    ready.show()
    assert [(one.name, one.reason) for one in ready.worker.view.foreign] == [(action.name, NAME_IS_TAKEN)]
    ready.live(340)
    assert ready.worker.view.foreign == ()


def test_a_stop_signals_waits_and_removes(desk: Desk) -> None:
    one = listed(start())
    desk.be_reachable(one)
    desk.submit(stop(one))
    assert desk.calls() == [SetRestarts(one.id, False)]
    assert desk.worker.view.stopping == {one.id}
    desk.answer(SetRestarts)
    assert desk.calls() == [Signal(one.id, "SIGQUIT")]
    desk.answer(Signal)
    assert desk.calls(Remove) == []
    desk.live(3, lambda: (one,))
    assert desk.calls(Remove) == []
    desk.stir()
    desk.show(replace(one, state=ContainerState.EXITED))
    assert desk.calls(Remove) == [Remove(one.id)]
    desk.answer(Remove)
    assert [(done.verb, done.result) for done in desk.outcomes] == [("stop", Result.DONE)]
    assert desk.worker.view.stopping == {one.id}, "until a list shows that it is gone"
    desk.show()
    assert (desk.worker.view.stopping, states(desk)) == (frozenset(), [])


def test_a_stop_kills_after_its_grace(desk: Desk) -> None:
    one = listed(start())
    desk.be_reachable(one)
    desk.submit(stop(one, grace=5))
    desk.answer(SetRestarts)
    desk.answer(Signal)
    desk.live(4.9, lambda: (one,))
    assert desk.calls(Signal) == []
    desk.live(0.2, lambda: (one,))
    assert desk.calls(Signal) == [Signal(one.id, "SIGKILL")]
    desk.answer(Signal)
    desk.live(9.9, lambda: (one,))
    assert desk.outcomes == []
    desk.live(0.2, lambda: (one,))
    assert desk.outcomes[0].result is Result.FAILED
    assert "still runs 10s after SIGKILL" in desk.outcomes[0].message


def test_a_stop_with_a_long_grace_holds_up_nobody(desk: Desk) -> None:
    olds = [listed(start(slot)) for slot in range(10)]
    desk.be_reachable(*olds)
    desk.submit(*(stop(one, grace=600, slot=slot) for slot, one in enumerate(olds)), start(20))
    for _ in olds:
        desk.answer(SetRestarts)
        desk.answer(Signal)
    assert len(desk.calls(Create)) == 1


def test_a_list_from_before_the_signal_does_not_end_a_wait(desk: Desk) -> None:
    """A container started since an old list is missing from it: that is not its end."""
    one = listed(start())
    desk.be_reachable(one)
    desk.submit(stop(one))
    desk.answer(SetRestarts)
    desk.stir()
    desk.pass_time(0.06)
    desk.answer(Signal)
    desk.answer(ListContainers, ())
    assert desk.calls(Remove) == []


@pytest.mark.parametrize("gone_at", [SetRestarts, Signal, Remove])
def test_a_stop_of_what_is_gone_is_done(gone_at: type, desk: Desk) -> None:
    one = listed(start())
    desk.be_reachable(one)
    desk.submit(stop(one))
    for kind in (SetRestarts, Signal, Remove):
        if kind is Remove:
            desk.show()
        if kind is gone_at:
            desk.fail(kind, Trouble.NOT_FOUND, "no such container")
            break
        desk.answer(kind)
    assert [(done.verb, done.result) for done in desk.outcomes] == [("stop", Result.DONE)]


def test_a_stop_of_what_has_exited_removes_it(desk: Desk) -> None:
    one = listed(start(), "exited")
    desk.be_reachable(one)
    desk.submit(stop(one))
    desk.answer(SetRestarts)
    desk.fail(Signal, Trouble.REJECTED, "container is not running")
    desk.show(one)
    desk.answer(Remove)
    assert desk.outcomes[0].result is Result.DONE


def test_what_its_engine_left_half_removed_is_removed(desk: Desk) -> None:
    """An Engine that dies while it removes a container lists it as dead, and can do nothing else to it."""
    one = listed(start(), "dead")
    desk.be_reachable(one)
    desk.submit(stop(one))
    desk.fail(SetRestarts, Trouble.REJECTED, 'container is marked for removal and cannot be "update"')
    desk.answer(Remove)
    assert [(done.verb, done.result) for done in desk.outcomes] == [("stop", Result.DONE)]


def test_what_runs_and_cannot_be_kept_from_restarting_is_not_stopped(desk: Desk) -> None:
    one = listed(start())
    desk.be_reachable(one)
    desk.submit(stop(one))
    desk.fail(SetRestarts, Trouble.REJECTED, "no space left on device")
    desk.fail(Remove, Trouble.REJECTED, "cannot remove a running container")
    assert [(done.result, done.message) for done in desk.outcomes] == [
        (Result.FAILED, "no space left on device")
    ]
    assert desk.calls(Signal) == []


def test_a_restart_starts(desk: Desk) -> None:
    one = listed(start(), "exited")
    desk.be_reachable(one)
    desk.submit(restart(one))
    desk.answer(SetRestarts)
    desk.answer(Start)
    assert [(done.verb, done.result) for done in desk.outcomes] == [("restart", Result.DONE)]
    desk.submit(restart(one))
    assert desk.calls(Start) == []
    desk.show(one)
    desk.submit(restart(one))
    assert desk.calls(SetRestarts) == [SetRestarts(one.id, True)]


def test_failures_cool_longer_each_time(ready: Desk) -> None:
    action, gaps, failed_at = start(), [], None
    while len(gaps) < 6:
        ready.submit(action)
        if ready.calls(Create):
            if failed_at is not None:
                gaps.append(ready.now - failed_at)
            ready.fail(Create, Trouble.REJECTED, "no space left on device")
            failed_at = ready.now
        ready.live(0.1)
    for count, gap in enumerate(gaps):
        assert 0.8 * 2**count <= gap <= 1.2 * 2**count + 0.3


def test_cooling_does_not_hold_up_other_slots(ready: Desk) -> None:
    ready.submit(start(0))
    ready.fail(Create, Trouble.REJECTED)
    ready.submit(start(0), start(1))
    assert ready.calls(Create) == [Create(start(1))]


def test_a_cooled_action_begins_by_itself(ready: Desk) -> None:
    ready.submit(start())
    ready.fail(Create, Trouble.REJECTED)
    ready.submit(start())
    ready.live(2)
    assert ready.calls(Create) == [Create(start())]


def test_nothing_begins_on_a_host_that_does_not_answer(ready: Desk) -> None:
    ready.pass_time(4)
    ready.submit(start())
    assert ready.calls(Create) == []
    assert ready.worker.view.pending == ()
    ready.answer(Ping)
    ready.answer(ListContainers, ())
    assert ready.calls(Create) == [], "what was submitted to a silent host is forgotten"
    ready.submit(start())
    assert ready.calls(Create) == [Create(start())]


def test_what_is_under_way_when_the_host_falls_silent_ends_unknown(desk: Desk) -> None:
    one = listed(start())
    desk.be_reachable(one)
    waiting, flying = stop(one), start(1)
    desk.submit(waiting, flying)
    desk.answer(SetRestarts)
    desk.answer(Signal)
    desk.pass_time(4)
    assert desk.worker.view.state is HostState.SUSPECT
    assert [(done.action, done.result) for done in desk.outcomes] == [(waiting.id, Result.UNKNOWN)]
    desk.answer(Create, "late")
    assert [(done.action, done.result) for done in desk.outcomes[1:]] == []
    desk.answer(ListContainers, (one,))
    assert desk.calls(Start) == [Start("late")], "a host that answers in time after all is gone on with"


def test_a_late_answer_of_a_lost_host_is_left_to_the_next_list(ready: Desk) -> None:
    ready.submit(start())
    create = ready.take(Create)
    ready.silence(11)
    assert ready.worker.view.state is HostState.LOST
    ready.feed(Failed(create.number, EngineError(Trouble.LOST, "no answer within 10s")))
    assert [one.result for one in ready.outcomes] == [Result.UNKNOWN]
    assert ready.calls(Start) == []
    ready.back()
    ready.feed(Answered(10_000, None))
    ready.feed(Failed(10_001, EngineError(Trouble.SILENT, "nobody asked")))
    assert ready.calls(Create) == [], "nothing is repeated that was not asked for again"


def test_a_change_that_is_answered_after_its_host_was_lost_goes_on_once_it_was_looked_at(ready: Desk) -> None:
    ready.submit(start())
    create = ready.take(Create)
    ready.silence(11)
    ready.feed(Answered(create.number, "late"))
    assert [one.result for one in ready.outcomes] == []
    ready.back(listed(start(), "created", id="late"))
    assert ready.calls(Start) == [Start("late")]


def test_a_pull_on_a_lost_host_is_given_up(ready: Desk) -> None:
    """Its connection may be dead for many minutes, and the slot is not to wait for it."""
    ready.submit(prepare("web:2", "always"))
    pull = ready.take(Pull)
    ready.silence(5)
    assert ready.outcomes == []
    ready.silence(6)
    assert [(one.verb, one.result) for one in ready.outcomes] == [("image", Result.UNKNOWN)]
    assert ready.worker.view.pulling == frozenset()
    ready.feed(Answered(pull.number, None))
    assert len(ready.outcomes) == 1


def test_a_submission_of_nothing_withdraws_everything(ready: Desk) -> None:
    ready.submit(*(start(slot) for slot in range(20)))
    ready.feed(Submitted(()))
    for slot in range(8):
        ready.answer(Create, f"id-{slot}")
    for _ in range(8):
        ready.answer(Start)
    assert ready.calls(Create) == []
    assert ready.worker.view.queued == frozenset()


def test_other_workloads_have_slots_of_their_own(ready: Desk) -> None:
    other = start(0, workload=WorkloadId("shop", "api"), name="shop.shop.api.0.aaaaaaaa")
    ready.submit(start(0), other)
    assert len(ready.calls(Create)) == 2


# --- an Engine that answers no, a hold, a registry that hangs


@pytest.mark.parametrize("sick", [AskFacts, ListContainers])
def test_an_engine_that_answers_no_is_suspect_and_not_unknown_for_ever(desk: Desk, sick: type) -> None:
    desk.feed(Woke())
    asked = 0
    for _ in range(2000):
        if desk.calls(AskFacts) and sick is not AskFacts:
            desk.answer(AskFacts, FACTS)
        elif desk.calls(sick):
            asked += 1
            desk.fail(sick, Trouble.REJECTED, "500 Server Error")
        desk.heartbeats()
        desk.now = min(max(desk.wake_at, desk.now), 130.0)
        if desk.now >= 130.0:
            break
        desk.feed(Woke())
    assert desk.worker.view.state is HostState.SUSPECT
    assert desk.worker.view.detail == "its containers cannot be listed: 500 Server Error"
    assert asked <= 70, "asked again and again without a pause"


def test_a_hold_halts_what_has_begun_and_its_end_lets_it_go_on(ready: Desk) -> None:
    ready.submit(start(0))
    ready.feed(Submitted((), held=True))
    ready.answer(Create, "c1")
    ready.pass_time(0.01)
    assert ready.calls(Start) == [], "nothing is changed while the hold lasts"
    ready.feed(Submitted(()))
    assert ready.calls(Start) == [Start("c1")]


def test_a_pull_without_an_answer_has_failed(ready: Desk) -> None:
    ready.submit(start(0, spec={"pull_policy": "always"}))
    ready.fail(Pull, Trouble.SILENT, "no answer within 600s")
    assert [(one.result, one.message) for one in ready.outcomes] == [(Result.FAILED, "no answer within 600s")]
