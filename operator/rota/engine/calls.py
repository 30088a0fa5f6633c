"""What a worker asks of its Engine, as data: one frozen value per call, made by `perform`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from rota.core.container import Check
from rota.core.observed import EngineFacts
from rota.core.planning.actions import StartInstance
from rota.engine.port import Engine, ListedContainer


@dataclass(frozen=True, slots=True)
class AskFacts:
    pass


@dataclass(frozen=True, slots=True)
class Ping:
    pass


@dataclass(frozen=True, slots=True)
class ListContainers:
    fleet: str


@dataclass(frozen=True, slots=True)
class FindContainer:
    name: str


@dataclass(frozen=True, slots=True)
class LookForImage:
    image: str


@dataclass(frozen=True, slots=True)
class AskReference:
    """What an image on the host is beyond its name."""

    image: str


@dataclass(frozen=True, slots=True)
class AskRegistry:
    """What the registry calls an image now."""

    image: str


@dataclass(frozen=True, slots=True)
class Pull:
    image: str


@dataclass(frozen=True, slots=True)
class CreateVolume:
    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Create:
    """Make the container of `action` from the image that was resolved, or from the one in its spec where none
    was."""

    action: StartInstance

    @property
    def image(self) -> str:
        return self.action.image or self.action.container.image


@dataclass(frozen=True, slots=True)
class Start:
    container_id: str


@dataclass(frozen=True, slots=True)
class SetRestarts:
    container_id: str
    restarts: bool


@dataclass(frozen=True, slots=True)
class Signal:
    container_id: str
    signal: str


@dataclass(frozen=True, slots=True)
class Remove:
    container_id: str


@dataclass(frozen=True, slots=True)
class AskLastWords:
    container_id: str
    lines: int


@dataclass(frozen=True, slots=True)
class AskPort:
    """Ask a published port from outside. It says nothing of the Engine, whether it answers or not."""

    address: str
    port: int
    check: Check


Call = (
    AskFacts
    | Ping
    | ListContainers
    | FindContainer
    | LookForImage
    | AskReference
    | AskRegistry
    | Pull
    | CreateVolume
    | Create
    | Start
    | SetRestarts
    | Signal
    | Remove
    | AskLastWords
    | AskPort
)
Answer = EngineFacts | tuple[ListedContainer, ...] | tuple[str, ...] | ListedContainer | str | bool | None


def perform(call: Call, engine: Engine) -> Answer:
    """Make one call; blocks until its answer or its deadline."""
    match call:
        case AskFacts():
            return engine.facts()
        case ListContainers(fleet):
            return engine.containers(fleet)
        case FindContainer(name):
            return engine.find(name)
        case LookForImage(image):
            return engine.has_image(image)
        case AskReference(image):
            return engine.image_reference(image)
        case AskRegistry(image):
            return engine.registry_reference(image)
        case Create(action):
            return engine.create(action)
        case AskLastWords(container_id, lines):
            return engine.last_words(container_id, lines)
        case Ping():
            engine.ping()
        case Pull(image):
            engine.pull(image)
        case CreateVolume(name, labels):
            engine.create_volume(name, labels)
        case Start(container_id):
            engine.start(container_id)
        case SetRestarts(container_id, restarts):
            engine.set_restarts(container_id, restarts=restarts)
        case Signal(container_id, signal):
            engine.signal(container_id, signal)
        case Remove(container_id):
            engine.remove(container_id)
        case AskPort(address, port, check):
            engine.check(address, port, check)
        case _:
            assert_never(call)
    return None
