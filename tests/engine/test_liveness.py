"""When a host is suspect, when it is lost, and what brings it back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.core.model import FailureSettings
from rota.core.observed import HostState
from rota.engine.calls import AskFacts, Create, ListContainers, Ping
from rota.engine.liveness import MOST_PROBES, Liveness
from rota.engine.port import Trouble
from rota.engine.worker import HostWorker
from rota.engine.worker_events import Woke
from tests.engine.desk import FACTS, Desk, listed, start

QUICK = FailureSettings(heartbeat=1.0, suspect_after=3.0, lost_after=3.0)


@pytest.fixture
def ready() -> Desk:
    """A host that was looked at and is empty."""
    made = Desk()
    made.be_reachable()
    return made


def lost_after(desk: Desk, trouble: Trouble, *, takes: float = 1.0, limit: float = 120.0) -> float:
    """Seconds from the last answer until the host is lost."""
    began = desk.now
    while desk.worker.view.state is not HostState.LOST:
        assert desk.now < began + limit, "it is never lost"
        desk.silence(0.05, trouble, takes)
    assert desk.worker.view.since <= desk.now
    return desk.worker.view.since - began


# --- suspect, then lost


def test_silence_makes_it_suspect_then_lost(ready: Desk) -> None:
    heard = ready.now
    ready.silence(2.99)
    assert ready.worker.view.state is HostState.REACHABLE
    ready.silence(0.01)
    assert ready.worker.view.state is HostState.SUSPECT
    ready.silence(6.99)
    assert ready.worker.view.state is HostState.SUSPECT
    ready.silence(0.01)
    view = ready.worker.view
    assert (view.state, view.since) == (HostState.LOST, pytest.approx(heard + 10))
    assert view.detail == "nothing of it answers: no connection to the Engine"


@pytest.mark.parametrize("takes", [0.001, 0.5, 1.0, 1.1, 2.0])
def test_a_host_that_is_cut_off_is_lost_in_time(takes: float) -> None:
    """With `lostAfter: 3s`, however long a probe takes to fail."""
    desk = Desk(HostWorker("h1", "shop", "u1", QUICK))
    desk.be_reachable()
    assert 3.0 <= lost_after(desk, Trouble.SILENT, takes=takes) <= 4.2


def test_a_list_that_hangs_does_not_hold_up_the_verdict() -> None:
    desk = Desk(HostWorker("h1", "shop", "u1", QUICK))
    desk.be_reachable()
    desk.stir()
    desk.pass_time(0.06)
    desk.take(ListContainers)
    assert lost_after(desk, Trouble.SILENT) <= 4.2


@pytest.mark.parametrize("trouble", [Trouble.REFUSED, Trouble.HUNG])
def test_a_host_whose_engine_is_down_is_suspect_for_a_minute(trouble: Trouble, ready: Desk) -> None:
    ready.silence(4, trouble)
    assert ready.worker.view.state is HostState.SUSPECT
    assert ready.worker.view.detail.startswith("its Engine does not answer: ")
    assert lost_after(ready, trouble) == pytest.approx(56.0, abs=0.1)
    assert ready.worker.view.detail.startswith("its Engine does not answer: ")


def test_a_host_that_falls_silent_after_its_engine_is_lost_sooner(ready: Desk) -> None:
    ready.silence(20, Trouble.REFUSED)
    assert ready.worker.view.state is HostState.SUSPECT
    assert lost_after(ready, Trouble.SILENT) <= 11.0
    assert ready.worker.view.detail == "nothing of it answers: no connection to the Engine"


def test_a_sign_of_the_host_puts_off_its_loss(ready: Desk) -> None:
    ready.silence(9)
    ready.fail(Ping, Trouble.REFUSED)
    ready.silence(9)
    assert ready.worker.view.state is HostState.SUSPECT


def test_the_clock_alone_loses_nobody(ready: Desk) -> None:
    """Probes that do not end say nothing, and one that failed may have been unlucky."""
    ready.pass_time(30)
    assert ready.worker.view.state is HostState.SUSPECT
    ready.fail(Ping, Trouble.SILENT)
    assert ready.worker.view.state is HostState.SUSPECT
    ready.fail(Ping, Trouble.SILENT)
    assert ready.worker.view.state is HostState.LOST


def test_probes_that_were_asked_before_the_last_sign_do_not_count(ready: Desk) -> None:
    ready.pass_time(2.5)
    late = [ready.take(Ping), ready.take(Ping)]
    ready.submit(start())
    ready.answer(Create, "id")
    ready.asked += late
    ready.fail(Ping, Trouble.SILENT)
    ready.fail(Ping, Trouble.SILENT)
    ready.pass_time(10.5)
    assert ready.worker.view.state is HostState.SUSPECT


def test_a_host_never_heard_counts_from_the_beginning_of_the_daemon() -> None:
    desk = Desk()
    desk.feed(Woke())
    desk.silence(2.9)
    assert (desk.worker.view.state, desk.worker.view.detail) == (HostState.UNKNOWN, "")
    desk.silence(0.1)
    assert desk.worker.view.state is HostState.SUSPECT
    assert not desk.worker.view.listed
    assert lost_after(desk, Trouble.SILENT) == pytest.approx(7.0, abs=0.1)


def test_a_host_never_heard_that_has_not_failed_yet_says_so() -> None:
    desk = Desk()
    desk.feed(Woke())
    desk.pass_time(4)
    assert (desk.worker.view.state, desk.worker.view.detail) == (HostState.SUSPECT, "has not answered yet")


def test_a_slow_heartbeat_does_not_hide_silence() -> None:
    """A fleet of thousands is asked less often each."""
    failure = FailureSettings(heartbeat=5.0, suspect_after=15.0)
    desk = Desk(HostWorker("h1", "shop", "u1", failure))
    desk.be_reachable()
    desk.live(60)
    assert desk.worker.view.state is HostState.REACHABLE
    since_the_last_answer = failure.heartbeat
    lost = lost_after(desk, Trouble.SILENT, takes=5.0)
    assert 15.0 - since_the_last_answer <= lost <= 16.0


def test_words_do_not_change_with_every_probe(ready: Desk) -> None:
    ready.silence(4)
    view = ready.worker.view
    for kind in (Ping, Ping):
        ready.pass_time(1)
        ready.fail(kind, Trouble.SILENT, f"no answer within {ready.now}s")
    assert ready.worker.view is view


# --- what keeps it reachable


@pytest.mark.parametrize("trouble", [Trouble.REJECTED, Trouble.NOT_FOUND])
def test_an_error_is_an_answer(trouble: Trouble, ready: Desk) -> None:
    for _ in range(20):
        ready.pass_time(1)
        ready.fail(Ping, trouble, "busy")
    assert ready.worker.view.state is HostState.REACHABLE


def test_any_answer_counts(ready: Desk) -> None:
    ready.submit(start())
    ready.pass_time(2.5)
    ready.answer(Create, "id")
    ready.pass_time(2.5)
    assert ready.worker.view.state is HostState.REACHABLE


def test_oversleep_is_forgiven(ready: Desk) -> None:
    ready.now += 3600
    ready.feed(Woke())
    assert ready.worker.view.state is HostState.REACHABLE
    ready.heartbeats()
    ready.live(5)
    assert ready.worker.view.state is HostState.REACHABLE


def test_a_daemon_that_overslept_a_doubt_loses_nobody(ready: Desk) -> None:
    ready.silence(9.5)
    ready.now += 3600
    ready.feed(Woke())
    ready.pass_time(0.6)
    assert ready.worker.view.state is HostState.SUSPECT, "so many seconds, but not so many probes"
    ready.back()


def test_silence_after_oversleep_is_not_forgiven(ready: Desk) -> None:
    ready.now += 3600
    ready.feed(Woke())
    assert lost_after(ready, Trouble.SILENT) == pytest.approx(10.0, abs=0.1)


# --- probes


def test_probes_keep_their_pace_until_it_is_lost_and_become_rarer_then(ready: Desk) -> None:
    asked: list[float] = []
    began, seen = ready.now, set()
    while ready.now < began + 120:
        ready.silence(0.05)
        for one in ready.asked:
            if isinstance(one.call, Ping) and one.number not in seen:
                seen.add(one.number)
                asked.append(ready.now)
    gaps = [later - sooner for sooner, later in pairwise(asked)]
    assert all(0.9 <= gap <= 1.1 for gap, at in zip(gaps, asked, strict=False) if at < began + 9)
    assert max(gaps) <= 7, "in the end every five seconds, and as long as a probe takes"
    assert min(gaps[-5:]) >= 3.9
    assert ready.steps < 400


def test_few_probes_are_under_way_at_a_time(ready: Desk) -> None:
    ready.pass_time(60)
    assert len(ready.calls(Ping)) == MOST_PROBES


def test_a_silent_host_is_asked_nothing_but_whether_it_lives(ready: Desk) -> None:
    ready.silence(60)
    assert {type(call) for call in ready.calls()} <= {Ping}


# --- back


def test_one_answer_closes_the_breaker_but_it_is_listed_before_it_counts(ready: Desk) -> None:
    ready.silence(30)
    assert ready.worker.view.state is HostState.LOST
    while not ready.calls(Ping):
        ready.pass_time(1)
    ready.answer(Ping)
    assert ready.calls() == [AskFacts()]
    assert ready.worker.view.state is HostState.LOST
    ready.answer(AskFacts, FACTS)
    assert ready.worker.view.state is HostState.LOST
    ready.answer(ListContainers, (listed(start()),))
    assert ready.worker.view.state is HostState.REACHABLE
    assert ready.worker.view.detail == ""
    assert [str(one.state) for one in ready.worker.view.containers] == ["running"]


def test_a_lost_host_stays_lost_while_only_its_kernel_answers(ready: Desk) -> None:
    ready.silence(30)
    ready.silence(30, Trouble.REFUSED)
    assert ready.worker.view.state is HostState.LOST
    ready.back()
    assert ready.worker.view.state is HostState.REACHABLE


def test_an_answer_that_comes_late_is_followed_by_a_list_at_once(ready: Desk) -> None:
    ready.pass_time(4)
    assert ready.worker.view.state is HostState.SUSPECT
    ready.answer(Ping)
    assert ready.worker.view.state is HostState.SUSPECT
    assert ready.calls(ListContainers) == [ListContainers("shop")]
    ready.answer(ListContainers, ())
    assert ready.worker.view.state is HostState.REACHABLE
    ready.heartbeats()
    ready.pass_time(0.5)
    assert ready.calls(ListContainers) == [], "one list is enough"


def test_what_was_seen_stays_while_nobody_answers() -> None:
    desk = Desk()
    desk.be_reachable(listed(start()))
    desk.silence(30)
    assert desk.worker.view.state is HostState.LOST
    assert [str(one.state) for one in desk.worker.view.containers] == ["running"]
    assert desk.worker.view.listed


# --- an Engine that cannot be used, or not be looked at


def test_an_unusable_engine_is_refused_and_asked_again_ever_more_rarely(ready: Desk) -> None:
    ready.pass_time(1)
    ready.fail(Ping, Trouble.UNUSABLE, "certificate has expired")
    assert (ready.worker.view.state, ready.worker.view.detail) == (
        HostState.REFUSED,
        "certificate has expired",
    )
    asked = 0
    for _ in range(600):
        ready.pass_time(0.1)
        while ready.calls():
            asked += 1
            ready.fail(type(ready.calls()[0]), Trouble.UNUSABLE, "certificate has expired")
        assert ready.worker.view.state is HostState.REFUSED
    assert 10 <= asked <= 20
    ready.pass_time(5)
    ready.answer(AskFacts, FACTS)
    ready.show()
    assert ready.worker.view.state is HostState.REACHABLE


def test_a_refused_host_that_falls_silent_is_lost(ready: Desk) -> None:
    ready.pass_time(1)
    ready.fail(Ping, Trouble.UNUSABLE, "certificate has expired")
    assert lost_after(ready, Trouble.SILENT) <= 12.0


def test_a_host_that_answers_and_does_not_list_is_suspect_and_never_lost(ready: Desk) -> None:
    """Its containers go on, as far as anybody can know."""
    ready.stir()
    for _ in range(150):
        ready.pass_time(1)
        ready.heartbeats()
        while ready.calls(AskFacts):
            ready.answer(AskFacts, FACTS)
        if ready.calls(ListContainers):
            ready.fail(ListContainers, Trouble.HUNG, "no answer within 10s")
    assert ready.worker.view.state is HostState.SUSPECT
    assert ready.worker.view.detail == "its containers cannot be listed: no answer within 10s"
    ready.back()


# --- the rule itself

TROUBLES = st.sampled_from([Trouble.SILENT, Trouble.REFUSED, Trouble.HUNG, None])


@given(st.lists(st.tuples(st.floats(0.05, 2.0), TROUBLES), min_size=1, max_size=80))
def test_lost_means_long_enough_without_a_sign_or_an_answer(ends: list[tuple[float, Trouble | None]]) -> None:
    failure = FailureSettings(lost_after=6.0, engine_down_after=20.0)
    liveness = Liveness("h1", failure)
    liveness.step(0.0)
    now, answer, sign, failed, lost = 0.0, 0.0, 0.0, 0, False
    for wait, trouble in ends:
        asked, now = now, now + wait
        liveness.step(now)
        if trouble is None:
            liveness.heard(now)
            answer, sign, failed, lost = now, now, 0, False
        else:
            liveness.unanswered(trouble, "words", now)
            if trouble is not Trouble.SILENT:
                sign, failed = now, 0
            liveness.probe_failed(asked, now)
            failed += asked >= sign
        lost = lost or (now >= sign + 6.0 and failed >= 2) or now >= answer + 20.0
        state = liveness.judge(now)
        assert (state is HostState.LOST) == lost
        assert lost or (state is HostState.SUSPECT) == (now >= answer + 3.0)
        assert liveness.probe_due <= now + 6.0
