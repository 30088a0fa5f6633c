"""What is desired: the fleet as one commit states it, with defaults filled in.

Every value is immutable. Quantities: cpu in millicores, memory in bytes, durations in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rota.core.container import Check, ContainerSpec
from rota.core.ids import WorkloadId
from rota.core.resources import NOTHING, Resources
from rota.core.rules import ANYWHERE, PlacementRules, Requirement, Taint


class Source(NamedTuple):
    """Where a document stands in the repository; lines and columns count from 1."""

    path: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


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
class FailureSettings:
    """How soon a silent host is doubted, and given up. Seconds of monotonic time.

    `lost_after`: nothing of the host answers. `engine_down_after`: the host does, its Engine does not. More
    hosts than `brake`, lost at about one time, are not believed to be lost: it is rather Rota that is cut
    off.
    """

    heartbeat: float = 1.0
    suspect_after: float = 3.0
    lost_after: float = 10.0
    engine_down_after: float = 60.0
    brake: Amount = Amount(value=50, percent=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Everything is to leave a host. After `deadline` seconds what is left is stopped all the same; None:
    never."""

    deadline: float | None = None


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
    drain: Drain | None = None
    cost_per_hour: float = 0.0
    source: Source | None = None


class Order(StrEnum):
    """What comes first when an instance is replaced."""

    START_FIRST = "start-first"
    STOP_FIRST = "stop-first"


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


class OnFailure(StrEnum):
    """What follows when a rollout makes no progress: the spec that was good before, or waiting for people."""

    ROLLBACK = "rollback"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """So many instances get a new spec first, and are watched for `hold` seconds before others follow."""

    count: int
    hold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRules:
    """How instances are replaced. `order` is resolved when manifests are loaded.

    An instance has `healthy_deadline` seconds to become healthy, a rollout `progress_deadline` seconds to
    have one more healthy instance than it ever had; then it has failed.
    """

    order: Order = Order.START_FIRST
    max_surge: Amount = Amount(value=25, percent=True)
    min_healthy_time: float = 10.0
    healthy_deadline: float = 300.0
    progress_deadline: float = 600.0
    on_failure: OnFailure = OnFailure.ROLLBACK
    canary: Canary | None = None


class Singleton(StrEnum):
    """How far Rota goes to run no second instance: with `strict` it starts none while the first could be
    running unseen, with `best-effort` none while its host is not lost."""

    NONE = "none"
    BEST_EFFORT = "best-effort"
    STRICT = "strict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A workload that always runs: `replicas` is its number while no policy says otherwise.

    `spec_hash` is over the stated fields that need a new container, so that a change of counts
    restarts nothing and an upgrade of Rota restarts nothing; `document_hash` is over all that is stated: with
    another one, a spec that failed is tried again. `depends_on` are healthy before it.
    """

    id: WorkloadId
    replicas: int
    container: ContainerSpec
    requests: Resources
    spec_hash: str
    document_hash: str = ""
    priority: int = 100
    labels: Mapping[str, str] = field(default_factory=dict)
    placement: PlacementRules = ANYWHERE
    update: UpdateRules = UpdateRules()
    max_unavailable: Amount = Amount(value=0)
    check: Check | None = None
    depends_on: tuple[WorkloadId, ...] = ()
    singleton: Singleton = Singleton.NONE
    source: Source | None = None

    @property
    def kind(self) -> str:
        return "Service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """A half-open interval [start, end) on the local civil line, on certain days of the week, or on none.

    `days` counts from 0 = Monday. An `end` before `start` lies on the next day and the interval
    belongs to the day it starts on; `end` None is the midnight that ends the day, "24:00".
    """

    days: frozenset[int]
    start: time
    end: time | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """Openings by a cron schedule of five fields, each of `duration` seconds of elapsed time."""

    cron: str
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of time that comes again and again, and what is wanted meanwhile.

    It opens by its hours, on the local dates `also_on` besides (weekly hours only), and on none of the
    local dates `except_on`; no date is in both. A date is the one on which an opening starts.
    `lead` is how many seconds before its start what grows begins; None where that is learnt ("auto").
    """

    name: str
    hours: Weekly | Scheduled
    replicas: Mapping[WorkloadId, Amount | Fill]
    also_on: frozenset[date] = frozenset()
    except_on: frozenset[date] = frozenset()
    priority: int = 0
    lead: float | None = None
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
    Host `unschedulable`, `drain` or `lost` · Fleet `suspend` or `allow_removals`.
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
    drain: Drain | None = None
    lost: bool | None = None
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
