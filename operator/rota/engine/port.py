"""The port: what Rota needs of one container engine. The worker owns it; adapters implement it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rota.core.observed import ContainerState, EngineFacts, Health, PublishedPort
from rota.core.planning.actions import StartInstance
from rota.errors import RotaError


class Trouble(StrEnum):
    """What went wrong with a call, by what it means for the one who asked."""

    REFUSED = "refused"
    """Nobody listens: the Engine is down, its host is not."""
    SILENT = "silent"
    """No answer in time, and nothing was asked to change."""
    LOST = "lost"
    """No answer to a change: done or not done, only looking tells."""
    NOT_FOUND = "not found"
    NAME_TAKEN = "name taken"
    NO_IMAGE = "no image"
    REJECTED = "rejected"
    """The Engine answered no; asking again is of no use before something changes."""
    UNUSABLE = "unusable"
    """It cannot be used as it is: too old, or its certificate is not configured here."""


class EngineError(RotaError):
    """A call that failed. `trouble` says what it means, the message what the Engine said."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedContainer:
    """One container as an Engine lists it. `exit_code` where it has exited."""

    id: str
    name: str
    labels: Mapping[str, str]
    state: ContainerState
    health: Health = Health.NONE
    ports: tuple[PublishedPort, ...] = ()
    exit_code: int | None = None

    @property
    def ready(self) -> bool:
        """Running and healthy, or running where it has no health check."""
        return self.state is ContainerState.RUNNING and self.health in (Health.NONE, Health.HEALTHY)


class EventStream(Protocol):
    """Yields once for every event of a container of the fleet; ends with an `EngineError`, never without.

    `close` ends a blocked iteration.
    """

    def __iter__(self) -> Iterator[str]: ...

    def close(self) -> None: ...


class Engine(Protocol):
    """One Engine. Every call returns within its deadline or raises `EngineError`; none blocks for a grace.

    Calls may come from several threads at once.
    """

    def facts(self) -> EngineFacts: ...

    def ping(self) -> None: ...

    def containers(self, fleet: str) -> tuple[ListedContainer, ...]:
        """Every container, running or not, that carries the label of `fleet`."""
        ...

    def find(self, name: str) -> ListedContainer | None:
        """The container of that name, whoever it belongs to."""
        ...

    def has_image(self, image: str) -> bool: ...

    def pull(self, image: str) -> None: ...

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None: ...

    def create(self, action: StartInstance) -> str:
        """Create the container that `action` describes; its id. `NAME_TAKEN`, `NO_IMAGE` on conflict."""
        ...

    def start(self, container_id: str) -> None: ...

    def forbid_restart(self, container_id: str) -> None:
        """Set the restart policy to `no`, so that an exit that follows is final."""
        ...

    def signal(self, container_id: str, signal: str) -> None: ...

    def remove(self, container_id: str) -> None:
        """Remove a container that has exited. Its volumes stay."""
        ...

    def events(self, fleet: str) -> EventStream: ...

    def close(self) -> None: ...
