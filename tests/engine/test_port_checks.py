"""Checks from outside: when they are made, and what they come to."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from rota.core.container import Check
from rota.core.model import FailureSettings
from rota.core.observed import ContainerState, Health, HostState, ObservedContainer, PublishedPort
from rota.engine.calls import AskLastWords, AskPort, Ping
from rota.engine.port import ListedContainer, Trouble
from rota.engine.port_checks import MOST_CHECKS, SPREAD_SECONDS
from rota.engine.worker import HostWorker
from rota.engine.worker_events import Lane
from tests.engine.desk import Desk, listed, start, stop

CHECK = Check(port=8080, path="/up")
PORT = PublishedPort(8080, 30001)


def container(slot: int = 0, check: Check | None = CHECK, **fields: Any) -> ListedContainer:
    return listed(start(slot, check=check), ports=(PublishedPort(8080, 30001 + slot),), **fields)


def desk_with(*containers: ListedContainer) -> Desk:
    """A host on which they run."""
    desk = Desk(HostWorker("h1", "shop", "u1", FailureSettings(), "10.0.0.1"))
    desk.be_reachable(*containers)
    return desk


def see(desk: Desk) -> ObservedContainer:
    return desk.worker.view.containers[0]


def live(desk: Desk, seconds: float, answer: Trouble | None, *containers: ListedContainer) -> list[float]:
    """Let time pass while every check is answered at once; when they were made."""
    made, end = [], desk.now + seconds
    while desk.now < end:
        desk.live(min(0.05, end - desk.now), lambda: containers)
        while desk.calls(AskPort):
            made.append(desk.now)
            if answer is None:
                desk.answer(AskPort)
            else:
                desk.fail(AskPort, answer)
    return made


ONE = container()
STRICT = container(check=replace(CHECK, fall=1))


def test_a_container_is_checked_at_once_and_then_each_interval() -> None:
    desk = desk_with(ONE)
    assert (see(desk).health, see(desk).ready) == (Health.STARTING, False)
    made = live(desk, 12, None, ONE)
    assert made[0] <= 100 + SPREAD_SECONDS + 0.05
    assert [later - sooner for sooner, later in pairwise(made)] == pytest.approx([5.0, 5.0], abs=0.06)


def test_what_is_asked_and_by_whom() -> None:
    desk = desk_with(ONE)
    desk.live(1, lambda: (ONE,))
    (asked,) = [one for one in desk.asked if isinstance(one.call, AskPort)]
    assert (asked.call, asked.lane) == (AskPort("10.0.0.1", 30001, CHECK), Lane.CHECK)


def test_it_is_healthy_after_its_rise_and_ready_from_then_on() -> None:
    desk = desk_with(ONE)
    live(desk, 4, None, ONE)
    assert see(desk).health is Health.STARTING
    live(desk, 2, None, ONE)
    assert see(desk).health is Health.HEALTHY
    ready_since = see(desk).ready_since
    assert ready_since is not None
    assert 105 <= ready_since <= 105.6
    live(desk, 60, None, ONE)
    assert see(desk).ready_since == ready_since


def test_before_its_rise_it_is_starting_however_often_it_fails() -> None:
    desk = desk_with(ONE)
    live(desk, 120, Trouble.REFUSED, ONE)
    assert see(desk).health is Health.STARTING
    assert desk.calls(AskLastWords) == []


def test_successes_count_in_a_row() -> None:
    desk = desk_with(ONE)
    for answer in (None, Trouble.REFUSED, None, Trouble.REFUSED):
        live(desk, 5, answer, ONE)
    assert see(desk).health is Health.STARTING


def test_after_its_fall_it_is_unhealthy_and_asked_for_its_last_words() -> None:
    desk = desk_with(ONE)
    live(desk, 11, None, ONE)
    live(desk, 9, Trouble.REJECTED, ONE)
    assert see(desk).health is Health.HEALTHY, "two failures are not three"
    live(desk, 7, Trouble.REJECTED, ONE)
    assert (see(desk).health, see(desk).ready) == (Health.UNHEALTHY, False)
    assert desk.calls(AskLastWords) == [AskLastWords(ONE.id, 10)]
    live(desk, 11, None, ONE)
    assert see(desk).health is Health.HEALTHY


def test_a_failure_is_not_the_hosts() -> None:
    """Nothing that a check finds says anything of the Engine."""
    desk = desk_with(ONE)
    live(desk, 60, Trouble.SILENT, ONE)
    assert desk.worker.view.state is HostState.REACHABLE


def test_a_failure_counts_only_once_the_engine_has_answered_since() -> None:
    desk = desk_with(STRICT)
    live(desk, 11, None, STRICT)
    while not desk.calls(AskPort):
        desk.live(0.1, lambda: (STRICT,))
    desk.pass_time(0.2)
    desk.fail(AskPort, Trouble.SILENT)
    assert see(desk).health is Health.HEALTHY, "in doubt"
    desk.pass_time(1)
    desk.answer(Ping)
    assert see(desk).health is Health.UNHEALTHY


def test_a_failure_while_the_host_is_silent_does_not_count() -> None:
    desk = desk_with(STRICT)
    live(desk, 11, None, STRICT)
    while not desk.calls(AskPort):
        desk.live(0.1, lambda: (STRICT,))
    desk.silence(20)
    desk.back(STRICT)
    live(desk, 1, None, STRICT)
    assert see(desk).health is Health.HEALTHY


def test_a_host_that_is_not_reachable_is_not_checked() -> None:
    desk = desk_with(ONE)
    desk.silence(20)
    assert desk.calls(AskPort) == []


@pytest.mark.parametrize("how", ["event", "state"])
def test_what_was_started_again_starts_over(how: str) -> None:
    desk = desk_with(ONE)
    live(desk, 11, None, ONE)
    if how == "event":
        desk.stir("die", ONE.id, 1)
        desk.stir("start", ONE.id)
    else:
        desk.stir("die", ONE.id, 1)
        live(desk, 1, None, replace(ONE, state=ContainerState.RESTARTING, ports=()))
        desk.stir()
    live(desk, 0.6, None, ONE)
    assert (see(desk).health, see(desk).ready) == (Health.STARTING, False)
    assert see(desk).seen_since > 111
    live(desk, 6, None, ONE)
    assert see(desk).health is Health.HEALTHY


def test_an_answer_from_before_a_restart_does_not_count() -> None:
    one = container(check=replace(CHECK, rise=1))
    desk = desk_with(one)
    while not desk.calls(AskPort):
        desk.live(0.1, lambda: (one,))
    late = desk.take(AskPort)
    desk.stir("die", one.id, 1)
    desk.stir("start", one.id)
    desk.live(0.06, lambda: (one,))
    desk.asked.append(late)
    desk.answer(AskPort)
    assert see(desk).health is Health.STARTING


def test_each_container_is_asked_what_it_was_made_with() -> None:
    """A manifest whose check has changed says nothing of those that were made before it."""
    changed = replace(CHECK, path="/ready", interval=1.0)
    new, plain = container(1, changed), container(2, None)
    desk = desk_with(ONE, new, plain)
    desk.live(1, lambda: (ONE, new, plain))
    assert set(desk.calls(AskPort)) == {
        AskPort("10.0.0.1", 30001, CHECK),
        AskPort("10.0.0.1", 30002, changed),
    }
    healths = [one.health for one in desk.worker.view.containers]
    assert healths == [Health.STARTING, Health.STARTING, Health.NONE]


def test_a_check_that_new_containers_fail_leaves_the_old_ones_healthy() -> None:
    desk = desk_with(ONE)
    live(desk, 11, None, ONE)
    new = container(1, replace(CHECK, path="/nowhere", interval=1.0))
    desk.stir("create", new.id)
    end = desk.now + 30
    while desk.now < end:
        desk.live(0.05, lambda: (ONE, new))
        while desk.calls(AskPort):
            asked = desk.calls(AskPort)[0]
            assert isinstance(asked, AskPort)
            if asked.check == CHECK:
                desk.answer(AskPort)
            else:
                desk.fail(AskPort, Trouble.REJECTED)
    assert [one.health for one in desk.worker.view.containers] == [Health.HEALTHY, Health.STARTING]


@pytest.mark.parametrize(
    "other",
    [
        listed(start(check=CHECK)),
        listed(start(check=CHECK), ports=(PublishedPort(9090, 30001),)),
        listed(start(check=CHECK), ports=(PublishedPort(8080, 30001, "udp"),)),
        listed(start(), ports=(PORT,)),
    ],
    ids=["no port", "another port", "udp", "no check"],
)
def test_what_cannot_be_checked_goes_by_dockers_word(other: ListedContainer) -> None:
    desk = desk_with(other)
    assert live(desk, 20, None, other) == []
    assert see(desk).ready


def test_only_what_runs_is_checked() -> None:
    exited = container(state="exited")
    desk = desk_with(exited)
    assert live(desk, 20, None, exited) == []
    assert not see(desk).ready


def test_few_checks_are_under_way_at_a_time_and_none_is_forgotten() -> None:
    many = [container(slot) for slot in range(30)]
    desk = desk_with(*many)
    desk.live(2, lambda: tuple(many))
    assert len(desk.calls(AskPort)) == MOST_CHECKS
    asked = set()
    for _ in range(30):
        asked |= {call.port for call in desk.calls(AskPort) if isinstance(call, AskPort)}
        desk.answer(AskPort)
        assert len(desk.calls(AskPort)) <= MOST_CHECKS
    assert asked == {30001 + slot for slot in range(30)}


def test_first_checks_are_spread_and_the_spread_is_always_the_same() -> None:
    many = tuple(container(slot) for slot in range(6))

    def times() -> list[float]:
        return live(desk_with(*many), 1, None, *many)

    assert len(set(times())) > 2
    assert times() == times()


def test_checks_never_wait_behind_work() -> None:
    desk = desk_with(ONE)
    desk.submit(*(start(slot) for slot in range(1, 20)), stop(ONE))
    desk.live(1, lambda: (ONE,))
    assert len(desk.calls(AskPort)) == 1
