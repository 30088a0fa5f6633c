"""What every engine does: one suite for the one in memory and for Docker's."""

from __future__ import annotations

import queue

import pytest

from rota.core.observed import ContainerState, Health, HostView, ObservedContainer, PublishedPort
from rota.engine import labels
from rota.engine.port import EngineError, Trouble
from tests.contract.listening import Listening
from tests.contract.subjects import (
    ABSENT,
    FLEET,
    SECONDS,
    WEB,
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


def test_labels_come_back_as_they_were(subject: Subject) -> None:
    start = action("one", slot=3, spec={"labels": {"team": "büro", "empty": ""}, "stop_grace_period": 2.5})
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


def test_a_pull_of_nothing_says_so_in_time(subject: Subject) -> None:
    with Timed() as timed, pytest.raises(EngineError, match=f"pull of {ABSENT}: ") as failed:
        subject.engine.pull(ABSENT)
    assert failed.value.trouble is Trouble.REJECTED
    assert timed.seconds < 10
    assert not subject.engine.has_image(ABSENT)


def test_a_signal_ends_it_for_good(subject: Subject) -> None:
    container_id = run(subject, action("one"))
    subject.engine.forbid_restart(container_id)
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
        told.next(2)
    wait_for(lambda: is_now(subject, "one", ContainerState.RUNNING), 5, "the container to run again")


def test_what_may_not_restart_stays_down_when_it_dies(subject: Subject) -> None:
    subject.engine.forbid_restart(run(subject, action("one")))
    subject.die("one")
    wait_for(lambda: is_now(subject, "one", ContainerState.EXITED), 5, "the container to end")


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
    calls = (engine.remove, engine.start, engine.forbid_restart, lambda gone: engine.signal(gone, "SIGTERM"))
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
        wait_for(lambda: told.next(5).startswith("health_status"), 5, "the change of health to be told")
        subject.engine.signal(container_id, "SIGKILL")
        told.next(1)


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


def test_an_engine_that_hangs_is_silent_in_time(subject: Subject) -> None:
    container_id = subject.engine.create(action("one"))
    subject.hang()
    calls = {
        Trouble.SILENT: lambda: subject.engine.containers(FLEET),
        Trouble.LOST: lambda: subject.engine.start(container_id),
    }
    for trouble, call in calls.items():
        with Timed() as timed, pytest.raises(EngineError) as silent:
            call()
        assert silent.value.trouble is trouble
        assert timed.seconds < SECONDS + MARGIN
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
    subject.engine.forbid_restart(run(subject, action("once")))
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
