"""The git worker on real repositories: its own thread, a clock that is moved by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from rota.core.observed import Now
from rota.gitrepo import Source, StatusBranch
from rota.gitrepo.status_branch import StatusTip
from rota.gitrepo.worker import GitOptions, GitView, GitWorker, Pace, Publication, Urgency
from tests.gitrepo.origin import Origin
from tests.lab.waiting import wait_for
from tests.manifest.trees import FLEET, SERVICE

BRANCH = "rota/status"
AT = datetime(2026, 6, 1, 6, 50, tzinfo=UTC)
GOOD = {"fleet.yaml": FLEET, "shop/web.yaml": SERVICE}
BETTER = {**GOOD, "shop/web.yaml": SERVICE.replace("web:1", "web:2")}
INVALID = {**GOOD, "shop/web.yaml": SERVICE.replace("container:", "contaner:")}
SECONDS = 20.0


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.mono = 1000.0

    def now(self) -> Now:
        return Now(wall=AT, mono=self.mono)

    def real_seconds(self, wall_seconds: float) -> float:
        return wall_seconds


def applied_of(tip: StatusTip) -> str | None:
    return tip.files["applied"].decode() if "applied" in tip.files else None


@dataclass
class Daemon:
    """One git worker, and what it told."""

    worker: GitWorker
    clock: HandClock
    news: threading.Event

    def await_view(self, condition: Callable[[GitView], object], what: str) -> GitView:
        def met() -> GitView | None:
            view = self.worker.view()
            return view if condition(view) else None

        found = wait_for(met, SECONDS, what)
        assert found is not None
        return found

    def poll(self) -> GitView:
        """Have it poll once, and look."""
        before = self.worker.view().polls
        self.worker.wake()
        return self.await_view(lambda view: view.polls > before, "a poll")

    def move(self, seconds: float) -> None:
        """Let time pass, and have the worker look at its clock."""
        self.clock.mono += seconds
        with self.worker._lock:
            self.worker._lock.notify_all()

    def await_pushed(self, publication: Publication) -> GitView:
        return self.await_view(lambda view: view.published is publication, "the publication to be pushed")


@pytest.fixture
def daemon_of(origin: Origin, source_of: Callable[..., Source]) -> Iterator[Callable[..., Daemon]]:
    """Starts a git worker; those of the same `name` share their mirror, as one daemon after another does."""
    started: list[Daemon] = []

    def start(name: str = "op-a", pace: Pace | None = None, **options: object) -> Daemon:
        source = source_of(origin.url, name=name)
        branch = StatusBranch(source.mirror, BRANCH, name)
        news, clock = threading.Event(), HandClock()
        made = GitOptions(applied_of=applied_of, pace=pace or Pace(), **options)  # type: ignore[arg-type]
        started.append(Daemon(GitWorker(source, branch, clock, news.set, made), clock, news))
        started[-1].worker.start()
        return started[-1]

    yield start
    for daemon in started:
        daemon.worker.close()
        assert not daemon.worker._thread.is_alive()


DaemonOf = Callable[..., Daemon]


def publication(text: str, urgency: Urgency = Urgency.CONTENT, **files: str) -> Publication:
    contents = {"README.md": text.encode(), **{name: content.encode() for name, content in files.items()}}
    return Publication(files=contents, subject=text, trailers={}, at=AT, urgency=lambda _: urgency)


def test_it_polls_and_loads(origin: Origin, daemon_of: DaemonOf) -> None:
    first = origin.commit(GOOD)
    daemon = daemon_of()
    view = daemon.await_view(lambda view: view.polls, "the first poll")
    assert (view.head, view.reason, view.message, view.ready, view.tip) == (first, "", "", True, None)
    assert view.loaded is not None
    assert view.loaded.fleet is not None
    assert view.loaded.fleet.revision == first
    assert daemon.news.is_set()

    second = origin.commit(BETTER, parent=first)
    daemon.move(34)
    view = daemon.await_view(lambda view: view.head == second, "the next commit")
    assert view.loaded is not None
    assert view.loaded.fleet is not None
    assert [one.container.image for one in view.loaded.fleet.services.values()] == ["web:2"]
    assert not view.rewritten


def test_it_polls_at_its_interval_and_when_woken(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    daemon = daemon_of(interval=100)
    daemon.await_view(lambda view: view.polls == 1, "the first poll")
    daemon.move(89)
    for _ in range(100):
        daemon.worker.wake()
    daemon.await_view(lambda view: view.polls > 1 and not daemon.worker._woken, "a poll for the waking")
    assert daemon.worker.view().polls <= 4, "a burst is one poll, and one for what came meanwhile"
    polls = daemon.worker.view().polls
    for _ in range(5):
        daemon.move(111)
        polls = daemon.await_view(lambda view, polls=polls: view.polls > polls, "the next poll").polls


def test_an_invalid_commit_tells_every_problem(origin: Origin, daemon_of: DaemonOf) -> None:
    first = origin.commit(GOOD)
    daemon = daemon_of()
    daemon.await_view(lambda view: view.polls, "the first poll")
    broken = {**INVALID, "shop/api.yaml": "kind: [", "fleet.yaml": FLEET}
    second = origin.commit(broken, parent=first)
    view = daemon.poll()
    assert view.head == second
    assert view.loaded is not None
    assert view.loaded.fleet is None
    assert {problem.path for problem in view.loaded.problems} == {"shop/api.yaml", "shop/web.yaml"}
    assert view.last_good is None, "a daemon that saw the last good revision has it"


def test_the_last_good_revision_is_kept_over_a_restart(origin: Origin, daemon_of: DaemonOf) -> None:
    good = origin.commit(GOOD)
    first = daemon_of()
    first.await_view(lambda view: view.polls, "the first poll")
    sent = publication("Ready", applied=good)
    first.worker.publish(sent)
    first.await_pushed(sent)
    first.worker.close()
    origin.commit(INVALID, parent=good)

    second = daemon_of()
    view = second.await_view(lambda view: view.polls, "the first poll")
    assert view.loaded is not None
    assert view.loaded.fleet is None
    assert view.last_good is not None
    assert view.last_good.fleet is not None
    assert view.last_good.fleet.revision == good
    assert view.tip is not None
    assert dict(view.tip.files) == dict(sent.files)


def test_a_last_good_revision_that_is_gone_is_done_without(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    first = daemon_of()
    first.await_view(lambda view: view.polls, "the first poll")
    sent = publication("Ready", applied="0" * 40)
    first.worker.publish(sent)
    first.await_pushed(sent)
    first.worker.close()
    origin.commit(INVALID)
    view = daemon_of().await_view(lambda view: view.polls, "the first poll")
    assert (view.reason, view.last_good) == ("", None)
    assert view.loaded is not None
    assert view.loaded.problems


def test_rewritten_history_is_told_and_taken(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    daemon = daemon_of()
    daemon.await_view(lambda view: view.polls, "the first poll")
    other = origin.commit(BETTER)
    view = daemon.poll()
    assert (view.head, view.rewritten) == (other, True)
    third = origin.commit(GOOD, parent=other)
    view = daemon.poll()
    assert (view.head, view.rewritten) == (third, False)


def test_failures_back_off_and_change_nothing(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    daemon = daemon_of()
    good = daemon.await_view(lambda view: view.polls, "the first poll")
    hidden = origin.path.rename(origin.path.with_name("hidden.git"))
    waits = []
    for _ in range(6):
        view = daemon.poll()
        waits.append(daemon.worker._timing.poll_at - daemon.clock.mono)
        assert view.reason == "GitUnreachable"
        assert str(origin.path) in view.message
        assert (view.head, view.loaded, view.ready) == (good.head, good.loaded, True)
    for wait, expected in zip(waits, (30, 60, 120, 240, 300, 300), strict=True):
        assert 0.9 * expected <= wait <= 1.1 * expected
    hidden.rename(origin.path)
    view = daemon.poll()
    assert (view.reason, view.message) == ("", "")
    assert daemon.worker._timing.poll_at - daemon.clock.mono <= 33


def test_a_branch_that_is_gone_is_no_empty_fleet(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    daemon = daemon_of()
    good = daemon.await_view(lambda view: view.polls, "the first poll")
    origin.delete("main")
    view = daemon.poll()
    assert (view.reason, view.head, view.loaded) == ("BranchMissing", good.head, good.loaded)


def test_publications_coalesce_and_keep_their_pace(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    daemon = daemon_of(interval=10_000, pace=Pace(30))
    daemon.await_view(lambda view: view.polls, "the first poll")
    first = publication("one")
    daemon.worker.publish(first)
    assert daemon.await_pushed(first).pushed == origin.tip(BRANCH)
    for number in range(20):
        daemon.worker.publish(publication(f"two {number}"))
    daemon.move(29)
    daemon.poll()
    assert origin.count(BRANCH) == 1
    last = publication("three")
    daemon.worker.publish(last)
    daemon.move(1)
    daemon.await_pushed(last)
    assert origin.count(BRANCH) == 2, "only the newest goes out"


@pytest.mark.parametrize(("urgency", "seconds"), [(Urgency.VERDICT, 5), (Urgency.STATE, 600)])
def test_urgency_says_how_soon(urgency: Urgency, seconds: float, origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    daemon = daemon_of(interval=10_000)
    daemon.await_view(lambda view: view.polls, "the first poll")
    first, second = publication("one"), publication("two", urgency)
    daemon.worker.publish(first)
    daemon.await_pushed(first)
    daemon.worker.publish(second)
    daemon.move(seconds - 0.5)
    daemon.poll()
    assert origin.count(BRANCH) == 1
    daemon.move(1)
    daemon.await_pushed(second)


def test_a_claim_goes_out_at_once(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    daemon = daemon_of()
    daemon.await_view(lambda view: view.polls, "the first poll")
    for number in range(3):
        claim = publication(f"claim {number}", Urgency.CLAIM)
        daemon.worker.publish(claim)
        daemon.await_pushed(claim)
    assert origin.count(BRANCH) == 3


def test_nothing_new_is_no_commit(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    daemon = daemon_of()
    daemon.await_view(lambda view: view.polls, "the first poll")
    first, same = publication("one", Urgency.CLAIM), publication("one", Urgency.CLAIM)
    daemon.worker.publish(first)
    pushed = daemon.await_pushed(first).pushed
    daemon.worker.publish(same)
    assert daemon.await_pushed(same).pushed == pushed
    assert origin.count(BRANCH) == 1


def test_own_pushes_are_no_news(origin: Origin, daemon_of: DaemonOf) -> None:
    head = origin.commit(GOOD)
    daemon = daemon_of()
    loaded = daemon.await_view(lambda view: view.polls, "the first poll").loaded
    sent = publication("one")
    daemon.worker.publish(sent)
    daemon.await_pushed(sent)
    view = daemon.poll()
    assert (view.head, view.frozen) == (head, "")
    assert view.loaded is loaded


def test_a_refused_push_is_told_and_tried_again_later(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    origin.hook("pre-receive", "echo protected >&2; exit 1")
    daemon = daemon_of(interval=10_000)
    daemon.await_view(lambda view: view.polls, "the first poll")
    sent = publication("one", Urgency.CLAIM)
    delays = []
    for _ in range(3):
        daemon.worker.publish(sent)
        before = len(delays)
        wait_for(
            lambda before=before: daemon.worker._timing.push_failures > before, SECONDS, "the push to fail"
        )
        view = daemon.await_view(lambda view: view.push_reason, "the refusal to be told")
        assert "protected" in view.push_message
        delays.append(daemon.worker._timing.push_at - daemon.clock.mono)
        daemon.move(delays[-1])
    for delay, expected in zip(delays, (5, 10, 20), strict=True):
        assert 0.9 * expected <= delay <= 1.1 * expected
    origin.hook("pre-receive", "exit 0")
    daemon.move(60)
    view = daemon.await_pushed(sent)
    assert (view.push_reason, view.push_message) == ("", "")


def test_another_operator_freezes_it_for_good(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    first, second = daemon_of("op-a"), daemon_of("op-b")
    for daemon in (first, second):
        daemon.await_view(lambda view: view.ready, "the status branch to be looked at")
    sent = publication("a", Urgency.CLAIM)
    first.worker.publish(sent)
    first.await_pushed(sent)
    second.worker.publish(publication("b", Urgency.CLAIM))
    view = second.await_view(lambda view: view.frozen, "the second to freeze")
    assert "op-a" in view.frozen
    assert second.poll().frozen, "it does not thaw by itself"
    second.worker.publish(publication("b again", Urgency.CLAIM))
    second.worker.flush(SECONDS)
    assert origin.count(BRANCH) == 1
    assert first.poll().frozen == ""


def test_a_third_that_starts_is_frozen_from_its_first_look(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    first = daemon_of("op-a")
    first.await_view(lambda view: view.ready, "the status branch to be looked at")
    sent = publication("a", Urgency.CLAIM)
    first.worker.publish(sent)
    first.await_pushed(sent)
    view = daemon_of("op-c").await_view(lambda view: view.polls, "the first poll")
    assert "written by the operator op-a" in view.frozen
    assert view.loaded is not None, "it goes on looking"


def test_what_another_wrote_is_noticed_by_a_poll(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    daemon = daemon_of()
    daemon.await_view(lambda view: view.ready, "the status branch to be looked at")
    origin.commit({"README.md": "mine"}, branch=BRANCH, message="by hand")
    assert "which carries no Operator-Id" in daemon.poll().frozen


def test_flush_does_not_wait_for_the_pace(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    daemon = daemon_of()
    daemon.await_view(lambda view: view.polls, "the first poll")
    first, last = publication("one"), publication("two", Urgency.STATE)
    daemon.worker.publish(first)
    daemon.await_pushed(first)
    daemon.worker.publish(last)
    daemon.worker.flush(SECONDS)
    assert daemon.worker.view().published is last
    assert origin.count(BRANCH) == 2
    third = publication("three")
    daemon.worker.publish(third)
    daemon.poll()
    assert origin.count(BRANCH) == 2, "afterwards the pace holds again"


@pytest.mark.parametrize("why", ["nothing", "read only", "frozen", "refused", "not ready"])
def test_flush_waits_for_nothing_in_vain(why: str, origin: Origin, daemon_of: DaemonOf) -> None:
    """A daemon that ends must not be held up by what can never be pushed."""
    origin.commit(GOOD)
    if why == "refused":
        origin.hook("pre-receive", "exit 1")
    if why == "not ready":
        origin.delete("main")
    daemon = daemon_of(read_only=why == "read only")
    daemon.await_view(lambda view: view.polls, "the first poll")
    if why == "frozen":
        origin.commit({"README.md": "mine"}, branch=BRANCH)
        assert daemon.poll().frozen
    if why != "nothing":
        daemon.worker.publish(publication("one", Urgency.STATE))
    flushed = threading.Thread(target=daemon.worker.flush, args=(1000,))
    flushed.start()
    flushed.join(SECONDS)
    assert not flushed.is_alive()


def test_a_read_only_worker_pushes_nothing(origin: Origin, daemon_of: DaemonOf) -> None:
    origin.commit(GOOD)
    daemon = daemon_of(read_only=True)
    daemon.await_view(lambda view: view.ready, "the status branch to be looked at")
    daemon.worker.publish(publication("one", Urgency.CLAIM))
    daemon.poll()
    assert daemon.worker.view().published is None


def test_a_bug_in_a_poll_does_not_end_the_thread(
    origin: Origin, daemon_of: DaemonOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.commit(GOOD)
    daemon = daemon_of()
    daemon.await_view(lambda view: view.polls, "the first poll")
    poll, failed = Source.poll, threading.Event()

    def broken(source: Source) -> object:
        failed.set()
        raise ZeroDivisionError

    monkeypatch.setattr(Source, "poll", broken)
    daemon.worker.wake()
    assert failed.wait(SECONDS)
    monkeypatch.setattr(Source, "poll", poll)
    daemon.poll()
