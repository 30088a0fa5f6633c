"""What the contract suite is run against: each kind of engine, and what can be done to it from outside."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from rota.clock import SystemClock
from rota.core.container import ContainerSpec, HealthCheck
from rota.core.ids import WorkloadId
from rota.core.observed import PublishedPort
from rota.core.planning.actions import StartInstance, VolumeMount
from rota.core.resources import Resources
from rota.engine.docker import DockerEngine
from rota.engine.memory import ImageTraits, MemoryEngine
from rota.engine.port import Engine, EngineError, ListedContainer
from tests.lab.hosts import Lab
from tests.lab.images import ABSENT
from tests.lab.waiting import wait_for

FLEET = "contract"
WEB = "registry.example/shop/web:1.6.0"
WORKER = "registry.example/analytics/worker:2.3.0"
SECONDS = 1.0
"""The deadline of a call that is not answered, so that tests need not wait long for it."""


class Subject(Protocol):
    """An engine under test, and the world around it."""

    engine: Engine
    address: str
    """Where the published ports of its host are reached."""

    def settled(self, container_id: str) -> None:
        """Wait until the program in a container that was just started listens to signals."""

    def volumes(self) -> Mapping[str, Mapping[str, str]]: ...

    def add_foreign(self, name: str, labels: Mapping[str, str]) -> str: ...

    def die(self, name: str) -> None:
        """End the program of a container from inside."""

    def hang(self) -> None: ...

    def refuse(self) -> None: ...

    def cut(self) -> None:
        """Nothing of the host answers."""

    def lose_answers(self) -> None: ...

    def crash_and_restart(self) -> None: ...

    def heal(self) -> None: ...


class MemorySubject:
    """The engine in memory."""

    address = "h1"

    def __init__(self) -> None:
        self.engine = MemoryEngine("h1", SystemClock())
        self.engine.images = {WEB, WORKER}
        self.engine.unpullable = {ABSENT}
        self.engine.traits = {
            WEB: ImageTraits(healthy_after=0.3, answers_after=0.2),
            WORKER: ImageTraits(
                dies_with=3,
                writes=("work: working",),
                commands={("echo", "hello"): ("hello\n", 0), ("sh", "-c", "exit 7"): ("", 7)},
            ),
        }

    def settled(self, container_id: str) -> None:
        pass

    def volumes(self) -> Mapping[str, Mapping[str, str]]:
        return self.engine.volumes

    def add_foreign(self, name: str, labels: Mapping[str, str]) -> str:
        return self.engine.add_foreign(name, labels)

    def die(self, name: str) -> None:
        self.engine.die(name, 3)

    def hang(self) -> None:
        self.engine.hang()

    def refuse(self) -> None:
        self.engine.refuse()

    def cut(self) -> None:
        self.engine.cut()

    def lose_answers(self) -> None:
        self.engine.lose_answers(1)

    def crash_and_restart(self) -> None:
        self.engine.crash_and_restart()

    def heal(self) -> None:
        self.engine.heal()


class DockerSubject:
    """Docker's own engine on a host of the lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.host = lab.host("h1")
        self.engine: Engine = DockerEngine(self.host.endpoint)
        self.address = str(urlsplit(self.host.endpoint).hostname)

    def settled(self, container_id: str) -> None:
        path = f"/containers/{container_id}/logs?stdout=1"
        wait_for(lambda: self._api("GET", path), 5, "the program to say that it works")

    def volumes(self) -> Mapping[str, Mapping[str, str]]:
        found = self._api("GET", "/volumes")["Volumes"] or ()
        return {one["Name"]: one["Labels"] or {} for one in found}

    def add_foreign(self, name: str, labels: Mapping[str, str]) -> str:
        body = {"Image": WORKER, "Labels": dict(labels)}
        made = self._api("POST", f"/containers/create?name={name}", body)
        self._api("POST", f"/containers/{made['Id']}/start")
        return str(made["Id"])

    def die(self, name: str) -> None:
        execution = self._api("POST", f"/containers/{name}/exec", {"Cmd": ["kill", "-USR1", "1"]})
        self._api("POST", f"/exec/{execution['Id']}/start", {"Detach": True})

    def hang(self) -> None:
        self._hasten()
        self.lab.pause(self.host)

    def refuse(self) -> None:
        self.lab.kill(self.host)

    def cut(self) -> None:
        self._hasten()
        self.lab.cut(self.host)

    def lose_answers(self) -> None:
        self._hasten()
        self.lab.drop_answers(self.host)

    def crash_and_restart(self) -> None:
        self.lab.kill(self.host)
        self.lab.start(self.host)

    def heal(self) -> None:
        self.lab.mend(self.host)

    def _hasten(self) -> None:
        """Go on with calls that are given up soon, on connections that stand, for reads and for changes."""
        self.engine.close()
        self.engine = DockerEngine(self.host.endpoint, seconds=SECONDS)
        self.engine.ping()
        with suppress(EngineError):
            self.engine.start("0" * 64)

    def _api(self, method: str, path: str, body: object | None = None) -> Any:
        status, answer = self.lab.api(self.host, method, path, body)
        assert status < 400, answer
        return answer


def action(name: str, **fields: Any) -> StartInstance:
    """The start of one worker instance named `name`; `spec` are fields of its container."""
    container = ContainerSpec(**{"image": WORKER, **fields.pop("spec", {})})
    values: dict[str, Any] = {
        "host": "h1",
        "workload": WorkloadId("shop", "web"),
        "kind": "Service",
        "slot": 0,
        "name": name,
        "spec": "v1:abc",
        "container": container,
        "requests": Resources(cpu=100, memory=64 << 20),
        "ports": (),
        "volumes": (),
        "fleet": FLEET,
        "fleet_uid": "u1",
        "revision": "1" * 40,
        "cause": "commit 1111111",
    }
    return StartInstance(**{**values, **fields})


def checked(name: str, **fields: Any) -> StartInstance:
    """The same of a web server that is healthy after a moment."""
    test = HealthCheck(test=("CMD", "healthy"), interval=0.2, timeout=3, retries=1)
    return action(name, spec={"image": WEB, "healthcheck": test}, **fields)


def with_volume(name: str, volume: str) -> StartInstance:
    return action(name, volumes=(VolumeMount(name=volume, target="/data", read_only=False),))


def port(number: int) -> PublishedPort:
    return PublishedPort(8080, number)


def listed(subject: Subject, name: str) -> ListedContainer | None:
    """The container as the list of the fleet shows it."""
    return next((one for one in subject.engine.containers(FLEET) if one.name == name), None)


def run(subject: Subject, start: StartInstance) -> str:
    """Create and start it, and see that it listens to signals."""
    container_id = subject.engine.create(start)
    subject.engine.start(container_id)
    subject.settled(container_id)
    return container_id


class Timed:
    """How long a block took, in seconds."""

    def __enter__(self) -> Timed:
        self._began = SystemClock().now().mono
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = SystemClock().now().mono - self._began
