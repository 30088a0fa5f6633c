"""Which deaths count, of what, and for how long; and the last words of the dead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rota.core.ids import WorkloadId
from rota.core.observed import DEATHS_SECONDS, ContainerState, Deaths, Health, HostState
from rota.engine.calls import AskLastWords, ListContainers, Ping, Remove, SetRestarts, Signal
from rota.engine.deaths import MOST_DEATHS
from rota.engine.last_words import LINE_LENGTH, LINES
from rota.engine.port import EngineError, ListedContainer, Trouble
from rota.engine.worker_events import Lane, StreamBroke, StreamOpened
from tests.engine.desk import Desk, listed, start, stop

SLOT = (WorkloadId("shop", "web"), 0)
KEY = (*SLOT, start().spec)
ONE = listed(start())
BROKEN = EngineError(Trouble.SILENT, "the event stream ended")


@pytest.fixture
def desk() -> Desk:
    """A host on which one container runs."""
    made = Desk()
    made.be_reachable(ONE)
    return made


def deaths(desk: Desk) -> Deaths | None:
    return desk.worker.view.deaths.get(KEY)


def settle(desk: Desk, *containers: ListedContainer, seconds: float = 3.0) -> None:
    desk.live(seconds, lambda: containers)


# --- deaths that events tell


def test_a_death_counts_a_moment_later(desk: Desk) -> None:
    died = desk.now
    desk.stir("die", ONE.id, 1)
    desk.live(0.9, lambda: (ONE,))
    assert deaths(desk) is None, "the Engine may be going down"
    desk.live(0.3, lambda: (ONE,))
    assert deaths(desk) == Deaths((died,), "exit 1")


@pytest.mark.parametrize("code", [0, 1, 137])
def test_the_cause_is_how_it_ended(code: int, desk: Desk) -> None:
    desk.stir("die", ONE.id, code)
    settle(desk, ONE)
    assert deaths(desk) == Deaths((100.0,), f"exit {code}")


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        (("oom", "die", "start"), "killed for lack of memory"),
        (("die", "oom", "start"), "killed for lack of memory"),
        (("kill", "die", "stop"), "stopped by hand"),
        (("die", "stop"), "stopped by hand"),
        (("die", "start"), "exit 137"),
    ],
)
def test_the_cause_is_what_was_told_just_before_or_after(
    told: tuple[str, ...], cause: str, desk: Desk
) -> None:
    for action in told:
        desk.stir(action, ONE.id, 137 if action == "die" else None)
    settle(desk, ONE)
    assert deaths(desk) == Deaths((100.0,), cause)


def test_what_killed_it_once_is_not_the_cause_of_the_next_death(desk: Desk) -> None:
    for action in ("kill", "die", "start"):
        desk.stir(action, ONE.id, 137 if action == "die" else None)
    settle(desk, ONE)
    desk.stir("die", ONE.id, 1)
    settle(desk, ONE)
    found = deaths(desk)
    assert found is not None
    assert (len(found.at), found.cause) == (2, "exit 1")


def test_what_is_gone_was_removed_by_hand(desk: Desk) -> None:
    for action in ("kill", "die", "destroy"):
        desk.stir(action, ONE.id, 137 if action == "die" else None)
    settle(desk)
    assert deaths(desk) == Deaths((100.0,), "removed by hand")


def test_each_death_of_a_loop_counts_once_and_the_list_is_bounded(desk: Desk) -> None:
    for number in range(MOST_DEATHS + 4):
        desk.stir("die", ONE.id, 1)
        desk.stir("start", ONE.id)
        settle(desk, ONE, seconds=1.5)
        found = deaths(desk)
        assert len(found.at if found else ()) <= min(number + 1, MOST_DEATHS)
    settle(desk, ONE)
    found = deaths(desk)
    assert found is not None
    assert len(found.at) == MOST_DEATHS
    assert found.at == tuple(sorted(found.at))


def test_a_container_that_dies_before_it_was_ever_listed_counts(desk: Desk) -> None:
    new = listed(start(1), "restarting")
    desk.stir("create", new.id)
    desk.stir("start", new.id)
    desk.stir("die", new.id, 2)
    settle(desk, ONE, new)
    assert desk.worker.view.deaths == {
        (WorkloadId("shop", "web"), 1, start().spec): Deaths((100.0,), "exit 2")
    }


def test_deaths_of_one_spec_say_nothing_of_another(desk: Desk) -> None:
    new = listed(replace(start(name="shop.shop.web.0.bbbbbbbb"), spec="v1:def"))
    desk.stir("die", ONE.id, 1)
    settle(desk, ONE, new)
    desk.stir("die", new.id, 2)
    settle(desk, ONE, new)
    assert desk.worker.view.deaths == {
        KEY: Deaths((100.0,), "exit 1"),
        (*SLOT, "v1:def"): Deaths((103.0,), "exit 2"),
    }


def test_deaths_are_forgotten_in_time(desk: Desk) -> None:
    desk.stir("die", ONE.id, 1)
    settle(desk, ONE)
    settle(desk, ONE, seconds=DEATHS_SECONDS - 5)
    assert deaths(desk) is not None
    settle(desk, ONE, seconds=5)
    assert deaths(desk) is None


def test_what_is_not_ours_does_not_die(desk: Desk) -> None:
    other = listed(start(1, fleet_uid="u2"))
    desk.stir("die", other.id, 1)
    desk.stir("die", "unheard-of", 1)
    settle(desk, ONE, other)
    assert desk.worker.view.deaths == {}


# --- deaths that only lists show


def test_what_ran_and_has_exited_without_a_word_died(desk: Desk) -> None:
    settle(desk, ONE, seconds=1)
    gone = replace(ONE, state=ContainerState.EXITED, exit_code=1)
    desk.stir("create")
    settle(desk, gone)
    assert deaths(desk) == Deaths((pytest.approx(101.05),), "ended unseen")
    settle(desk, gone, seconds=60)
    found = deaths(desk)
    assert found is not None
    assert len(found.at) == 1


def test_what_ran_and_is_gone_without_a_word_was_removed_by_hand(desk: Desk) -> None:
    desk.stir("create")
    settle(desk)
    found = deaths(desk)
    assert found is not None
    assert (len(found.at), found.cause) == (1, "removed by hand")


def test_a_list_that_is_faster_than_the_event_counts_no_death_twice(desk: Desk) -> None:
    exited = replace(ONE, state=ContainerState.EXITED, exit_code=3)
    desk.stir("create")
    desk.show(exited)
    desk.stir("die", ONE.id, 3)
    settle(desk, exited)
    found = deaths(desk)
    assert found is not None
    assert (len(found.at), found.cause) == (1, "exit 3")


@pytest.mark.parametrize("state", ["created", "exited"])
def test_the_removal_of_what_did_not_run_is_no_death(state: str) -> None:
    desk = Desk()
    desk.be_reachable(listed(start(), state))
    desk.stir("destroy", ONE.id)
    settle(desk)
    assert desk.worker.view.deaths == {}


# --- deaths that do not count


def test_our_own_stops_and_their_kills_are_no_deaths(desk: Desk) -> None:
    desk.submit(stop(ONE, grace=1))
    desk.answer(SetRestarts)
    desk.answer(Signal)
    desk.stir("kill", ONE.id)
    desk.live(1.1, lambda: (ONE,))
    desk.answer(Signal)
    desk.stir("kill", ONE.id)
    desk.stir("die", ONE.id, 137)
    exited = replace(ONE, state=ContainerState.EXITED)
    while not desk.calls(Remove):
        desk.live(0.1, lambda: (exited,))
    desk.answer(Remove)
    desk.stir("destroy", ONE.id)
    settle(desk, seconds=60)
    assert desk.worker.view.deaths == {}
    assert desk.calls(AskLastWords) == []


def test_a_stop_that_was_given_up_and_shows_late_is_no_death(desk: Desk) -> None:
    desk.submit(stop(ONE, grace=1))
    desk.answer(SetRestarts)
    desk.fail(Signal, Trouble.LOST)
    desk.stir("die", ONE.id, 0)
    settle(desk, replace(ONE, state=ContainerState.EXITED))
    assert desk.worker.view.deaths == {}


def test_deaths_of_an_engine_that_goes_down_are_none(desk: Desk) -> None:
    desk.stir("kill", ONE.id)
    desk.stir("die", ONE.id, 0)
    desk.live(0.5, lambda: (ONE,))
    desk.feed(StreamBroke(BROKEN))
    settle(desk, replace(ONE, state=ContainerState.EXITED), seconds=2)
    desk.feed(StreamOpened())
    settle(desk, ONE)
    assert desk.worker.view.deaths == {}


def test_an_engine_that_takes_its_time_to_go_down_takes_its_deaths_back(desk: Desk) -> None:
    """It signals its containers one after the other, and its stream breaks when the last has ended."""
    desk.stir("kill", ONE.id)
    desk.stir("die", ONE.id, 0)
    settle(desk, replace(ONE, state=ContainerState.EXITED), seconds=5)
    assert deaths(desk) == Deaths((100.0,), "stopped by hand")
    desk.feed(StreamBroke(BROKEN))
    assert desk.worker.view.deaths == {}


def test_a_death_that_counts_is_not_taken_back_by_a_break(desk: Desk) -> None:
    desk.stir("die", ONE.id, 1)
    settle(desk, ONE)
    desk.feed(StreamBroke(BROKEN))
    assert deaths(desk) == Deaths((100.0,), "exit 1")


@pytest.mark.parametrize("trouble", [Trouble.SILENT, Trouble.REFUSED, Trouble.HUNG])
@pytest.mark.parametrize("seconds", [2.5, 5.0, 80.0])
def test_what_is_found_after_a_silence_is_no_death(trouble: Trouble, seconds: float, desk: Desk) -> None:
    """The host or its Engine went down, and its containers with it."""
    desk.silence(seconds, trouble)
    exited = replace(ONE, state=ContainerState.EXITED)
    desk.back(exited)
    settle(desk, exited)
    desk.stir("start", ONE.id)
    settle(desk, ONE)
    assert desk.worker.view.state is HostState.REACHABLE
    assert desk.worker.view.deaths == {}


def test_without_any_events_lists_tell_of_deaths() -> None:
    """A proxy before the Engine may forbid them."""
    desk = Desk()
    desk.be_reachable(ONE)
    forbidden = EngineError(Trouble.REJECTED, "403 Forbidden")
    desk.feed(StreamBroke(forbidden))
    for listing in ((ONE,), (replace(ONE, state=ContainerState.EXITED),)):
        for _ in range(35):
            desk.live(1, lambda shown=listing: shown)  # type: ignore[misc]
            desk.feed(StreamBroke(forbidden))
    found = deaths(desk)
    assert found is not None
    assert (len(found.at), found.cause) == (1, "ended unseen")


# --- ages


def test_one_that_was_started_again_is_ready_anew() -> None:
    """Its Engine brings it back faster than any list could show."""
    desk = Desk()
    desk.be_reachable(ONE)
    settle(desk, ONE, seconds=60)
    desk.stir("die", ONE.id, 1)
    desk.stir("start", ONE.id)
    settle(desk, ONE)
    (one,) = desk.worker.view.containers
    assert one.seen_since == one.ready_since == pytest.approx(160.05)
    settle(desk, ONE, seconds=60)
    assert desk.worker.view.containers == (one,)


# --- last words


def test_the_dead_are_asked_for_their_last_words_once_in_ten_seconds(desk: Desk) -> None:
    for _ in range(3):
        desk.stir("die", ONE.id, 1)
        settle(desk, ONE)
    assert desk.calls(AskLastWords) == [AskLastWords(ONE.id, LINES)]
    assert next(one.lane for one in desk.asked if isinstance(one.call, AskLastWords)) is Lane.CHECK
    desk.answer(AskLastWords, ("one", "two"))
    assert desk.worker.view.last_words == {SLOT: ("one", "two")}
    settle(desk, ONE, seconds=10)
    desk.stir("die", ONE.id, 1)
    settle(desk, ONE)
    desk.answer(AskLastWords, ("three",))
    assert desk.worker.view.last_words == {SLOT: ("three",)}


def test_last_words_are_text_and_bounded(desk: Desk) -> None:
    desk.stir("die", ONE.id, 1)
    settle(desk, ONE)
    lines = tuple(f"{number}\x1b[31mred\x1b[0m\ttab\x00" + "x" * 1000 for number in range(50))
    desk.answer(AskLastWords, lines)
    told = desk.worker.view.last_words[SLOT]
    assert len(told) == LINES
    assert all(len(line) == LINE_LENGTH and line.isprintable() for line in told)
    assert told[0].startswith("40redtab")


def test_what_turns_unhealthy_is_asked_as_well() -> None:
    healthy = replace(ONE, health=Health.HEALTHY)
    desk = Desk()
    desk.be_reachable(healthy)
    assert desk.calls(AskLastWords) == []
    desk.stir("health_status: unhealthy", ONE.id)
    sick = replace(ONE, health=Health.UNHEALTHY)
    settle(desk, sick, seconds=40)
    assert desk.calls(AskLastWords) == [AskLastWords(ONE.id, LINES)], "when it turns, not while it lasts"


def test_last_words_are_forgotten_after_a_long_health(desk: Desk) -> None:
    desk.stir("die", ONE.id, 1)
    desk.stir("start", ONE.id)
    settle(desk, ONE)
    desk.answer(AskLastWords, ("bye",))
    settle(desk, ONE, seconds=290)
    assert desk.worker.view.last_words
    settle(desk, ONE, seconds=20)
    assert desk.worker.view.last_words == {}


def test_last_words_are_forgotten_long_after_the_slot_has_gone(desk: Desk) -> None:
    exited = replace(ONE, state=ContainerState.EXITED)
    desk.stir("die", ONE.id, 1)
    settle(desk, exited)
    desk.answer(AskLastWords, ("bye",))
    settle(desk, exited, seconds=600)
    assert desk.worker.view.last_words, "as long as it lies there dead"
    settle(desk, seconds=290)
    assert desk.worker.view.last_words
    settle(desk, seconds=60)
    assert desk.worker.view.last_words == {}


def test_a_question_without_an_answer_is_let_go(desk: Desk) -> None:
    desk.stir("die", ONE.id, 1)
    settle(desk, ONE)
    desk.fail(AskLastWords, Trouble.NOT_FOUND, "no such container")
    settle(desk, ONE)
    assert desk.worker.view.last_words == {}
    assert desk.worker.view.state is HostState.REACHABLE


def test_an_idle_host_is_not_listed_more_often_for_it(desk: Desk) -> None:
    desk.stir("die", ONE.id, 1)
    settle(desk, ONE, seconds=5)
    lists = []

    def listing() -> tuple[ListedContainer, ...]:
        lists.append(desk.now)
        return (ONE,)

    desk.live(60, listing)
    assert len(lists) <= 3
    assert desk.calls(ListContainers) == desk.calls(Ping) == []


def test_what_is_stopped_because_it_never_became_healthy_is_asked_before_it_is_gone(desk: Desk) -> None:
    """It neither died nor turned: without this nobody would learn why it did not come up."""
    desk.submit(stop(ONE))
    assert desk.calls(AskLastWords) == []
    desk.submit(replace(stop(ONE), sick=True))
    assert desk.calls(AskLastWords) == [AskLastWords(ONE.id, LINES)]
    desk.answer(AskLastWords, ("waiting for db:3306",))
    assert desk.worker.view.last_words == {SLOT: ("waiting for db:3306",)}
