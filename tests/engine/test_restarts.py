"""Restart policies: set before a stop, and given back where the stop does not happen."""

from __future__ import annotations

import pytest

from rota.core.observed import HostState, Result
from rota.core.planning.actions import StartInstance
from rota.engine.calls import Remove, SetRestarts, Signal, Start
from rota.engine.port import ListedContainer, Trouble
from rota.engine.worker_events import Submitted
from tests.engine.desk import Desk, listed, restart, start, stop

ONE = listed(start())


@pytest.fixture
def desk() -> Desk:
    """A host on which one container runs, whose stop was begun and broken off by a silence."""
    made = Desk()
    made.be_reachable(ONE)
    made.submit(stop(ONE))
    made.answer(SetRestarts)
    made.answer(Signal)
    made.silence(5)
    assert made.worker.view.state is HostState.SUSPECT
    assert [one.result for one in made.outcomes] == [Result.UNKNOWN]
    return made


def test_a_stop_that_was_withdrawn_gives_the_policy_back(desk: Desk) -> None:
    desk.back(ONE)
    desk.submit()
    assert desk.calls(SetRestarts) == [SetRestarts(ONE.id, True)]
    before = len(desk.outcomes)
    desk.answer(SetRestarts)
    assert len(desk.outcomes) == before, "nobody asked for it, and nobody is told"
    desk.show(ONE)
    desk.submit()
    assert desk.calls(SetRestarts) == [], "once is enough"


def test_a_stop_that_is_still_wanted_goes_on_instead(desk: Desk) -> None:
    desk.back(ONE)
    desk.submit(stop(ONE))
    assert desk.calls(SetRestarts) == [SetRestarts(ONE.id, False)]


def test_while_nothing_may_be_changed_the_policy_stays(desk: Desk) -> None:
    desk.back(ONE)
    desk.feed(Submitted((), held=True))
    assert desk.calls(SetRestarts) == []
    desk.submit()
    assert desk.calls(SetRestarts) == [SetRestarts(ONE.id, True)]


@pytest.mark.parametrize("after", [(), (listed(start(), "exited"),)])
def test_what_does_not_run_any_more_is_left_as_it_is(after: tuple[ListedContainer, ...], desk: Desk) -> None:
    desk.back(*after)
    desk.submit()
    assert desk.calls(SetRestarts) == []


def test_a_stop_that_goes_on_keeps_the_policy_off() -> None:
    desk = Desk()
    desk.be_reachable(ONE)
    desk.submit(stop(ONE))
    desk.answer(SetRestarts)
    desk.submit()
    assert desk.calls(SetRestarts) == []


def test_an_answer_that_was_lost_may_have_taken_effect() -> None:
    desk = Desk()
    desk.be_reachable(ONE)
    desk.submit(stop(ONE))
    desk.fail(SetRestarts, Trouble.LOST)
    desk.show(ONE)
    desk.submit()
    assert desk.calls(SetRestarts) == [SetRestarts(ONE.id, True)]


def test_a_failed_attempt_is_made_again(desk: Desk) -> None:
    desk.back(ONE)
    desk.submit()
    desk.fail(SetRestarts, Trouble.REJECTED, "busy")
    desk.submit()
    desk.live(2, lambda: (ONE,))
    assert desk.calls(SetRestarts) == [SetRestarts(ONE.id, True)]


def test_one_that_its_engine_is_not_to_bring_back_gets_no_policy() -> None:
    action = start(restarts=False)
    one = listed(action)
    desk = Desk()
    desk.be_reachable(one)
    desk.submit(stop(one))
    desk.answer(SetRestarts)
    desk.fail(Signal, Trouble.LOST)
    desk.show(one)
    desk.submit()
    assert desk.calls(SetRestarts) == []


def test_a_stop_in_the_meantime_waits_for_the_policy(desk: Desk) -> None:
    desk.back(ONE)
    desk.submit()
    desk.submit(stop(ONE))
    assert desk.calls(SetRestarts) == [SetRestarts(ONE.id, True)], "one call to a container at a time"
    desk.answer(SetRestarts)
    assert desk.calls(SetRestarts) == [SetRestarts(ONE.id, False)]


def test_what_was_removed_is_forgotten() -> None:
    desk = Desk()
    desk.be_reachable(ONE)
    desk.submit(stop(ONE))
    desk.answer(SetRestarts)
    desk.fail(Signal, Trouble.REJECTED, "not running")
    desk.show()
    desk.answer(Remove)
    desk.show()
    desk.show(ONE)
    desk.submit()
    assert desk.calls(SetRestarts) == []


@pytest.mark.parametrize("restarts", [True, False])
def test_a_restart_sets_the_policy_before_it_starts(restarts: bool) -> None:
    exited = listed(start(), "exited")
    desk = Desk()
    desk.be_reachable(exited)
    desk.submit(restart(exited, restarts=restarts))
    assert desk.calls() == [SetRestarts(exited.id, restarts)]
    desk.answer(SetRestarts)
    assert desk.calls(Start) == [Start(exited.id)]


@pytest.mark.parametrize("action", [start(), start(restarts=False)])
def test_labels_say_what_is_brought_back(action: StartInstance) -> None:
    assert ("rota.restarts" in listed(action).labels) is not action.restarts
