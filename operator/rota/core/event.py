"""What an event is, and what two passes are compared by to find them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rota.core.causes import cause_kind
from rota.core.decide import Decision
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fleet
from rota.core.observed import DeathKey, Hold, HostState, Now, ObservedState
from rota.core.status import FleetStatus

FLEET = "Fleet"

WaitKey = tuple[WorkloadId, int, str]
"""(workload, slot, where it is)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. `object` is `Service shop/web`, `Host h1` or `Fleet`.

    `event` says what it is about (start, stop, restart, image, resolve, wait, death, host, rollout, edge,
    guard, brake, hold, overlap, revision, history), `reason` is a CamelCase word, `message` a sentence.
    `slot` and `host` where there is just one; `count` how many like it there were at once.
    """

    event: str
    object: str
    reason: str
    message: str = ""
    result: str = ""
    cause: str = ""
    slot: int | None = None
    host: str = ""
    count: int = 1

    @property
    def cause_kind(self) -> str:
        return cause_kind(self.cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What one pass saw and decided. `rewritten`: the history of the branch is another one."""

    status: FleetStatus
    now: Now
    rewritten: bool = False
    fleet: Fleet | None = None
    observed: ObservedState = field(default_factory=ObservedState)
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What of a pass the next one is compared with. `together`: since when (monotonic seconds) a duplicate is
    known to run; `emptied` are the drained hosts that run nothing any more; `deaths` is when the last one of
    each slot was, by host and slot. `recalled`: the daemon has just
    started, and what it finds as the revision left it is no news."""

    ledger: Ledger = field(default_factory=Ledger)
    revision: str = ""
    trouble: tuple[str, str] = ("", "")
    hosts: Mapping[str, HostState] = field(default_factory=dict)
    cordons: Mapping[str, str] | None = None
    hold: Hold | None = None
    guard: str = ""
    brake: str = ""
    waits: Mapping[WaitKey, str] = field(default_factory=dict)
    together: Mapping[WaitKey, float] = field(default_factory=dict)
    emptied: frozenset[str] = frozenset()
    deaths: Mapping[tuple[str, DeathKey], float] = field(default_factory=dict)
    recalled: bool = False


def recalled(ledger: Ledger) -> Remembered:
    """What a daemon begins with: what the status branch remembers is no news."""
    if ledger.applied is None:
        return Remembered(ledger=ledger)
    return Remembered(ledger=ledger, revision=ledger.applied.revision, recalled=True)


def service_of(workload: WorkloadId, fleet: Fleet) -> str:
    service = fleet.services.get(workload)
    return f"{service.kind if service is not None else 'Service'} {workload}"
