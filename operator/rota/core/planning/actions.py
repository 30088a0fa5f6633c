"""Changes and actions as data. A closed union: the executor is one exhaustive match over it.

A change says what differs from the target, the words of `rota plan`. An action is a step that is
safe now, leaves no choice open, and carries its cause. Its id derives from what it does, so the same
step has the same id in every pass and is never asked for twice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from rota.core.container import Check, ContainerSpec
from rota.core.ids import WorkloadId
from rota.core.observed import ContainerState, ObservedContainer, PublishedPort
from rota.core.planning.waits import Wait, WaitReason
from rota.core.resources import Resources


class ChangeKind(StrEnum):
    """The four words of a plan."""

    START = "start"
    STOP = "stop"
    REPLACE = "replace"
    MOVE = "move"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One instance that differs from its target.

    `host` is where it goes (None where it has no place, or where it only goes away), `source` where
    it is. `wait` says why its next step is not taken now, None where it is. `ahead`: it is only due at an
    edge to come.
    """

    kind: ChangeKind
    workload: WorkloadId
    slot: int
    cause: str
    host: str | None = None
    source: str | None = None
    wait: Wait | None = None
    ahead: bool = False

    @property
    def waits(self) -> str:
        """The same in words; empty where its next step is taken."""
        return self.wait.text if self.wait is not None else ""

    def waits_for(self, *reasons: WaitReason) -> bool:
        """Whether its next step is not taken for one of these."""
        return self.wait is not None and self.wait.reason in reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeMount:
    """A named volume on the host, with the name that Rota gives it, and where it is mounted."""

    name: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInstance:
    """Create and start one container, pulling its image first where the host has none.

    `image` is what the name in its spec was resolved to, empty where it was not. `restarts`: its Engine
    brings it back when it dies.
    """

    host: str
    workload: WorkloadId
    kind: str
    slot: int
    name: str
    spec: str
    container: ContainerSpec
    requests: Resources
    ports: tuple[PublishedPort, ...]
    volumes: tuple[VolumeMount, ...]
    fleet: str
    fleet_uid: str
    revision: str
    cause: str
    image: str = ""
    restarts: bool = True
    depends_on: tuple[WorkloadId, ...] = ()
    check: Check | None = None

    @property
    def id(self) -> str:
        return f"start {self.host}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartInstance:
    """Start a container of ours that is there but does not run. `restarts` as for a start."""

    host: str
    workload: WorkloadId
    slot: int
    container_id: str
    name: str
    spec: str
    cause: str
    restarts: bool = True

    @property
    def id(self) -> str:
        return f"restart {self.host}/{self.container_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopInstance:
    """Signal, wait `grace` seconds for the exit, kill, remove. Volumes stay.

    `sick`: it is stopped because it did not become or stay healthy, which counts as a failed start.
    """

    host: str
    workload: WorkloadId
    slot: int
    container_id: str
    name: str
    spec: str
    signal: str
    grace: float
    cause: str
    sick: bool = False

    @property
    def id(self) -> str:
        return f"stop {self.host}/{self.container_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveImage:
    """Find out which image a name stands for: a digest that any host can pull, or the id of one that only
    this host has. Its outcome says so."""

    host: str
    workload: WorkloadId
    slot: int
    image: str
    pull_policy: str
    spec: str
    cause: str

    @property
    def id(self) -> str:
        return f"resolve {self.workload}/{self.spec}/{self.host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareImage:
    """Make sure that an image is on a host before anything there is stopped for it. `image` is what the name
    in the manifest, `stated`, was resolved to, or that name."""

    host: str
    workload: WorkloadId
    slot: int
    image: str
    stated: str
    pull_policy: str
    spec: str
    cause: str

    @property
    def id(self) -> str:
        return f"image {self.host}/{self.image}"


Action = StartInstance | RestartInstance | StopInstance | ResolveImage | PrepareImage


OUTRANKED = ", which has a higher priority than "


def makes_room_for(claimant: WorkloadId) -> str:
    """The cause of what gives way to somebody that found no room."""
    return f"makes room for {claimant}"


def stop_of(container: ObservedContainer, cause: str, *, sick: bool = False) -> StopInstance:
    """The stop of an observed container, by its own signal and grace."""
    return StopInstance(
        host=container.host,
        workload=container.workload,
        slot=container.slot,
        container_id=container.id,
        name=container.name,
        spec=container.spec,
        signal=container.signal,
        grace=container.grace,
        cause=cause,
        sick=sick,
    )


def container_of(action: StartInstance, container_id: str, state: ContainerState) -> ObservedContainer:
    """The container that a start makes, before anything is known of its health."""
    return ObservedContainer(
        id=container_id,
        name=action.name,
        host=action.host,
        workload=action.workload,
        kind=action.kind,
        slot=action.slot,
        spec=action.spec,
        revision=action.revision,
        state=state,
        requests=action.requests,
        grace=action.container.stop_grace_period,
        signal=action.container.stop_signal,
        ports=action.ports,
        depends_on=action.depends_on,
        check=action.check,
    )


def container_name(fleet: str, workload: WorkloadId, slot: int, identity: tuple[str, str, int]) -> str:
    """`FLEET.NAMESPACE.NAME.SLOT.HASH8`, the hash over (fleet uid, spec, attempt)."""
    uid, spec, attempt = identity
    digest = hashlib.sha256(f"{uid}\n{spec}\n{attempt}".encode()).hexdigest()[:8]
    return f"{fleet}.{workload.namespace}.{workload.name}.{slot}.{digest}"


def volume_name(workload: WorkloadId, slot: int, volume: str) -> str:
    """`NAMESPACE.NAME.SLOT.VOLUME`: a slot finds its data again under the same name."""
    return f"{workload.namespace}.{workload.name}.{slot}.{volume}"
