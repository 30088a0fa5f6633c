"""A whole operator on engines in memory and a real repository: when it acts, when it does not."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rota.app import Daemon
from rota.clock import ShiftedClock, SystemClock
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger, Reservation
from rota.core.observed import ContainerState, Now
from rota.core.planning.promises import RESERVED_SECONDS
from rota.errors import Fatal
from rota.gitrepo import Source, StatusBranch
from rota.reconcile import reserved_from_now_on
from rota.settings import DaemonSettings, GitSettings
from tests.gitrepo.origin import Origin, git
from tests.lab.waiting import wait_for
from tests.operation import SECONDS, SERVICE, STATUS, Machines, Operation, fleet, has_status, status_of

MORE = fleet(web=SERVICE.replace("replicas: 4", "replicas: 6"))
INVALID = fleet(web=SERVICE.replace("replicas: 4", "replicas: many").replace("cpu: 500m", "cpu: lots"))
POLICY = """\
apiVersion: rota/v1
kind: CapacityPolicy
metadata: {name: hours, namespace: shop}
spec:
  timeZone: Europe/Berlin
  base: {replicas: {web: 2}}
  windows:
    - {name: day, days: [mon, tue, wed, thu, fri], start: "07:00", end: "20:00", lead: 0s, replicas: {web: 6}}
"""


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "srv" / "fleet.git")


@pytest.fixture
def machines() -> Machines:
    return Machines(SystemClock())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_it_brings_the_fleet_to_what_is_wanted(origin: Origin, data: Path, machines: Machines) -> None:
    revision = origin.commit(fleet())
    with Operation(origin, data, machines) as operation:
        last = operation.await_ready(revision)
        assert len(machines.running()) == 4
        assert {len(engine.all_containers()) for engine in machines.engines.values()} == {2}
        assert last.decision is not None
        assert last.decision.actions == ()
        wait_for(
            lambda: has_status(origin) and status_of(origin)["source"]["applied"] == revision,
            SECONDS,
            "its status",
        )

        second = origin.commit(MORE, parent=revision)
        operation.daemon.poll_now()
        operation.await_ready(second)
        assert len(machines.running()) == 6
    assert [one["status"] for one in status_of(origin)["conditions"] if one["type"] == "Ready"] == ["True"]


def test_it_wakes_on_the_edge_of_a_window(origin: Origin, data: Path) -> None:
    speed = 60.0
    edge = datetime(2026, 6, 1, 5, 0, tzinfo=UTC)
    begun = edge - timedelta(seconds=1.5 * speed)
    clock = ShiftedClock(start=begun, speed=speed, origin=SystemClock().now().mono)
    machines = Machines(clock)
    origin.commit(fleet(policy=POLICY))
    with Operation(origin, data, machines, clock=clock) as operation:
        operation.await_pass(lambda one: one.now.wall >= edge, "the edge")
        first = next(one for one in operation.passes if one.now.wall >= edge)
        late = (first.now.wall - edge).total_seconds() / speed
        assert 0 <= late < 0.5
        assert first.decision is not None
        assert [want.count for want in first.decision.wants.values()] == [6]
        wait_for(lambda: len(machines.running()) == 6, SECONDS, "six to run")
        before = [one for one in operation.passes if one.now.wall < edge and one.decision is not None]
        counts = {want.count for one in before if one.decision for want in one.decision.wants.values()}
        assert counts <= {2}


def test_it_wakes_when_a_lead_begins(origin: Origin, data: Path) -> None:
    speed = 60.0
    edge = datetime(2026, 6, 1, 5, 0, tzinfo=UTC)
    lead = edge - timedelta(minutes=2)
    clock = ShiftedClock(
        start=lead - timedelta(seconds=1.5 * speed), speed=speed, origin=SystemClock().now().mono
    )
    machines = Machines(clock)
    origin.commit(fleet(policy=POLICY.replace("lead: 0s", "lead: 2m")))
    with Operation(origin, data, machines, clock=clock) as operation:
        operation.await_pass(lambda one: one.now.wall >= lead, "the lead")
        first = next(one for one in operation.passes if one.now.wall >= lead)
        assert 0 <= (first.now.wall - lead).total_seconds() / speed < 0.5
        assert first.decision is not None
        assert [(want.count, want.due) for want in first.decision.wants.values()] == [(6, 2)]
        operation.await_pass(lambda one: one.now.wall >= edge, "the edge")
    assert len(machines.running()) == 6
    met = status_of(origin)["edges"]
    assert [(one["workload"], one["ready"], one["late"]) for one in met] == [("shop/web", 6, False)]
    events = git(origin.path, "show", f"{STATUS}:events.jsonl").splitlines()
    assert [row["message"] for row in map(json.loads, events) if row["event"] == "edge"] == [met[0]["text"]]


@pytest.mark.parametrize("how", ["stop", "remove"])
def test_what_a_person_ends_is_back_within_two_seconds(
    how: str, origin: Origin, data: Path, machines: Machines
) -> None:
    revision = origin.commit(fleet())
    with Operation(origin, data, machines) as operation:
        operation.await_ready(revision)
        engine, victim = machines.containers()[0]
        if how == "stop":
            engine.stop_by_hand(victim.name)
        else:
            engine.remove_by_hand(victim.name)
        began = SystemClock().now().mono
        wait_for(lambda: len(machines.running()) == 4, SECONDS, "all to run again")
        assert SystemClock().now().mono - began < 2


def test_the_pause_file_holds_everything(
    origin: Origin, data: Path, machines: Machines, tmp_path: Path
) -> None:
    pause = tmp_path / "pause"
    revision = origin.commit(fleet())
    with Operation(origin, data, machines, pause_file=pause) as operation:
        operation.await_ready(revision)
        pause.touch()
        writes = machines.writes
        second = origin.commit(MORE, parent=revision)
        operation.daemon.poll_now()
        last = operation.await_pass(
            lambda one: one.status.source.attempted == second, "the commit to be seen"
        )
        assert last.decision is not None
        assert last.decision.held is not None
        assert str(pause) in last.decision.held.message
        assert [str(change.kind) for change in last.decision.changes] == ["start", "start"]
        engine, victim = machines.containers()[0]
        engine.stop_by_hand(victim.name)
        operation.a_few_passes()
        assert machines.writes == writes
        pause.unlink()
        operation.await_ready(second)
        assert len(machines.running()) == 6


def test_an_invalid_commit_changes_nothing_and_tells_every_problem(
    origin: Origin, data: Path, machines: Machines
) -> None:
    good = origin.commit(fleet())
    with Operation(origin, data, machines) as operation:
        operation.await_ready(good)
        writes = machines.writes
        bad = origin.commit(INVALID, parent=good)
        operation.daemon.poll_now()
        last = operation.await_pass(lambda one: one.status.source.attempted == bad, "the commit to be seen")
        source = last.status.source
        assert (source.applied, source.reason) == (good, "InvalidCommit")
        assert {(one.path, one.line) for one in source.problems} == {("web.yaml", 5), ("web.yaml", 8)}
        assert f"commit {bad[:12]} has 2 problems and is not applied" in source.message
        engine, victim = machines.containers()[0]
        engine.remove_by_hand(victim.name)
        wait_for(lambda: len(machines.running()) == 4, SECONDS, "the last good revision to be held")
        assert machines.writes > writes
        wait_for(
            lambda: status_of(origin)["source"]["attempted"] == bad,
            SECONDS,
            "the problems on the status branch",
        )
        assert status_of(origin)["source"]["applied"] == good

    with Operation(origin, data, machines) as operation:
        last = operation.await_pass(lambda one: one.decision is not None, "a decision after a restart")
        assert (last.status.source.attempted, last.status.source.applied) == (bad, good)
        mended = origin.commit(MORE, parent=bad)
        operation.await_ready(mended)
        assert len(machines.running()) == 6


def test_rewritten_history_is_told_and_followed(origin: Origin, data: Path, machines: Machines) -> None:
    first = origin.commit(fleet())
    with Operation(origin, data, machines) as operation:
        operation.await_ready(first)
        other = origin.commit(MORE)
        operation.await_ready(other)
        assert len(machines.running()) == 6
    events = git(origin.path, "show", f"{STATUS}:events.jsonl").splitlines()
    assert any(f"history was rewritten; now at {other[:12]}" in json.loads(one).values() for one in events)


def test_the_end_leaves_every_container(origin: Origin, data: Path, machines: Machines) -> None:
    revision = origin.commit(fleet())
    before = threading.active_count()
    with Operation(origin, data, machines) as operation:
        operation.await_ready(revision)
        writes, running = machines.writes, machines.running()
        began = SystemClock().now().mono
        operation.stop()
        assert SystemClock().now().mono - began < 5
    assert (machines.writes, machines.running()) == (writes, running)
    wait_for(lambda: threading.active_count() <= before, SECONDS, "all its threads to end")
    assert [engine._streams for engine in machines.engines.values()] == [[], []]


def test_a_restart_touches_nothing(origin: Origin, data: Path, machines: Machines) -> None:
    revision = origin.commit(fleet())
    with Operation(origin, data, machines) as operation:
        operation.await_ready(revision)
        operation.await_pass(
            lambda one: one.decision is not None and not one.decision.ledger.rollouts, "the soak"
        )
    writes, running, commits = machines.writes, machines.running(), origin.count(STATUS)
    with Operation(origin, data, machines) as operation:
        operation.await_ready(revision)
        operation.a_few_passes()
        assert (machines.writes, machines.running()) == (writes, running)
        assert all(one.decision is None or not one.decision.actions for one in operation.passes)
    assert origin.count(STATUS) == commits


def test_no_status_commit_without_a_change(origin: Origin, data: Path, machines: Machines) -> None:
    revision = origin.commit(fleet())
    with Operation(origin, data, machines) as operation:
        operation.await_ready(revision)
        operation.a_few_passes()
        settled = origin.count(STATUS)

        def at_rest() -> bool:
            nonlocal settled
            polls = operation.last.git.polls
            operation.await_pass(lambda one: one.git.polls > polls + 3, "a few polls")
            before, settled = settled, origin.count(STATUS)
            return before == settled

        wait_for(at_rest, SECONDS, "the status branch to come to rest")
        operation.a_few_passes(10)
        polls = operation.last.git.polls
        operation.await_pass(lambda one: one.git.polls > polls + 5, "a few polls")
        assert origin.count(STATUS) == settled


def test_a_second_operator_freezes(origin: Origin, data: Path, machines: Machines, tmp_path: Path) -> None:
    revision = origin.commit(fleet())
    with Operation(origin, data, machines) as first:
        first.await_ready(revision)
        wait_for(lambda: has_status(origin), SECONDS, "the first status")
        writes = machines.writes
        with Operation(origin, tmp_path / "other", machines) as second:
            last = second.await_pass(lambda one: one.decision is not None, "a decision of the second")
            assert last.decision is not None
            assert last.decision.held is not None
            assert "written by the operator" in last.decision.held.message
            machines.containers()[0][0].images.clear()
            second.a_few_passes()
            assert all(one.decision is None or not one.decision.actions for one in second.passes)
            assert machines.writes == writes
        assert first.last.decision is not None
        assert first.last.decision.held is None


def test_a_second_operator_on_the_same_data_does_not_start(
    origin: Origin, data: Path, machines: Machines
) -> None:
    revision = origin.commit(fleet())
    with Operation(origin, data, machines) as first:
        first.await_ready(revision)
        settings = DaemonSettings(git=GitSettings(repo=origin.url), data=data)
        with pytest.raises(Fatal, match=f"uses the data folder {data}. Stop it, or give this one another"):
            Daemon(settings, SystemClock(), open_engine=machines.open)
    with Operation(origin, data, machines) as again:
        again.await_ready(revision)


@pytest.mark.parametrize(("repo", "said"), [("ftp://example/fleet.git", "ftp"), ("", "repository")])
def test_settings_that_cannot_be_used_leave_nothing_open(
    repo: str, said: str, data: Path, machines: Machines
) -> None:
    before = threading.active_count()
    for _ in range(2):
        with pytest.raises(Fatal, match=said):
            Daemon(
                DaemonSettings(git=GitSettings(repo=repo), data=data),
                SystemClock(),
                open_engine=machines.open,
            )
    assert threading.active_count() == before


def test_a_git_server_that_is_away_changes_nothing(origin: Origin, data: Path, machines: Machines) -> None:
    revision = origin.commit(fleet())
    with Operation(origin, data, machines) as operation:
        operation.await_ready(revision)
        hidden = origin.path.rename(origin.path.with_name("hidden.git"))
        operation.await_pass(
            lambda one: one.status.source.reason == "GitUnreachable", "the failure to be told"
        )
        engine, victim = machines.containers()[0]
        engine.stop_by_hand(victim.name)
        wait_for(lambda: len(machines.running()) == 4, SECONDS, "all to run again")
        hidden.rename(origin.path)
        operation.daemon.poll_now()
        operation.await_pass(lambda one: not one.git.reason, "the server to be back")


def test_an_engine_that_is_down_loses_nothing(origin: Origin, data: Path, machines: Machines) -> None:
    revision = origin.commit(fleet())
    with Operation(origin, data, machines) as operation:
        operation.await_ready(revision)
        engine = machines.engines["h1"]
        running = machines.running()
        engine.refuse()
        operation.await_pass(
            lambda one: any(host.state == "suspect" for host in one.status.hosts), "suspicion"
        )
        assert machines.running() == running
        engine.heal()
        operation.await_pass(lambda one: one.status.ready, "the host to be back")
        assert machines.running() == running


def test_a_damaged_ledger_holds_everything(origin: Origin, data: Path, machines: Machines) -> None:
    origin.commit(fleet())
    with Operation(origin, data, machines, operator_id="op") as operation:
        operation.await_pass(lambda one: one.status.ready, "the fleet to be Ready")
    source = Source(origin.url, "main", STATUS, data / "writer")
    branch = StatusBranch(source.mirror, STATUS, "op")
    tip = branch.read()
    assert tip is not None
    branch.publish({**tip.files, "state/ledger.json": b"{"}, "damaged", {}, tip.committed_at)
    damaged, writes = origin.tip(STATUS), machines.writes
    machines.containers()[0][0].stop_by_hand(machines.containers()[0][1].name)
    with Operation(origin, data, machines, operator_id="op") as operation:
        last = operation.await_pass(lambda one: one.decision is not None, "a decision")
        assert last.decision is not None
        assert last.decision.held is not None
        assert "state/ledger.json" in last.decision.held.message
        operation.a_few_passes()
    assert machines.writes == writes
    assert origin.tip(STATUS) == damaged


def test_a_dry_run_changes_nothing_and_ends_at_once(origin: Origin, data: Path, machines: Machines) -> None:
    origin.commit(fleet())
    with Operation(origin, data, machines, dry_run=True) as operation:
        last = operation.await_pass(
            lambda one: one.decision is not None and len(one.decision.changes) == 4, "a whole decision"
        )
        assert last.decision is not None
        assert last.decision.held
        operation.a_few_passes()
        began = SystemClock().now().mono
    assert SystemClock().now().mono - began < 5
    assert machines.writes == 0
    assert not has_status(origin)


def test_a_bug_in_a_pass_does_not_end_the_daemon(
    origin: Origin, data: Path, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rota.controller.FAILED_SECONDS", 0.05)
    failed = threading.Event()

    def broken(*_: object) -> None:
        failed.set()
        raise ZeroDivisionError

    first = origin.commit(fleet())
    with Operation(origin, data, machines) as operation:
        operation.await_ready(first)
        with monkeypatch.context() as patch:
            patch.setattr("rota.reconcile.decide", broken)
            second = origin.commit(MORE, parent=first)
            assert failed.wait(SECONDS)
        operation.await_ready(second)


def test_a_lost_answer_makes_no_second_container(origin: Origin, data: Path, machines: Machines) -> None:
    first = origin.commit(fleet())
    with Operation(origin, data, machines) as operation:
        operation.await_ready(first)
        for engine in machines.engines.values():
            engine.lose_answers(3)
        second = origin.commit(MORE, parent=first)
        operation.await_ready(second)
        names = [one.name for _, one in machines.containers()]
        assert len(names) == len(set(names)) == 6
        assert all(one.state is ContainerState.RUNNING for _, one in machines.containers())


def test_a_fleet_that_does_not_exist_yet(origin: Origin, data: Path, machines: Machines) -> None:
    origin.commit({"README.md": "nothing yet"})
    with Operation(origin, data, machines) as operation:
        last = operation.await_pass(lambda one: one.git.polls > 0, "the first poll")
        assert (last.decision, last.status.source.reason) == (None, "InvalidCommit")
        wait_for(lambda: has_status(origin), SECONDS, "the status to be told")
        revision = origin.commit(fleet())
        operation.await_ready(revision)


def test_a_pass_is_awaited_by_once(origin: Origin, data: Path, machines: Machines) -> None:
    """`run(until)` ends with the pass that satisfies it, also where nothing else happens."""
    revision = origin.commit(fleet())
    settings = DaemonSettings(git=GitSettings(repo=origin.url), data=data)
    with Daemon(settings, SystemClock(), open_engine=machines.open) as daemon:
        last = daemon.controller.run(until=lambda one: one.status.ready)
        assert last is not None
        assert last.status.source.applied == revision
        assert daemon.controller.last is last
        age = daemon.seconds_since_pass()
        assert age is not None
        assert age < 5
    assert replace(last) == last


def test_room_that_was_reserved_before_a_restart_is_not_reserved_for_ever() -> None:
    key = (WorkloadId("shop", "web"), 0)
    restored = Ledger(reservations={key: Reservation(host="h1", until=math.inf)})
    held = reserved_from_now_on(restored, Now(wall=datetime(2026, 6, 1, tzinfo=UTC), mono=5000.0))
    assert held.reservations == {key: Reservation(host="h1", until=5000.0 + RESERVED_SECONDS)}
