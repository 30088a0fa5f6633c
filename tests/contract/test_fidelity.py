"""The same calls, chosen by a seed, of the engine in memory and of Docker's: nobody can tell them apart."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from rota.engine.port import EngineError
from tests.contract.subjects import ABSENT, FLEET, DockerSubject, MemorySubject, Subject, action, port
from tests.lab.hosts import Lab
from tests.lab.waiting import wait_for

CALLS = 60
NAMES = ("one", "two", "three", "four")
PORTS = (30011, 30012, 30013)

pytestmark = pytest.mark.lab


@dataclass
class Twin:
    """One of the two engines, with the ids that its own calls made known."""

    subject: Subject
    ids: dict[int, str] = field(default_factory=dict)

    def seen(self) -> list[object]:
        """All that a caller can see of the fleet; ids as the number of the call that made them."""
        numbers = {value: key for key, value in self.ids.items()}
        return sorted(
            (
                one.name,
                numbers[one.id],
                one.state,
                one.health,
                one.ports,
                one.exit_code,
                sorted(one.labels.items()),
            )
            for one in self.subject.engine.containers(FLEET)
        )

    def outcome(self, call: Callable[[Twin], object]) -> str:
        try:
            return str(call(self))
        except EngineError as error:
            return str(error.trouble)


def create(number: int, chance: random.Random) -> Callable[[Twin], object]:
    name = chance.choice(NAMES)
    ports = (port(chance.choice(PORTS)),) if chance.random() < 0.5 else ()
    spec = {"image": ABSENT} if chance.random() < 0.1 else {}
    start = action(name, slot=number, ports=ports, spec=spec)

    def call(twin: Twin) -> None:
        twin.ids[number] = twin.subject.engine.create(start)

    return call


def on_one(number: int, chance: random.Random) -> Callable[[Twin], object]:
    """Something done to a container that an earlier call made, or to one that never was."""
    verb = chance.choice(
        ("start", "start", "TERM", "KILL", "HUP", "forbid", "allow", "remove", "remove", "find", "die")
    )
    back = chance.randrange(1, 12)

    def call(twin: Twin) -> object:
        engine = twin.subject.engine
        made = max((one for one in twin.ids if one <= number - back), default=None)
        container_id = twin.ids[made] if made is not None else "0" * 64
        match verb:
            case "start":
                engine.start(container_id)
                twin.subject.settled(container_id)
            case "forbid" | "allow":
                engine.set_restarts(container_id, restarts=verb == "allow")
            case "remove":
                engine.remove(container_id)
            case "find":
                found = engine.find(NAMES[number % len(NAMES)])
                return None if found is None else (found.name, found.state, found.exit_code)
            case _:
                engine.signal(container_id, f"SIG{verb}" if verb != "die" else "SIGKILL")
        return None

    return call


@pytest.mark.parametrize("seed", range(4))
def test_memory_is_as_docker_is(seed: int, hosts: Lab) -> None:
    chance = random.Random(seed)
    memory, docker = Twin(MemorySubject()), Twin(DockerSubject(hosts))
    story = []
    for number in range(CALLS):
        choose = create if chance.random() < 0.35 else on_one
        call = choose(number, chance)
        outcomes = [twin.outcome(call) for twin in (memory, docker)]
        story.append(f"{number} {choose.__name__}: {outcomes[0]}")
        assert outcomes[0] == outcomes[1], story
        try:
            wait_for(lambda: memory.seen() == docker.seen(), 5, "both to look the same")
        except TimeoutError:
            assert memory.seen() == docker.seen(), story
    docker.subject.engine.close()
