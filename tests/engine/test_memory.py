"""What the engine in memory can be made to do beyond the contract: faults, and what people do by hand."""

from __future__ import annotations

import queue
from datetime import UTC, datetime, timedelta

import pytest

from rota.core.container import Check, HealthCheck
from rota.core.observed import ContainerState, Health, PublishedPort
from rota.engine.memory import ImageTraits, MemoryEngine, MemoryStream
from rota.engine.memory_registry import MemoryRegistry, repository
from rota.engine.port import EngineError, Trouble
from rota.simulation.clock import VirtualClock
from tests.engine.desk import start

CHECK = Check(port=8080)
PORTS = (PublishedPort(8080, 30001),)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 2, tzinfo=UTC))


@pytest.fixture
def engine(clock: VirtualClock) -> MemoryEngine:
    made = MemoryEngine("h1", clock)
    made.images = {"web:1"}
    return made


def run(engine: MemoryEngine, **fields: object) -> str:
    container_id = engine.create(start(**fields))
    engine.start(container_id)
    return container_id


def told(stream: MemoryStream) -> list[str]:
    actions = []
    while True:
        try:
            event = stream.items.get_nowait()
        except queue.Empty:
            return actions
        if isinstance(event, EngineError):
            actions.append("broke")
        elif event.exit_code is None:
            actions.append(event.action)
        else:
            actions.append(f"{event.action} {event.exit_code}")


def state(engine: MemoryEngine) -> ContainerState:
    (one,) = engine.all_containers()
    return one.state


def advance(engine: MemoryEngine, clock: VirtualClock, seconds: float) -> None:
    """Let time pass, from change to change."""
    end = clock.mono + seconds
    while (at := engine.changes_at) is not None and at <= end:
        clock.advance_to(max(at, clock.mono))
        engine.settle()
    clock.advance_to(end)
    engine.settle()


# --- how programs end


@pytest.mark.parametrize(
    ("traits", "events"),
    [
        (ImageTraits(lives=0.0), ["die 1", "start"]),
        (ImageTraits(lives=0.0, dies_with=0), ["die 0", "start"]),
        (ImageTraits(lives=0.0, out_of_memory=True), ["oom", "die 137", "start"]),
    ],
)
def test_a_program_that_ends_is_brought_back(
    traits: ImageTraits, events: list[str], engine: MemoryEngine, clock: VirtualClock
) -> None:
    engine.traits = {"web:1": traits}
    stream = engine.events("shop")
    run(engine)
    assert told(stream) == ["create", "start", *events[:-1]]
    assert state(engine) is ContainerState.RESTARTING
    advance(engine, clock, 0.1)
    assert told(stream) == [events[-1], *events[:-1]]


def test_what_dies_at_once_is_brought_back_ever_more_slowly(
    engine: MemoryEngine, clock: VirtualClock
) -> None:
    engine.traits = {"web:1": ImageTraits(lives=0.0)}
    stream = engine.events("shop")
    run(engine)
    counts = []
    for _ in range(4):
        advance(engine, clock, 1.0)
        counts.append(told(stream).count("die 1"))
    assert counts[0] == 4
    assert sum(counts[1:]) == 2, "after 1.6 s and 3.2 s"


def test_what_lived_long_is_brought_back_at_once(engine: MemoryEngine, clock: VirtualClock) -> None:
    engine.traits = {"web:1": ImageTraits(lives=20.0)}
    run(engine)
    for _ in range(5):
        advance(engine, clock, 20.0)
        assert state(engine) is ContainerState.RESTARTING
        advance(engine, clock, 0.1)
        assert state(engine) is ContainerState.RUNNING


def test_without_a_policy_it_stays_down(engine: MemoryEngine, clock: VirtualClock) -> None:
    engine.traits = {"web:1": ImageTraits(lives=1.0, dies_with=3)}
    run(engine, restarts=False)
    advance(engine, clock, 60)
    (one,) = engine.all_containers()
    assert (one.state, one.exit_code) == (ContainerState.EXITED, 3)


def test_a_stop_ends_what_is_about_to_be_brought_back(engine: MemoryEngine, clock: VirtualClock) -> None:
    container_id = run(engine)
    engine.die(start().name)
    assert state(engine) is ContainerState.RESTARTING
    engine.signal(container_id, "SIGTERM")
    advance(engine, clock, 60)
    assert state(engine) is ContainerState.EXITED


def test_what_is_done_by_hand_is_told_as_docker_tells_it(engine: MemoryEngine) -> None:
    run(engine)
    run(engine, slot=1, name="other")
    stream = engine.events("shop")
    engine.stop_by_hand(start().name)
    engine.remove_by_hand("other")
    assert told(stream) == ["kill", "die 0", "stop", "kill", "die 137", "destroy"]


def test_an_engine_that_is_restarted_brings_back_what_has_a_policy(engine: MemoryEngine) -> None:
    run(engine)
    engine.stop_by_hand(start().name)
    stream = engine.events("shop")
    engine.crash_and_restart()
    assert state(engine) is ContainerState.RUNNING
    assert told(stream) == ["broke"], "nobody hears of what happens meanwhile"


def test_health_can_be_lost_and_found(engine: MemoryEngine) -> None:
    healthcheck = {"healthcheck": HealthCheck(test=("CMD", "true"))}
    run(engine, spec=healthcheck)
    stream = engine.events("shop")
    engine.sicken(start().name)
    engine.sicken(start().name, sick=False)
    assert told(stream) == ["health_status: unhealthy", "health_status: healthy"]
    assert engine.all_containers()[0].health is Health.HEALTHY


# --- faults


@pytest.mark.parametrize(
    ("fault", "read", "change"),
    [
        ("refuse", Trouble.REFUSED, Trouble.REFUSED),
        ("hang", Trouble.HUNG, Trouble.LOST),
        ("cut", Trouble.SILENT, Trouble.SILENT),
    ],
)
def test_a_fault_says_what_it_means(fault: str, read: Trouble, change: Trouble, engine: MemoryEngine) -> None:
    getattr(engine, fault)()
    assert not engine.answers
    with pytest.raises(EngineError) as asked:
        engine.ping()
    with pytest.raises(EngineError) as changed:
        engine.create(start())
    assert (asked.value.trouble, changed.value.trouble) == (read, change)
    engine.heal()
    assert engine.answers
    assert engine.all_containers() == ()


@pytest.mark.parametrize("fault", ["hang", "cut"])
def test_what_happens_in_silence_is_told_afterwards(fault: str, engine: MemoryEngine) -> None:
    run(engine)
    stream = engine.events("shop")
    getattr(engine, fault)()
    engine.stop_by_hand(start().name)
    assert told(stream) == []
    engine.heal()
    assert told(stream) == ["kill", "die 0", "stop"]


def test_a_full_disk_refuses_containers_and_images(engine: MemoryEngine) -> None:
    engine.disk_full = True
    for call in (lambda: engine.create(start()), lambda: engine.pull("web:2")):
        with pytest.raises(EngineError, match="no space left on device") as full:
            call()
        assert full.value.trouble is Trouble.REJECTED
    assert not engine.has_image("web:2")


def test_a_port_that_another_program_has_is_taken(engine: MemoryEngine) -> None:
    engine.taken_ports = {30001}
    container_id = engine.create(start(ports=PORTS))
    with pytest.raises(EngineError, match=r"30001.*already in use"):
        engine.start(container_id)
    assert state(engine) is ContainerState.CREATED


def test_a_port_is_answered_by_the_container_and_not_by_its_engine(
    engine: MemoryEngine, clock: VirtualClock
) -> None:
    engine.traits = {"web:1": ImageTraits(answers_after=2.0)}
    run(engine, ports=PORTS)
    with pytest.raises(EngineError, match="refused"):
        engine.check("10.0.0.1", 30001, CHECK)
    clock.advance(2.0)
    engine.hang()
    engine.check("10.0.0.1", 30001, CHECK)
    engine.deaf = {start().name}
    with pytest.raises(EngineError, match="refused"):
        engine.check("10.0.0.1", 30001, CHECK)
    engine.cut()
    with pytest.raises(EngineError) as silent:
        engine.check("10.0.0.1", 30001, CHECK)
    assert silent.value.trouble is Trouble.SILENT


def test_another_machine_is_another_engine(engine: MemoryEngine) -> None:
    before = engine.facts()
    run(engine)
    engine.replace_machine()
    assert engine.facts().id != before.id
    assert engine.all_containers() == ()


def test_a_clock_may_be_wrong(engine: MemoryEngine, clock: VirtualClock) -> None:
    engine.clock_ahead = timedelta(hours=1)
    assert engine.clock() - clock.now().wall == timedelta(hours=1)


# --- registries and images


def test_a_name_stands_for_a_digest_until_it_is_moved(engine: MemoryEngine) -> None:
    first = engine.registry_reference("web:2")
    assert first.startswith("web@sha256:")
    engine.pull("web:2")
    engine.registry.move("web:2")
    second = engine.registry_reference("web:2")
    assert second != first
    assert engine.image_reference("web:2") == first, "what was pulled stays what it was"
    assert engine.has_image(first)
    assert not engine.has_image(second)
    engine.pull(second)
    assert engine.has_image(second)


def test_engines_of_one_registry_agree(engine: MemoryEngine, clock: VirtualClock) -> None:
    other = MemoryEngine("h2", clock)
    assert other.registry_reference("web:2") == engine.registry_reference("web:2")
    other.registry = engine.registry
    engine.registry.move("web:2")
    assert other.registry_reference("web:2") == engine.registry_reference("web:2")


def test_a_registry_that_is_down_says_so_to_everybody(engine: MemoryEngine) -> None:
    engine.registry.trouble = "503 Service Unavailable"
    for call in (engine.registry_reference, engine.pull):
        with pytest.raises(EngineError, match="503 Service Unavailable"):
            call("web:2")
    assert engine.image_reference("web:1") is not None, "what is here is known without it"


def test_what_is_missing_cannot_be_pulled_by_any_name(engine: MemoryEngine) -> None:
    reference = engine.registry_reference("web:2")
    engine.unpullable = {"web:2"}
    for image in ("web:2", reference):
        with pytest.raises(EngineError, match="no such image"):
            engine.pull(image)


def test_an_image_that_was_built_here_has_an_id(engine: MemoryEngine) -> None:
    made = engine.build("mine:1")
    assert made.startswith("sha256:")
    assert engine.image_reference("mine:1") == made
    engine.create(start(image=made))


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("web:1", "web"),
        ("web", "web"),
        ("registry.example:5000/shop/web", "registry.example:5000/shop/web"),
        ("registry.example:5000/shop/web:1", "registry.example:5000/shop/web"),
        ("web@sha256:abc", "web"),
        ("web:1@sha256:abc", "web"),
    ],
)
def test_a_repository_is_a_name_without_tag_and_digest(image: str, name: str) -> None:
    assert repository(image) == name
    assert MemoryRegistry().reference(image).partition("@")[0] in (name, image.partition("@")[0])


# --- what programs write


def test_a_log_that_is_followed_comes_as_it_is_written(engine: MemoryEngine) -> None:
    engine.traits = {"web:1": ImageTraits(writes=("up",))}
    container_id = run(engine)
    pieces = iter(engine.logs(container_id, lines=1, follow=True))
    engine.write(start().name, "working")
    assert [next(pieces), next(pieces)] == [b"up\n", b"working\n"]
    engine.stop_by_hand(start().name)
    assert list(pieces) == []
    assert engine.last_words(container_id, 1) == ("working",)


def test_a_log_that_is_closed_ends_with_an_error(engine: MemoryEngine) -> None:
    output = engine.logs(run(engine), lines=0, follow=True)
    output.close()
    with pytest.raises(EngineError):
        next(iter(output))


def test_an_unknown_command_is_not_found(engine: MemoryEngine) -> None:
    said = engine.run(run(engine), ("no-such",))
    assert (b"".join(said), said.exit_code()) == (b"exec: no-such: executable file not found in $PATH\n", 127)
