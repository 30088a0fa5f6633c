"""What is desired: the fleet as one commit states it, with defaults filled in.

Every value is immutable. Quantities: cpu in millicores, memory in bytes, durations in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo


class WorkloadId(NamedTuple):
    """The identity of a workload: unique over all workload kinds of a namespace."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> WorkloadId:
        """Read `namespace/name`, the form that labels and the status branch carry."""
        namespace, _, name = text.partition("/")
        return cls(namespace, name)


class Source(NamedTuple):
    """Where a document stands in the repository; lines and columns count from 1."""

    path: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """An amount of a host, or of a request: cpu in millicores, memory in bytes."""

    cpu: int = 0
    memory: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(cpu=self.cpu + other.cpu, memory=self.memory + other.memory)

    def __sub__(self, other: Resources) -> Resources:
        return Resources(cpu=self.cpu - other.cpu, memory=self.memory - other.memory)


NOTHING = Resources()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureSettings:
    """How soon a silent host is doubted. Seconds of monotonic time."""

    heartbeat: float = 1.0
    suspect_after: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A mark of a host that only workloads with a matching toleration accept."""

    key: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine with a Docker Engine. `capacity` fields left None are what the Engine reports."""

    name: str
    endpoint: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    tls: str | None = None
    cpu: int | None = None
    memory: int | None = None
    reserved: Resources = Resources()
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    source: Source | None = None


class Operator(StrEnum):
    """How a selector compares a host label with its values."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One condition of a host selector. `matchLabels` arrives here as `In` with one value."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def met_by(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None

    def __str__(self) -> str:
        match self.operator:
            case Operator.IN if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator} ({', '.join(self.values)})"
            case _:
                return f"{self.key} {self.operator}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """Accepts the taints of `key`, of any value where `value` is None."""

    key: str
    value: str | None = None

    def accepts(self, taint: Taint) -> bool:
        return self.key == taint.key and self.value in (None, taint.value)


class Strategy(StrEnum):
    """How feasible hosts are ranked."""

    SPREAD = "spread"
    PACK = "pack"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRules:
    """Which hosts may run a workload, and which of them it prefers."""

    host_selector: tuple[Requirement, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    max_per_host: int | None = None
    strategy: Strategy = Strategy.SPREAD


class Order(StrEnum):
    """What comes first when an instance is replaced."""

    START_FIRST = "start-first"
    STOP_FIRST = "stop-first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A count, or a percentage of a count that the reader of it names."""

    value: int
    percent: bool = False

    def of(self, whole: int) -> int:
        """The number of instances, a percentage rounded up."""
        return -(-self.value * whole // 100) if self.percent else self.value

    def __str__(self) -> str:
        return f"{self.value}%" if self.percent else str(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRules:
    """How instances are replaced. `order` is resolved when manifests are loaded."""

    order: Order = Order.START_FIRST
    max_surge: Amount = Amount(value=25, percent=True)
    min_healthy_time: float = 10.0
    healthy_deadline: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A container port to publish. `published` None: Rota assigns one for the container's life."""

    name: str
    target: int
    protocol: str = "tcp"
    published: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A named volume (pinned to the host of its slot) or a tmpfs."""

    kind: str
    target: str
    source: str = ""
    read_only: bool = False
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """Docker's own health check. Durations in seconds; `test` begins with CMD, CMD-SHELL or NONE."""

    test: tuple[str, ...]
    interval: float | None = None
    timeout: float | None = None
    retries: int | None = None
    start_period: float | None = None

    @property
    def disabled(self) -> bool:
        return self.test[:1] == ("NONE",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """What one container is made from: the vocabulary of a Compose service, typed."""

    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    working_dir: str | None = None
    hostname: str | None = None
    init: bool | None = None
    read_only: bool = False
    tmpfs: tuple[str, ...] = ()
    shm_size: int | None = None
    cap_drop: tuple[str, ...] = ()
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    logging_driver: str | None = None
    logging_options: Mapping[str, str] = field(default_factory=dict)
    healthcheck: HealthCheck | None = None
    ports: tuple[Port, ...] = ()
    volumes: tuple[Mount, ...] = ()
    stop_grace_period: float = 10.0
    stop_signal: str = "SIGTERM"
    pull_policy: str = "missing"
    cpu_limit: int | None = None
    memory_limit: int | None = None

    @property
    def pinned(self) -> bool:
        """Its data lives on one host: each slot stays where its named volumes are."""
        return any(mount.kind == "volume" for mount in self.volumes)

    @property
    def fixed_ports(self) -> tuple[tuple[int, str], ...]:
        """The host ports that the manifest fixes, as (port, protocol)."""
        return tuple((port.published, port.protocol) for port in self.ports if port.published is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A workload that always runs: `replicas` is its number while no policy says otherwise.

    `spec_hash` is over the stated fields that need a new container, so that a change of counts
    restarts nothing and an upgrade of Rota restarts nothing.
    """

    id: WorkloadId
    replicas: int
    container: ContainerSpec
    requests: Resources
    spec_hash: str
    priority: int = 100
    labels: Mapping[str, str] = field(default_factory=dict)
    placement: PlacementRules = PlacementRules()
    update: UpdateRules = UpdateRules()
    max_unavailable: Amount = Amount(value=0)
    source: Source | None = None

    @property
    def kind(self) -> str:
        return "Service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A half-open interval [start, end) on the local civil line, on certain days of the week.

    `days` counts from 0 = Monday. An `end` before `start` lies on the next day and the window
    belongs to the day it starts on; `end` None is the midnight that ends the day, "24:00".
    """

    name: str
    days: frozenset[int]
    start: time
    end: time | None
    replicas: Mapping[WorkloadId, Amount]
    priority: int = 0
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityPolicy:
    """How many instances of which workloads are wanted when. `base` holds outside every window."""

    namespace: str
    name: str
    zone: ZoneInfo
    base: Mapping[WorkloadId, Amount]
    windows: tuple[Window, ...]
    source: Source | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """An exception that ends by itself. Exactly one of the effect fields is set.

    Effects by target: Service `replicas` · CapacityPolicy `window` (a window's name or "base") ·
    Host `unschedulable` · Fleet `suspend` or `allow_removals`.
    """

    namespace: str
    name: str
    target_kind: str
    target_name: str
    until: datetime
    start: datetime | None
    reason: str
    replicas: Amount | None = None
    window: str | None = None
    unschedulable: bool | None = None
    suspend: bool | None = None
    allow_removals: int | None = None
    source: Source | None = None

    def in_force(self, at: datetime) -> bool:
        return (self.start is None or self.start <= at) and at < self.until

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Everything that one commit asks for."""

    name: str
    uid: str
    revision: str = ""
    failure: FailureSettings = FailureSettings()
    max_removals: Amount = Amount(value=30, percent=True)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    services: Mapping[WorkloadId, Service] = field(default_factory=dict)
    policies: tuple[CapacityPolicy, ...] = ()
    overrides: tuple[Override, ...] = ()

    def overrides_in_force(self, at: datetime) -> tuple[Override, ...]:
        return tuple(override for override in self.overrides if override.in_force(at))
