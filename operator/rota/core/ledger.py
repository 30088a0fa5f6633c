"""What neither the commit nor the hosts can tell. An input and an output of every decision.

Kept under `state/` on the status branch. Losing it costs patience, never correctness; pins are the
exception, so they are pushed before they are acted on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rota.core.ids import WorkloadId

PinKey = tuple[WorkloadId, int]
"""A slot: (workload, number)."""
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
    """`failures`, `targets`, `moves_begun` and `starting` live with the daemon; the rest is kept on the
    status branch.

    `fleet` is the identity (name and uid) under which everything that runs was started. `reservations`
    hold freed room for its claimant, `moves` are under way by choice, `displaced` are the slots that were
    stopped for a higher priority and have no place yet; `moves_begun` are instants of monotonic time.
    `edges` are those at which something grew or is going to, the latest few, in order. `starting` says since
    when (monotonic time) the start of a container is asked for, by (host, name); `start_times` how many
    seconds the last starts of a workload took until it was healthy, pull included.
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
    edges: tuple[EdgeRecord, ...] = ()
    starting: Mapping[tuple[str, str], float] = field(default_factory=dict)
    start_times: Mapping[WorkloadId, tuple[float, ...]] = field(default_factory=dict)
