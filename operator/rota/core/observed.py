"""What is observed: hosts, their containers, and what is in flight. Unknown is a state of its own.

Instants are monotonic seconds of this daemon (`Now.mono`), so that a clock that jumps ages nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from rota.core.container import Check
from rota.core.ids import WorkloadId
from rota.core.resources import NOTHING, Resources


@dataclass(frozen=True, slots=True)
class Now:
    """One reading of both clocks: `wall` (UTC) for windows, `mono` (seconds) for waits and ages.

    `speed` is how many seconds of `wall` pass in one of `mono`: 1, but for a daemon on a faster clock.
    """

    wall: datetime
    mono: float
    speed: float = 1.0


class HostState(StrEnum):
    """What is known of a host. Only `reachable` hosts are given work; what a `lost` one ran is replaced,
    unless that could do harm; none of the others loses any."""

    UNKNOWN = "unknown"
    REACHABLE = "reachable"
    SUSPECT = "suspect"
    LOST = "lost"
    REFUSED = "refused"


class ContainerState(StrEnum):
    """Docker's states, and `pending`: asked for, not seen yet."""

    PENDING = "pending"
    CREATED = "created"
    RUNNING = "running"
    RESTARTING = "restarting"
    PAUSED = "paused"
    EXITED = "exited"
    DEAD = "dead"
    REMOVING = "removing"


_RUNNING = (ContainerState.RUNNING, ContainerState.RESTARTING, ContainerState.PAUSED)


class Health(StrEnum):
    """Docker's verdict; `none` where the container has no health check."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, order=True)
class PublishedPort:
    """A container port and the host port that reaches it."""

    target: int
    published: int
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedContainer:
    """One container of this fleet on one host, as its Engine lists it.

    `seen_since` is when this daemon first saw it running (or asked for it), `ready_since` since when it is
    ready without a break: healthy, or running where it has no health check. `requests`, `grace`, `signal`,
    `check` and `depends_on` come from its labels, so that it is accounted for and stopped by its own spec.
    `created` is when its Engine made it, in seconds since 1970 by the clock of its host.
    """

    id: str
    name: str
    host: str
    workload: WorkloadId
    kind: str
    slot: int
    spec: str
    revision: str
    state: ContainerState
    health: Health = Health.NONE
    requests: Resources = NOTHING
    grace: float = 10.0
    signal: str = "SIGTERM"
    ports: tuple[PublishedPort, ...] = ()
    depends_on: tuple[WorkloadId, ...] = ()
    check: Check | None = None
    created: int = 0
    seen_since: float = 0.0
    ready_since: float | None = None

    @property
    def running(self) -> bool:
        return self.state in _RUNNING

    @property
    def ready(self) -> bool:
        return self.ready_since is not None


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an Engine says of itself: its id, API and product version, millicores and bytes."""

    id: str
    api_version: str
    version: str
    cpu: int
    memory: int


@dataclass(frozen=True, slots=True, order=True)
class Foreign:
    """A container that is not ours and stands in the way, and why it is left alone."""

    name: str
    reason: str


class Deaths(NamedTuple):
    """When instances of one slot died on one host although nobody of Rota's asked for it, and of what last.

    `at` are instants of monotonic time of the last `DEATHS_SECONDS`, oldest first.
    """

    at: tuple[float, ...]
    cause: str


DEATHS_SECONDS = 300.0
"""Deaths are remembered for so long."""

SlotKey = tuple[WorkloadId, int]
"""(workload, slot number)."""
DeathKey = tuple[WorkloadId, int, str]
"""(workload, slot number, spec hash): what another spec died of says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """Everything known of one host: the last answer, its age, and what was submitted and not yet seen.

    `listed` says that this daemon has seen its containers at least once; before, `containers` are what
    was recorded last. `pending` are containers asked for and not listed yet; `queued` the (workload, slot,
    spec) of starts that were submitted and have not begun; `stopping` the ids being stopped; `pulling` and
    `images` the image references on their way and known to be there. `deaths` are what died lately by slot,
    `last_words` the last lines of the log of what died or turned unhealthy, as they were written.
    """

    name: str
    state: HostState = HostState.UNKNOWN
    listed: bool = False
    since: float = 0.0
    detail: str = ""
    engine: EngineFacts | None = None
    containers: tuple[ObservedContainer, ...] = ()
    pending: tuple[ObservedContainer, ...] = ()
    queued: frozenset[tuple[WorkloadId, int, str]] = frozenset()
    stopping: frozenset[str] = frozenset()
    pulling: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    foreign: tuple[Foreign, ...] = ()
    deaths: Mapping[DeathKey, Deaths] = field(default_factory=dict)
    last_words: Mapping[SlotKey, tuple[str, ...]] = field(default_factory=dict)

    @property
    def all_containers(self) -> tuple[ObservedContainer, ...]:
        return self.containers + self.pending


class Result(StrEnum):
    """How an action ended. `unknown`: the answer was lost; the next view tells."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one action on one host, for the ledger, the log and the status branch.

    `sick`: what was stopped had had its chance to become healthy. `image` is what an image was resolved to.
    """

    action: str
    verb: str
    host: str
    workload: WorkloadId
    slot: int
    spec: str
    result: Result
    cause: str
    message: str = ""
    sick: bool = False
    image: str = ""


class Hold(NamedTuple):
    """Why nothing may be changed: a CamelCase `reason` for conditions, and a sentence.

    `passing`: it ends by itself within moments, so that nobody needs to be told.
    """

    reason: str
    message: str
    passing: bool = False

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedState:
    """One snapshot: every host, the outcomes since the last pass, and what holds Rota back.

    `recorded_pins` are the pins that the status branch already carries, None where nothing waits for them, as
    in a plan; `resolves`: images are found out before they are used, as a daemon does, where a plan goes by
    their names. `held` says why nothing may be changed (kill switch, another operator).
    """

    hosts: Mapping[str, HostView] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()
    recorded_pins: frozenset[tuple[WorkloadId, int]] | None = None
    resolves: bool = False
    held: Hold | None = None

    def containers(self) -> Iterator[ObservedContainer]:
        for name in sorted(self.hosts):
            yield from self.hosts[name].all_containers

    def unseen(self) -> tuple[str, ...]:
        """Hosts asked for the first time: nothing can be decided before they have answered or failed."""
        return tuple(name for name in sorted(self.hosts) if self.hosts[name].state is HostState.UNKNOWN)

    def is_stopping(self, container: ObservedContainer) -> bool:
        return container.id in self.hosts[container.host].stopping
