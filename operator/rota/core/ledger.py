"""What neither the commit nor the hosts can tell. An input and an output of every decision.

Kept under `state/` on the status branch. Losing it costs patience, never correctness; pins are the
exception, so they are pushed before they are acted on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rota.core.model import WorkloadId

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
class Ledger:
    """`failures`, `targets` and `moves_begun` live with the daemon; the rest is kept on the status branch.

    `fleet` is the identity (name and uid) under which everything that runs was started. `reservations`
    hold freed room for its claimant, `moves` are under way by choice, `displaced` are the slots that were
    stopped for a higher priority and have no place yet; `moves_begun` are instants of monotonic time.
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
