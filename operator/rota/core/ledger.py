"""What neither the commit nor the hosts can tell. An input and an output of every decision.

Kept under `state/` on the status branch. Losing it costs patience, never correctness; pins are the
exception, so they are pushed before they are acted on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rota.core.container import Check, ContainerSpec
from rota.core.ids import WorkloadId
from rota.core.resources import Resources

PinKey = tuple[WorkloadId, int]
"""A slot: (workload, number)."""
SpecKey = tuple[WorkloadId, str]
"""(workload, spec hash)."""
FailureKey = tuple[WorkloadId, str, str]
"""(workload, host, spec): a new spec starts without a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRecord:
    """How a host was reached last: what a drain needs once its manifest is gone."""

    endpoint: str
    address: str
    tls: str | None = None
    engine_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The revision that was applied last, and the counts it asked for at the instant `at`.

    Counts are without Overrides: they are what a later commit is compared with.
    """

    revision: str
    at: datetime
    counts: Mapping[WorkloadId, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Failed starts of a workload on a host: how often in a row, until when to wait, and why."""

    count: int
    until: float
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodSpec:
    """The spec of a workload that was healthy everywhere last, in full: a commit may be gone one day.

    `withheld` are the environment variables without their values, which are secret: an operator that reads
    this from the status branch takes them from the commit that holds then.
    """

    spec: str
    revision: str
    container: ContainerSpec
    requests: Resources
    check: Check | None = None
    withheld: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedSpec:
    """A spec that a workload could not be brought to, by which revision and document, and why.

    `reverts`: the spec that was good before takes its place. `returned`: everybody has had that in health
    since; `stuck`: the way back makes no progress either, and goes on all the same.
    """

    spec: str
    document: str
    revision: str
    reason: str
    reverts: bool
    returned: bool = False
    stuck: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A workload on its way to `spec`: how many instances of it have soaked at most, since when it was that
    many or the wait did not count, and since when all of its canaries are healthy (monotonic time). `passed`:
    they were watched for long enough. `idle`: it waits for what is not its own doing."""

    spec: str
    best: int
    since: float
    idle: bool = False
    canary_since: float | None = None
    passed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The count that a workload was last given, which rule gave it, and whether it was reached."""

    count: int
    cause: str
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Room on a host that is being freed for one slot, until an instant of monotonic time. `successor`: the
    slot had an instance, which was stopped first."""

    host: str
    until: float
    successor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """An instance that was asked to move although it could stay: from where, to where, and why."""

    source: str
    target: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeRecord:
    """How one workload met an edge of the wall clock at which it grows, or is going to.

    `policy` and `window` name the rule that begins to hold at `at`. `wanted` instances are to be healthy
    then; `ready` are, as far as is known. `begun` is when its lead began, None where it has none.
    `offset` is by how many seconds of the wall clock all of them were ready after the edge, negative
    where it was before it, None while they are not. `elastic`: it fills, and `wanted` is what that came to.
    `after_room`: it needed room that only the edge frees. `over`: nothing will change about it any more.
    """

    at: datetime
    policy: str
    window: str
    workload: WorkloadId
    wanted: int
    ready: int = 0
    begun: datetime | None = None
    offset: float | None = None
    elastic: bool = False
    after_room: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """`failures`, `crashes`, `targets`, `moves_begun`, `starting`, `successions`, `rollouts`, `drain_ends`,
    `braked`, `brake_released` and `held_since` live with the daemon; the rest is kept on the status branch.

    `fleet` is the identity (name and uid) under which everything that runs was started. `reservations`
    hold freed room for its claimant, `moves` are under way by choice, `displaced` are the slots that were
    stopped for a higher priority and have no place yet; `moves_begun` are instants of monotonic time.
    `successions` say why the instance of a slot was stopped that has no successor yet.
    `edges` are those at which something grew or is going to, the latest few, in order. `starting` says since
    when (monotonic time) the start of a container is asked for, by (host, name); `start_times` how many
    seconds the last starts of a workload took until it was healthy, pull included.

    `images` are what the image of a spec was resolved to. `good` and `failed` are the specs that workloads
    were brought to last, or could not be; `rollouts` are under way. `drains` says since when hosts are
    drained, `drain_ends` when (monotonic time) their deadlines pass, by host and deadline. `crashes` are the
    moves of specs that kept dying where they were. `braked`: so many hosts were lost at once that it is not
    believed, until most of them are back; `brake_released` is when that was. `held_since` is since when
    (monotonic time) nothing may be changed.
    """

    fleet: str = ""
    hosts: Mapping[str, HostRecord] = field(default_factory=dict)
    pins: Mapping[PinKey, str] = field(default_factory=dict)
    applied: Applied | None = None
    failures: Mapping[FailureKey, Failure] = field(default_factory=dict)
    targets: Mapping[WorkloadId, Target] = field(default_factory=dict)
    reservations: Mapping[PinKey, Reservation] = field(default_factory=dict)
    moves: Mapping[PinKey, Move] = field(default_factory=dict)
    displaced: frozenset[PinKey] = frozenset()
    moves_begun: tuple[float, ...] = ()
    successions: Mapping[PinKey, str] = field(default_factory=dict)
    edges: tuple[EdgeRecord, ...] = ()
    starting: Mapping[tuple[str, str], float] = field(default_factory=dict)
    start_times: Mapping[WorkloadId, tuple[float, ...]] = field(default_factory=dict)
    images: Mapping[SpecKey, str] = field(default_factory=dict)
    good: Mapping[WorkloadId, GoodSpec] = field(default_factory=dict)
    failed: Mapping[WorkloadId, FailedSpec] = field(default_factory=dict)
    rollouts: Mapping[WorkloadId, Rollout] = field(default_factory=dict)
    drains: Mapping[str, datetime] = field(default_factory=dict)
    drain_ends: Mapping[tuple[str, float], float] = field(default_factory=dict)
    crashes: Mapping[SpecKey, Failure] = field(default_factory=dict)
    braked: bool = False
    brake_released: float | None = None
    held_since: float | None = None
