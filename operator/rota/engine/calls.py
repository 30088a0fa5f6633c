"""What a worker asks of its Engine, as data: one frozen value per call, made by `perform`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

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
class Pull:
    image: str


@dataclass(frozen=True, slots=True)
class CreateVolume:
    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Create:
    action: StartInstance


@dataclass(frozen=True, slots=True)
class Start:
    container_id: str


@dataclass(frozen=True, slots=True)
class ForbidRestart:
    container_id: str


@dataclass(frozen=True, slots=True)
class Signal:
    container_id: str
    signal: str


@dataclass(frozen=True, slots=True)
class Remove:
    container_id: str


Call = (
    AskFacts
    | Ping
    | ListContainers
    | FindContainer
    | LookForImage
    | Pull
    | CreateVolume
    | Create
    | Start
    | ForbidRestart
    | Signal
    | Remove
)
Answer = EngineFacts | tuple[ListedContainer, ...] | ListedContainer | str | bool | None


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
        case Create(action):
            return engine.create(action)
        case Ping():
            engine.ping()
        case Pull(image):
            engine.pull(image)
        case CreateVolume(name, labels):
            engine.create_volume(name, labels)
        case Start(container_id):
            engine.start(container_id)
        case ForbidRestart(container_id):
            engine.forbid_restart(container_id)
        case Signal(container_id, signal):
            engine.signal(container_id, signal)
        case Remove(container_id):
            engine.remove(container_id)
        case _:
            assert_never(call)
    return None
