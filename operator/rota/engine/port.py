"""The port: what Rota needs of one container engine. The worker owns it; adapters implement it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from rota.core.container import Check
from rota.core.observed import ContainerState, EngineFacts, Health, PublishedPort
from rota.core.planning.actions import StartInstance
from rota.errors import RotaError


class Trouble(StrEnum):
    """What went wrong with a call, by what it means for the one who asked."""

    REFUSED = "refused"
    """Nobody listens: the Engine is down, its host is not."""
    SILENT = "silent"
    """Nothing of the host answers in time, and nothing was asked to change."""
    HUNG = "hung"
    """The host answers, its Engine does not: it accepts and is silent. Nothing was asked to change."""
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
    """One container as an Engine lists it. `exit_code` where it has exited, `created` in seconds since
    1970."""

    id: str
    name: str
    labels: Mapping[str, str]
    state: ContainerState
    health: Health = Health.NONE
    ports: tuple[PublishedPort, ...] = ()
    exit_code: int | None = None
    created: int = 0

    @property
    def ready(self) -> bool:
        """Running and healthy, or running where it has no health check."""
        return self.state is ContainerState.RUNNING and self.health in (Health.NONE, Health.HEALTHY)


class ContainerEvent(NamedTuple):
    """What happened to a container of the fleet: Docker's word for it (`start`, `die`, `kill`, `oom` …).

    `exit_code` where it died. Whether and how it matters is found out from a list; deaths are counted here.
    """

    action: str
    container_id: str = ""
    exit_code: int | None = None


class EventStream(Protocol):
    """The events of the containers of the fleet; ends with an `EngineError`, never without.

    `close` ends a blocked iteration.
    """

    def __iter__(self) -> Iterator[ContainerEvent]: ...

    def close(self) -> None: ...


class OutputStream(Protocol):
    """What a container or a command writes, in pieces, standard output and errors as they come. Ends when it
    ends, or with an `EngineError`; `close` ends a blocked iteration."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class CommandOutput(OutputStream, Protocol):
    """The output of a command that was run in a container."""

    def exit_code(self) -> int:
        """How the command ended; to be asked once the output has ended."""
        ...


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

    def image_reference(self, image: str) -> str | None:
        """What an image on the host is beyond its name: `repository@sha256:…`, or its id (`sha256:…`) where
        no registry gave it a digest. None where it is not on the host."""
        ...

    def registry_reference(self, image: str) -> str:
        """What the registry calls `image` now: `repository@sha256:…`."""
        ...

    def pull(self, image: str) -> None: ...

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None: ...

    def create(self, action: StartInstance) -> str:
        """Create the container that `action` describes; its id. `NAME_TAKEN`, `NO_IMAGE` on conflict."""
        ...

    def start(self, container_id: str) -> None: ...

    def set_restarts(self, container_id: str, *, restarts: bool) -> None:
        """Whether the Engine brings it back when it dies: restart policy `always`, or `no`, with which an
        exit that follows is final."""
        ...

    def signal(self, container_id: str, signal: str) -> None: ...

    def remove(self, container_id: str) -> None:
        """Remove a container that has exited. Its volumes stay."""
        ...

    def last_words(self, container_id: str, lines: int) -> tuple[str, ...]:
        """The last lines that a container has written, oldest first, as text; of bounded size."""
        ...

    def check(self, address: str, port: int, check: Check) -> None:
        """Ask a published port from here, as `check` says. Returns where it answers well; raises where
        not."""
        ...

    def clock(self) -> datetime:
        """What the clock of the host says."""
        ...

    def logs(self, container_id: str, *, lines: int, follow: bool) -> OutputStream:
        """The last `lines` of its log, and, with `follow`, what comes."""
        ...

    def run(self, container_id: str, command: tuple[str, ...]) -> CommandOutput:
        """Run a command in a running container."""
        ...

    def events(self, fleet: str) -> EventStream: ...

    def close(self) -> None: ...
