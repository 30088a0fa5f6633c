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

from rota.core.container import ContainerSpec
from rota.core.resources import NOTHING, Resources


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
class FailureSettings:
    """How soon a silent host is doubted. Seconds of monotonic time."""

    heartbeat: float = 1.0
    suspect_after: float = 3.0


class Effect(StrEnum):
    """What a taint does to workloads that do not tolerate it: none may come, or none may stay either."""

    NO_SCHEDULE = "NoSchedule"
    NO_EXECUTE = "NoExecute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A mark of a host that only workloads with a matching toleration accept."""

    key: str
    value: str = ""
    effect: Effect = Effect.NO_SCHEDULE

    def __str__(self) -> str:
        return f"{self.key}={self.value}" if self.value else self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine with a Docker Engine. `cpu` and `memory` left None are what the Engine reports;
    `resources` are the extended ones that it declares, in whole units."""

    name: str
    endpoint: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    tls: str | None = None
    cpu: int | None = None
    memory: int | None = None
    resources: tuple[tuple[str, int], ...] = ()
    reserved: Resources = NOTHING
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
    """Accepts the taints of `key`, of any value and any effect where these are None."""

    key: str
    value: str | None = None
    effect: Effect | None = None

    def accepts(self, taint: Taint) -> bool:
        return (
            self.key == taint.key
            and self.value in (None, taint.value)
            and self.effect in (None, taint.effect)
        )


class Strategy(StrEnum):
    """How feasible hosts are ranked."""

    SPREAD = "spread"
    PACK = "pack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Instances are spread over the values of the host label `key`.

    `hard` (`DoNotSchedule`): no value may have more than `max_skew` instances above the value that has
    the fewest. Otherwise (`ScheduleAnyway`) evenness is only what is tried first.
    """

    key: str
    max_skew: int = 1
    hard: bool = False


HOST_SCOPE = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """With, or as anti-affinity apart from, the instances of another workload (or its own, apart).

    `scope` is "host", or the host label whose equal values count as together. Not `required`: it only
    ranks hosts.
    """

    workload: WorkloadId
    scope: str = HOST_SCOPE
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRules:
    """Which hosts may run a workload, and which of them it prefers."""

    host_selector: tuple[Requirement, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    max_per_host: int | None = None
    spread: tuple[Spread, ...] = ()
    affinity: tuple[Affinity, ...] = ()
    anti_affinity: tuple[Affinity, ...] = ()
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
class Fill:
    """A count that is whatever is left over, at least `min`, at most `max` (None: without limit).

    Several workloads that fill share what is left by `weight`.
    """

    min: int = 0
    max: int | None = None
    weight: int = 1

    def clamp(self, count: int) -> int:
        return max(self.min, count if self.max is None else min(count, self.max))

    def __str__(self) -> str:
        above = "" if self.max is None else f", max {self.max}"
        return f"fill (min {self.min}{above}, weight {self.weight})"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRules:
    """How instances are replaced. `order` is resolved when manifests are loaded."""

    order: Order = Order.START_FIRST
    max_surge: Amount = Amount(value=25, percent=True)
    min_healthy_time: float = 10.0
    healthy_deadline: float = 300.0


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
    replicas: Mapping[WorkloadId, Amount | Fill]
    priority: int = 0
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityPolicy:
    """How many instances of which workloads are wanted when. `base` holds outside every window."""

    namespace: str
    name: str
    zone: ZoneInfo
    base: Mapping[WorkloadId, Amount | Fill]
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
    replicas: Amount | Fill | None = None
    window: str | None = None
    unschedulable: bool | None = None
    suspend: bool | None = None
    allow_removals: int | None = None
    source: Source | None = None

    def in_force(self, at: datetime) -> bool:
        return (self.start is None or self.start <= at) and at < self.until

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


INSTANCES = "instances"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What the requests of some workloads of one namespace may reach together, at any hour.

    `hard` holds limits by dimension: "cpu" in millicores, "memory" in bytes, "instances", and extended
    resources. `selector` picks workloads by their labels; empty, it is the whole namespace.
    """

    namespace: str
    name: str
    hard: Mapping[str, int]
    selector: tuple[Requirement, ...] = ()
    source: Source | None = None

    def covers(self, service: Service) -> bool:
        return service.id.namespace == self.namespace and all(
            requirement.met_by(service.labels) for requirement in self.selector
        )

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Loss(StrEnum):
    """What the fleet is to survive: the loss of any one of these."""

    HOST = "hosts"
    ZONE = "zones"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Everything that one commit asks for."""

    name: str
    uid: str
    revision: str = ""
    failure: FailureSettings = FailureSettings()
    max_removals: Amount = Amount(value=30, percent=True)
    max_moves_per_hour: int = 60
    survive: Loss | None = None
    hosts: Mapping[str, Host] = field(default_factory=dict)
    services: Mapping[WorkloadId, Service] = field(default_factory=dict)
    policies: tuple[CapacityPolicy, ...] = ()
    overrides: tuple[Override, ...] = ()
    quotas: tuple[Quota, ...] = ()

    def overrides_in_force(self, at: datetime) -> tuple[Override, ...]:
        return tuple(override for override in self.overrides if override.in_force(at))
