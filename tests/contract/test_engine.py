"""What every engine does: one suite for the one in memory and for Docker's."""

from __future__ import annotations

import queue

import pytest

from rota.clock import SystemClock
from rota.core.container import Check
from rota.core.observed import ContainerState, Health, HostView, ObservedContainer, PublishedPort
from rota.engine import labels
from rota.engine.port import ContainerEvent, EngineError, Trouble
from tests.contract.listening import Listening
from tests.contract.subjects import (
    ABSENT,
    FLEET,
    SECONDS,
    WEB,
    WORKER,
    Subject,
    Timed,
    action,
    checked,
    listed,
    port,
    run,
    with_volume,
)
from tests.lab.waiting import wait_for

MARGIN = 3.0
"""Seconds beyond a deadline that a busy machine may take."""


def is_now(subject: Subject, name: str, state: ContainerState) -> bool:
    one = listed(subject, name)
    return one is not None and one.state is state


def test_it_says_what_it_is(subject: Subject) -> None:
    subject.engine.ping()
    facts = subject.engine.facts()
    assert facts.id
    assert facts.version
    assert tuple(int(part) for part in facts.api_version.split(".")) >= (1, 40)
    assert facts.cpu >= 1000
    assert facts.cpu % 1000 == 0
    assert facts.memory > 1 << 28
    assert subject.engine.facts() == facts


def test_created_is_listed_and_does_not_run(subject: Subject) -> None:
    container_id = subject.engine.create(action("one", ports=(port(30001),)))
    one = listed(subject, "one")
    assert one is not None
    assert (one.id, one.name, one.state) == (container_id, "one", ContainerState.CREATED)
    assert (one.health, one.ports, one.exit_code, one.ready) == (Health.NONE, (), None, False)


def test_started_runs_on_its_ports(subject: Subject) -> None:
    web, udp = port(30002), PublishedPort(53, 30003, "udp")
    run(subject, action("one", ports=(web, udp)))
    one = listed(subject, "one")
    assert one is not None
    assert (one.state, one.exit_code, one.ready) == (ContainerState.RUNNING, None, True)
    assert one.ports == (udp, web)


def test_starting_twice_is_fine(subject: Subject) -> None:
    container_id = run(subject, action("one"))
    subject.engine.start(container_id)
    assert is_now(subject, "one", ContainerState.RUNNING)


def test_it_says_when_a_container_was_made_and_what_time_it_is(subject: Subject) -> None:
    before = SystemClock().now().wall
    subject.engine.create(action("one"))
    one = listed(subject, "one")
    assert one is not None
    assert abs(one.created - before.timestamp()) < 60
    assert abs((subject.engine.clock() - before).total_seconds()) < 60


def test_what_it_writes_is_kept(subject: Subject) -> None:
    container_id = run(subject, action("one"))
    wait_for(lambda: subject.engine.last_words(container_id, 10), 5, "the program to write")
    assert subject.engine.last_words(container_id, 10) == ("work: working",)
    assert subject.engine.last_words(container_id, 0) == ()
    log = subject.engine.logs(container_id, lines=10, follow=False)
    assert b"".join(log) == b"work: working\n"
    subject.engine.signal(container_id, "SIGKILL")
    wait_for(lambda: is_now(subject, "one", ContainerState.EXITED), 5, "the container to end")
    assert subject.engine.last_words(container_id, 10) == ("work: working",)


def test_a_log_that_is_followed_ends_with_its_container(subject: Subject) -> None:
    container_id = run(subject, action("one", restarts=False))
    pieces = iter(subject.engine.logs(container_id, lines=10, follow=True))
    assert next(pieces) == b"work: working\n"
    subject.engine.signal(container_id, "SIGKILL")
    assert list(pieces) == []


def test_a_command_is_run_and_its_end_told(subject: Subject) -> None:
    container_id = run(subject, action("one"))
    said = subject.engine.run(container_id, ("echo", "hello"))
    assert (b"".join(said), said.exit_code()) == (b"hello\n", 0)
    failed = subject.engine.run(container_id, ("sh", "-c", "exit 7"))
    assert (b"".join(failed), failed.exit_code()) == (b"", 7)


def test_in_what_does_not_run_no_command_does(subject: Subject) -> None:
    container_id = subject.engine.create(action("one"))
    with pytest.raises(EngineError, match="not running") as refused:
        subject.engine.run(container_id, ("true",))
    assert refused.value.trouble is Trouble.REJECTED


@pytest.mark.parametrize("path", [None, "/up"])
def test_a_port_is_checked_from_outside(path: str | None, subject: Subject) -> None:
    check = Check(port=8080, path=path, timeout=1.0)

    def answers() -> bool:
        try:
            subject.engine.check(subject.address, 30006, check)
        except EngineError:
            return False
        return True

    assert not answers()
    container_id = run(subject, checked("one", ports=(port(30006),)))
    wait_for(answers, 5, "the port to answer")
    subject.engine.set_restarts(container_id, restarts=False)
    subject.engine.signal(container_id, "SIGKILL")
    wait_for(lambda: not answers(), 5, "the port to answer no more")


def test_labels_come_back_as_they_were(subject: Subject) -> None:
    check = Check(port=8080, path="/up?deep=1", interval=0.5)
    start = action(
        "one", slot=3, check=check, spec={"labels": {"team": "büro", "empty": ""}, "stop_grace_period": 2.5}
    )
    subject.engine.create(start)
    one = listed(subject, "one")
    assert one is not None
    assert labels.is_the_same(one, start)
    assert one.labels["team"] == "büro"
    assert one.labels["empty"] == ""
    read = labels.read(one, "u1", HostView(name="h1"), 5.0)
    assert isinstance(read, ObservedContainer)
    assert (read.workload, read.slot, read.spec, read.kind) == (start.workload, 3, start.spec, "Service")
    assert (read.requests, read.grace, read.signal) == (start.requests, 2.5, "SIGTERM")
    assert read.check == check


def test_health_is_starting_then_healthy(subject: Subject) -> None:
    container_id = subject.engine.create(checked("one"))
    subject.engine.start(container_id)
    one = listed(subject, "one")
    assert one is not None
    assert (one.state, one.health, one.ready) == (ContainerState.RUNNING, Health.STARTING, False)

    def healthy() -> bool:
        now = listed(subject, "one")
        return now is not None and now.health is Health.HEALTHY and now.ready

    wait_for(healthy, 5, "the container to be healthy")


def test_without_a_check_there_is_no_health(subject: Subject) -> None:
    run(subject, action("one"))
    one = listed(subject, "one")
    assert one is not None
    assert (one.health, one.ready) == (Health.NONE, True)


def test_a_name_is_taken_once(subject: Subject) -> None:
    first = subject.engine.create(action("one"))
    with pytest.raises(EngineError, match=r"name.*in use") as taken:
        subject.engine.create(action("one", slot=7))
    assert taken.value.trouble is Trouble.NAME_TAKEN
    found = subject.engine.find("one")
    assert found is not None
    assert found.id == first


def test_without_an_image_nothing_is_created(subject: Subject) -> None:
    subject.engine.create(action("taken"))
    for name in ("one", "taken"):
        with pytest.raises(EngineError, match="nope") as absent:
            subject.engine.create(action(name, spec={"image": ABSENT}))
        assert absent.value.trouble is Trouble.NO_IMAGE
    assert subject.engine.find("one") is None


def test_it_knows_its_images(subject: Subject) -> None:
    assert subject.engine.has_image(WEB)
    assert not subject.engine.has_image(ABSENT)


def test_an_image_has_a_reference_and_is_found_and_used_by_it(subject: Subject) -> None:
    reference = subject.engine.image_reference(WORKER)
    assert reference is not None
    assert "sha256:" in reference
    assert reference == subject.engine.image_reference(WORKER)
    assert reference != subject.engine.image_reference(WEB)
    assert subject.engine.has_image(reference)
    subject.engine.create(action("one", image=reference))
    assert is_now(subject, "one", ContainerState.CREATED)
    assert subject.engine.image_reference(ABSENT) is None


def test_what_was_resolved_goes_before_the_name(subject: Subject) -> None:
    for image in (ABSENT, f"sha256:{'0' * 64}"):
        with pytest.raises(EngineError) as absent:
            subject.engine.create(action("one", image=image))
        assert absent.value.trouble is Trouble.NO_IMAGE


def test_a_registry_that_does_not_have_it_says_so(subject: Subject) -> None:
    with pytest.raises(EngineError) as absent:
        subject.engine.registry_reference(ABSENT)
    assert absent.value.trouble is Trouble.REJECTED


def test_a_pull_of_nothing_says_so_in_time(subject: Subject) -> None:
    with Timed() as timed, pytest.raises(EngineError, match=f"pull of {ABSENT}: ") as failed:
        subject.engine.pull(ABSENT)
    assert failed.value.trouble is Trouble.REJECTED
    assert timed.seconds < 10
    assert not subject.engine.has_image(ABSENT)


def test_a_signal_ends_it_for_good(subject: Subject) -> None:
    container_id = run(subject, action("one"))
    subject.engine.set_restarts(container_id, restarts=False)
    subject.engine.signal(container_id, "SIGTERM")
    wait_for(lambda: is_now(subject, "one", ContainerState.EXITED), 5, "the container to end")
    one = listed(subject, "one")
    assert one is not None
    assert (one.exit_code, one.ports, one.ready) == (0, (), False)


def test_sigkill_ends_it_at_once(subject: Subject) -> None:
    container_id = run(subject, action("one"))
    subject.engine.signal(container_id, "SIGKILL")
    wait_for(lambda: is_now(subject, "one", ContainerState.EXITED), 5, "the container to end")
    one = listed(subject, "one")
    assert one is not None
    assert one.exit_code == 137


def test_another_signal_does_not_end_it(subject: Subject) -> None:
    container_id = run(subject, action("one"))
    subject.engine.signal(container_id, "SIGHUP")
    subject.engine.ping()
    assert is_now(subject, "one", ContainerState.RUNNING)


def test_what_does_not_run_takes_no_signal(subject: Subject) -> None:
    container_id = subject.engine.create(action("one"))
    with pytest.raises(EngineError, match="not running") as refused:
        subject.engine.signal(container_id, "SIGTERM")
    assert refused.value.trouble is Trouble.REJECTED


def test_what_died_by_itself_runs_again(subject: Subject) -> None:
    run(subject, action("one"))
    with Listening(subject.engine.events(FLEET)) as told:
        subject.die("one")
        told.until("die", 5)
    wait_for(lambda: is_now(subject, "one", ContainerState.RUNNING), 5, "the container to run again")


def test_what_may_not_restart_stays_down_when_it_dies(subject: Subject) -> None:
    subject.engine.set_restarts(run(subject, action("one")), restarts=False)
    subject.die("one")
    wait_for(lambda: is_now(subject, "one", ContainerState.EXITED), 5, "the container to end")


def test_what_gets_its_policy_back_runs_again_when_it_dies(subject: Subject) -> None:
    container_id = run(subject, action("one"))
    subject.engine.set_restarts(container_id, restarts=False)
    subject.engine.set_restarts(container_id, restarts=True)
    with Listening(subject.engine.events(FLEET)) as told:
        subject.die("one")
        told.until("die", 5)
    wait_for(lambda: is_now(subject, "one", ContainerState.RUNNING), 5, "the container to run again")


def test_what_is_made_without_a_policy_stays_down_when_it_dies(subject: Subject) -> None:
    run(subject, action("one", restarts=False))
    subject.die("one")
    wait_for(lambda: is_now(subject, "one", ContainerState.EXITED), 5, "the container to end")
    one = listed(subject, "one")
    assert one is not None
    assert one.exit_code == 3


def test_an_exited_container_starts_again(subject: Subject) -> None:
    container_id = run(subject, action("one"))
    subject.engine.signal(container_id, "SIGKILL")
    wait_for(lambda: is_now(subject, "one", ContainerState.EXITED), 5, "the container to end")
    subject.engine.start(container_id)
    one = listed(subject, "one")
    assert one is not None
    assert (one.state, one.exit_code) == (ContainerState.RUNNING, None)


def test_only_what_has_ended_is_removed(subject: Subject) -> None:
    container_id = run(subject, action("one"))
    with pytest.raises(EngineError, match="running") as refused:
        subject.engine.remove(container_id)
    assert refused.value.trouble is Trouble.REJECTED
    subject.engine.signal(container_id, "SIGKILL")
    wait_for(lambda: is_now(subject, "one", ContainerState.EXITED), 5, "the container to end")
    subject.engine.remove(container_id)
    assert listed(subject, "one") is None


def test_what_is_gone_is_not_found(subject: Subject) -> None:
    engine = subject.engine
    container_id = engine.create(action("one"))
    engine.remove(container_id)
    calls = (
        engine.remove,
        engine.start,
        lambda gone: engine.set_restarts(gone, restarts=False),
        lambda gone: engine.signal(gone, "SIGTERM"),
        lambda gone: engine.last_words(gone, 10),
        lambda gone: engine.logs(gone, lines=10, follow=False),
        lambda gone: engine.run(gone, ("true",)),
    )
    for call in calls:
        with pytest.raises(EngineError, match=r"(?i)no such container") as absent:
            call(container_id)
        assert absent.value.trouble is Trouble.NOT_FOUND
    assert engine.find("one") is None
    engine.create(action("one"))


def test_the_first_to_make_a_volume_names_its_owner(subject: Subject) -> None:
    subject.engine.create_volume("data", {"owner": "first"})
    subject.engine.create_volume("data", {"owner": "second"})
    subject.engine.remove(subject.engine.create(with_volume("one", "data")))
    assert subject.volumes() == {"data": {"owner": "first"}}


def test_a_volume_is_made_with_its_container_and_stays(subject: Subject) -> None:
    subject.engine.remove(subject.engine.create(with_volume("one", "data")))
    assert list(subject.volumes()) == ["data"]


def test_a_name_finds_whoever_has_it(subject: Subject) -> None:
    foreign = subject.add_foreign("somebodys", {"owner": "somebody"})
    found = subject.engine.find("somebodys")
    assert found is not None
    assert (found.id, found.state) == (foreign, ContainerState.RUNNING)
    assert found.labels["owner"] == "somebody"
    assert subject.engine.find("somebody") is None
    assert subject.engine.find("somebody.") is None
    with pytest.raises(EngineError) as taken:
        subject.engine.create(action("somebodys"))
    assert taken.value.trouble is Trouble.NAME_TAKEN


def test_only_the_fleets_own_are_listed(subject: Subject) -> None:
    subject.add_foreign("unlabelled", {})
    subject.add_foreign("of-another", {labels.FLEET: FLEET + "-2"})
    subject.engine.create(action("one"))
    subject.engine.create(action("two", fleet="other"))
    assert [one.name for one in subject.engine.containers(FLEET)] == ["one"]
    assert [one.name for one in subject.engine.containers("other")] == ["two"]
    assert subject.engine.containers("nobody") == ()


def test_a_port_is_given_once(subject: Subject) -> None:
    run(subject, action("one", ports=(port(30004),)))
    second = subject.engine.create(action("two", ports=(port(30004),)))
    with pytest.raises(EngineError, match=r"30004.*already allocated") as refused:
        subject.engine.start(second)
    assert refused.value.trouble is Trouble.REJECTED
    assert is_now(subject, "two", ContainerState.CREATED)


def test_events_are_told_within_a_second(subject: Subject) -> None:
    with Listening(subject.engine.events(FLEET)) as told:
        container_id = subject.engine.create(checked("one"))
        told.next(1)
        subject.engine.start(container_id)
        told.next(1)
        assert told.until("health_status", 5).container_id == container_id
        subject.engine.signal(container_id, "SIGKILL")
        assert told.until("kill", 1).container_id == container_id
        assert told.until("die", 1) == ContainerEvent("die", container_id, 137)


def test_a_death_is_told_with_its_exit_code_and_followed_by_a_start(subject: Subject) -> None:
    container_id = run(subject, action("one"))
    with Listening(subject.engine.events(FLEET)) as told:
        subject.die("one")
        assert told.until("die", 5) == ContainerEvent("die", container_id, 3)
        assert told.until("start", 5).container_id == container_id


def test_a_removal_is_told(subject: Subject) -> None:
    container_id = subject.engine.create(action("one"))
    with Listening(subject.engine.events(FLEET)) as told:
        subject.engine.remove(container_id)
        assert told.until("destroy", 5).container_id == container_id


def test_events_of_others_are_not_told(subject: Subject) -> None:
    with Listening(subject.engine.events(FLEET)) as told:
        subject.add_foreign("somebodys", {})
        subject.engine.create(action("two", fleet="other"))
        subject.engine.create(action("one"))
        told.next(1)
        with pytest.raises(queue.Empty):
            told.next(0.2)


def test_a_closed_stream_ends_with_an_error(subject: Subject) -> None:
    stream = subject.engine.events(FLEET)
    with Listening(stream) as told:
        stream.close()
        assert isinstance(told.end(2), EngineError)
        stream.close()


def test_the_stream_ends_when_the_engine_goes_away(subject: Subject) -> None:
    with Listening(subject.engine.events(FLEET)) as told:
        subject.refuse()
        assert isinstance(told.end(5), EngineError)
    with pytest.raises(EngineError) as refused:
        subject.engine.events(FLEET)
    assert refused.value.trouble is Trouble.REFUSED


def test_an_engine_that_is_down_refuses(subject: Subject) -> None:
    container_id = run(subject, action("one"))
    subject.refuse()
    for call in (subject.engine.ping, lambda: subject.engine.start(container_id)):
        with pytest.raises(EngineError, match="is the Engine running") as refused:
            call()
        assert refused.value.trouble is Trouble.REFUSED


def test_a_host_that_is_cut_off_is_silent_in_time(subject: Subject) -> None:
    subject.cut()
    with Timed() as timed, pytest.raises(EngineError) as silent:
        subject.engine.ping()
    assert silent.value.trouble is Trouble.SILENT
    assert timed.seconds < 2 * SECONDS + MARGIN
    subject.heal()


def test_an_engine_that_hangs_is_told_from_a_host_that_is_silent(subject: Subject) -> None:
    container_id = subject.engine.create(action("one"))
    subject.hang()
    calls = {
        Trouble.HUNG: lambda: subject.engine.containers(FLEET),
        Trouble.LOST: lambda: subject.engine.start(container_id),
    }
    for trouble, call in calls.items():
        with Timed() as timed, pytest.raises(EngineError) as silent:
            call()
        assert silent.value.trouble is trouble
        assert timed.seconds < 2 * SECONDS + MARGIN
    subject.heal()
    assert listed(subject, "one") is not None


def test_an_answer_that_is_lost_does_not_undo_the_change(subject: Subject) -> None:
    subject.lose_answers()
    with pytest.raises(EngineError) as lost:
        subject.engine.create(action("one"))
    assert lost.value.trouble is Trouble.LOST
    subject.heal()
    found = subject.engine.find("one")
    assert found is not None
    assert labels.is_the_same(found, action("one"))


def test_containers_come_back_after_a_crash_of_the_engine(subject: Subject) -> None:
    run(subject, action("one", ports=(port(30005),)))
    subject.engine.create(action("created"))
    subject.engine.set_restarts(run(subject, action("once")), restarts=False)
    subject.crash_and_restart()
    wait_for(lambda: is_now(subject, "one", ContainerState.RUNNING), 10, "the container to run again")
    wait_for(lambda: is_now(subject, "once", ContainerState.EXITED), 10, "the other to be seen exited")
    one = listed(subject, "one")
    assert one is not None
    assert one.ports == (port(30005),)
    assert is_now(subject, "created", ContainerState.CREATED)


def test_a_closed_engine_says_so(subject: Subject) -> None:
    """Calls after `close` fail or not, but with the one error that callers know; nothing hangs."""
    stream = subject.engine.events(FLEET)
    with Listening(stream) as told:
        subject.engine.close()
        assert isinstance(told.end(2), EngineError)
        subject.engine.close()
